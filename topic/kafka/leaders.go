package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The delays of the leader finder.
const (
	scoutTimeout = 5 * time.Second
	// patience is how long a response that would end a feed must be repeated. A node that has
	// just started, or has just become leader, may have outdated information.
	patience = 2 * time.Second
)

// find determines the leaders of feeds that have none, until the broker is closed. It is the only
// goroutine that determines leaders and inspects positions, so that a feed is in one such request
// at most.
func (f *fetcher) find() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		lost, later := f.lost()
		if len(lost) == 0 {
			timer.Reset(later)
			select {
			case <-f.finder:
			case <-timer.C:
			case <-f.ctx.Done():
				return
			}
			continue
		}
		f.locate(lost)
		if f.ctx.Err() != nil {
			return
		}
	}
}

// lost returns the feeds whose leader must be determined now. If there are none, later is when
// to check again.
func (f *fetcher) lost() (lost []*feed, later time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	later = time.Hour
	for _, d := range f.feeds {
		if d.leader >= 0 || d.err != nil {
			continue
		}
		if wait := d.after.Sub(now); wait > 0 {
			later = min(later, wait)
			continue
		}
		lost = append(lost, d)
	}
	return lost, later
}

// locate determines leaders, and the present range of partitions whose position is out of
// range.
func (f *fetcher) locate(lost []*feed) {
	ctx, cancel := context.WithTimeout(f.ctx, scoutTimeout)
	defer cancel()
	var names []string
	seen := map[string]bool{}
	for _, d := range lost {
		if !seen[d.span.Topic] {
			seen[d.span.Topic] = true
			names = append(names, d.span.Topic)
		}
	}
	found, err := layouts(ctx, f.b.cl, names...)
	by := map[string]*layout{}
	for i := range found {
		by[found[i].name] = &found[i]
	}
	type doubt struct {
		d   *feed
		gen int
	}
	var doubts []doubt
	f.mu.Lock()
	for _, d := range lost {
		f.setLeader(d, by[d.span.Topic], err)
		if (d.outside || d.hole > 0) && d.err == nil && d.leader >= 0 {
			// inspect compares the generation to find out whether the reader has moved during its requests, which
			// are sent without mu.
			doubts = append(doubts, doubt{d, d.gen})
			d.leader = -1 // until it is known
		}
	}
	f.mu.Unlock()
	for _, x := range doubts {
		f.inspect(ctx, x.d, x.gen)
	}
}

// setLeader sets a feed's leader from metadata. mu is held.
func (f *fetcher) setLeader(d *feed, l *layout, err error) {
	switch {
	case err != nil && refusedLogin(err) && d.fails >= 3:
		d.fail(f.b.explain(err, "connect"))
	case err != nil || l == nil:
		d.retreat()
	case errors.Is(l.err, kerr.UnknownTopicOrPartition) || l.err == nil && int(d.span.ID) >= len(l.partitions):
		if d.gone.IsZero() {
			d.gone = time.Now()
		}
		if time.Since(d.gone) >= patience {
			d.fail(fmt.Errorf("topic %q: %w: it no longer exists", d.span.Topic, topic.ErrTopicReplaced))
			return
		}
		d.retreat()
	case errors.Is(l.err, kerr.TopicAuthorizationFailed):
		d.fail(f.b.explain(l.err, fmt.Sprintf("describe topic %q", d.span.Topic)))
	case l.err != nil:
		d.retreat()
	case l.id != d.id && l.id != topicID{} && d.id != topicID{}:
		d.fail(fmt.Errorf("topic %q: %w", d.span.Topic, topic.ErrTopicReplaced))
	default:
		at := l.partitions[d.span.ID]
		if at.leader < 0 {
			d.retreat()
			return
		}
		d.leader, d.epoch = at.leader, at.epoch
		f.wakeLocked(d)
	}
}

// inspect determines whether a feed's position is before or after the partition's range, or
// whether no record exists after it.
func (f *fetcher) inspect(ctx context.Context, d *feed, gen int) {
	p := d.span.Partition
	from, err := f.b.offsets(ctx, earliest, p)
	var local, to map[topic.Partition]topic.Offset
	if err == nil {
		to, err = f.b.offsets(ctx, latest, p)
	}
	if err == nil {
		if local, err = f.b.offsets(ctx, earliestLocal, p); errors.Is(err, kerr.UnsupportedVersion) {
			local, err = from, nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	// Nothing is decided; the feed is examined again after a pause.
	case err != nil || d.gen != gen:
	// A gap is final, because the beginning of a partition never moves back. The reader decides
	// what to do about it.
	case d.want < from[p]:
		d.fail(topic.ErrGap{Span: topic.Span{Partition: p, From: d.want, To: min(from[p], d.span.To)}})
		return
	case d.want > to[p]:
		if f.beyond(d, to[p]) {
			return
		}
	case d.hole > 0 && local[p] <= d.want:
		// an empty response about offsets in remote storage only means that they did not arrive
		// in time
		f.push(d, response{from: d.want, next: d.hole, hole: true})
		d.hole = 0
	default:
		d.outside, d.hole = false, 0 // it has healed, or the rows are still to come: fetch again
	}
	d.retreat()
	signal(f.finder)
}

// beyond handles a position after the end. mu is held.
func (f *fetcher) beyond(d *feed, end topic.Offset) bool {
	if d.beyond.IsZero() {
		d.beyond = time.Now()
	}
	if time.Since(d.beyond) < patience {
		return false
	}
	d.fail(
		fmt.Errorf(
			"%s: %w, or records were lost: it ends at offset %d now, and offset %d was requested",
			d.span.Partition,
			topic.ErrTopicReplaced,
			end,
			d.want,
		),
	)
	return true
}
