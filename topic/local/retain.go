package local

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// retainEvery is how often a commit looks at retention, ms.
const retainEvery = 60_000

// Retain removes the segments all of whose records are older than their topic's retention, and the oldest ones of partitions that have
// grown beyond RetentionBytes. Open and, once a minute, commits do this too.
func (b *Broker) Retain(ctx context.Context) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.retainNow(true)
}

// retainNow does it when it is due. writing is held.
func (b *Broker) retainNow(force bool) error {
	now := b.o.clock()
	if !force && now-b.swept < retainEvery && now >= b.swept {
		return nil
	}
	b.swept = now
	b.mu.Lock()
	err := b.usable()
	var expired []expiry
	for _, t := range b.topics {
		for _, p := range t.parts {
			if n := b.expired(p, now); n > 0 {
				expired = append(expired, expiry{p, n})
			}
		}
	}
	b.mu.Unlock()
	if err != nil || len(expired) == 0 {
		return err
	}
	batch := b.db.NewBatch()
	for _, e := range expired {
		for _, s := range e.part.segments[:e.n] {
			batch.Delete(segmentKey(e.part.topic.id, e.part.id, s.base), nil)
		}
		later := partition{start: e.start(), end: e.part.end}
		batch.Set(partKey(keyPart, e.part.topic.id, e.part.id), later.encode(), nil)
	}
	if err := b.apply(batch); err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	var removed []*segment
	b.mu.Lock()
	for _, e := range expired {
		removed = append(removed, e.part.segments[:e.n]...)
		e.part.start = e.start()
		e.part.segments = append([]*segment(nil), e.part.segments[e.n:]...)
	}
	b.wake()
	b.mu.Unlock()
	for _, s := range removed {
		s.remove(b)
	}
	return nil
}

// expiry is the first n segments of a partition.
type expiry struct {
	part *partition
	n    int
}

// start is the partition's first offset after it.
func (e expiry) start() topic.Offset { return e.part.segments[e.n-1].next }

// expired counts the segments to be removed. mu is held.
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
