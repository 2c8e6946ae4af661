package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/streamql/streamql/topic"
)

// reading is one partition that is being read for one task. The worker's goroutine owns it,
// except pump, which belongs to the session.
type reading struct {
	slot      *slot
	task      *Task // the slot's task when the reading began; fetches for another task are outdated
	span      topic.Span
	now       bool // bounds a partition without an end by its end at the time of opening
	requested bool // a toPoll command is in todo or being executed

	pump pump // owned by the session
}

// read starts the readers of a task that was just opened, or whose drain begins. Partitions
// that are already at their end get no reader.
func (w *Worker) read(u *slot) {
	for _, s := range u.task.spans {
		if s.From = u.task.position[s.Partition]; s.From >= s.To {
			u.task.ended(s.Partition)
			continue
		}
		w.readSpan(u, s)
	}
}

// readSpan adds a reading of one span to the slot and requests its first fetch.
func (w *Worker) readSpan(u *slot, s topic.Span) {
	r := &reading{slot: u, task: u.task, span: s, now: w.mode == draining}
	u.reads = append(u.reads, r)
	w.request(r)
}

// request orders the next fetch of a reading.
func (w *Worker) request(r *reading) {
	r.requested = true
	w.order(toPoll{r})
}

// fetched passes a reader's fetches to the task and commits after them if the worker is
// draining. A fetch for a task that has moved away is dropped: it was never part of this
// worker's position.
func (w *Worker) fetched(ctx context.Context, f fetched) error {
	u := f.slot
	if u.phase != running || u.task != f.task { // the task moved away while the fetch was in flight
		return nil
	}
	f.requested = false
	var gap topic.ErrGap
	switch {
	case errors.Is(f.err, io.EOF):
		u.forget(f.reading)
		u.task.ended(f.span.Partition)
		if w.mode == draining { // rows that were held back for this partition can be pushed now
			return u.task.run(true)
		}
		return nil
	case errors.As(f.err, &gap) && u.stage.SkipGaps:
		u.forget(f.reading)
		w.skip(u, f.span, gap)
		return nil
	case errors.As(f.err, &gap) && w.member != nil && w.gap != gap:
		// A gap ends the job only if the committed position meets it again after a rejoin. A
		// worker that was suspended for a long time may have lost its task, and the new owner
		// may have committed further and trimmed the exchange. The first gap is therefore
		// treated as a lost task.
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
		w.request(f.reading)
		return nil
	}
	if w.before != nil {
		if err := w.before(); err != nil {
			return err
		}
	}
	return w.commit(ctx)
}

// forget removes a reading that has ended.
func (u *slot) forget(r *reading) {
	u.reads = slices.DeleteFunc(u.reads, func(o *reading) bool { return o == r })
}

// take passes one fetch to a task, pushes the rows that may be pushed, and counts them.
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

// uncommitted notes the time of the first change since the last commit. A zero first means that
// a commit would be empty.
func (w *Worker) uncommitted() {
	if w.first.IsZero() {
		w.first = w.env.Now()
	}
}

// skip moves the reader past offsets that no longer exist, as ON GAP SKIP requests, and counts
// them.
func (w *Worker) skip(u *slot, s topic.Span, gap topic.ErrGap) {
	w.counts.Gaps += int64(gap.To - gap.From)
	w.deadLetters.fail(
		Failure{Code: "SQ8001", Err: gap, Source: s.Topic, Partition: s.Partition, Offset: gap.From, Side: "row"},
	)
	w.uncommitted()
	if s.From = u.task.skip(s.Partition, gap.To); s.From >= s.To {
		u.task.ended(s.Partition)
		return
	}
	w.readSpan(u, s)
}

// drainNext drains the tasks one at a time, in the order of stages, so that each task finds
// everything that the stages before it wrote. It runs after each step and advances to the next
// task once the current one has no readers left.
func (w *Worker) drainNext(ctx context.Context) error {
	for _, u := range w.slots {
		if u.want != owned || u.drain == done {
			continue
		}
		if u.phase != running {
			return nil
		}
		if u.drain == pending {
			if u.task.clock.ended { // its output is committed already; only the end of the job was not noted
				u.drain = done
				continue
			}
			u.drain = underway
			w.read(u)
		}
		for _, r := range u.reads {
			// Only partitions that the order of rows waits for are read, which bounds the rows
			// that are held back.
			if !r.requested && u.task.merge.wants(r.span.Partition) {
				w.request(r)
			}
		}
		if len(u.reads) > 0 {
			return nil
		}
		if err := w.drained(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// drained finishes a task whose input has ended. A task with an unbounded input is only paused,
// because it continues when the job follows its inputs.
func (w *Worker) drained(ctx context.Context, u *slot) error {
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

// over reports whether all tasks that this worker owns are drained.
func (w *Worker) over() bool {
	return !slices.ContainsFunc(w.slots, func(u *slot) bool { return u.want == owned && u.drain != done })
}

// owns reports whether this worker owns any task.
func (w *Worker) owns() bool {
	return slices.ContainsFunc(w.slots, func(u *slot) bool { return u.want == owned })
}
