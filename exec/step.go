package exec

import (
	"context"
	"errors"
	"slices"

	"github.com/streamql/streamql/topic"
)

// Step drives a live job by hand, on the caller's goroutine and without any other: it takes the job's place in its group if it has none;
// else it follows what the group says, letting tasks go and opening others; then it polls one partition, which choose picks among n,
// and commits if that is due. worked is false when there was nothing to do. What would have to wait ends with ctx, so a ctx that has
// ended makes a Step that never waits, and what is not finished then goes on at the next.
//
// A topic.ErrLost or ErrUnreachable is no error: the job drops what is uncommitted, and the next Step goes on from what is durable. After any other error
// the job can only be closed. A panic of an operator or of the broker is not caught. Close ends the job without a commit.
func (j *Job) Step(ctx context.Context, choose func(n int) int) (worked bool, err error) {
	if j.steps == nil {
		j.set(Running, nil)
		j.steps = &stepping{w: j.worker}
	}
	worked, err = j.steps.step(ctx, choose)
	j.count()
	if !passing(err) {
		return worked, err
	}
	j.set(Recovering, err)
	return true, j.Close(context.WithoutCancel(ctx))
}

// stepping is what a job that is driven by hand has in place of a session: everything in it goes on from Step to Step.
type stepping struct {
	w       *Worker
	given   []*unit // by the last assignment; those without a task are to be opened
	readers []*reading
}

// reading is a reader of one partition for one task.
type reading struct {
	topic.Reader
	unit *unit
	task *Task
	part topic.Partition
}

func (s *stepping) step(ctx context.Context, choose func(n int) int) (worked bool, err error) {
	if s.w.member == nil {
		err := s.w.join(ctx)
		return !waits(ctx, err), unlessWaits(ctx, err)
	}
	for _, do := range []func(context.Context) (bool, error){s.news, s.open} {
		did, err := do(ctx)
		if worked = worked || did; err != nil {
			return worked, err
		}
	}
	did, err := s.poll(ctx, choose)
	if err != nil {
		return worked, err
	}
	if due, _ := s.w.due(); due {
		return true, s.w.commit(ctx)
	}
	return worked || did, nil
}

// waits reports whether something had to wait and was not to.
func waits(ctx context.Context, err error) bool { return err != nil && errors.Is(err, ctx.Err()) }

func unlessWaits(ctx context.Context, err error) error {
	if waits(ctx, err) {
		return nil
	}
	return err
}

// news follows what the group says. To ask again is the answer to the last time: by then what was lost has been let go.
func (s *stepping) news(ctx context.Context) (bool, error) {
	a, err := s.w.member.Next(ctx)
	if err != nil {
		return false, unlessWaits(ctx, err)
	}
	given := s.w.given(a)
	var lost []*unit
	for _, u := range s.w.units {
		if u.task != nil && !slices.Contains(given, u) {
			lost = append(lost, u)
		}
	}
	if err := s.w.letGo(ctx, lost); err != nil {
		return true, err
	}
	for _, u := range lost {
		if err := s.leave(u); err != nil {
			return true, err
		}
	}
	s.given = given
	s.w.assigned(a)
	return true, nil
}

// open opens the first task that is ours and not open yet.
func (s *stepping) open(ctx context.Context) (bool, error) {
	for _, u := range s.given {
		if u.task != nil {
			continue
		}
		store, err := s.w.prepare(ctx, u)
		if err != nil {
			return false, unlessWaits(ctx, err)
		}
		if err := s.w.install(u, store); err != nil {
			return true, errors.Join(err, store.Close())
		}
		for _, span := range u.task.spans {
			span.From = u.task.position[span.Partition]
			if err := s.read(ctx, u, span); err != nil {
				return true, err
			}
		}
		return true, nil
	}
	return false, nil
}

func (s *stepping) read(ctx context.Context, u *unit, span topic.Span) error {
	if span.From >= span.To {
		return nil
	}
	r, err := s.w.env.Source(span.Topic).Open(ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	s.readers = append(s.readers, &reading{r, u, u.task, span.Partition})
	return nil
}

// poll takes what one partition has.
func (s *stepping) poll(ctx context.Context, choose func(n int) int) (bool, error) {
	if len(s.readers) == 0 {
		return false, nil
	}
	i := choose(len(s.readers))
	r := s.readers[i]
	fetches, err := r.Poll(ctx)
	if waits(ctx, err) {
		return false, nil
	}
	again, failed := s.w.arrived(fetched{r.unit, r.task, fetches, r.part, err})
	if err != nil { // it has ended, at a gap or for good
		s.readers = slices.Delete(s.readers, i, i+1)
		failed = errors.Join(failed, r.Close())
	}
	if failed == nil && again != nil {
		failed = s.read(ctx, r.unit, *again)
	}
	return true, failed
}

// leave ends the reading for a task.
func (s *stepping) leave(u *unit) (err error) {
	s.readers = slices.DeleteFunc(s.readers, func(r *reading) bool {
		if r.unit == u {
			err = errors.Join(err, r.Close())
		}
		return r.unit == u
	})
	return err
}

func (s *stepping) close() error {
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.Close())
	}
	s.readers, s.given = nil, nil
	return errors.Join(errs...)
}
