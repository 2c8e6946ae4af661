package supervise

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
)

// runner controls one job. Its loop is the only goroutine that starts and stops the job. Other
// goroutines read its fields, and set job, under mu.
//
//	STARTING -> WAITING -> STARTING -> RUNNING -> DONE
//	    any of them -> RESTARTING -> STARTING, or -> FAILED
//	    PAUSED, DONE and FAILED last until the catalog changes
type runner struct {
	s *Supervisor

	mu      sync.Mutex    // guards the fields below; never held during a call of World or of exec.Job.Drain
	job     *catalog.Job  // from the catalog; nil: it has ended for good
	last    *catalog.Job  // the last job that was not nil
	changed chan struct{} // closed and replaced when job changes
	moved   chan struct{} // closed and replaced when now changes
	gone    chan struct{} // closed when loop has ended
	now     Status
	run     *exec.Job   // set while its tasks are in this process
	before  exec.Counts // of earlier runs
	// restarts counts the transitions to RESTARTING.
	restarts int64
}

func newRunner(s *Supervisor, j *catalog.Job) *runner {
	return &runner{
		s:       s,
		job:     j,
		last:    j,
		changed: make(chan struct{}),
		moved:   make(chan struct{}),
		gone:    make(chan struct{}),
		now:     Status{Job: j, State: exec.Starting, Since: time.Now()},
	}
}

// want sets the job of the newest catalog.
func (r *runner) want(j *catalog.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.job
	r.job = j
	if j != nil {
		r.last = j
	}
	// The pointer is stored in any case, for Status. The present generation continues with the job
	// that it was started with; World reads a field that may differ, like Made, from the catalog.
	if j == before ||
		j != nil && before != nil && j.Generation == before.Generation && j.Runs() == before.Runs() &&
			j.Failure == before.Failure {
		return // nothing that the run depends on has changed
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// target returns the job to run and the channel that reports its next change. Both are read under
// one lock, so that loop misses no change between them.
func (r *runner) target() (*catalog.Job, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job, r.changed
}

// loop runs until the job has ended for good or the supervisor closes. It closes gone last: then no
// task of the job runs here, and its local data is deleted, unless the supervisor was closed first.
func (r *runner) loop() {
	defer close(r.gone)
	ctx := r.s.ctx
	for ctx.Err() == nil {
		j, changed := r.target()
		if j == nil {
			r.forget(ctx)
			return
		}
		if j.Runs() {
			r.generation(ctx, j, changed)
			continue
		}
		r.set(Status{State: resting(j), Failure: j.Failure})
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// resting returns the status of a job that should not run.
func resting(j *catalog.Job) exec.State {
	switch {
	case j.Failure != nil:
		return exec.Failed
	case j.Done:
		return exec.Done
	}
	return exec.Paused
}

// forget deletes the local data of a job that the catalog no longer contains. It retries until it
// succeeds or the supervisor closes; data that remains then is unused but stays on disk.
func (r *runner) forget(ctx context.Context) {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	for pause := r.s.pace.First; ; pause = min(2*pause, r.s.pace.Longest) {
		err := r.s.world.Forget(ctx, last)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.set(Status{State: exec.Stopped, Failure: r.s.world.Failure(err)})
		sleep(ctx, pause)
	}
}

// generation runs a job until the catalog changes it. An error of the job is handled according
// to its class.
func (r *runner) generation(ctx context.Context, j *catalog.Job, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	// The counts of failures belong to the generation: RESTART or RESUME begins with the first
	// delay.
	t := trouble{pace: r.s.pace, random: r.s.random}
	for ctx.Err() == nil {
		began := time.Now()
		err := r.attempt(ctx, j)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			r.report(
				ctx,
				catalog.State{Job: j.Name, State: catalog.Done, Generation: j.Generation},
				Status{State: exec.Done},
			)
			continue
		}
		wait, again := t.next(err, time.Since(began))
		f := r.s.world.Failure(err)
		if !again {
			s := catalog.State{Job: j.Name, State: catalog.Failed, Failure: f, Generation: j.Generation}
			if j.Bounded {
				s.State = catalog.Done
			}
			r.report(ctx, s, Status{State: exec.Failed, Failure: f})
			continue
		}
		// attempt has closed its run, so the job holds no task, transaction or memory while it
		// waits.
		r.set(Status{State: exec.Restarting, Failure: f, Attempt: t.attempts, Next: time.Now().Add(wait)})
		sleep(ctx, wait)
	}
}

// report appends a status to the log and waits until the catalog has it. A user who sees FAILED can
// act on it in any process, so the status is not shown here before, unless the log cannot be written.
func (r *runner) report(ctx context.Context, s catalog.State, here Status) {
	for pause := r.s.pace.First; ctx.Err() == nil; pause = min(2*pause, r.s.pace.Longest) {
		if err := r.s.world.Report(ctx, s); err == nil {
			<-ctx.Done() // the catalog has changed, so this generation ends
			return
		}
		r.set(here)
		sleep(ctx, pause)
	}
}

// attempt starts a job and returns when it has ended; nil: its bounded input has ended.
func (r *runner) attempt(ctx context.Context, j *catalog.Job) error {
	r.set(Status{State: exec.Starting})
	if r.s.policy == Idle {
		<-ctx.Done()
		return ctx.Err()
	}
	if r.s.policy == Hand {
		return r.hold(ctx, j)
	}
	if err := r.s.world.Wait(ctx, j, func(what string) { r.set(Status{State: exec.Waiting, Waits: what}) }); err != nil {
		return err
	}
	r.set(Status{State: exec.Starting})
	run, err := r.s.world.Build(ctx, j)
	if err != nil {
		return err
	}
	r.enter(run)
	defer r.leave()
	r.set(Status{State: exec.Running})
	// ctx ends when the catalog changes the job or the supervisor closes. The run then makes a last
	// commit, releases its tasks and closes Ended.
	run.Start(ctx)
	<-run.Ended()
	_, _, err = run.Status()
	return errors.Join(err, ctx.Err())
}

// enter records that the tasks of a job are in this process; leave records that they no longer
// are.
func (r *runner) enter(run *exec.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run = run
}

func (r *runner) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil {
		_, c, _ := r.run.Status()
		r.before = r.before.Add(c)
	}
	r.run = nil
}

func (r *runner) running() *exec.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.run
}

// set changes the status and notifies World.Changed and the goroutines that wait for it.
func (r *runner) set(s Status) {
	r.mu.Lock()
	// Since is the beginning of the state, not of its last report.
	s.Job, s.Since = r.last, time.Now()
	if s.State == r.now.State {
		s.Since = r.now.Since
	}
	known := s.State == r.now.State && s.Waits == r.now.Waits && s.Attempt == r.now.Attempt
	if s.State == exec.Restarting {
		r.restarts++
	}
	r.now = s
	close(r.moved)
	r.moved = make(chan struct{})
	r.mu.Unlock()
	// World is called without the lock, because it may read the status of this job.
	if !known {
		r.s.world.Changed(s)
	}
}

// watch returns the status and the channel that reports the next change. The channel is read first,
// so that a change between the two reads is reported, at worst twice.
func (r *runner) watch() (Status, <-chan struct{}) {
	r.mu.Lock()
	moved := r.moved
	r.mu.Unlock()
	return r.status(), moved
}

// status returns the runner's status, or that of the job while its tasks run.
func (r *runner) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.now
	switch {
	case r.job != nil && !r.job.Runs(): // the catalog has changed before the loop noticed
		s = Status{State: resting(r.job), Failure: r.job.Failure, Since: s.Since}
	case s.Job.Generation != r.last.Generation:
		s = Status{State: exec.Starting, Since: s.Since}
	}
	s.Job, s.Counts, s.Restarts = r.last, r.before, r.restarts
	if r.run == nil {
		return s
	}
	state, counts, _ := r.run.Status()
	s.Counts, s.RunsHere = r.before.Add(counts), true
	if s.State == exec.Running && state != exec.Starting && state != exec.Done && state != exec.Failed &&
		state != exec.Stopped {
		s.State = state // RUNNING or RECOVERING; the runner reports how a run ends
	}
	return s
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
