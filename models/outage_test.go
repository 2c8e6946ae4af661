package models_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// moody is a broker of topics with one partition that can be unreachable: it then refuses all
// calls, or with mute never responds.
type moody struct {
	topic.Broker // methods that the registry does not use
	topic.Admin

	mu      sync.Mutex
	topics  map[string][]topic.Record
	away    error
	mute    map[string]bool
	changed chan struct{}
	asked   int // number of calls while it was unreachable
}

func newMoody() *moody {
	return &moody{topics: map[string][]topic.Record{}, mute: map[string]bool{}, changed: make(chan struct{})}
}

// set changes the broker and wakes its readers.
func (m *moody) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

// answers waits while the broker does not respond about a topic.
func (m *moody) answers(ctx context.Context, name string) error {
	m.mu.Lock()
	mute, away := m.mute[name], m.away
	if away != nil {
		m.asked++
	}
	m.mu.Unlock()
	if mute {
		<-ctx.Done()
		return ctx.Err()
	}
	return away
}

func (m *moody) Describe(ctx context.Context, name string) (topic.Topic, error) {
	if err := m.answers(ctx, name); err != nil {
		return topic.Topic{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list, ok := m.topics[name]
	if !ok {
		return topic.Topic{}, fmt.Errorf("%s: %w", name, topic.ErrUnknownTopic)
	}
	return topic.Topic{
		Name:       name,
		ID:         "1",
		Partitions: []topic.Span{{Partition: topic.Partition{Topic: name}, To: topic.Offset(len(list))}},
	}, nil
}

func (m *moody) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	return &moodyReader{m, spans[0]}, m.answers(ctx, spans[0].Topic)
}

type moodyReader struct {
	m  *moody
	at topic.Span
}

func (r *moodyReader) Close() error { return nil }

func (r *moodyReader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := r.m.answers(ctx, r.at.Topic); err != nil {
			return nil, err
		}
		r.m.mu.Lock()
		changed, list := r.m.changed, r.m.topics[r.at.Topic]
		r.m.mu.Unlock()
		f := topic.Fetch{Partition: r.at.Partition, From: r.at.From, Next: topic.Offset(len(list))}
		for o := f.From; o < f.Next; o++ {
			f.Offsets, f.Times = append(f.Offsets, o), append(f.Times, 0)
			f.Key.Append(list[o].Key)
			f.Value.Append(list[o].Value)
		}
		if f.Rows() > 0 {
			r.at.From = f.Next
			return []topic.Fetch{f}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// encoded returns a version's records.
func encoded(t *testing.T, id string, mean float64) []topic.Record {
	t.Helper()
	v := version(t, mean, nil)
	v.Manifest.ID = id
	records, _, err := ml.Encode(v.Bundle, v.Manifest)
	must(t, err)
	return records
}

// TestOutage follows a topic through an hour without a broker. Versions from that hour are
// visible afterwards, the outage is reported once, and the known versions are served
// throughout.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody()
		warnings := 0
		r := registry(t, m, "a", func(error) { warnings++ })
		defer r.Close()
		name := topicOf("m")
		m.set(func() { m.topics[name] = encoded(t, "one", 1) })
		r.Follow("m")
		must(t, r.Ready(t.Context(), "m", 0))
		m.set(func() { m.away = topic.ErrUnreachable })
		m.set(func() { m.topics[name] = append(m.topics[name], encoded(t, "two", 2)...) })
		waiting := make(chan error, 1)
		go func() { waiting <- r.Ready(t.Context(), "m", 1) }()
		must(t, <-waiting)
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, n, err := r.Get("m", 0); n != 1 || err != nil {
			t.Errorf("without a broker version %d serves: %v", n, err)
		}
		if warnings != 1 || m.asked < 100 || m.asked > 2000 {
			t.Errorf("%d warnings, asked %d times in an hour", warnings, m.asked)
		}
		m.set(func() { m.away = nil })
		must(t, r.Sync(t.Context(), "m"))
		if _, n, err := r.Get("m", 0); n != 2 || err != nil {
			t.Errorf("with the broker back version %d serves: %v", n, err)
		}
	})
}

// TestNotReadIsNotReady: an older version must not be served as the newest before the topic has
// been read up to its initial end.
func TestNotReadIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody()
		r := registry(t, m, "a", nil)
		defer r.Close()
		m.set(func() { m.topics[topicOf("m")] = encoded(t, "one", 1); m.mute[topicOf("m")] = true })
		r.Follow("m")
		synctest.Wait()
		if why := r.Waits("m", 0); why == nil {
			t.Error("a topic that was not read is ready")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Ready(ctx, "m", 7); err != context.DeadlineExceeded {
			t.Errorf("of a version that may be there the registry says %v", err)
		}
	})
}

// TestNoLockOverIO: a broker that never responds about one model blocks neither the other
// models nor the known versions of the first, and no goroutine outlives Close.
func TestNoLockOverIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody()
		r := registry(t, m, "a", nil)
		defer r.Close()
		m.set(func() { m.topics[topicOf("m")], m.topics[topicOf("n")] = encoded(t, "m1", 1), encoded(t, "n1", 1) })
		r.Follow("m")
		must(t, r.Ready(t.Context(), "m", 0))
		m.set(func() { m.mute[topicOf("m")] = true })
		sync := make(chan error, 1)
		go func() { sync <- r.Sync(t.Context(), "m") }()
		synctest.Wait() // the follower and Sync both wait for a response
		r.Follow("n")
		must(t, r.Ready(t.Context(), "n", 0))
		if _, n, err := r.Get("m", 0); n != 1 || err != nil || len(r.Versions("m")) != 1 {
			t.Errorf("version %d serves: %v", n, err)
		}
		if id, err := r.ForJob().Publish("m", version(t, 2, nil), discard{}); id != "a1" || err != nil {
			t.Errorf("published %q: %v", id, err)
		}
		r.Forget("m")
		select {
		case err := <-sync:
			t.Errorf("Sync returned %v", err)
		default:
		}
	})
}

type discard struct{}

func (discard) Write(topic.Partition, ...topic.Record) error { return nil }

var _ models.Broker = (*moody)(nil)
