package exec

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// State is the status of a job.
type State string

// The statuses of a job.
const (
	Starting   State = "STARTING"
	Waiting    State = "WAITING" // for a precondition, such as the first version of a model
	Running    State = "RUNNING"
	Recovering State = "RECOVERING" // uncommitted work was dropped, and the job restarts from its last commit
	Degraded   State = "DEGRADED"   // part of the cluster is unavailable to the job
	Failed     State = "FAILED"
	Done       State = "DONE"
	Stopped    State = "STOPPED"
	Restarting State = "RESTARTING" // the job failed with an error that may heal and is started again
	Paused     State = "PAUSED"
	// Unavailable: this version of the engine cannot read the job's definition.
	Unavailable State = "UNAVAILABLE"
)

// AllStates lists the statuses of a job.
var AllStates = []State{
	Starting,
	Running,
	Recovering,
	Degraded,
	Waiting,
	Restarting,
	Paused,
	Failed,
	Done,
	Stopped,
	Unavailable,
}

// Job is a run of a plan. The goroutine that calls Run, Drain or Step owns worker and hand; mu
// guards the fields below it, which other goroutines read.
type Job struct {
	Name   string
	worker *Worker
	hand   *hand // used by Step; nil until its first call
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	state  State
	err    error
	counts Counts
	memory int64 // charged to the job's account, as of the last step
}

// New creates a job without running it. Start, Run, Drain and Step continue from its last
// commit.
func New(ctx context.Context, name string, stages []Stage, env Env) (*Job, error) {
	w, err := newWorker(ctx, name, stages, env)
	if err != nil {
		return nil, err
	}
	return &Job{Name: name, worker: w, state: Starting, done: make(chan struct{})}, nil
}

// Attach opens the tasks that are assigned to this process without running them, so that View
// can read their state.
func (j *Job) Attach(ctx context.Context) error { return j.worker.attach(ctx) }

// Start runs the job on its own goroutine until Stop, an error, or the end of a bounded input.
func (j *Job) Start(ctx context.Context) {
	ctx, j.cancel = context.WithCancel(ctx)
	go func() {
		defer close(j.done)
		err := j.Run(ctx)
		switch {
		case err == nil || errors.Is(err, ErrDone):
			j.set(Done, nil)
		case ctx.Err() != nil:
			j.set(Stopped, nil)
		default:
			j.set(Failed, err)
		}
	}()
}

// Run runs the job on the caller's goroutine. It returns at the end of a bounded input, on an
// error, or when ctx ends; the input of a live job has no end.
//
// If the outcome of a commit or the ownership of a task is in doubt, or the cluster is
// unreachable, there is one way to recover: drop uncommitted work, rejoin the group, and
// continue from the last commit. This is retried without a limit.
func (j *Job) Run(ctx context.Context) error {
	pause, refused := firstPause, 0
	for {
		j.set(Running, nil)
		j.worker.watch(ctx)
		began := time.Now()
		err := guard(func() error { return j.worker.serve(ctx, j.mode(), j.count) })
		if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
			// Between two steps the work is complete. Committing it saves the next start from
			// repeating it.
			err = errors.Join(ctx.Err(), j.worker.commit(context.WithoutCancel(ctx)))
		}
		closed := j.worker.Close(context.WithoutCancel(ctx))
		j.count()
		if !recoverable(err) || j.worker.env.Transient {
			// rows that a query has returned to its client cannot be retracted
			return errors.Join(err, closed)
		}
		if j.set(Recovering, err); time.Since(began) > longPause {
			pause, refused = firstPause, 0
		}
		if errors.Is(err, topic.ErrRefused) {
			if refused++; refused > maxRefused {
				return errors.Join(err, closed)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, longPause)
	}
}

// recoverable reports whether the job can continue from its last commit after this error.
func recoverable(err error) bool {
	return errors.Is(err, topic.ErrLost) || errors.Is(err, topic.ErrUnreachable)
}

// The backoff between two recoveries. It doubles with each recovery that follows soon after the
// one before.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
	// consecutive authorization failures to accept: a broker that has just started may not have
	// loaded all ACLs
	maxRefused = 4
)

// PanicError is a panic in an operator or a function, which is a bug of the engine or of an
// embedder's function. The job fails; the process continues.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the panic's value. The stack is in Stack.
func (p *PanicError) Error() string { return fmt.Sprintf("internal error: %v", p.Value) }

// guard converts a panic of f into a PanicError.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}

// mode returns how the job processes its inputs: a live job follows them, a bounded one drains
// them.
func (j *Job) mode() mode {
	if j.Bounded() {
		return draining
	}
	return following
}

// Bounded reports whether all inputs of the job end, and with them the job.
func (j *Job) Bounded() bool {
	return j.worker.whole
}

// Drain processes the present content of the inputs, one commit per fetch, and returns. after
// is called before each commit and may call Crash.
func (j *Job) Drain(ctx context.Context, after func() error) error {
	j.worker.watch(ctx)
	err := guard(func() error { return j.worker.Drain(ctx, after) })
	j.count()
	return err
}

// Crash drops everything uncommitted and reopens the tasks from the last commit, as after a
// kill. Tests use it to show that results do not depend on crashes.
func (j *Job) Crash(ctx context.Context) error {
	if err := j.worker.Close(ctx); err != nil {
		return err
	}
	return j.worker.attach(ctx)
}

// Tasks returns the tasks of the last stage, named by their changelog partitions, wherever they
// run.
func (j *Job) Tasks() []topic.Partition {
	slots := j.worker.slots
	last := slots[len(slots)-1].stage
	var out []topic.Partition
	for _, u := range slots {
		if u.stage == last {
			out = append(out, u.changelog)
		}
	}
	return out
}

// View opens the committed state of a task for reading while the job runs; nil if the task does
// not run here. The caller must close it.
func (j *Job) View(task topic.Partition) (state.View, error) {
	w := j.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.slots {
		if u.changelog == task && u.task != nil {
			return u.task.ctx.State.View()
		}
	}
	return nil, nil
}

// DropState deletes the local state of the tasks. The job must have ended.
func (j *Job) DropState(ctx context.Context) error {
	for _, u := range j.worker.slots {
		s, err := j.worker.env.Store(u.name)
		if err != nil {
			return err
		}
		if err := s.Drop(); err != nil {
			return err
		}
	}
	return nil
}

// Changelogs returns the names of the job's changelog topics, which still exist after its end.
func (j *Job) Changelogs() []string {
	var out []string
	for _, u := range j.worker.slots {
		if !slices.Contains(out, u.changelog.Topic) {
			out = append(out, u.changelog.Topic)
		}
	}
	return out
}

// Close aborts uncommitted work, closes the tasks and leaves the group. The job must not be
// running.
func (j *Job) Close(ctx context.Context) error {
	var errs []error
	if j.hand != nil {
		errs = append(errs, j.hand.close())
		j.hand = nil
	}
	return errors.Join(append(errs, j.worker.Close(ctx))...)
}

// Interrupt ends a training with its best pass so far. The job then ends as if its input had
// ended. Any goroutine may call it.
func (j *Job) Interrupt() { j.worker.interrupted.Store(true) }

// Stop ends a started job: it commits the finished work and returns when the job has ended.
func (j *Job) Stop() {
	if j.cancel != nil {
		j.cancel()
		<-j.done
	}
}

// Wait returns when a started job has ended, with its error, or when ctx ends.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case <-j.done:
		_, _, err := j.Status()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended returns a channel that is closed when a started job has ended.
func (j *Job) Ended() <-chan struct{} { return j.done }

// Status returns the status of the job, its counts, and the error of a job that failed or is
// recovering.
func (j *Job) Status() (State, Counts, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state, j.counts, j.err
}

// set sets the status. It reports the begin and the end of a recovery to Env.Changed; the
// supervisor reports all other changes.
func (j *Job) set(s State, err error) {
	j.mu.Lock()
	before := j.state
	j.state, j.err = s, err
	if s == Recovering {
		j.counts.Resumed++
	}
	j.mu.Unlock()
	if report := j.worker.env.Changed; report != nil && before != s &&
		(s == Recovering || before == Recovering && s == Running) {
		report(j.Name, s, err)
	}
}
