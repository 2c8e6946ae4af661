package exec

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamql/streamql/topic"
)

// fetched is what a reader brought for a task.
type fetched struct {
	unit    *unit
	task    *Task
	fetches []topic.Fetch
	part    topic.Partition
	err     error
}

// arrived hands what a reader brought to its task. again is where to read on when offsets are gone and may be left out. A gap is believed
// when it is met a second time, from the place that is committed: a worker that stood still for long may have lost its task, and the next
// owner has gone on and had the exchange trimmed.
func (w *Worker) arrived(f fetched) (again *topic.Span, err error) {
	var gap topic.ErrGap
	switch {
	case errors.Is(f.err, io.EOF):
		f.task.ended(f.part)
		return nil, nil
	case errors.As(f.err, &gap) && f.unit.stage.SkipGaps:
		return w.skip(f, gap), nil
	case errors.As(f.err, &gap) && w.member != nil && w.gap != gap:
		w.gap = gap
		return nil, fmt.Errorf("%w: %w", topic.ErrLost, gap)
	case f.err != nil:
		return nil, f.err
	}
	for i := range f.fetches {
		if err := w.take(f.task, &f.fetches[i], false); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// skip goes on behind offsets that are no longer there, as ON GAP SKIP asks, and counts them.
func (w *Worker) skip(f fetched, gap topic.ErrGap) *topic.Span {
	w.gaps += int64(gap.To - gap.From)
	w.letters.fail(Failure{Code: "SQ8001", Err: gap, Source: f.part.Topic, Partition: f.part, Offset: gap.From, Side: "row"})
	for _, span := range f.task.spans {
		if span.Partition != f.part {
			continue
		}
		span.From = f.task.skip(f.part, gap.To)
		if w.first.IsZero() {
			w.first = w.env.Now()
		}
		return &span
	}
	return nil
}

// letGo closes units that the group has taken away, after a commit of all that was done for them.
func (w *Worker) letGo(ctx context.Context, lost []*unit) error {
	if len(lost) == 0 {
		return nil
	}
	if err := w.commit(ctx); err != nil {
		return err
	}
	if !w.first.IsZero() {
		return fmt.Errorf("a task moves away while rows are held that cannot be committed: %w", topic.ErrLost)
	}
	for _, u := range lost {
		if err := w.release(u); err != nil {
			return err
		}
	}
	return nil
}
