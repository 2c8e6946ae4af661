package exec

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/internal/fault"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Env is what the world hands to a job.
type Env struct {
	Broker    topic.Broker
	Source    func(name string) topic.Source // where a topic is read: the broker, files or a generator
	Store     func(task string) (state.Store, error)
	Now       func() time.Time
	Interval  time.Duration // between commits; 0: after each step
	Models    Models
	Progress  func(Progress)
	Fail      func(job string, f Failure)
	Errors    string           // topic of dead letters
	OnCommit  func()           // after each commit, for those who wait for results; may be nil
	OnAbort   func()           // when something uncommitted is dropped; may be nil
	OnStop    func()           // when the job is to stop: whatever an operator waits for must let it go; may be nil
	Read      func(rows int64) // told what has been read; may be nil
	Transient bool             // results go to the client, nothing is committed
	Rows      Emit
}

// ErrDone is returned by an operator that needs no more input (LIMIT is reached). It ends the query without an error.
var ErrDone = errors.New("no more rows are needed")

// Worker runs the tasks of one job on one goroutine and commits them together.
type Worker struct {
	job     string
	env     Env
	stages  []Stage
	tasks   [][]*Task // by stage
	out     output
	letters letters
	late    int64

	interrupted atomic.Bool
	first       time.Time // of the first uncommitted row; zero: nothing is uncommitted
}

func newWorker(ctx context.Context, job string, stages []Stage, env Env) (*Worker, error) {
	w := &Worker{job: job, env: env, stages: stages}
	w.out = output{broker: env.Broker, id: "streamql." + job}
	w.letters = letters{w: w}
	return w, w.open()
}

// open makes the tasks as of the last commit: at the start, and after anything whose outcome is not known.
func (w *Worker) open() error {
	w.tasks = nil
	for i, st := range w.stages {
		groups := map[int32][]assigned{}
		for _, node := range st.Order {
			for _, s := range st.Spans[node] {
				g := s.ID
				if st.Gather {
					g = 0
				}
				groups[g] = append(groups[g], assigned{node, s})
			}
		}
		if len(st.Order) == 0 { // what it reads is known already: one task without a reader
			groups[0] = nil
		}
		ids := make([]int32, 0, len(groups))
		for id := range groups {
			ids = append(ids, id)
		}
		sort.Slice(ids, func(a, b int) bool { return ids[a] < ids[b] })
		var tasks []*Task
		for _, id := range ids {
			t, err := w.openTask(fmt.Sprintf("%s.%d.%d", w.job, i, id), id, st.Root, groups[id])
			if err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		w.tasks = append(w.tasks, tasks)
	}
	return nil
}

func (w *Worker) openTask(name string, partition int32, root Node, spans []assigned) (*Task, error) {
	store, err := w.env.Store(name)
	if err != nil {
		return nil, fmt.Errorf("open the state of %s: %w", name, err)
	}
	sort.Slice(spans, func(i, j int) bool {
		if spans[i].Topic != spans[j].Topic {
			return spans[i].Topic < spans[j].Topic
		}
		return spans[i].ID < spans[j].ID
	})
	ctx := &Context{Job: w.job, Task: name, Partition: partition, State: store, Out: &w.out, Rows: w.env.Rows, Fail: w.letters.fail, Late: func(n int64) { w.late += n },
		Models: w.env.Models, Progress: w.env.Progress}
	if ctx.Progress == nil {
		ctx.Progress = func(Progress) {}
	}
	ctx.Interrupted = w.interrupted.Load
	return newTask(name, root, ctx, spans, func(b *flow.Batch) error {
		if w.env.Rows != nil {
			return w.env.Rows(b)
		}
		return nil
	})
}

func (w *Worker) all(f func(*Task) error) error {
	for _, stage := range w.tasks {
		for _, t := range stage {
			if err := f(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close drops what is uncommitted.
func (w *Worker) Close(ctx context.Context) error {
	w.out.abort(ctx)
	if w.env.OnAbort != nil {
		w.env.OnAbort()
	}
	return w.all(func(t *Task) error { return t.ctx.State.Close() })
}

// Crash forgets everything uncommitted and opens the tasks again from what is durable, as after a kill. Tests use it to show that
// answers do not depend on it.
func (w *Worker) Crash(ctx context.Context) error {
	if err := w.Close(ctx); err != nil {
		return err
	}
	w.letters.pending = nil
	w.first = time.Time{}
	return w.open()
}

// take hands a fetch to its task.
func (w *Worker) take(t *Task, f *topic.Fetch, wait bool) error {
	if err := t.offer(f); err != nil {
		return err
	}
	if err := t.run(wait); err != nil {
		return err
	}
	if w.first.IsZero() {
		w.first = w.env.Now()
	}
	if w.env.Read != nil {
		w.env.Read(int64(f.Rows()))
	}
	return nil
}

// commit makes one transaction of all that the tasks have done: outputs, dead letters, state and positions. It is the only caller of
// Txn.Commit. Rows that a task still holds back are not part of any commit, so then it waits.
func (w *Worker) commit(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // a commit that has begun is not given up half-way
	if w.env.Transient || w.first.IsZero() {
		return nil
	}
	var stores []state.Store
	read := map[topic.Partition]topic.Offset{}
	held := false
	err := w.all(func(t *Task) error {
		held = held || t.merge.held() || t.pipe.Holds()
		return nil
	})
	if err != nil || held {
		return err
	}
	if err := w.letters.flush(); err != nil {
		return err
	}
	txn, err := w.out.begin(ctx)
	if err != nil {
		return err
	}
	err = w.all(func(t *Task) error {
		if !t.touched && !t.finished {
			return nil
		}
		t.touched = false
		if err := t.seal(); err != nil {
			return err
		}
		for p, o := range t.position {
			read[p] = o
		}
		keeper, ok := txn.(topic.Keeper)
		if !ok {
			return fmt.Errorf("the broker keeps no state")
		}
		stores = append(stores, t.ctx.State)
		return keeper.Keep(t.ctx.State.Pending(t.position)...)
	})
	if err != nil {
		return err
	}
	fault.Point("before-commit")
	if err := txn.Commit(ctx, read); err != nil {
		return fmt.Errorf("commit of %s: %w", w.job, err)
	}
	fault.Point("after-commit")
	w.out.txn = nil
	w.first = time.Time{}
	for _, s := range stores {
		if err := s.Commit(true); err != nil {
			return err
		}
	}
	if w.env.OnCommit != nil {
		w.env.OnCommit()
	}
	return nil
}

// due reports whether it is time to commit, and if not, how long until then.
func (w *Worker) due() (bool, time.Duration) {
	if w.first.IsZero() {
		return false, time.Hour
	}
	wait := w.env.Interval - w.env.Now().Sub(w.first)
	return wait <= 0, wait
}
