package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// follower reads one model's topic on its own goroutine.
type follower struct {
	r     *Registry
	model string
	ctx   context.Context
	stop  context.CancelFunc
	kick  chan struct{} // ends a backoff early

	mu    sync.Mutex
	now   *snapshot
	more  chan struct{}  // closed when now is replaced
	ranks map[string]int // numbers by id; an assigned number never changes

	// Owned by the goroutine of run.
	read   snapshot                  // the state as read so far; published as a copy
	raw    map[string][]topic.Record // chunks of versions whose manifest has not been read yet
	warned bool                      // the present error has been reported
	news   []Version                 // read but not yet reported
}

func newFollower(r *Registry, model string) *follower {
	f := &follower{
		r:     r,
		model: model,
		kick:  make(chan struct{}, 1),
		now:   &snapshot{},
		more:  make(chan struct{}),
		ranks: map[string]int{},
		raw:   map[string][]topic.Record{},
	}
	f.ctx, f.stop = context.WithCancel(r.ctx)
	return f
}

// look returns the present snapshot and a channel that is closed when it is replaced.
func (f *follower) look() (*snapshot, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, f.more
}

func (f *follower) number(id string) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.ranks[id]
	return n, ok
}

// show publishes the state that has been read. A follower that has ended publishes nothing.
func (f *follower) show() {
	s := f.read
	s.list = slices.Clone(s.list)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.ended != nil {
		return
	}
	known := len(f.ranks)
	if known > len(s.list) || f.now.topic != s.topic { // another topic of the same name
		f.ranks, known = map[string]int{}, 0
	}
	for _, v := range s.list[known:] {
		f.ranks[v.ID] = v.Number
	}
	f.replace(&s)
}

// replace publishes a snapshot. mu is held.
func (f *follower) replace(s *snapshot) {
	f.now = s
	close(f.more)
	f.more = make(chan struct{})
}

// end ends the goroutine, without waiting for it, and makes all waiting callers return the
// error.
func (f *follower) end(why error) {
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := *f.now
	s.ended = why
	f.replace(&s)
}

// The backoff after an error. It doubles with each error that follows without progress.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

// run follows the topic until the follower ends. It retries while the topic does not exist or
// the broker is unreachable.
func (f *follower) run() {
	pause := firstPause
	for {
		at := f.read.next
		err := f.follow()
		if f.ctx.Err() != nil {
			return
		}
		if f.read.next > at {
			pause, f.warned = firstPause, false
		}
		f.warn(err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-f.kick:
		case <-f.ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, longPause)
	}
}

// warn reports an error, once until something is read again. A topic that does not exist or has
// been recreated is not an error.
func (f *follower) warn(err error) {
	if f.warned || f.r.config.Warn == nil || errors.Is(err, topic.ErrUnknownTopic) ||
		errors.Is(err, topic.ErrTopicReplaced) {
		return
	}
	f.warned = true
	f.r.config.Warn(fmt.Errorf("following the versions of model %q: %w", f.model, err))
}

// follow reads the topic as it grows, from the offset that the previous call reached. It
// returns only with an error.
func (f *follower) follow() error {
	d, err := f.r.config.Broker.Describe(f.ctx, f.r.config.Topic(f.model))
	if err != nil {
		return err
	}
	span := d.Partitions[0]
	goal := span.To
	if f.read.topic == "" || f.read.topic != d.ID {
		f.read, f.raw = snapshot{topic: d.ID, next: span.From}, map[string][]topic.Record{}
	}
	f.read.next = max(f.read.next, span.From)
	f.read.caught = f.read.caught || f.read.next >= goal
	f.show()
	span.From, span.To = f.read.next, topic.End
	reader, err := f.r.config.Broker.Open(f.ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	defer reader.Close() // nothing depends on the error
	for {
		fetches, err := reader.Poll(f.ctx)
		if err != nil {
			return err
		}
		for i := range fetches {
			f.take(&fetches[i])
		}
		old := !f.read.caught
		f.read.caught = f.read.caught || f.read.next >= goal
		f.show()
		f.report(old)
	}
}

// report passes the versions that were read since the last call to Config.Seen.
func (f *follower) report(old bool) {
	if seen := f.r.config.Seen; seen != nil {
		for _, v := range f.news {
			seen(f.model, v, old)
		}
	}
	f.news = f.news[:0]
}

func (f *follower) take(fetch *topic.Fetch) {
	for i := range fetch.Rows() {
		key, ok := ml.ParseKey(fetch.Key.At(i))
		if !ok {
			continue
		}
		r := topic.Record{Key: fetch.Key.At(i), Value: fetch.Value.At(i)}
		switch {
		case r.Value == nil:
			f.dropped(key.ID)
		case key.Chunk >= 0:
			f.raw[key.ID] = append(f.raw[key.ID], r)
		default:
			f.complete(key.ID, r)
		}
	}
	f.read.next = fetch.Next
}

// dropped records that a version's chunks are deleted.
func (f *follower) dropped(id string) {
	delete(f.raw, id)
	if i := f.index(id); i >= 0 {
		v := &f.read.list[i]
		if v.Status != Dropped { // each chunk has a tombstone
			v.Status, v.bundle, v.Err = Dropped, nil, nil
			f.news = append(f.news, *v)
		}
	}
}

// index returns the index of a version in the list that has been read, or -1.
func (f *follower) index(id string) int {
	return slices.IndexFunc(f.read.list, func(v Version) bool { return v.ID == id })
}

// complete handles a manifest, which completes its version and determines its number.
func (f *follower) complete(id string, manifest topic.Record) {
	chunks := f.raw[id]
	delete(f.raw, id)
	v := Version{ID: id, Number: len(f.read.list) + 1, Status: Ready}
	v.bundle, v.Manifest, v.Err = ml.Decode(append(chunks, manifest))
	switch {
	case v.Err == nil:
	case len(chunks) == 0 && v.Manifest.Payload.Chunks > 0:
		// compaction has removed the chunks of a dropped version
		v.Status, v.bundle, v.Err = Dropped, nil, nil
	default:
		v.Status, v.bundle = Corrupt, nil
	}
	at := f.index(id)
	if at >= 0 { // early versions of the program could write one number twice: the later bytes count
		v.Number = f.read.list[at].Number
	}
	v.Manifest.ID, v.Manifest.Version, v.Manifest.Parent = id, v.Number, f.parent(&v.Manifest)
	f.news = append(f.news, v)
	if at >= 0 {
		f.read.list[at] = v
		return
	}
	f.read.list = append(f.read.list, v)
}

// parent returns the number of the version that a manifest's version continues, or 0.
func (f *follower) parent(m *ml.Manifest) int {
	id := m.ParentID
	if id == "" && m.Parent > 0 {
		id = ml.NumberID(m.Parent)
	}
	if i := f.index(id); i >= 0 {
		return f.read.list[i].Number
	}
	return 0
}
