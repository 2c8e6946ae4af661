package exec

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/internal/fault"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Env is what the world hands to a job.
type Env struct {
	Broker    topic.Broker
	Source    func(name string) topic.Source // where a topic is read: the broker, files or a generator
	Store     func(task string) (state.Store, error)
	Log       *Log // how state is kept where the broker does not keep it; nil: its transactions are topic.Keepers
	Prefix    string
	Now       func() time.Time
	Interval  time.Duration // between commits; 0: after each step
	Models    Models
	Progress  func(Progress)
	Fail      func(job string, f Failure)
	Errors    string           // topic of dead letters
	OnCommit  func()           // after each commit, for those who wait for results; may be nil
	Resume    Resume           // after a failure
	Trim      *Trimming        // of exchanges; nil: they are kept for ever
	OnAbort   func()           // when something uncommitted is dropped; may be nil
	Read      func(rows int64) // told what has been read; may be nil
	Transient bool             // results go to the client, nothing is committed
	Rows      Emit
	Quota     int64      // bytes that the job may take beside its tables' budgets; 0: no limit
	Memory    *flow.Pool // which it shares with all others; nil: no limit
	// Codec opens a codec, which lives as long as the job; nil: format.New.
	Codec func(s format.Spec, subject string) (format.Codec, error)
	// Changed receives RECOVERING with its cause, and RUNNING when the job has recovered, on the job's goroutine; may be nil.
	Changed func(job string, s State, cause error)
}

// ErrDone is returned by an operator that needs no more input (LIMIT is reached). It ends the query without an error.
var ErrDone = errors.New("no more rows are needed")

// around is what tests put between jobs and their world; nil in a program.
var around func(Env) Env

// commitBytes is how much a transaction may hold before it is committed early.
const commitBytes = 32 << 20

// Worker runs the tasks of one job that are this process's on one goroutine and commits them together. It is driven by a feeder through
// begin and step, see step.go; all its fields belong to the goroutine that calls those, except that
//   - job, env, units (but not what each holds) and whole never change;
//   - member is set before any command is given that needs it, and changes only while nothing is being carried out;
//   - mu guards which units have a task, and their reports, for readers on other goroutines;
//   - interrupted is anybody's.
//
// What must stay true between two steps: nothing is in flight in any task, so that a commit would be whole; first is zero exactly when
// there is nothing to commit; and no command is lost, that is: of a unit that is restoring, standby or leaving, toRestore, toWarm or
// toDrop is in todo or being carried out, and so is toAsk when the worker has a member, and toPoll for what has been asked for.
type Worker struct {
	job     string
	env     Env
	units   []*unit
	whole   bool // a bounded job is worked off as a whole, by the process that owns its first task
	member  topic.Member
	mode    mode
	todo    []command // given and not yet begun to be carried out
	alarms  alarms
	trims   *Trims         // nil: nothing has been committed yet
	seen    map[string]int // partitions of the topics that are watched
	before  func() error   // called before each commit of a drain; may be nil
	out     output
	letters letters
	account *flow.Account
	counts  Counts       // since the job was started; Letters and Resumed are counted elsewhere
	gap     topic.ErrGap // met once: it may be another owner's doing
	first   time.Time    // of the first uncommitted row; zero: nothing is uncommitted

	mu          sync.Mutex
	interrupted atomic.Bool
}

func newWorker(ctx context.Context, job string, stages []Stage, env Env) (*Worker, error) {
	if around != nil {
		env = around(env)
	}
	if env.Prefix == "" {
		env.Prefix = "streamql"
	}
	w := &Worker{job: job, env: env, units: units(env.Prefix, job, stages), whole: true, account: flow.NewAccount(env.Quota).Share(env.Memory)}
	for _, u := range w.units {
		w.whole = w.whole && u.bounded()
	}
	w.out = output{w: w}
	w.letters = letters{w: w}
	if env.Transient {
		err := w.attach(ctx)
		if err != nil {
			w.account.Close()
		}
		return w, err
	}
	return w, w.check() // whose tasks they are shows later, a plan that cannot be opened shows now
}

// check opens every stage once, over nothing.
func (w *Worker) check() error {
	seen := map[*Stage]bool{}
	for _, u := range w.units {
		if seen[u.stage] {
			continue
		}
		seen[u.stage] = true
		store := state.Memory()
		_, err := w.newTask(u, store, nil)
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
	}
	return nil
}

// join takes the worker's place in the job's group.
func (w *Worker) join(ctx context.Context) (topic.Member, error) {
	g := topic.Group{Name: w.job, Tasks: w.groupTasks()}
	if w.env.Log == nil {
		g.Name = w.env.Prefix + "." + w.job
	} else {
		w.env.Log.fill(&g, w)
	}
	m, err := w.env.Broker.Join(ctx, g)
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", g.Name, err)
	}
	return m, nil
}

// groupTasks are the partitions that the group shares out.
func (w *Worker) groupTasks() []topic.Partition {
	var out []topic.Partition
	for _, u := range w.units {
		if out = append(out, u.changelog); w.whole {
			break
		}
	}
	return out
}

// install makes a unit's task over its store.
func (w *Worker) install(u *unit, p prepared) error {
	t, err := w.newTask(u, p.store, p.jump)
	if err != nil {
		return errors.Join(err, p.store.Close())
	}
	u.to(running)
	u.topicID, u.drain = p.id, pending
	w.mu.Lock()
	defer w.mu.Unlock()
	u.task = t
	u.publish()
	return nil
}

// release closes a unit's task; what it has not committed is gone.
func (w *Worker) release(u *unit) error {
	w.mu.Lock()
	t := u.task
	u.task, u.reads, u.report = nil, nil, report{}
	w.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.ctx.State.Close()
}

// running names the tasks that are open.
func (w *Worker) running() []string {
	var out []string
	for _, u := range w.units {
		if u.phase == running {
			out = append(out, u.name)
		}
	}
	return out
}

func (w *Worker) newTask(u *unit, store state.Store, jump map[topic.Partition]topic.Offset) (*Task, error) {
	ctx := &Context{Job: w.job, Task: u.name, Partition: u.id, State: store, Out: &w.out, Rows: w.env.Rows, Fail: w.letters.fail, Late: func(n int64) { w.counts.Late += n },
		Models: w.env.Models, Progress: w.env.Progress, open: w.env.Codec}
	if ctx.Progress == nil {
		ctx.Progress = func(Progress) {}
	}
	ctx.Interrupted = w.interrupted.Load
	w.count(ctx)
	ctx.jump = jump
	return newTask(u.name, u.stage.Root, ctx, u.inputs, func(b *flow.Batch) error {
		if w.env.Rows != nil {
			return w.env.Rows(b)
		}
		return nil
	})
}

// all visits the tasks there are.
func (w *Worker) all(f func(*unit, *Task) error) error {
	for _, u := range w.units {
		if u.task == nil {
			continue
		}
		if err := f(u, u.task); err != nil {
			return err
		}
	}
	return nil
}

// Close drops what is uncommitted and gives up the worker's place. The feeder has stopped.
func (w *Worker) Close(ctx context.Context) error {
	w.out.abort(ctx)
	if w.env.OnAbort != nil {
		w.env.OnAbort()
	}
	var errs []error
	for _, u := range w.units {
		errs = append(errs, w.release(u))
		u.phase, u.want = absent, nothing
	}
	if w.member != nil {
		errs = append(errs, w.member.Close())
		w.member = nil
	}
	w.letters.pending, w.todo, w.mode = nil, nil, idle
	w.first = time.Time{}
	w.account.Close()
	return errors.Join(errs...)
}

// commit makes one transaction of all that the tasks have done: outputs, dead letters, state and positions. It is the only caller of
// Txn.Commit. Rows that a task still holds back are not part of any commit, so then it waits.
func (w *Worker) commit(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // a commit that has begun is not given up half-way
	if w.env.Transient || w.first.IsZero() || w.held() {
		return nil
	}
	began := w.env.Now()
	if err := w.letters.flush(); err != nil {
		return err
	}
	txn, err := w.out.begin(ctx)
	if err != nil {
		return err
	}
	// What is stored is as old as what was committed, however long this process stands still in between.
	now := w.env.Now().UnixMilli()
	read := map[topic.Partition]topic.Offset{}
	var sealed []*unit
	err = w.all(func(u *unit, t *Task) error {
		if !t.touched && !t.finished {
			return nil
		}
		t.touched = false
		sealed = append(sealed, u)
		return w.seal(u, txn, now, read)
	})
	if err != nil {
		return err
	}
	fault.Point("before-commit")
	if err := txn.Commit(ctx, read); err != nil {
		return fmt.Errorf("commit of %s: %w", w.job, err)
	}
	fault.Point("after-commit")
	w.counts.committed(&w.out)
	w.out.done()
	w.first = time.Time{}
	for _, u := range sealed {
		if err := w.applied(u, txn, now); err != nil {
			return err
		}
	}
	w.publish(sealed)
	w.counts.CommitTime += w.env.Now().Sub(began)
	if w.env.OnCommit != nil {
		w.env.OnCommit()
	}
	w.trim()
	return nil
}

func (w *Worker) held() bool {
	held := false
	_ = w.all(func(_ *unit, t *Task) error {
		held = held || t.merge.held() || t.pipe.Holds()
		return nil
	})
	return held
}

// seal puts a task's state and position into the transaction: into the broker's own, or into the changelog.
func (w *Worker) seal(u *unit, txn topic.Txn, now int64, read map[topic.Partition]topic.Offset) error {
	t := u.task
	if err := t.seal(); err != nil {
		return err
	}
	pending := t.ctx.State.Pending(t.position)
	if w.env.Log != nil {
		return w.env.Log.seal(u, txn, now, read)
	}
	for p, o := range t.position {
		read[p] = o
	}
	keeper, ok := txn.(topic.Keeper)
	if !ok {
		return fmt.Errorf("the broker keeps no state, and there is no changelog")
	}
	return keeper.Keep(pending...)
}

// applied makes what was committed the task's stored state.
func (w *Worker) applied(u *unit, txn topic.Txn, now int64) error {
	fault.Point("before-apply")
	if w.env.Log == nil {
		return u.task.ctx.State.Commit(true)
	}
	return w.env.Log.applied(u, txn, now)
}
