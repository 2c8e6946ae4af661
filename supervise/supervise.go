// Package supervise keeps the jobs that should run running. It compares the jobs of the catalog with those that run here, and starts,
// stops and restarts them. Each job has a goroutine of its own, so a job that fails, waits or hangs fails, waits or hangs alone.
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

// World is what a supervisor asks of the rest of the engine. Its methods are called without a lock, by one goroutine per job.
type World interface {
	// Wait returns when what a job cannot run without is there. It calls waiting with what that is, if it must wait.
	Wait(ctx context.Context, j *catalog.Job, waiting func(what string)) error
	// Build plans a job and makes it ready to run. Its topics are there when Build returns.
	Build(ctx context.Context, j *catalog.Job) (*exec.Job, error)
	// Sync brings the models that a job predicts with or trains up to what is committed; for jobs that are drained by hand.
	Sync(ctx context.Context, j *catalog.Job) error
	// Report puts the state of a job into the catalog log, and returns when it is applied here. It waits for a broker that is away.
	Report(ctx context.Context, s catalog.State) error
	// Forget removes what a job that has ended for good keeps on this machine.
	Forget(ctx context.Context, j *catalog.Job) error
	// Failure gives an error its code, cause and cure.
	Failure(err error) *catalog.Failure
	// Changed hears of each change of a job's state.
	Changed(s Status)
}

// Policy says who drives the jobs.
type Policy int

// The policies.
const (
	Live Policy = iota // this process, each job on a goroutine of its own
	Hand               // Drain, which the caller calls
	Idle               // other processes
)

// Pace is the times between tries.
type Pace struct {
	First, Longest time.Duration // of the pauses between restarts, which double
	// Settle is how long a job must have run for its next failure to count as the first.
	Settle time.Duration
	// Unknown is how long a topic may be unknown before that needs a decision.
	Unknown time.Duration
}

// DefaultPace is the pace of a process.
var DefaultPace = Pace{First: 500 * time.Millisecond, Longest: 30 * time.Second, Settle: time.Minute, Unknown: time.Minute}

// Supervisor keeps the jobs of one process.
type Supervisor struct {
	world  World
	policy Policy
	pace   Pace
	random func() uint64
	ctx    context.Context
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex // guards runners and order; never held over I/O
	runners map[string]*runner
	order   []string
	leaving []*runner // of jobs that have ended for good, until they have stopped
}

// New makes a supervisor without jobs. random spreads the restarts of several processes.
func New(ctx context.Context, w World, p Policy, pace Pace, random func() uint64) *Supervisor {
	s := &Supervisor{world: w, policy: p, pace: pace, random: random, runners: map[string]*runner{}}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// Set says which jobs should run: those of a catalog. It does not wait for them.
func (s *Supervisor) Set(c *catalog.Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// Close stops all jobs, each after a last commit, and waits for that.
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

// Gone returns when the jobs that have ended for good have stopped here and their state is removed.
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

// Status lists the jobs by creation.
func (s *Supervisor) Status() []Status {
	var out []Status
	for _, r := range s.all() {
		out = append(out, r.status())
	}
	return out
}

// Of is the status of one job; false: there is no such job.
func (s *Supervisor) Of(job string) (Status, bool) {
	r := s.runner(job)
	if r == nil {
		return Status{}, false
	}
	return r.status(), true
}

// Running is a job's tasks in this process; nil: it does not run here now.
func (s *Supervisor) Running(job string) *exec.Job {
	if r := s.runner(job); r != nil {
		return r.running()
	}
	return nil
}

// Interrupt asks a training to end with its best pass.
func (s *Supervisor) Interrupt(job string) {
	if run := s.Running(job); run != nil {
		run.Interrupt()
	}
}

// Settled waits until a job has been started, or waits for something, or has failed.
func (s *Supervisor) Settled(ctx context.Context, job string) (Status, error) {
	return s.until(ctx, job, func(st Status) bool { return st.State != exec.Starting || s.policy == Idle })
}

// Ended waits until a bounded job has ended, and returns why it failed if it did.
func (s *Supervisor) Ended(ctx context.Context, job string) (Status, error) {
	return s.until(ctx, job, func(st Status) bool { return st.State == exec.Done || st.State == exec.Failed })
}

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

// Status is what a job is doing in this process.
type Status struct {
	Job      *catalog.Job
	State    exec.State
	Since    time.Time
	Failure  *catalog.Failure // of FAILED and RESTARTING
	Attempt  int              // of RESTARTING: how often it has been tried
	Next     time.Time        // of RESTARTING: when it is tried again
	Waits    string           // of WAITING: for what
	Counts   exec.Counts      // here, since the process was started
	Restarts int64            // here, since the process was started
	RunsHere bool
}
