package exec

import (
	"context"
	"errors"
	"slices"

	"github.com/streamql/streamql/topic"
)

// hand is the feeder without goroutines: it carries out one command at a time, on its caller's goroutine, and what would have to wait
// and may not stays among the commands.
type hand struct {
	w       *Worker
	readers map[*reading]topic.Reader
}

func newHand(w *Worker) *hand { return &hand{w, map[*reading]topic.Reader{}} }

// attach takes the worker's place in the job's group and opens the tasks that are given to it, as of the last commit.
func (w *Worker) attach(ctx context.Context) error {
	if err := w.begin(ctx, idle); err != nil {
		return err
	}
	return newHand(w).work(ctx, !w.env.Transient)
}

// Drain reads each stage's inputs up to where they end now, in the order of stages, and commits after every fetch: a job worked off by
// hand, for tests. before, if not nil, is called before each of these commits. It takes the worker's place in its group if it has none,
// and after that does not follow what the group says.
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

// work carries out commands in the order in which they were given until none is left but those that wait for somebody else. With ask, the
// group is asked once.
func (h *hand) work(ctx context.Context, ask bool) error {
	for {
		i := slices.IndexFunc(h.w.todo, func(c command) bool {
			switch c.(type) {
			case toAsk:
				return ask
			case toWarm:
				return false
			}
			return true
		})
		if i < 0 {
			return nil
		}
		if _, asks := h.w.todo[i].(toAsk); asks {
			ask = false
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

// one carries out the i-th command and hands the worker what came of it. worked is false when it would have had to wait: then it stays.
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

func (h *hand) carry(ctx context.Context, c command) (event, error) {
	switch c := c.(type) {
	case toPoll:
		return h.poll(ctx, c.reading)
	case toDrop:
		h.drop(c.unit)
		return gone{c.unit}, nil
	}
	return h.w.carry(ctx, c)
}

// poll takes what one partition has. A reader that has failed, at its end or at a gap or for good, is closed.
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
		_ = reader.Close() // err says more
	}
	return fetched{r, fetches, err}, err
}

// drop ends whatever is to be done for a unit.
func (h *hand) drop(u *unit) {
	h.w.todo = slices.DeleteFunc(h.w.todo, func(c command) bool {
		switch c := c.(type) {
		case toRestore:
			return c.unit == u
		case toWarm:
			return c.unit == u
		case toPoll:
			return c.reading.unit == u
		}
		return false
	})
	for r, reader := range h.readers {
		if r.unit == u {
			delete(h.readers, r)
			_ = reader.Close()
		}
	}
}

func (h *hand) close() error {
	var errs []error
	for _, r := range h.readers {
		errs = append(errs, r.Close())
	}
	clear(h.readers)
	return errors.Join(errs...)
}

// Step drives a job by hand, on the caller's goroutine and without any other: of all that is to be done next, to follow what the
// group says, to restore a task, to poll a partition and so on, choose picks one among n, and what is due by the clock comes with it.
// worked is false when there was nothing to do. What would have to wait ends with ctx, so a ctx that has ended makes a Step that never
// waits, and what is not finished then goes on at a later one.
//
// A topic.ErrLost or ErrUnreachable is no error: the job drops what is uncommitted, and the next Step goes on from what is durable. After
// any other error the job can only be closed. A panic of an operator or of the broker is not caught. Close ends the job without a commit.
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
	if !passing(err) {
		return worked, err
	}
	j.set(Recovering, err)
	return true, j.Close(context.WithoutCancel(ctx))
}
