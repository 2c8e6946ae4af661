package local

import (
	"context"
	"fmt"
	"sort"

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
	if err := batch.Check(spans); err != nil {
		return nil, err
	}
	var cursors []batch.Filler
	for _, s := range spans {
		p, err := b.partition(s.Partition)
		if err != nil {
			return nil, err
		}
		cursors = append(cursors, &cursor{Cursor: batch.Cursor{Span: s, At: s.From}, b: b, part: p})
	}
	return batch.NewReader(cursors, b.o.poll, b.look, func() {}), nil
}

// look returns what readers wait for. A broker that has failed still returns the rows that it has.
func (b *Broker) look() (batch.Signals, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return batch.Signals{}, errClosed
	}
	return batch.Signals{Changed: b.changed, Idle: b.usable()}, nil
}

// cursor is a reader's position in one partition.
type cursor struct {
	batch.Cursor
	b    *Broker
	part *partition

	segment *segment
	pos     int64        // file position of the next batch
	base    topic.Offset // offset of that batch
}

// chunkBytes is the number of bytes that are read from a segment at a time.
const chunkBytes = 1 << 20

// Fill implements batch.Filler: it reads the next chunk if the present one is finished and more is committed.
func (c *cursor) Fill() (more bool, err error) {
	b := c.b
	if c.Ahead() {
		return true, nil
	}
	if c.At >= c.Span.To {
		return false, nil
	}
	b.mu.Lock()
	gone, start, end := c.part.topic.gone, c.part.start, c.part.end
	s, size, next := c.part.holding(c.At)
	b.mu.Unlock()
	to := min(c.Span.To, end)
	switch {
	case gone:
		return false, fmt.Errorf("topic %q: %w", c.Span.Topic, topic.ErrTopicReplaced)
	case c.At < start:
		return false, topic.ErrGap{
			Span: topic.Span{Partition: c.Span.Partition, From: c.At, To: min(start, c.Span.To)},
		}
	case c.At >= to:
		return true, nil
	case s == nil:
		return false, fmt.Errorf("%s: offset %d: %w: no segment contains it", c.Span.Partition, c.At, ErrCorrupt)
	}
	if err := c.read(s, size, min(next, to)); err != nil {
		return c.readAgain(s, err)
	}
	return true, nil
}

// readAgain distinguishes a segment that retention or compaction has removed during the read,
// which is retried, from a damaged one.
func (c *cursor) readAgain(s *segment, err error) (bool, error) {
	b := c.b
	b.mu.Lock()
	now, _, _ := c.part.holding(c.At)
	gone := c.part.topic.gone
	b.mu.Unlock()
	if now != s || gone {
		return c.Fill()
	}
	return false, fmt.Errorf("%s: offset %d: %w", c.Span.Partition, c.At, err)
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
func (c *cursor) read(s *segment, size int64, to topic.Offset) error {
	if c.segment != s {
		at, err := s.locate(c.b, c.At, size)
		if err != nil {
			return err
		}
		c.segment, c.pos, c.base = s, at.pos, at.offset
	}
	want := int64(chunkBytes)
	for {
		if c.pos >= size { // compaction may have removed the last records
			c.Hold(topic.Fetch{Next: to})
			return nil
		}
		raw, err := s.readAt(c.b, c.pos, int(min(want, size-c.pos)))
		if err != nil {
			c.segment = nil
			return err
		}
		var f topic.Fetch
		n, err := batch.Walk(&f, raw, batch.Window{From: c.At, To: to})
		next, joins := c.joins(raw, n)
		if joins != nil {
			err, n = joins, 0
		}
		if err != nil && n == 0 {
			c.segment = nil
			return fmt.Errorf("segment %s: at %d: %w: %w", c.b.path(s), c.pos, ErrCorrupt, err)
		}
		if n == 0 {
			h, err := batch.Peek(raw)
			switch {
			case f.Next > c.At && f.Next < to: // a large batch is decoded in parts
				c.Hold(f)
				return nil
			case f.Next >= to: // the next batch is after the span
				c.Hold(topic.Fetch{Next: to})
				return nil
			case err != nil || int64(h.Size) > size-c.pos:
				c.segment = nil
				return fmt.Errorf("segment %s: at %d: %w: a batch is truncated", c.b.path(s), c.pos, ErrCorrupt)
			}
			want = int64(h.Size)
			continue
		}
		c.pos, c.base = c.pos+int64(n), next
		if f.Next > c.At {
			if err == nil && c.pos >= size {
				f.Next = max(f.Next, to)
			}
			c.Hold(f)
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
