package supervise

import (
	"context"
	"errors"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
)

// ErrCrash is returned by a callback of Drain to simulate a crash of the job.
var ErrCrash = errors.New("crash")

// hold prepares a job for Drain and keeps it until the catalog changes. The spans of a bounded
// job are determined when it is drained.
func (r *runner) hold(ctx context.Context, j *catalog.Job) error {
	if j.Bounded {
		r.set(Status{State: exec.Paused})
		// Drain builds, runs and closes the job itself, on the goroutine of its caller.
		<-ctx.Done()
		return ctx.Err()
	}
	run, err := r.s.world.Build(ctx, j)
	if err != nil {
		return err
	}
	r.enter(run)
	r.set(Status{State: exec.Running})
	<-ctx.Done()
	r.leave()
	return errors.Join(ctx.Err(), run.Close(context.WithoutCancel(ctx)))
}

// Drain processes the present content of the inputs of all jobs, job by job in the order of
// creation. after, if not nil, is called after each step, before its commit. If it returns
// ErrCrash, the job drops uncommitted work and continues from its last commit, as after a kill.
func (s *Supervisor) Drain(ctx context.Context, after func(job string) error) error {
	for _, r := range s.all() {
		st, err := s.Settled(ctx, r.status().Job.Name)
		if err != nil {
			return err
		}
		if !st.Job.Runs() {
			continue
		}
		if err := r.drain(ctx, st.Job, after); err != nil {
			return err
		}
	}
	return nil
}

// drain runs one job on the caller's goroutine until its inputs are read. The runner's loop waits
// meanwhile: in hold, or in attempt until the catalog changes.
func (r *runner) drain(ctx context.Context, j *catalog.Job, after func(string) error) error {
	hook := func() error { return nil }
	if after != nil {
		hook = func() error { return after(j.Name) }
	}
	if err := r.s.world.Sync(ctx, j); err != nil {
		return err
	}
	defer func() { _ = r.s.world.Sync(ctx, j) }() // if the broker cannot be read, the job has failed already
	// A job that is not bounded is open already: hold keeps it. A bounded job is opened here, so
	// that its spans end at the present ends of its inputs.
	run := r.running()
	if run == nil {
		var err error
		if run, err = r.s.world.Build(ctx, j); err != nil {
			return err
		}
		r.enter(run)
		defer r.leave()
		defer run.Close(context.WithoutCancel(ctx))
	}
	for {
		err := run.Drain(ctx, hook)
		if errors.Is(err, ErrCrash) {
			// Crash drops the uncommitted changes and opens the tasks again, as of their last commit.
			if err := run.Crash(ctx); err != nil {
				return err
			}
			continue
		}
		if err == nil && j.Bounded {
			return r.s.world.Report(ctx, catalog.State{Job: j.Name, State: catalog.Done, Generation: j.Generation})
		}
		return err
	}
}
