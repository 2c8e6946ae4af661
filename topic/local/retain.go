package local

import (
	"cmp"
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// retainEvery is the minimum interval between two retention checks by commits, in ms.
const retainEvery = 60_000

// Retain removes the segments in which all records are older than the topic's retention, and
// the oldest segments of partitions that exceed RetentionBytes. Open does this as well, and
// commits do it once a minute.
func (b *Broker) Retain(ctx context.Context) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.retainNow(true)
}

// retainNow applies retention if it is due. writing is held.
func (b *Broker) retainNow(force bool) error {
	now := b.o.clock()
	if !force && now-b.swept < retainEvery && now >= b.swept {
		return nil
	}
	// Set even if the check fails, so that a commit does not repeat it at once.
	b.swept = now
	b.mu.Lock()
	err := b.usable()
	var expired []expiry
	for _, t := range b.topics {
		for _, p := range t.parts {
			if n := b.expired(p, now); n > 0 {
				expired = append(expired, expiry{p, n, max(p.start, p.segments[n-1].next)})
			}
		}
	}
	b.mu.Unlock()
	if err != nil || len(expired) == 0 {
		return err
	}
	if err := b.shorten(expired); err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	return nil
}

// Trim implements topic.Trimmer. A segment file is deleted when all of it is trimmed.
func (b *Broker) Trim(ctx context.Context, before map[topic.Partition]topic.Offset) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	expired, err := b.trimmed(before)
	if err != nil || len(expired) == 0 {
		return err
	}
	if err := b.shorten(expired); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// trimmed returns the partitions that must be shortened, and an error if an offset is after the
// end.
func (b *Broker) trimmed(before map[topic.Partition]topic.Offset) (out []expiry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	for name, at := range before {
		p, err := b.partition(name)
		if err != nil {
			return nil, err
		}
		if at > p.end {
			return nil, fmt.Errorf("%s cannot be trimmed before offset %d: it ends at %d", name, at, p.end)
		}
		if at <= p.start {
			continue
		}
		n := 0
		for n < len(p.segments) && p.segments[n].next <= at {
			n++
		}
		out = append(out, expiry{p, n, at})
	}
	return out, nil
}

// shorten moves the beginnings of partitions in one change of the database. writing is held.
func (b *Broker) shorten(expired []expiry) error {
	batch := b.db.NewBatch()
	for _, e := range expired {
		for _, s := range e.part.segments[:e.n] {
			batch.Delete(segmentKey(e.part.topic.id, e.part.id, s.base), nil)
		}
		later := partition{start: e.start, end: e.part.end}
		batch.Set(partKey(keyPart, e.part.topic.id, e.part.id), later.encode(), nil)
	}
	if err := b.apply(batch); err != nil {
		return err
	}
	var removed []*segment
	b.mu.Lock()
	for _, e := range expired {
		removed = append(removed, e.part.segments[:e.n]...)
		e.part.start = e.start
		// A copy, so that the removed segments and their indexes can be collected.
		e.part.segments = append([]*segment(nil), e.part.segments[e.n:]...)
	}
	b.wake()
	b.mu.Unlock()
	for _, s := range removed {
		s.remove(b)
	}
	return nil
}

// expiry is the number of leading segments to remove from a partition, and its new beginning.
type expiry struct {
	part  *partition
	n     int
	start topic.Offset
}

// expired returns the number of segments to remove. mu is held.
func (b *Broker) expired(p *partition, now int64) int {
	n, size := 0, int64(0)
	for _, s := range p.segments {
		size += s.size
	}
	keep := p.topic.config.RetentionMs
	for _, s := range p.segments {
		old := keep >= 0 && s.newest < now-keep
		large := b.o.retentionBytes > 0 && size > b.o.retentionBytes && n < len(p.segments)-1
		if !old && !large {
			break
		}
		size -= s.size
		n++
	}
	return n
}

// segmentBytes returns the size at which a topic's partitions start a new segment.
func (b *Broker) segmentBytes(t *topicState) int64 {
	return cmp.Or(t.config.SegmentBytes, b.o.segmentBytes)
}

var _ topic.Trimmer = (*Broker)(nil)
