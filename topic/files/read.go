package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/streamql/streamql/topic"
)

// Open reads the spans. A span that ends at topic.End follows its file: an appended line counts
// once its line break has been written, while a last line that exists at the start counts
// without one. A file that has been truncated is topic.ErrTopicReplaced.
func (s *Source) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	r := &reader{source: s}
	for _, span := range spans {
		if span.ID < 0 || int(span.ID) >= len(s.files) {
			return nil, fmt.Errorf(
				"%w: %s; %s has %d files",
				topic.ErrUnknownTopic,
				span.Partition,
				s.place,
				len(s.files),
			)
		}
		c := &cursor{file: s.files[span.ID], partition: span.Partition, to: span.To, time: s.config.Time}
		r.cursors = append(r.cursors, c)
		if err := c.seek(ctx, span.From); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

type reader struct {
	source  *Source
	cursors []*cursor
}

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var out []topic.Fetch
		open := false
		for _, c := range r.cursors {
			if c.row >= c.to {
				continue
			}
			var f topic.Fetch
			got, err := c.next(&f)
			switch {
			case err != nil:
				return nil, err
			case got:
				out = append(out, f)
			case c.to != topic.End:
				return nil, fmt.Errorf(
					"%s: %w",
					c.file.path,
					topic.ErrGap{Span: topic.Span{Partition: c.partition, From: c.row, To: c.to}},
				)
			default:
				open = true
			}
		}
		if len(out) > 0 {
			return out, nil
		}
		if !open {
			return nil, io.EOF
		}
		if err := r.source.config.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Close implements topic.Reader.
func (r *reader) Close() error {
	for _, c := range r.cursors {
		c.close()
	}
	return nil
}

// cursor is a position in a file.
type cursor struct {
	file      *file
	partition topic.Partition
	time      func([]byte) int64
	counting  bool // rows are counted but not returned

	row, to topic.Offset
	at      int64
	handle  *os.File
	first   int64 // size of the file when it was opened
	started bool
	torn    bool // the previous row had no line break
	long    bool // the rest of the line belongs to a truncated row
	chunk   int  // number of bytes to read at once
	spans   []int
}

func (c *cursor) close() {
	if c.handle != nil {
		c.handle.Close()
		c.handle = nil
	}
}

// begin opens the file; false: it has no header yet.
func (c *cursor) begin() (bool, error) {
	if c.started {
		return true, nil
	}
	if c.handle == nil {
		h, err := c.file.open()
		if err != nil {
			return false, err
		}
		info, err := h.Stat()
		if err != nil {
			h.Close()
			return false, unreadable(c.file.path, err)
		}
		c.handle, c.first = h, info.Size()
	}
	ok, err := c.file.start(c.handle)
	if err != nil || !ok {
		return false, err
	}
	m := c.file.near(c.row)
	c.row, c.at, c.started, c.chunk = m.row, m.at, true, chunkBytes
	return true, nil
}

// seek moves to a row, reading from the nearest known position.
func (c *cursor) seek(ctx context.Context, row topic.Offset) error {
	c.row = row
	ok, err := c.begin()
	if err != nil {
		return err
	}
	if !ok {
		c.row = 0
	}
	to := c.to
	c.to, c.counting = row, true
	for c.row < row {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := c.next(nil)
		if err != nil {
			return err
		}
		if !more {
			return fmt.Errorf("%s has %d rows: %w", c.file.path, c.row,
				topic.ErrGap{Span: topic.Span{Partition: c.partition, From: c.row, To: row}})
		}
	}
	c.to, c.counting = to, false
	return nil
}

// next returns the rows of one read; false: there are none at present.
func (c *cursor) next(out *topic.Fetch) (bool, error) {
	if ok, err := c.begin(); err != nil || !ok {
		return false, err
	}
	if !c.torn && !c.long {
		c.file.remember(mark{c.row, c.at})
	}
	for size := c.chunk; ; {
		buf := make([]byte, size)
		n, err := c.handle.ReadAt(buf, c.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, unreadable(c.file.path, err)
		}
		if n == 0 {
			return false, c.ended()
		}
		from, at := c.row, c.at
		c.take(buf[:n], err != nil, size == maxRecord, out)
		switch {
		case c.row > from:
			if out != nil {
				c.complete(out, from)
			}
			return true, nil
		case c.at > at: // blank lines
		case err != nil:
			return false, nil
		default:
			size = min(2*size, maxRecord)
		}
	}
}

func (c *cursor) ended() error {
	info, err := c.handle.Stat()
	if err != nil {
		return unreadable(c.file.path, err)
	}
	if info.Size() < c.at {
		return fmt.Errorf("%s has been truncated: %w", c.file.path, topic.ErrTopicReplaced)
	}
	return nil
}

// take splits data into rows and advances past them. last: the file ends with b; longest: b has
// the maximum size of a read.
func (c *cursor) take(b []byte, last, longest bool, out *topic.Fetch) {
	done, rows := 0, 0
	var spans []int32
	if out != nil {
		spans = make([]int32, 0, 256)
	}
	for done < len(b) && rows < maxRows && c.row < c.to {
		if c.long {
			end := bytes.IndexByte(b[done:], '\n')
			if c.long = end < 0; c.long {
				done = len(b)
			} else {
				done += end + 1
			}
			continue
		}
		body, whole, ok := c.file.record(b[done:])
		if !ok {
			if last && (c.counting || c.to != topic.End || c.at+int64(len(b)) <= c.first) {
				c.torn = true
			} else if longest && done == 0 {
				body, whole = c.cut(b)
			} else {
				break
			}
		}
		if record := b[done : done+body]; !c.file.blank(record) {
			if out != nil {
				spans = append(spans, int32(done), int32(done+body))
			}
			rows++
			c.row++
		}
		c.torn = c.torn && !ok
		done += whole
	}
	c.at += int64(done)
	if rows == maxRows {
		c.chunk = done + done/8
	}
	if out != nil {
		out.Value = topic.Bytes{Data: b[:done:done], Spans: spans}
	}
}

// cut ends a record that is too long. It ends at the first line break, if there is one, because
// an unclosed quote is then the likely cause. Otherwise it ends here, and the rest of the line
// is skipped.
func (c *cursor) cut(b []byte) (body, whole int) {
	if end := bytes.IndexByte(b, '\n'); end >= 0 {
		return end, end + 1
	}
	c.long = true
	return len(b), len(b)
}

// complete sets the remaining fields of a fetch.
func (c *cursor) complete(out *topic.Fetch, from topic.Offset) {
	rows := out.Value.Len()
	out.Partition, out.From, out.Next = c.partition, from, c.row
	out.Offsets = make([]topic.Offset, rows)
	out.Times = make([]int64, rows)
	out.Key.Spans = make([]int32, 2*rows)
	for i := range rows {
		out.Offsets[i] = from + topic.Offset(i)
		out.Key.Spans[2*i], out.Key.Spans[2*i+1] = -1, -1
	}
	if c.file.order != nil {
		in := out.Value
		out.Value = topic.Bytes{Data: make([]byte, 0, len(in.Data)), Spans: make([]int32, 0, len(in.Spans))}
		for i := range rows {
			at := len(out.Value.Data)
			out.Value.Data = c.reorder(out.Value.Data, in.At(i))
			out.Value.Spans = append(out.Value.Spans, int32(at), int32(len(out.Value.Data)))
		}
	}
	if c.time != nil {
		for i := range rows {
			out.Times[i] = c.time(out.Value.At(i))
		}
	}
}
