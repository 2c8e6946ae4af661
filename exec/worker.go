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

// Env is the environment of a job. A job changes nothing in it.
type Env struct {
	Broker topic.Broker
	Source func(name string) topic.Source // of a topic: the broker, files or a generator
	Store  func(task string) (state.Store, error)
	// how state is stored if the broker does not store it; nil: its transactions are
	// topic.Keepers
	Log       *Log
	Prefix    string
	Now       func() time.Time
	Interval  time.Duration // between commits; 0: after each step
	Models    Models
	Tables    Tables // nil: no leaf reads a table's present rows
	Progress  func(Progress)
	Fail      func(job string, f Failure)
	Errors    string           // topic of the dead letters; empty: none are written
	OnCommit  func()           // called after each commit, to wake readers of results; may be nil
	Resume    Resume           // where to continue after a user has resumed the job
	Trim      *Trimming        // of exchanges; nil: they are never trimmed
	OnAbort   func()           // called when uncommitted work is dropped; may be nil
	Read      func(rows int64) // called with the number of rows of each fetch; may be nil
	Transient bool             // a client's query: nothing is committed
	Rows      Emit
	Quota     int64      // limit of the job's memory in bytes, not counting the budgets of its tables; 0: none
	Memory    *flow.Pool // shared with all other jobs; nil: no limit
	// Codec opens a codec, which lives as long as the job; nil: format.New.
	Codec func(s format.Spec, subject string) (format.Codec, error)
	// Changed receives RECOVERING with its cause, and RUNNING after a recovery, on the job's
	// goroutine; may be nil.
	Changed func(job string, s State, cause error)
}

// ErrDone is returned by an operator that needs no more input, for example LIMIT. It ends the
// query without an error.
var ErrDone = errors.New("no more rows are needed")

// around wraps the environment of all jobs; only tests set it.
var around func(Env) Env

// commitBytes is the size of a transaction, in bytes, at which it is committed before the
// interval has passed.
const commitBytes = 32 << 20

// Worker runs the tasks of one job that this process owns, on one goroutine, and commits them
// together. A feeder drives it through begin and step, see step.go. All fields belong to the
// goroutine that calls these two, with these exceptions:
//   - job, env, whole and the list of slots never change (the slots themselves do);
//   - member is set before any command that needs it is ordered, and changes only while no
//     command is being executed;
//   - mu guards which slots have a task, and their reports, for readers on other goroutines;
//   - interrupted is atomic.
//
// These invariants hold between two steps:
//   - Nothing is in flight in any task, so a commit would be complete.
//   - first is zero exactly if there is nothing to commit.
//   - No command is lost. For each slot that is restoring, standby or leaving, its toRestore,
//     toWarm or toDrop is in todo or being executed. The same is true of toAsk while the worker
//     has a member, and of toPoll for each reading with requested set.
type Worker struct {
	job         string
	env         Env
	slots       []*slot
	whole       bool // all inputs end, so the process that owns the first task drains the whole job
	member      topic.Member
	mode        mode
	todo        []command // ordered and not started yet
	alarms      alarms
	trims       *Trims         // nil until the first commit
	seen        map[string]int // number of partitions of the watched topics
	before      func() error   // called before each commit of a drain; may be nil
	out         output
	deadLetters deadLetters
	account     *flow.Account
	counts      Counts       // since the job was started; without Letters and Resumed
	gap         topic.ErrGap // the last gap that was met: another owner may have trimmed the exchange
	first       time.Time    // time of the first uncommitted change; zero: nothing is uncommitted

	mu          sync.Mutex
	interrupted atomic.Bool
}

// newWorker creates a worker. A transient query opens its tasks at once; for a job, the group
// decides later which tasks run here.
func newWorker(ctx context.Context, job string, stages []Stage, env Env) (*Worker, error) {
	if around != nil {
		env = around(env)
	}
	if env.Prefix == "" {
		env.Prefix = "streamql"
	}
	w := &Worker{
		job:     job,
		env:     env,
		slots:   slots(env.Prefix, job, stages),
		whole:   true,
		account: flow.NewAccount(env.Quota).Share(env.Memory),
	}
	for _, u := range w.slots {
		w.whole = w.whole && u.bounded()
	}
	w.out = output{w: w}
	w.deadLetters = deadLetters{w: w}
	if env.Transient {
		err := w.attach(ctx)
		if err != nil {
			w.account.Close()
		}
		return w, err
	}
	return w, w.check() // an invalid plan is reported now, not when a task is assigned
}

// check opens every stage once over an empty store, to find plans that cannot be opened.
func (w *Worker) check() error {
	seen := map[*Stage]bool{}
	for _, u := range w.slots {
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

// join joins the job's group.
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

// groupTasks returns the partitions that the group assigns to its members. A job that runs as a
// whole is represented by its first task.
func (w *Worker) groupTasks() []topic.Partition {
	var out []topic.Partition
	for _, u := range w.slots {
		if out = append(out, u.changelog); w.whole {
			break
		}
	}
	return out
}

// install opens a slot's task over its restored store. On an error the store is closed.
func (w *Worker) install(u *slot, p prepared) error {
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

// release closes a slot's task. Uncommitted work is lost.
func (w *Worker) release(u *slot) error {
	w.mu.Lock()
	t := u.task
	u.task, u.reads, u.report = nil, nil, report{}
	w.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.ctx.State.Close()
}

// running returns the names of the open tasks.
func (w *Worker) running() []string {
	var out []string
	for _, u := range w.slots {
		if u.phase == running {
			out = append(out, u.name)
		}
	}
	return out
}

// newTask opens a task and connects its operators with the worker's output, counters and
// account.
func (w *Worker) newTask(u *slot, store state.Store, jump map[topic.Partition]topic.Offset) (*Task, error) {
	ctx := &Context{
		Job:       w.job,
		Task:      u.name,
		Partition: u.id,
		State:     store,
		Out:       &w.out,
		Rows:      w.env.Rows,
		Fail:      w.deadLetters.fail,
		Late:      func(n int64) { w.counts.Late += n },
		Models:    w.env.Models,
		Tables:    w.env.Tables,
		Progress:  w.env.Progress,
		open:      w.env.Codec,
	}
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

// all calls f for each open task.
func (w *Worker) all(f func(*slot, *Task) error) error {
	for _, u := range w.slots {
		if u.task == nil {
			continue
		}
		if err := f(u, u.task); err != nil {
			return err
		}
	}
	return nil
}

// Close drops uncommitted work, closes the tasks and leaves the group. The feeder must have
// stopped. Afterwards the worker is as new, and begin may start it again.
func (w *Worker) Close(ctx context.Context) error {
	w.out.abort(ctx)
	if w.env.OnAbort != nil {
		w.env.OnAbort()
	}
	var errs []error
	for _, u := range w.slots {
		errs = append(errs, w.release(u))
		u.phase, u.want = absent, nothing
	}
	if w.member != nil {
		errs = append(errs, w.member.Close())
		w.member = nil
	}
	w.deadLetters.pending, w.todo, w.mode = nil, nil, idle
	w.first = time.Time{}
	w.account.Close()
	return errors.Join(errs...)
}

// commit makes all work of the tasks durable in one transaction: outputs, dead letters, state
// and positions. It is the only caller of Txn.Commit. It does nothing while a task holds rows
// back, because a commit cannot include them. When it returns nil, first is zero and the local
// stores have the committed state.
func (w *Worker) commit(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // a commit that has begun is completed
	if w.env.Transient || w.first.IsZero() || w.held() {
		return nil
	}
	began := w.env.Now()
	if err := w.deadLetters.flush(); err != nil {
		return err
	}
	txn, err := w.out.begin(ctx)
	if err != nil {
		return err
	}
	// The time before the commit: stored state must not look younger than it is, however long
	// this process is suspended meanwhile.
	now := w.env.Now().UnixMilli()
	read := map[topic.Partition]topic.Offset{}
	var sealed []*slot
	err = w.all(func(u *slot, t *Task) error {
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

// held reports whether any task holds rows that a commit cannot include.
func (w *Worker) held() bool {
	held := false
	_ = w.all(func(_ *slot, t *Task) error {
		held = held || t.merge.held() || t.pipe.Holds()
		return nil
	})
	return held
}

// seal writes a task's state and position into the transaction, through the broker or into the
// changelog.
func (w *Worker) seal(u *slot, txn topic.Txn, now int64, read map[topic.Partition]topic.Offset) error {
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
		return fmt.Errorf("the broker stores no state, and there is no changelog")
	}
	return keeper.Keep(pending...)
}

// applied makes the committed changes the task's stored state.
func (w *Worker) applied(u *slot, txn topic.Txn, now int64) error {
	fault.Point("before-apply")
	if w.env.Log == nil {
		return u.task.ctx.State.Commit(true)
	}
	return w.env.Log.applied(u, txn, now)
}
