package streamql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// job is the run of a statement that goes on.
type job struct {
	name      string
	kind      string // CSAS, CTAS, INSERT, MODEL
	statement string
	fills     string // the relation or model
	reads     []string
	run       *exec.Job
	started   bool
	bounded   bool            // it ends by itself
	done      bool            // a bounded job that has ended and must not run again
	failure   string          // why it failed, if it did
	ended     chan struct{}   // closed when it is done
	uses      map[string]bool // the models it predicts with
	plan      []planner.Stage // of a bounded job that waits to be drained: what it reads is decided then
}

// over notes that a bounded job has ended.
func (j *job) over(failure string) {
	if !j.done {
		j.done, j.failure = true, failure
		close(j.ended)
	}
}

func (j *job) end() error {
	if j.run == nil {
		return nil
	}
	if j.started {
		j.run.Stop()
		return nil
	}
	return j.run.Close(context.Background())
}

// stages resolves a plan's scans to offsets.
func (e *Engine) stages(ctx context.Context, plan []planner.Stage, given [][]topic.Span) ([]exec.Stage, error) {
	var out []exec.Stage
	k := 0
	for _, s := range plan {
		st := exec.Stage{Root: s.Root, Gather: s.Gather, Spans: map[exec.Node][]topic.Span{}}
		for _, l := range s.Leaves {
			st.SkipGaps = st.SkipGaps || l.Scan.OnGap == "SKIP"
			var spans []topic.Span
			var err error
			if k < len(given) {
				spans = given[k]
			} else if spans, err = e.spans(ctx, l); err != nil {
				return nil, err
			}
			k++
			st.Spans[l.Node] = spans
			st.Order = append(st.Order, l.Node)
		}
		out = append(out, st)
	}
	return out, nil
}

// source is where a topic is read: a connector's, or the broker.
func (e *Engine) source(name string) topic.Source {
	if s, ok := e.connectors.Load(name); ok {
		return s.(topic.Source)
	}
	return e.broker
}

// spans resolves one scan: which offsets of which partitions.
func (e *Engine) spans(ctx context.Context, l planner.Leaf) ([]topic.Span, error) {
	src := e.source(l.Topic)
	d, err := src.Describe(ctx, l.Topic)
	if err != nil {
		return nil, err
	}
	var out []topic.Span
	for _, p := range d.Partitions {
		if !selectedPartition(l.Scan.Partitions, p.ID) {
			continue
		}
		s := topic.Span{Partition: p.Partition, From: p.To, To: topic.End}
		if l.Earliest {
			s.From = p.From
		}
		if l.Bounded {
			s.To = p.To
		}
		if l.Scan.Since != nil {
			if s.From, err = e.point(ctx, src, p, l.Scan.Since); err != nil {
				return nil, err
			}
		}
		if l.Scan.Until != nil {
			if s.To, err = e.point(ctx, src, p, l.Scan.Until); err != nil {
				return nil, err
			}
		}
		if (l.Bounded || e.manual) && s.To != topic.End {
			s.To = min(s.To, p.To) // what is there now: a bounded query does not wait for offsets to come
		}
		if s.From < p.From {
			if l.Scan.OnGap != "SKIP" {
				return nil, topic.ErrGap{Span: topic.Span{Partition: p.Partition, From: s.From, To: p.From}}
			}
			s.From = p.From
		}
		s.To = max(s.To, s.From)
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, &Error{Code: "SQ2021", Stage: lang.StagePlan, Pos: l.Scan.Position(), Msg: fmt.Sprintf("%s has %d partitions, none of them is asked for", l.Topic, len(d.Partitions))}
	}
	return out, nil
}

func selectedPartition(list []lang.PartitionRange, id int32) bool {
	for _, r := range list {
		if int(id) >= r.From && int(id) <= r.To {
			return true
		}
	}
	return len(list) == 0
}

// point is the offset a point of the scan clause means in a partition.
func (e *Engine) point(ctx context.Context, src topic.Source, p topic.Span, at *lang.Point) (topic.Offset, error) {
	switch at.Kind {
	case "EARLIEST":
		return p.From, nil
	case "LATEST", "NOW":
		return p.To, nil
	case "OFFSET":
		return topic.Offset(at.N), nil
	}
	ms, err := e.moment(at)
	if err != nil {
		return 0, err
	}
	timed, ok := src.(topic.Timed)
	if !ok {
		return 0, &Error{Code: "SQ5007", Stage: lang.StagePlan, Pos: at.Position(), Len: 1, Msg: fmt.Sprintf("%s has no times to find offsets by", p.Topic)}
	}
	return timed.OffsetAt(ctx, p.Partition, ms)
}

func (e *Engine) moment(at *lang.Point) (int64, error) {
	switch v := at.Value.(type) {
	case *lang.Interval:
		back, err := planner.Millis(v)
		return e.now().UnixMilli() - back, err
	case *lang.Text:
		ms, err := planner.ParseTimestamp(v.Value)
		if err != nil {
			return 0, &Error{Code: "SQ2010", Stage: lang.StagePlan, Pos: v.Position(), Len: len(v.Value) + 2, Msg: err.Error()}
		}
		return ms, nil
	case *lang.Number:
		return planner.ParseMillis(v.Text)
	}
	return 0, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: at.Position(), Len: 1, Msg: "this point in time is not supported yet"}
}

// env is what the world hands to a job.
func (e *Engine) env(name string, plan []planner.Stage) exec.Env {
	out := exec.Env{Broker: e.broker, Source: e.source, Now: time.Now, Interval: e.interval, Errors: e.own(errorsTopic), Fail: e.failed,
		Progress: e.progress, Prefix: e.prefix, Store: e.state.open}
	versions := e.models.ForJob()
	out.Models, out.Ready = versions, e.ready(plan)
	out.Log = e.log(name)
	out.OnCommit, out.OnAbort = versions.Committed, versions.Aborted
	if out.Progress == nil {
		out.Progress = func(exec.Progress) {}
	}
	return out
}

// enlist adds a job and, unless jobs are manual, starts it.
func (e *Engine) enlist(ctx context.Context, j *job, start bool) error {
	if !e.shared() { // the tasks are ours for certain
		if err := j.run.Attach(ctx); err != nil {
			return err
		}
	}
	if old := e.jobs[j.name]; old == nil {
		e.order = append(e.order, j.name)
	}
	e.jobs[j.name] = j
	if start && !e.manual && !e.idle {
		e.startJob(j)
	}
	return nil
}

func (e *Engine) startJob(j *job) {
	j.started = true
	j.run.Start(e.ctx)
}

// jobName numbers a new job.
func (e *Engine) jobName(kind, target string) string {
	if e.replaying {
		return e.replayed.Job
	}
	n := e.next
	e.next++
	return fmt.Sprintf("%s_%s_%d", kind, target, n)
}

// endJob stops a job and forgets it with its state.
func (e *Engine) endJob(ctx context.Context, j *job) error {
	if err := j.end(); err != nil {
		return err
	}
	delete(e.jobs, j.name)
	for i, n := range e.order {
		if n == j.name {
			e.order = append(e.order[:i:i], e.order[i+1:]...)
			break
		}
	}
	delete(e.guarantees, j.name)
	if j.run == nil {
		return nil
	}
	if err := j.run.DropState(ctx); err != nil || !e.shared() || e.replaying {
		return err
	}
	for _, name := range j.run.Changelogs() { // whoever ends the job for all cleans up behind it
		if err := e.broker.Delete(ctx, name); err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
			return err
		}
	}
	return nil
}

// Drain works off what the inputs of all jobs hold now, job by job in the order of creation; for engines with manual jobs. after, if
// not nil, is called after each step, before its commit; returning ErrCrash from it drops what is uncommitted and goes on from what is
// durable, as a killed process would.
func (e *Engine) Drain(ctx context.Context, after func(job string) error) error {
	for _, name := range append([]string(nil), e.order...) {
		j := e.jobs[name]
		if j.done {
			continue
		}
		if err := e.drainJob(ctx, j, after); err != nil {
			return wrap(err, nil)
		}
	}
	return nil
}

// finished notes that a bounded job has ended.
func (e *Engine) finished(ctx context.Context, j *job) error {
	if j.done {
		return nil
	}
	failed := ""
	if status, _, err := j.run.Status(); status == exec.Failed {
		failed = err.Error()
	}
	for {
		_, err := e.inTurn(ctx, true, func() (*Result, error) {
			if j.done { // another process was first
				return nil, nil
			}
			if err := e.remember(ctx, record{Done: j.name, Error: failed}); err != nil {
				return nil, err
			}
			j.over(failed)
			return nil, nil
		})
		if !errors.Is(err, topic.ErrFenced) && !errors.Is(err, topic.ErrLost) || ctx.Err() != nil {
			return err
		}
	}
}

// watch notes the end of a bounded job that nobody waits for.
func (e *Engine) watch(j *job) {
	if !j.bounded {
		return
	}
	go func() {
		<-j.run.Ended()
		status, _, _ := j.run.Status()
		if status != exec.Done && !(status == exec.Failed && e.shared()) {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.ctx.Err() == nil {
			_ = e.finished(e.ctx, j) // if it fails, the next start does the work again and finds it done
		}
	}()
}

// ErrCrash is returned by a test's hook to crash a job.
var ErrCrash = errors.New("crash")

func (e *Engine) drainJob(ctx context.Context, j *job, after func(string) error) error {
	hook := func() error { return nil }
	if after != nil {
		hook = func() error { return after(j.name) }
	}
	if j.plan != nil {
		stages, err := e.stages(ctx, j.plan, nil)
		if err != nil {
			return err
		}
		j.plan = nil
		if err := e.changelogs(ctx, j.name, stages); err != nil {
			return err
		}
		if j.run, err = exec.New(ctx, j.name, stages, e.env(j.name, nil)); err != nil {
			return err
		}
		if err := e.enlist(ctx, j, false); err != nil {
			return err
		}
	}
	if err := e.syncModels(ctx, j.uses); err != nil {
		return err
	}
	defer func() { _ = e.syncModels(ctx, map[string]bool{j.fills: true}) }() // a broker that cannot be read has failed the job already
	for {
		err := j.run.Drain(ctx, hook)
		if errors.Is(err, ErrCrash) {
			if err := j.run.Crash(ctx); err != nil {
				return err
			}
			continue
		}
		if err == nil && j.run.Bounded() {
			return e.finished(ctx, j)
		}
		return err
	}
}
