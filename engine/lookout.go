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

// lookout looks at the brokers for the metrics. On Kafka it does so at most every lookEvery, however often the metrics are read: one caller
// looks, and the others get what was seen last.
type lookout struct {
	looking sync.Mutex // held by the caller that looks; never waited for
	last    atomic.Pointer[sight]
	refused atomic.Bool // the cluster does not allow to ask for sizes: it is not asked again
}

// lookEvery is how old the ends of partitions and the sizes of topics may be.
const lookEvery = 10 * time.Second

// sight is what was seen at the brokers. It does not change.
type sight struct {
	at    time.Time
	ends  map[topic.Partition]topic.Offset
	sizes map[string]int64 // of topics, bytes
}

// sought is what there is to look at.
type sought struct {
	partitions map[string][]int32 // read by tasks of this process, by topic
	own        []string           // the engine's topics
}

// wanted finds what the metrics need from the brokers.
func (e *Engine) wanted(jobs []supervise.Status) sought {
	w := sought{partitions: map[string][]int32{}, own: []string{e.own(errorsTopic), e.own(trainingTopic), e.own(catalogTopic)}}
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

// connectors are the topics of a job that no broker has.
func connectors(j *catalog.Job) map[string]bool {
	out := map[string]bool{}
	for _, r := range j.Reading.Relations {
		if !r.AtBroker() {
			out[r.Topic] = true
		}
	}
	return out
}

// look returns what was seen lately, or looks.
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
	now := &sight{at: time.Now(), ends: e.ends(ctx, w.partitions), sizes: l.sizes(ctx, e, w.own)}
	l.last.Store(now)
	return now
}

// ends asks for the ends of partitions. Those of a topic that cannot be described are left out.
func (e *Engine) ends(ctx context.Context, wanted map[string][]int32) map[topic.Partition]topic.Offset {
	out := map[topic.Partition]topic.Offset{}
	for name, ids := range wanted {
		describe := func() (topic.Topic, error) { return e.broker.Describe(ctx, name) }
		if n, ok := e.broker.(topic.Narrow); ok {
			describe = func() (topic.Topic, error) { return n.DescribeOnly(ctx, name, ids...) }
		}
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

func (l *lookout) sizes(ctx context.Context, e *Engine, topics []string) map[string]int64 {
	s, ok := e.broker.(topic.Sizer)
	if !ok || l.refused.Load() {
		return nil
	}
	sizes, err := s.Sizes(ctx, topics...)
	if errors.Is(err, topic.ErrRefused) {
		l.refused.Store(true)
		e.c.Log.Warn("the sizes of topics are not known", "cause", err)
	}
	if err != nil {
		return nil
	}
	return sizes
}
