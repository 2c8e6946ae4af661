package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// Open implements topic.Source. The columns of a fetch share the bytes of the segment. A fetch
// may have no rows and still advance Next, past records that compaction has removed. A
// partition must not be named twice.
func (b *Broker) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	r := &reader{b: b, closed: make(chan struct{})}
	seen := map[topic.Partition]bool{}
	for _, s := range spans {
		p, err := b.partition(s.Partition)
		if err != nil {
			return nil, err
		}
		if s.From < 0 || s.To < s.From || seen[s.Partition] {
			return nil, fmt.Errorf(
				"%s: invalid offsets %d to %d: 0 <= from <= to is required, and each partition only once",
				s.Partition,
				s.From,
				s.To,
			)
		}
		seen[s.Partition] = true
		r.cursors = append(r.cursors, &cursor{span: s, part: p, at: s.From})
	}
	return r, nil
}

// reader reads several spans. One goroutine polls, and any goroutine may close it.
type reader struct {
	b       *Broker
	cursors []*cursor
	once    sync.Once
	closed  chan struct{}
}

// cursor is a reader's position in one partition.
type cursor struct {
	span  topic.Span
	part  *partition
	at    topic.Offset // next offset to return
	chunk topic.Fetch  // decoded rows
	row   int          // index of the next row in chunk
	ahead bool         // chunk has rows, or a hole to report

	segment *segment
	pos     int64        // file position of the next batch
	base    topic.Offset // offset of that batch
}

// errReaderClosed is returned by Poll after Close.
var errReaderClosed = errors.New("the reader is closed")

// chunkBytes is the number of bytes that are read from a segment at a time.
const chunkBytes = 1 << 20

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-r.closed:
			return nil, errReaderClosed
		default:
		}
		r.b.mu.Lock()
		changed := r.b.changed // taken before looking, so that no later change is missed
		closed, failed := r.b.closed, r.b.usable()
		r.b.mu.Unlock()
		if closed {
			return nil, errClosed
		}
		var out []topic.Fetch
		open := false
		for _, c := range r.cursors {
			more, err := c.fill(r.b)
			if err != nil && len(out) == 0 {
				return nil, err
			}
			if err != nil {
				return out, nil // the error is returned by the next call
			}
			open = open || more
			if c.ahead {
				out = append(out, c.next(r.b.o.poll))
			}
		}
		switch {
		case len(out) > 0:
			return out, nil
		case !open:
			return nil, io.EOF
		case failed != nil:
			return nil, failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.closed:
		}
	}
}

// Close implements topic.Reader. A waiting Poll returns.
func (r *reader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

// next returns up to n rows of the chunk.
func (c *cursor) next(n int) topic.Fetch {
	to := min(c.row+n, c.chunk.Rows())
	f := c.chunk.Slice(c.row, to)
	if c.row = to; to == c.chunk.Rows() {
		c.chunk, c.row, c.ahead = topic.Fetch{}, 0, false
	}
	c.at = f.Next
	return f
}

// hold stores decoded rows until they are returned.
func (c *cursor) hold(f topic.Fetch) {
	f.Partition, f.From = c.span.Partition, c.at
	c.chunk, c.row, c.ahead = f, 0, true
}

// fill reads the next chunk if the present one is finished and more is committed. more is false
// if the span is exhausted.
func (c *cursor) fill(b *Broker) (more bool, err error) {
	if c.ahead {
		return true, nil
	}
	if c.at >= c.span.To {
		return false, nil
	}
	b.mu.Lock()
	gone, start, end := c.part.topic.gone, c.part.start, c.part.end
	s, size, next := c.part.holding(c.at)
	b.mu.Unlock()
	to := min(c.span.To, end)
	switch {
	case gone:
		return false, fmt.Errorf("topic %q: %w", c.span.Topic, topic.ErrTopicReplaced)
	case c.at < start:
		return false, topic.ErrGap{
			Span: topic.Span{Partition: c.span.Partition, From: c.at, To: min(start, c.span.To)},
		}
	case c.at >= to:
		return true, nil
	case s == nil:
		return false, fmt.Errorf("%s: offset %d: %w: no segment contains it", c.span.Partition, c.at, ErrCorrupt)
	}
	if err := c.read(b, s, size, min(next, to)); err != nil {
		return b.readAgain(c, s, err)
	}
	return true, nil
}

// readAgain distinguishes a segment that retention or compaction has removed during the read,
// which is retried, from a damaged one.
func (b *Broker) readAgain(c *cursor, s *segment, err error) (bool, error) {
	b.mu.Lock()
	now, _, _ := c.part.holding(c.at)
	gone := c.part.topic.gone
	b.mu.Unlock()
	if now != s || gone {
		return c.fill(b)
	}
	return false, fmt.Errorf("%s: offset %d: %w", c.span.Partition, c.at, err)
}

// holding returns the segment that contains the offset at, with its committed size and end.
// Broker.mu is held.
func (p *partition) holding(at topic.Offset) (s *segment, size int64, next topic.Offset) {
	i := sort.Search(len(p.segments), func(i int) bool { return p.segments[i].next > at })
	if i == len(p.segments) || p.segments[i].base > at {
		return nil, 0, 0
	}
	s = p.segments[i]
	return s, s.size, s.next
}

// read decodes the next part of a segment that has rows in [at, to) or ends after them.
func (c *cursor) read(b *Broker, s *segment, size int64, to topic.Offset) error {
	if c.segment != s {
		at, err := s.locate(b, c.at, size)
		if err != nil {
			return err
		}
		c.segment, c.pos, c.base = s, at.pos, at.offset
	}
	want := int64(chunkBytes)
	for {
		if c.pos >= size { // compaction may have removed the last records
			c.hold(topic.Fetch{Next: to})
			return nil
		}
		raw, err := s.readAt(b, c.pos, int(min(want, size-c.pos)))
		if err != nil {
			c.segment = nil
			return err
		}
		var f topic.Fetch
		n, err := batch.Walk(&f, raw, batch.Window{From: c.at, To: to})
		next, joins := c.joins(raw, n)
		if joins != nil {
			err, n = joins, 0
		}
		if err != nil && n == 0 {
			c.segment = nil
			return fmt.Errorf("segment %s: at %d: %w: %w", b.path(s), c.pos, ErrCorrupt, err)
		}
		if n == 0 {
			h, err := batch.Peek(raw)
			switch {
			case f.Next > c.at && f.Next < to: // a large batch is decoded in parts
				c.hold(f)
				return nil
			case f.Next >= to: // the next batch is after the span
				c.hold(topic.Fetch{Next: to})
				return nil
			case err != nil || int64(h.Size) > size-c.pos:
				c.segment = nil
				return fmt.Errorf("segment %s: at %d: %w: a batch is truncated", b.path(s), c.pos, ErrCorrupt)
			}
			want = int64(h.Size)
			continue
		}
		c.pos, c.base = c.pos+int64(n), next
		if f.Next > c.at {
			if err == nil && c.pos >= size {
				f.Next = max(f.Next, to)
			}
			c.hold(f)
			return nil
		}
	}
}

// joins checks that the batches in raw[:n] and the batch after them are contiguous, and returns
// the offset after raw[:n].
func (c *cursor) joins(raw []byte, n int) (topic.Offset, error) {
	next := c.base
	for at := 0; at <= n; {
		h, err := batch.Peek(raw[at:])
		if err != nil {
			break // Walk reports the error
		}
		if err := follows(&h, next); err != nil {
			return 0, err
		}
		if at += h.Size; at > n {
			break
		}
		next = h.Next()
	}
	return next, nil
}
