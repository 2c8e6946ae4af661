package local

import (
	"context"
	"fmt"
	"sort"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// OffsetAt implements topic.Timed.
func (b *Broker) OffsetAt(ctx context.Context, p topic.Partition, ms int64) (topic.Offset, error) {
	b.mu.Lock()
	if err := b.usable(); err != nil {
		b.mu.Unlock()
		return 0, err
	}
	part, err := b.partition(p)
	if err != nil {
		b.mu.Unlock()
		return 0, err
	}
	end := part.end
	var s *segment
	var size int64
	var next topic.Offset
	for _, s = range part.segments {
		if size, next = s.size, s.next; s.newest >= ms {
			break
		}
		s = nil
	}
	b.mu.Unlock()
	if s == nil {
		return end, nil
	}
	index, err := s.places(b, size)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p, err)
	}
	// The record is after the last index entry before which every timestamp is too small.
	i := sort.Search(len(index), func(i int) bool { return i > 0 && index[i].before >= ms }) - 1
	c := cursor{Cursor: batch.Cursor{Span: topic.Span{Partition: p, To: next}, At: s.base}, b: b, part: part,
		segment: s, base: s.base}
	if i >= 0 {
		c.At, c.base, c.pos = max(index[i].offset, s.base), index[i].offset, index[i].pos
	}
	for c.At < next {
		if err := c.read(s, size, next); err != nil {
			return 0, fmt.Errorf("%s: %w", p, err)
		}
		f := c.Take(0)
		for row, t := range f.Times {
			if t >= ms {
				return f.Offsets[row], nil
			}
		}
	}
	return end, nil
}
