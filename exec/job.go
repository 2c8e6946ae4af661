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

// State is what a job is doing.
type State string

// The states of a job.
const (
	Starting   State = "STARTING"
	Waiting    State = "WAITING" // for what it needs, the first version of a model
	Running    State = "RUNNING"
	Recovering State = "RECOVERING" // what was uncommitted is dropped, and the job goes on from what is durable
	Degraded   State = "DEGRADED"   // it waits for a part of the cluster
	Failed     State = "FAILED"
	Done       State = "DONE"
	Stopped    State = "STOPPED"
	Restarting State = "RESTARTING" // an error has ended it that may heal
	Paused     State = "PAUSED"
	// Unavailable: this version cannot read its definition.
	Unavailable State = "UNAVAILABLE"
)

// AllStates lists the states of a job.
var AllStates = []State{Starting, Running, Recovering, Degraded, Waiting, Restarting, Paused, Failed, Done, Stopped, Unavailable}

// Job is the run of a plan.
type Job struct {
	Name   string
	worker *Worker
	hand   *hand // of Step; nil: nobody has called it
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	state  State
	err    error
	counts Counts
	memory int64 // charged to the job's account at the last step
}

// New makes a job without running it; Start or Drain do, as of its last commit.
func New(ctx context.Context, name string, stages []Stage, env Env) (*Job, error) {
	w, err := newWorker(ctx, name, stages, env)
	if err != nil {
		return nil, err
	}
	return &Job{Name: name, worker: w, state: Starting, done: make(chan struct{})}, nil
}

// Attach opens the tasks that are this process's without running them, so that Views has them.
func (j *Job) Attach(ctx context.Context) error { return j.worker.attach(ctx) }

// Start runs the job on a goroutine of its own until Stop, an error, or the end of a bounded input.
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

// Run runs the job on the caller's goroutine. A bounded input ends it; a live one never does. Whatever makes the outcome of something
// or the ownership of a task doubtful leads to one way out: drop what is uncommitted, take a place in the group again, go on from what
// is durable. A cluster that is away is waited for in the same way, as long as it takes.
func (j *Job) Run(ctx context.Context) error {
	pause, refused := firstPause, 0
	for {
		j.set(Running, nil)
		j.worker.watch(ctx)
		began := time.Now()
		err := guard(func() error { return j.worker.serve(ctx, j.mode(), j.count) })
		if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
			// What has been pushed is whole: commit it, so that a restart need not do it again.
			err = errors.Join(ctx.Err(), j.worker.commit(context.WithoutCancel(ctx)))
		}
		closed := j.worker.Close(context.WithoutCancel(ctx))
		j.count()
		if !passing(err) || j.worker.env.Transient { // what a query has given its client cannot be taken back
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

// passing reports whether an error is no reason to give up: what is durable is sound, and when the broker is there again the job goes on.
func passing(err error) bool {
	return errors.Is(err, topic.ErrLost) || errors.Is(err, topic.ErrUnreachable)
}

// How long a job waits before it goes on from what is durable: little at first, more when it fails again at once.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
	maxRefused = 4 // times at a stretch that the cluster may refuse a right: a broker that has just started may not know all of them
)

// PanicError is a panic in an operator or function: a bug of ours or of an embedder's function. The job fails, the process lives.
type PanicError struct {
	Value any
	Stack []byte
}

func (p *PanicError) Error() string { return fmt.Sprintf("internal error: %v", p.Value) }

// guard turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}

// mode: the inputs of a live job are followed, those of a bounded one worked off.
func (j *Job) mode() mode {
	if j.Bounded() {
		return draining
	}
	return following
}

// Bounded reports whether the job ends by itself.
func (j *Job) Bounded() bool {
	return j.worker.whole
}

// Drain works off what the inputs hold now, commit by commit, and returns. after is called before each commit; it may call Crash.
func (j *Job) Drain(ctx context.Context, after func() error) error {
	j.worker.watch(ctx)
	err := guard(func() error { return j.worker.Drain(ctx, after) })
	j.count()
	return err
}

// Crash drops everything uncommitted and opens the tasks again from what is durable, as after a kill. Tests use it to show that answers
// do not depend on it.
func (j *Job) Crash(ctx context.Context) error {
	if err := j.worker.Close(ctx); err != nil {
		return err
	}
	return j.worker.attach(ctx)
}

// Tasks are the tasks of the last stage, by their changelog's partitions, whoever runs them.
func (j *Job) Tasks() []topic.Partition {
	units := j.worker.units
	last := units[len(units)-1].stage
	var out []topic.Partition
	for _, u := range units {
		if u.stage == last {
			out = append(out, u.changelog)
		}
	}
	return out
}

// View opens the committed state of a task, for reading beside the job; nil: the task does not run here. It must be closed.
func (j *Job) View(task topic.Partition) (state.View, error) {
	w := j.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.units {
		if u.changelog == task && u.task != nil {
			return u.task.ctx.State.View()
		}
	}
	return nil, nil
}

// DropState removes what the tasks of an ended job keep.
func (j *Job) DropState(ctx context.Context) error {
	for _, u := range j.worker.units {
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

// Changelogs lists the changelog topics of the job, which it leaves behind when it ends.
func (j *Job) Changelogs() []string {
	var out []string
	for _, u := range j.worker.units {
		if !slices.Contains(out, u.changelog.Topic) {
			out = append(out, u.changelog.Topic)
		}
	}
	return out
}

// Close ends a job that was never started.
func (j *Job) Close(ctx context.Context) error {
	var errs []error
	if j.hand != nil {
		errs = append(errs, j.hand.close())
		j.hand = nil
	}
	return errors.Join(append(errs, j.worker.Close(ctx))...)
}

// Interrupt asks training to end with its best pass so far; the job then ends as if its input had.
func (j *Job) Interrupt() { j.worker.interrupted.Store(true) }

// Stop ends a started job after committing what it has done, and waits for that.
func (j *Job) Stop() {
	if j.cancel != nil {
		j.cancel()
		<-j.done
	}
}

// Wait waits until a started job ends and returns its error.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case <-j.done:
		_, _, err := j.Status()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended is closed when a started job has ended.
func (j *Job) Ended() <-chan struct{} { return j.done }

// Status is what the job is doing, why it failed if it did, and what it has read.
func (j *Job) Status() (State, Counts, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state, j.counts, j.err
}

// set notes a state. That a job recovers, and that it has, is reported to Env.Changed; all other states are the supervisor's to report.
func (j *Job) set(s State, err error) {
	j.mu.Lock()
	before := j.state
	j.state, j.err = s, err
	if s == Recovering {
		j.counts.Resumed++
	}
	j.mu.Unlock()
	if report := j.worker.env.Changed; report != nil && before != s && (s == Recovering || before == Recovering && s == Running) {
		report(j.Name, s, err)
	}
}
