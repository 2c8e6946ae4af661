package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/streamql/streamql/topic"
)

// reading is one partition that is read for one task.
type reading struct {
	unit  *unit
	task  *Task // of the unit when the reading began: what comes for another is out of date
	span  topic.Span
	now   bool // a partition without an end is read up to where it ends when it is opened
	asked bool // the next fetch is on its way

	pump pump // the session's own
}

// read begins to read for a task that has just been opened, or that begins to be worked off.
func (w *Worker) read(u *unit) {
	for _, s := range u.task.spans {
		if s.From = u.task.position[s.Partition]; s.From >= s.To {
			u.task.ended(s.Partition)
			continue
		}
		w.readSpan(u, s)
	}
}

func (w *Worker) readSpan(u *unit, s topic.Span) {
	r := &reading{unit: u, task: u.task, span: s, now: w.mode == draining}
	u.reads = append(u.reads, r)
	w.ask(r)
}

func (w *Worker) ask(r *reading) {
	r.asked = true
	w.order(toPoll{r})
}

// fetched hands what a reader brought to its task.
func (w *Worker) fetched(ctx context.Context, f fetched) error {
	u := f.unit
	if u.phase != running || u.task != f.task { // the task moved away while this was on its way
		return nil
	}
	f.asked = false
	var gap topic.ErrGap
	switch {
	case errors.Is(f.err, io.EOF):
		u.forget(f.reading)
		u.task.ended(f.span.Partition)
		if w.mode == draining { // what waited for this partition may go
			return u.task.run(true)
		}
		return nil
	case errors.As(f.err, &gap) && u.stage.SkipGaps:
		u.forget(f.reading)
		w.skip(u, f.span, gap)
		return nil
	case errors.As(f.err, &gap) && w.member != nil && w.gap != gap:
		// A gap is believed when it is met a second time, from the place that is committed: a worker that stood still for long may have lost
		// its task, and the next owner has gone on and had the exchange trimmed.
		w.gap = gap
		return fmt.Errorf("%w: %w", topic.ErrLost, gap)
	case f.err != nil:
		return f.err
	}
	for i := range f.fetches {
		if err := w.take(u.task, &f.fetches[i]); err != nil {
			return err
		}
	}
	if w.mode == following {
		w.ask(f.reading)
		return nil
	}
	if w.before != nil {
		if err := w.before(); err != nil {
			return err
		}
	}
	return w.commit(ctx)
}

func (u *unit) forget(r *reading) {
	u.reads = slices.DeleteFunc(u.reads, func(o *reading) bool { return o == r })
}

// take hands a fetch to its task.
func (w *Worker) take(t *Task, f *topic.Fetch) error {
	if err := t.offer(f); err != nil {
		return err
	}
	if err := t.run(w.mode == draining); err != nil {
		return err
	}
	w.uncommitted()
	w.counts.Rows += int64(f.Rows())
	if w.env.Read != nil {
		w.env.Read(int64(f.Rows()))
	}
	return nil
}

// uncommitted notes that there is something to commit.
func (w *Worker) uncommitted() {
	if w.first.IsZero() {
		w.first = w.env.Now()
	}
}

// skip goes on after offsets that are no longer there, as ON GAP SKIP asks, and counts them.
func (w *Worker) skip(u *unit, s topic.Span, gap topic.ErrGap) {
	w.counts.Gaps += int64(gap.To - gap.From)
	w.letters.fail(Failure{Code: "SQ8001", Err: gap, Source: s.Topic, Partition: s.Partition, Offset: gap.From, Side: "row"})
	w.uncommitted()
	if s.From = u.task.skip(s.Partition, gap.To); s.From >= s.To {
		u.task.ended(s.Partition)
		return
	}
	w.readSpan(u, s)
}

// turn works off the first task that has not been, in the order of stages, so that each finds what those before it have written. It is
// called after each step, and goes on to the next task when nothing is read for this one any more.
func (w *Worker) turn(ctx context.Context) error {
	for _, u := range w.units {
		if u.want != owned || u.drain == done {
			continue
		}
		if u.phase != running {
			return nil
		}
		if u.drain == pending {
			if u.task.clock.ended { // all of it was committed, only the job's end was not noted
				u.drain = done
				continue
			}
			u.drain = underway
			w.read(u)
		}
		for _, r := range u.reads {
			// Only what the order of rows waits for is read, so that what is held back stays bounded.
			if !r.asked && u.task.merge.wants(r.span.Partition) {
				w.ask(r)
			}
		}
		if len(u.reads) > 0 {
			return nil
		}
		if err := w.workedOff(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// workedOff ends a task whose input has ended, or only pauses it where that goes on later.
func (w *Worker) workedOff(ctx context.Context, u *unit) error {
	u.drain = done
	if !u.bounded() {
		u.task.reopen()
		return w.commit(ctx)
	}
	if err := u.task.finish(); err != nil {
		return err
	}
	w.uncommitted()
	return w.commit(ctx)
}

// over reports whether all tasks that are the worker's are worked off.
func (w *Worker) over() bool {
	return !slices.ContainsFunc(w.units, func(u *unit) bool { return u.want == owned && u.drain != done })
}

// owns reports whether any task is the worker's.
func (w *Worker) owns() bool {
	return slices.ContainsFunc(w.units, func(u *unit) bool { return u.want == owned })
}
