package process

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// traffic produces records to a topic until it is ended, and stores them with their offsets. One record in a
// hundred cannot be decoded.
type traffic struct {
	t      *testing.T
	cl     *kgo.Client
	topic  string
	stop   chan struct{}
	done   sync.WaitGroup
	mu     sync.Mutex
	inputs map[topic.Partition][]reference.Record
	poison map[place]bool
	acked  map[int32]time.Time // when a partition last acknowledged a record
	still  time.Duration       // the longest interval between two acknowledgements of a partition
	err    error
}

// place is the partition and offset of a record.
type place struct {
	topic.Partition
	offset topic.Offset
}

const keys = 60

// feed starts to produce a number of records per second to the partitions. A key stays in its partition.
// Event time advances by 20 ms per record, with up to 2 s of disorder.
func (s *site) feed(name string, partitions int32, rate int) *traffic {
	s.t.Helper()
	f := &traffic{t: s.t, topic: name, stop: make(chan struct{}), inputs: map[topic.Partition][]reference.Record{},
		poison: map[place]bool{},
		acked:  map[int32]time.Time{}}
	f.cl = s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()))
	f.done.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		for n := 0; ; {
			select {
			case <-f.stop:
				return
			case <-tick.C:
			}
			for range max(rate/50, 1) {
				f.produce(rng, n, partitions, begin)
				n++
			}
		}
	})
	return f
}

func (f *traffic) produce(rng *rand.Rand, n int, partitions int32, begin int64) {
	k := rng.IntN(keys)
	r := &kgo.Record{Topic: f.topic, Partition: int32(k) % partitions, Key: fmt.Append(nil, "k", k),
		Timestamp: time.UnixMilli(begin + int64(20*n) - rng.Int64N(2000))}
	r.Value, _ = json.Marshal(map[string]any{"n": n, "v": rng.IntN(1000), "c": []string{"red", "green", "blue", "white",
		"black"}[rng.IntN(5)]})
	bad := rng.IntN(100) == 0
	if bad {
		r.Value = r.Value[:len(r.Value)-3]
	}
	f.cl.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil {
			f.err = err
			return
		}
		now := time.Now()
		if last, ok := f.acked[r.Partition]; ok {
			f.still = max(f.still, now.Sub(last))
		}
		f.acked[r.Partition] = now
		p := topic.Partition{Topic: r.Topic, ID: r.Partition}
		f.inputs[p] = append(f.inputs[p], reference.Record{Offset: topic.Offset(r.Offset),
			Record: topic.Record{Key: r.Key, Value: r.Value, Time: r.Timestamp.UnixMilli()}})
		if bad {
			f.poison[place{p, topic.Offset(r.Offset)}] = true
		}
	})
}

// end stops the traffic and waits until all records are written.
func (f *traffic) end() {
	f.t.Helper()
	close(f.stop)
	f.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.cl.Flush(ctx); err != nil {
		f.t.Fatalf("the inputs were not written: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		f.t.Fatalf("an input was not written: %v", f.err)
	}
	for _, list := range f.inputs {
		if !slices.IsSortedFunc(list, func(a, b reference.Record) int { return int(a.Offset - b.Offset) }) {
			f.t.Fatal("the inputs' offsets are not in order")
		}
	}
}

// reread replaces the acknowledged records by the records of the topic. A producer whose broker was killed may have
// written a record twice: it lost the acknowledgement and, with the broker's memory, its sequence numbers. The jobs
// read the topic, too.
func (f *traffic) reread(s *site) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	acked, total := 0, 0
	for _, list := range f.inputs {
		acked += len(list)
	}
	clear(f.inputs)
	clear(f.poison)
	err := s.all(ctx, []string{f.topic}, func(r *kgo.Record) {
		p := topic.Partition{Topic: r.Topic, ID: r.Partition}
		f.inputs[p] = append(f.inputs[p], reference.Record{Offset: topic.Offset(r.Offset),
			Record: topic.Record{Key: r.Key, Value: r.Value, Time: r.Timestamp.UnixMilli()}})
		if !json.Valid(r.Value) {
			f.poison[place{p, topic.Offset(r.Offset)}] = true
		}
		total++
	})
	switch {
	case err != nil:
		f.t.Fatalf("the inputs cannot be read: %v", err)
	case total < acked:
		f.t.Fatalf("%d inputs were acknowledged, and only %d are in the topic", acked, total)
	case total > acked:
		f.t.Logf("the producer wrote %d records more than once", total-acked)
	}
}

// stall returns the longest interval without an acknowledgement of a partition, since its last call or the
// beginning. It measures the interruption of the brokers themselves, as a plain producer sees it.
func (f *traffic) stall() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, now := f.still, time.Now()
	for id, last := range f.acked {
		d = max(d, now.Sub(last))
		f.acked[id] = now
	}
	f.still = 0
	return d
}

func (f *traffic) rows() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, list := range f.inputs {
		n += len(list)
	}
	return n
}

// audience reads topics with a plain client, read_committed, as they are written.
type audience struct {
	t    *testing.T
	mu   sync.Mutex
	got  map[string][]*kgo.Record
	last time.Time     // when the last record arrived
	gap  time.Duration // the longest interval between two arrivals
	each map[string]*pause
	stop context.CancelFunc
	done sync.WaitGroup
}

// pause contains the arrivals of one topic: the time of the last, and the longest interval between two.
type pause struct {
	last time.Time
	gap  time.Duration
}

// watch starts to read. It waits for topics that do not exist yet.
func (s *site) watch(names ...string) *audience {
	s.t.Helper()
	a := &audience{t: s.t, got: map[string][]*kgo.Record{}, each: map[string]*pause{}}
	cl := s.client(kgo.ConsumeTopics(names...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(200*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.FetchMaxWait(200*time.Millisecond))
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.done.Go(func() {
		for ctx.Err() == nil {
			fetches := cl.PollFetches(ctx)
			fetches.EachError(func(name string, _ int32, err error) {
				if ctx.Err() == nil && !kerr.IsRetriable(err) && !kgo.IsRetryableBrokerErr(err) {
					s.t.Errorf("reading %s: %v", name, err)
				}
			})
			a.take(fetches.Records())
		}
	})
	s.t.Cleanup(func() { cancel(); a.done.Wait() })
	return a
}

func (a *audience) take(records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if !a.last.IsZero() {
		a.gap = max(a.gap, now.Sub(a.last))
	}
	a.last = now
	for _, r := range records {
		a.got[r.Topic] = append(a.got[r.Topic], r)
		p := a.each[r.Topic]
		if p == nil {
			p = &pause{last: now}
			a.each[r.Topic] = p
		}
		p.gap, p.last = max(p.gap, now.Sub(p.last)), now
	}
}

// stillest returns the longest interval without a record in one of the topics, since its last call or the
// beginning, and the topic. The present interval counts.
func (a *audience) stillest(names []string) (gap time.Duration, where string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, name := range names {
		p := a.each[name]
		if p == nil {
			continue
		}
		if g := max(p.gap, now.Sub(p.last)); g > gap {
			gap, where = g, name
		}
		p.gap, p.last = 0, now
	}
	return gap, where
}

func (a *audience) count(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got[name])
}

// longest returns the longest interval without a record, since its last call or the beginning. The present
// interval counts.
func (a *audience) longest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.last.IsZero() {
		return 0
	}
	gap := max(a.gap, now.Sub(a.last))
	a.gap, a.last = 0, now
	return gap
}

// await waits until a topic has a number of records.
func (a *audience) await(name string, n int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for a.count(name) < n {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// outputs returns the records of topics in the oracle's form.
func (a *audience) outputs(names ...string) map[string][]reference.Output {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string][]reference.Output{}
	for _, name := range names {
		for _, r := range a.got[name] {
			o := reference.Output{Partition: r.Partition, Record: topic.Record{Key: r.Key, Value: r.Value,
				Time: r.Timestamp.UnixMilli()}}
			for _, h := range r.Headers {
				o.Headers = append(o.Headers, topic.Header{Key: h.Key, Value: h.Value})
			}
			out[name] = append(out[name], o)
		}
	}
	return out
}

// final returns the last record of each key, which is the content of a table whatever the order of its rows.
func final(outputs map[string][]reference.Output) map[string][]reference.Output {
	out := map[string][]reference.Output{}
	for name, list := range outputs {
		last := map[string]int{}
		for i := range list {
			last[string(list[i].Key)] = i
		}
		for i := range list {
			if last[string(list[i].Key)] == i {
				o := list[i]
				o.Time = 0 // the timestamp is that of the last row to arrive
				out[name] = append(out[name], o)
			}
		}
	}
	return out
}
