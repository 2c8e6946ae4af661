// Package supervise runs the jobs that should run. It compares the jobs of the catalog with
// those that run in this process, and starts, stops and restarts them. Each job has its own
// goroutine, so a job that fails, waits or hangs does not affect the others.
package supervise

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
)

// World is the part of the engine that a supervisor uses. Its methods are called without a
// lock, by one goroutine per job.
type World interface {
	// Wait returns when the preconditions of a job are met. If it must wait, it calls waiting
	// with a description of the missing precondition.
	Wait(ctx context.Context, j *catalog.Job, waiting func(what string)) error
	// Build plans a job and creates its topics, so that it is ready to run.
	Build(ctx context.Context, j *catalog.Job) (*exec.Job, error)
	// Sync updates the models that a job predicts with or trains to their committed state, for
	// jobs that are drained manually.
	Sync(ctx context.Context, j *catalog.Job) error
	// Report appends the status of a job to the catalog log and returns when it is applied
	// here. It waits while the broker is unreachable.
	Report(ctx context.Context, s catalog.State) error
	// Forget deletes the local data of a job that has ended for good.
	Forget(ctx context.Context, j *catalog.Job) error
	// Failure returns the code, cause and remedy of an error.
	Failure(err error) *catalog.Failure
	// Changed receives each change of a job's status.
	Changed(s Status)
}

// Policy determines who drives the jobs.
type Policy int

// The policies.
const (
	Live Policy = iota // this process, each job on its own goroutine
	Hand               // the caller, through Drain
	Idle               // other processes
)

// Pace contains the delays of restarts.
type Pace struct {
	First, Longest time.Duration // the backoff between restarts, which doubles
	// Settle is how long a job must have run for its next failure to count as the first.
	Settle time.Duration
	// Unknown is how long a topic may be unknown before a user must decide.
	Unknown time.Duration
}

// DefaultPace is the pace of production.
var DefaultPace = Pace{
	First:   500 * time.Millisecond,
	Longest: 30 * time.Second,
	Settle:  time.Minute,
	Unknown: time.Minute,
}

// Supervisor runs the jobs of one process. Any goroutine may call its methods.
type Supervisor struct {
	world  World
	policy Policy
	pace   Pace
	random func() uint64
	ctx    context.Context
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex // guards the fields below; never held during I/O
	runners map[string]*runner
	order   []string
	// A runner is in runners from the first snapshot that contains its job until the first that
	// does not. It is then in leaving until Gone finds it stopped.
	leaving []*runner // of jobs that have ended for good and have not stopped yet
}

// New returns a supervisor without jobs. random randomizes the restarts of several processes.
func New(ctx context.Context, w World, p Policy, pace Pace, random func() uint64) *Supervisor {
	s := &Supervisor{world: w, policy: p, pace: pace, random: random, runners: map[string]*runner{}}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// Set sets the jobs that should run to those of a catalog. It does not wait for them.
// One goroutine at a time calls it, with the snapshots in the order of the log.
func (s *Supervisor) Set(c *catalog.Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Close cancels ctx under mu. No runner is therefore added to work after Close has begun to
	// wait.
	if s.ctx.Err() != nil {
		return
	}
	jobs, want := c.Jobs(), map[string]bool{}
	s.order = s.order[:0]
	for _, j := range jobs {
		want[j.Name] = true
		s.order = append(s.order, j.Name)
		r := s.runners[j.Name]
		if r == nil {
			r = newRunner(s, j)
			s.runners[j.Name] = r
			s.work.Go(r.loop)
			continue
		}
		r.want(j)
	}
	for name, r := range s.runners {
		if !want[name] {
			r.want(nil)
			delete(s.runners, name)
			s.leaving = append(s.leaving, r)
		}
	}
}

// Close stops all jobs, each after a final commit, and returns when they have stopped.
func (s *Supervisor) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.work.Wait()
}

func (s *Supervisor) runner(job string) *runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runners[job]
}

func (s *Supervisor) all() []*runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*runner, len(s.order))
	for i, name := range s.order {
		out[i] = s.runners[name]
	}
	return out
}

// Gone returns when the jobs that have ended for good have stopped here and their local state
// is deleted.
func (s *Supervisor) Gone(ctx context.Context) error {
	for {
		s.mu.Lock()
		s.leaving = slices.DeleteFunc(s.leaving, func(r *runner) bool {
			select {
			case <-r.gone:
				return true
			default:
				return false
			}
		})
		if len(s.leaving) == 0 {
			s.mu.Unlock()
			return nil
		}
		next := s.leaving[0]
		s.mu.Unlock()
		select {
		case <-next.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Status returns the statuses of all jobs, in the order of creation.
func (s *Supervisor) Status() []Status {
	var out []Status
	for _, r := range s.all() {
		out = append(out, r.status())
	}
	return out
}

// Of returns the status of one job; false: the job does not exist.
func (s *Supervisor) Of(job string) (Status, bool) {
	r := s.runner(job)
	if r == nil {
		return Status{}, false
	}
	return r.status(), true
}

// Running returns the run of a job in this process; nil: it is not running here.
func (s *Supervisor) Running(job string) *exec.Job {
	if r := s.runner(job); r != nil {
		return r.running()
	}
	return nil
}

// Interrupt ends a training with its best pass so far.
func (s *Supervisor) Interrupt(job string) {
	if run := s.Running(job); run != nil {
		run.Interrupt()
	}
}

// Settled waits until a job has been started, waits for a precondition, or has failed.
func (s *Supervisor) Settled(ctx context.Context, job string) (Status, error) {
	return s.until(ctx, job, func(st Status) bool { return st.State != exec.Starting || s.policy == Idle })
}

// Ended waits until a bounded job has ended. If it has failed, the status contains the failure.
func (s *Supervisor) Ended(ctx context.Context, job string) (Status, error) {
	return s.until(ctx, job, func(st Status) bool { return st.State == exec.Done || st.State == exec.Failed })
}

// until waits for a status of a job. It finds the runner again after each change, because the
// catalog may have dropped the job. The error reports the end of ctx, of the supervisor or of the
// job.
func (s *Supervisor) until(ctx context.Context, job string, is func(Status) bool) (Status, error) {
	for {
		r := s.runner(job)
		if r == nil {
			return Status{}, fmt.Errorf("job %s was terminated", job)
		}
		st, moved := r.watch()
		if is(st) {
			return st, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return st, ctx.Err()
		case <-s.ctx.Done():
			return st, context.Canceled
		}
	}
}

// Status is the status of a job in this process.
type Status struct {
	Job      *catalog.Job
	State    exec.State
	Since    time.Time
	Failure  *catalog.Failure // of FAILED and RESTARTING
	Attempt  int              // of RESTARTING: the number of restarts
	Next     time.Time        // of RESTARTING: the time of the next restart
	Waits    string           // of WAITING: the missing precondition
	Counts   exec.Counts      // here, since the start of the process
	Restarts int64            // here, since the start of the process
	RunsHere bool
}
