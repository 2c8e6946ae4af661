package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// lookout reads the ends of partitions and the sizes of topics for the metrics. On Kafka it does so at most every
// lookEvery, however often the metrics are read. One caller reads; concurrent callers get the last result.
type lookout struct {
	looking sync.Mutex // held by the caller that reads; only TryLock is used
	last    atomic.Pointer[sight]
	refused atomic.Bool // the cluster refused to report sizes; they are not requested again
}

// lookEvery is the maximum age of the ends of partitions and of the sizes of topics.
const lookEvery = 10 * time.Second

// sight is one result of a lookout. It is immutable.
type sight struct {
	at    time.Time
	ends  map[topic.Partition]topic.Offset
	sizes map[string]int64 // of topics, bytes
}

// sought lists the partitions and topics that a lookout reads.
type sought struct {
	partitions map[string][]int32 // the ids of the partitions that tasks of this process read, by topic
	own        []string           // the names of the engine's own topics
}

// The partitions and topics that the metrics need, for the present tasks of this process.
func (e *Engine) wanted(jobs []supervise.Status) sought {
	w := sought{partitions: map[string][]int32{}, own: []string{e.own(errorsTopic), e.own(trainingTopic),
		e.own(catalogTopic)}}
	for _, s := range jobs {
		for _, t := range s.Job.Topics {
			w.own = append(w.own, t.Name)
		}
		run := e.jobs.Running(s.Job.Name)
		if run == nil {
			continue
		}
		elsewhere := connectors(s.Job)
		for _, t := range run.Reports() {
			for _, in := range t.Inputs {
				if !elsewhere[in.Topic] && !slices.Contains(w.partitions[in.Topic], in.ID) {
					w.partitions[in.Topic] = append(w.partitions[in.Topic], in.ID)
				}
			}
		}
	}
	for _, m := range e.Catalog().Models() {
		w.own = append(w.own, m.Topic)
	}
	return w
}

// connectors returns the topics of a job that a connector reads and no broker contains.
func connectors(j *catalog.Job) map[string]bool {
	out := map[string]bool{}
	for _, r := range j.Reading.Relations {
		if !r.AtBroker() {
			out[r.Topic] = true
		}
	}
	return out
}

// look returns the last result if it is recent or another caller is reading, else a new one. It never waits for another
// caller, so that the figures of the brokers delay the metrics by lookTime at most.
func (l *lookout) look(ctx context.Context, e *Engine, w sought) *sight {
	last := l.last.Load()
	if last != nil && e.shared() && time.Since(last.at) < lookEvery {
		return last
	}
	if !l.looking.TryLock() {
		if last == nil {
			return &sight{}
		}
		return last
	}
	defer l.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	// A result without the parts that failed is stored as well. The next request to the brokers is due after lookEvery.
	now := &sight{at: time.Now(), ends: e.ends(ctx, w.partitions), sizes: l.sizes(ctx, e, w.own)}
	l.last.Store(now)
	return now
}

// ends returns the end offsets of partitions. It leaves out the topics that cannot be described.
func (e *Engine) ends(ctx context.Context, wanted map[string][]int32) map[topic.Partition]topic.Offset {
	out := map[topic.Partition]topic.Offset{}
	for name, ids := range wanted {
		describe := func() (topic.Topic, error) { return e.broker.Describe(ctx, name) }
		if n, ok := e.broker.(topic.Narrow); ok {
			describe = func() (topic.Topic, error) { return n.DescribeOnly(ctx, name, ids...) }
		}
		// A topic that cannot be described has no lag in the metrics, instead of a wrong one.
		d, err := describe()
		if err != nil {
			continue
		}
		for _, s := range d.Partitions {
			if slices.Contains(ids, s.ID) {
				out[s.Partition] = s.To
			}
		}
	}
	return out
}

// sizes returns the sizes of topics in bytes, or nil if the broker cannot report them.
func (l *lookout) sizes(ctx context.Context, e *Engine, topics []string) map[string]int64 {
	s, ok := e.broker.(topic.Sizer)
	if !ok || l.refused.Load() {
		return nil
	}
	sizes, err := s.Sizes(ctx, topics...)
	if errors.Is(err, topic.ErrRefused) {
		l.refused.Store(true)
		e.c.Log.Warn("the cluster does not report the sizes of topics", "cause", err)
	}
	if err != nil {
		return nil
	}
	return sizes
}
