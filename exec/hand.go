package exec

import (
	"context"
	"errors"
	"slices"

	"github.com/streamql/streamql/topic"
)

// hand is the feeder without goroutines: it executes one command at a time on its caller's
// goroutine. A command that would block and may not stays in todo.
type hand struct {
	w       *Worker
	readers map[*reading]topic.Reader
}

// newHand returns a feeder that has not executed anything yet.
func newHand(w *Worker) *hand { return &hand{w, map[*reading]topic.Reader{}} }

// attach joins the job's group and opens the assigned tasks as of the last commit.
func (w *Worker) attach(ctx context.Context) error {
	if err := w.begin(ctx, idle); err != nil {
		return err
	}
	return newHand(w).work(ctx, !w.env.Transient)
}

// Drain reads each stage's inputs up to their present ends, in the order of stages, and commits
// after every fetch. It is the single-goroutine form of a drain, for tests. If before is not
// nil, it is called before each of these commits. Drain joins the group if the worker is not a
// member and then ignores later assignments.
func (w *Worker) Drain(ctx context.Context, before func() error) error {
	if w.member == nil && !w.env.Transient {
		if err := w.attach(ctx); err != nil {
			return err
		}
	}
	h := newHand(w)
	w.before = before
	defer func() { w.before, w.mode = nil, idle }()
	err := w.begin(ctx, draining)
	if err == nil {
		err = h.work(ctx, false)
	}
	return errors.Join(err, h.close())
}

// work executes commands in the order in which they were added, until only commands that wait
// for other members are left. With assign, it requests one assignment from the group.
func (h *hand) work(ctx context.Context, assign bool) error {
	for {
		i := slices.IndexFunc(h.w.todo, func(c command) bool {
			switch c.(type) {
			case toAsk:
				return assign
			case toWarm:
				return false
			}
			return true
		})
		if i < 0 {
			return nil
		}
		if _, asks := h.w.todo[i].(toAsk); asks {
			assign = false
		}
		worked, err := h.one(ctx, i)
		if err == nil && !worked {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// one executes the i-th command and passes the resulting event to the worker. worked is false
// if the command would have blocked; it then stays in todo.
func (h *hand) one(ctx context.Context, i int) (worked bool, err error) {
	c := h.w.todo[i]
	h.w.todo = slices.Delete(h.w.todo, i, i+1)
	e, err := h.carry(ctx, c)
	if err != nil && errors.Is(err, ctx.Err()) {
		h.w.todo = slices.Insert(h.w.todo, i, c)
		return false, h.w.step(ctx, tick{})
	}
	return true, h.w.step(ctx, e)
}

// carry executes a command on the caller's goroutine. Polls use readers that belong to the
// hand; all others go to Worker.carry.
func (h *hand) carry(ctx context.Context, c command) (event, error) {
	switch c := c.(type) {
	case toPoll:
		return h.poll(ctx, c.reading)
	case toDrop:
		h.drop(c.slot)
		return dropped{c.slot}, nil
	}
	return h.w.carry(ctx, c)
}

// poll returns the available records of one partition. A reader that has failed or is at its
// end or at a gap is closed.
func (h *hand) poll(ctx context.Context, r *reading) (event, error) {
	reader, err := h.readers[r], error(nil)
	if reader == nil {
		if reader, err = h.w.open(ctx, r); err != nil {
			return fetched{reading: r, err: err}, err
		}
		h.readers[r] = reader
	}
	fetches, err := reader.Poll(ctx)
	if err != nil && !errors.Is(err, ctx.Err()) {
		delete(h.readers, r)
		_ = reader.Close() // err is the more useful error
	}
	return fetched{r, fetches, err}, err
}

// drop cancels everything that is pending for a slot.
func (h *hand) drop(u *slot) {
	h.w.todo = slices.DeleteFunc(h.w.todo, func(c command) bool {
		switch c := c.(type) {
		case toRestore:
			return c.slot == u
		case toWarm:
			return c.slot == u
		case toPoll:
			return c.reading.slot == u
		}
		return false
	})
	for r, reader := range h.readers {
		if r.slot == u {
			delete(h.readers, r)
			_ = reader.Close()
		}
	}
}

// close closes the readers.
func (h *hand) close() error {
	var errs []error
	for _, r := range h.readers {
		errs = append(errs, r.Close())
	}
	clear(h.readers)
	return errors.Join(errs...)
}

// Step advances a job by one command on the caller's goroutine and starts no other goroutine.
// choose picks one of the n pending commands, for example to follow the assignment, to restore
// a task or to poll a partition; work that is due by the clock is done as well. worked is false
// if nothing was pending. A blocking command ends with ctx, so Step never blocks if ctx has
// ended; the unfinished command continues in a later Step.
//
// topic.ErrLost and ErrUnreachable are not returned: the job drops its uncommitted work, and
// the next Step continues from the last commit. After any other error the job can only be
// closed. Panics of operators and of the broker are not recovered. Close ends the job without a
// commit.
func (j *Job) Step(ctx context.Context, choose func(n int) int) (worked bool, err error) {
	if j.hand == nil {
		j.set(Running, nil)
		j.hand = newHand(j.worker)
		err = j.worker.begin(ctx, j.mode())
	}
	switch n := len(j.worker.todo); {
	case err != nil:
	case n == 0:
		err = j.worker.step(ctx, tick{})
	default:
		worked, err = j.hand.one(ctx, choose(n))
	}
	j.count()
	if !recoverable(err) {
		return worked, err
	}
	j.set(Recovering, err)
	return true, j.Close(context.WithoutCancel(ctx))
}
