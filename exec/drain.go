package exec

import (
	"context"
	"errors"
	"io"

	"github.com/streamql/streamql/topic"
)

// Drain reads each stage's inputs up to where they end now, in the order of stages, and commits after every step: a job worked off by
// hand, for bounded queries and tests. step, if not nil, is called after each step, before its commit.
func (w *Worker) Drain(ctx context.Context, step func() error) error {
	if w.member == nil && !w.env.Transient {
		if err := w.attach(ctx); err != nil {
			return err
		}
	}
	return w.all(func(_ *unit, t *Task) error { return w.drainTask(ctx, t, step) })
}

func (w *Worker) drainTask(ctx context.Context, t *Task, step func() error) error {
	if t.clock.ended { // all of it was committed, only the job's end was not noted
		return nil
	}
	var readers []*bounded
	defer func() {
		for _, r := range readers {
			r.Close()
		}
	}()
	live := false
	for _, s := range t.spans {
		live = live || s.To == topic.End
		r, err := openBounded(ctx, w.env.Source(s.Topic), t, s)
		if err != nil {
			return err
		}
		readers = append(readers, r)
	}
	for open := true; open; {
		open = false
		for _, r := range readers {
			if r.done || !t.merge.wants(r.part) {
				open = open || !r.done
				continue
			}
			fetches, err := r.Poll(ctx)
			if errors.Is(err, io.EOF) {
				r.done = true
				t.ended(r.part)
				if err := t.run(true); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			open = true
			for i := range fetches {
				if err := w.take(t, &fetches[i], true); err != nil {
					return err
				}
			}
			if step != nil {
				if err := step(); err != nil {
					return err
				}
			}
			if err := w.commit(ctx); err != nil {
				return err
			}
		}
	}
	if live { // the input goes on later: nothing has ended
		t.reopen()
		return w.commit(ctx)
	}
	if err := t.finish(); err != nil {
		return err
	}
	if w.first.IsZero() {
		w.first = w.env.Now()
	}
	return w.commit(ctx)
}

// bounded reads one partition up to where it ends now.
type bounded struct {
	topic.Reader
	part topic.Partition
	done bool
}

func openBounded(ctx context.Context, src topic.Source, t *Task, s topic.Span) (*bounded, error) {
	s.From = t.position[s.Partition]
	if s.To == topic.End {
		d, err := src.Describe(ctx, s.Topic)
		if err != nil {
			return nil, err
		}
		s.To = s.From
		for _, p := range d.Partitions {
			if p.ID == s.ID {
				s.To = max(p.To, s.From)
			}
		}
	}
	r, err := src.Open(ctx, []topic.Span{s})
	if err != nil {
		return nil, err
	}
	return &bounded{Reader: r, part: s.Partition}, nil
}
