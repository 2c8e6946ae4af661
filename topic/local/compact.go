package local

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// Compact removes from a topic with Config.Compact all records that have a newer record with
// the same key. Offsets do not change. Null values (tombstones) and records without a key
// remain. Readers see all of a compaction or nothing of it. It holds the keys of one partition
// in memory.
func (b *Broker) Compact(ctx context.Context, name string) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	t, err := b.writable(name)
	if err != nil {
		return err
	}
	if !t.config.Compact {
		return fmt.Errorf("topic %q was not created with compaction", name)
	}
	for _, p := range t.parts {
		if err := b.compact(ctx, p); err != nil {
			return fmt.Errorf("compact %s: %w", p.name(), err)
		}
	}
	return nil
}

// compact rewrites one partition. writing is held, so no other goroutine changes its segments.
func (b *Broker) compact(ctx context.Context, p *partition) error {
	newest := map[string]topic.Offset{}
	rows := 0
	err := b.walk(ctx, p, func(f *topic.Fetch) error {
		for i, at := range f.Offsets {
			if key := f.Key.At(i); key != nil {
				newest[string(key)] = at
			}
		}
		rows += f.Rows()
		return nil
	})
	if err != nil || rows == 0 {
		return err
	}
	// The second walk reads the same records as the first: commits need writing, which is held.
	c := compaction{b: b, part: p, next: p.start}
	err = b.walk(ctx, p, func(f *topic.Fetch) error {
		for i, at := range f.Offsets {
			key := f.Key.At(i)
			if key != nil && newest[string(key)] != at {
				continue
			}
			r := topic.Record{Key: key, Value: f.Value.At(i), Time: f.Times[i]}
			if f.Headers != nil {
				r.Headers = f.Headers[i]
			}
			if err := c.add(at, &r); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && c.kept == rows {
		return c.drop() // there is nothing to remove
	}
	if err == nil {
		err = c.finish()
	}
	if err != nil {
		c.drop()
		return err
	}
	return b.swap(p, c.segments)
}

// walk reads all committed rows of a partition.
func (b *Broker) walk(ctx context.Context, p *partition, f func(*topic.Fetch) error) error {
	c := cursor{Cursor: batch.Cursor{Span: topic.Span{Partition: p.name(), From: p.start, To: p.end}, At: p.start}, b: b, part: p}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := c.Fill()
		if err != nil || !more {
			return err
		}
		if !c.Ahead() {
			return nil
		}
		fetch := c.Take(0)
		if err := f(&fetch); err != nil {
			return err
		}
	}
}

// compaction writes the new segments of a partition.
type compaction struct {
	b        *Broker
	part     *partition
	writer   batch.Writer
	first    topic.Offset // of the batch in progress
	next     topic.Offset // after the last record
	kept     int
	segments []*segment
}

// add appends a record to the batch in progress, which it ends at batchBytes.
func (c *compaction) add(at topic.Offset, r *topic.Record) error {
	if c.writer.Size() >= batchBytes || c.writer.Count() > 0 && at-c.first > maxHole {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if c.writer.Count() == 0 {
		c.first = c.next // a batch begins where its predecessor ended, so that readers can detect a missing one
		if at-c.first > maxHole {
			c.first = at
		}
	}
	c.kept++
	c.next = at + 1
	return c.writer.AppendAt(int32(at-c.first), r)
}

// flush writes the batch to the last segment, or to a new one.
func (c *compaction) flush() error {
	raw, err := c.writer.Flush(nil, c.first)
	if err != nil || len(raw) == 0 {
		return err
	}
	h, err := batch.Peek(raw)
	if err != nil {
		return err
	}
	n := len(c.segments)
	if n == 0 || c.segments[n-1].size+int64(len(raw)) > c.b.segmentBytes(c.part.topic) {
		// Segments are contiguous: each begins where its predecessor ends, and the first at the
		// beginning of the partition, even if the records there were removed.
		base := c.part.start
		if n > 0 {
			base = c.segments[n-1].next
		}
		s := &segment{file: c.b.file, base: base, newest: h.MaxTime}
		c.b.file++
		if err := s.create(c.b); err != nil {
			return err
		}
		c.segments = append(c.segments, s)
		n++
	}
	s := c.segments[n-1]
	if err := s.write(c.b, raw, s.size); err != nil {
		return err
	}
	// The segment is not published yet, so its fields need no lock.
	s.note(&h, s.size)
	s.size += int64(len(raw))
	s.newest = max(s.newest, h.MaxTime)
	s.next = c.next
	return nil
}

// finish makes the new segments durable; together they cover all offsets of the partition.
func (c *compaction) finish() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.segments[len(c.segments)-1].next = c.part.end
	if c.b.o.memory {
		return nil
	}
	for _, s := range c.segments {
		if err := s.fsync(c.b); err != nil {
			return err
		}
	}
	return c.b.syncDir(c.b.logDir)
}

// drop removes the new segments again.
func (c *compaction) drop() error {
	for _, s := range c.segments {
		s.remove(c.b)
	}
	return nil
}

// swap replaces the segments of a partition, in the database and for readers. The new files are
// durable before the database names them. A crash before the change of the database leaves the old
// segments, one after it leaves the new ones; the next open deletes the files of the others. A read
// in progress completes, because a file is deleted only when it has no user; the next read finds
// the new segments.
func (b *Broker) swap(p *partition, segments []*segment) error {
	change := b.db.NewBatch()
	for _, s := range p.segments {
		change.Delete(segmentKey(p.topic.id, p.id, s.base), nil)
	}
	for _, s := range segments {
		change.Set(segmentKey(p.topic.id, p.id, s.base), s.encode(), nil)
	}
	if err := b.apply(change); err != nil {
		return err
	}
	b.mu.Lock()
	old := p.segments
	p.segments = segments
	b.mu.Unlock()
	for _, s := range old {
		s.remove(b)
	}
	return nil
}
