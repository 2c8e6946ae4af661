package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// State is what a job is doing.
type State string

// The states of a job.
const (
	Starting State = "STARTING"
	Running  State = "RUNNING"
	Failed   State = "FAILED"
	Done     State = "DONE"
	Stopped  State = "STOPPED"
)

// Job is the run of a plan.
type Job struct {
	Name   string
	worker *Worker
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	state  State
	err    error
	counts Counts
}

// Counts is what a job has read and what became of it, since it was started.
type Counts struct {
	Rows    int64 // read
	Late    int64 // came after their window had closed
	Letters int64 // could not be decoded
}

// New makes a job as of its last commit without running it; Start or Drain do.
func New(ctx context.Context, name string, stages []Stage, env Env) (*Job, error) {
	w, err := newWorker(ctx, name, stages, env)
	if err != nil {
		return nil, err
	}
	return &Job{Name: name, worker: w, state: Starting, done: make(chan struct{})}, nil
}

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

// Run runs the job on the caller's goroutine. A bounded input ends it; a live one never does.
func (j *Job) Run(ctx context.Context) error {
	j.set(Running, nil)
	if f := j.worker.env.OnStop; f != nil {
		defer context.AfterFunc(ctx, f)()
	}
	err := guard(func() error { return j.loop(ctx) })
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		// What has been pushed is whole: commit it, so that a restart need not do it again.
		err = errors.Join(ctx.Err(), j.worker.commit(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, j.worker.Close(context.WithoutCancel(ctx)))
}

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

func (j *Job) loop(ctx context.Context) error {
	if j.Bounded() {
		return j.worker.Drain(ctx, func() error { j.count(); return ctx.Err() })
	}
	return j.follow(ctx)
}

// Bounded reports whether the job ends by itself.
func (j *Job) Bounded() bool {
	all := true
	_ = j.worker.all(func(t *Task) error {
		for _, s := range t.spans {
			all = all && s.To != topic.End
		}
		return nil
	})
	return all
}

// Drain works off what the inputs hold now, commit by commit, and returns. after is called before each commit; it may call Crash.
func (j *Job) Drain(ctx context.Context, after func() error) error {
	err := guard(func() error { return j.worker.Drain(ctx, after) })
	j.count()
	return err
}

// Crash drops everything uncommitted and opens the tasks again from what is durable.
func (j *Job) Crash(ctx context.Context) error { return j.worker.Crash(ctx) }

// Views opens the committed state of each task of the last stage, for reading beside the job. They must be closed.
func (j *Job) Views() ([]state.View, error) {
	var out []state.View
	for _, t := range j.worker.tasks[len(j.worker.tasks)-1] {
		v, err := t.ctx.State.View()
		if err != nil {
			for _, v := range out {
				v.Close()
			}
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// DropState removes what the tasks of an ended job keep.
func (j *Job) DropState(ctx context.Context) error {
	return j.worker.all(func(t *Task) error {
		s, err := j.worker.env.Store(t.Name)
		if err != nil {
			return err
		}
		return s.Drop()
	})
}

// Close ends a job that was never started.
func (j *Job) Close(ctx context.Context) error { return j.worker.Close(ctx) }

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

func (j *Job) set(s State, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state, j.err = s, err
}

func (j *Job) count() {
	c := Counts{Late: j.worker.late, Letters: j.worker.letters.total}
	_ = j.worker.all(func(t *Task) error { c.Rows += t.rows; return nil })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts = c
}

// fetched is what a pump brought for a task.
type fetched struct {
	task    *Task
	fetches []topic.Fetch
	part    topic.Partition
	err     error
}

// follow reads live inputs: a pump per partition waits for data, the worker's goroutine does everything else.
func (j *Job) follow(ctx context.Context) error {
	w := j.worker
	ctx, cancel := context.WithCancel(ctx)
	in := make(chan fetched)
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer cancel()
	err := w.all(func(t *Task) error {
		for _, s := range t.spans {
			s.From = t.position[s.Partition]
			r, err := w.env.Source(s.Topic).Open(ctx, []topic.Span{s})
			if err != nil {
				return err
			}
			pumps.Add(1)
			go func() {
				defer pumps.Done()
				defer r.Close()
				pump(ctx, t, s.Partition, r, in)
			}()
		}
		return nil
	})
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := w.due()
		if due {
			if err := w.commit(ctx); err != nil {
				return err
			}
			_, wait = w.due()
		}
		timer.Reset(max(wait, time.Millisecond))
		select {
		case f := <-in:
			if err := j.handle(f); err != nil {
				return err
			}
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *Job) handle(f fetched) error {
	if errors.Is(f.err, io.EOF) {
		f.task.ended(f.part)
		return nil
	}
	if f.err != nil {
		return f.err
	}
	for i := range f.fetches {
		if err := j.worker.take(f.task, &f.fetches[i], false); err != nil {
			return err
		}
	}
	j.count()
	return nil
}

// pump reads one fetch ahead of the worker.
func pump(ctx context.Context, t *Task, p topic.Partition, r topic.Reader, out chan<- fetched) {
	for {
		fetches, err := r.Poll(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case out <- fetched{t, fetches, p, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
