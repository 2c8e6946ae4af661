package exec

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// carry executes a blocking command and returns the event that results. Any goroutine may call
// it: it uses nothing that step changes. Polling is not among these commands, because a
// reader's state outlives a single command.
func (w *Worker) carry(ctx context.Context, c command) (event, error) {
	switch c := c.(type) {
	case toJoin:
		m, err := w.join(ctx)
		return joined{m, err}, err
	case toAsk:
		a, err := w.member.Next(ctx)
		return assignment{a, err}, err
	case toRestore:
		p, err := w.prepare(ctx, c.slot)
		p.err = err
		return p, err
	case toWarm:
		_, err := w.restore(ctx, c.slot, true)
		return standbyEnded{c.slot, err}, err
	case toLook:
		return w.look(ctx, c.topics), nil
	case toSave:
		return w.save(ctx, c.tasks), nil
	case toTrim:
		return trimmed{c.due, w.env.Trim.To.Trim(ctx, c.due)}, nil
	}
	panic(fmt.Sprintf("exec: %T is not a blocking command", c))
}

// discard closes the resources of an event that was not delivered.
func discard(e event) {
	switch e := e.(type) {
	case joined:
		if e.member != nil {
			_ = e.member.Close()
		}
	case prepared:
		if e.store != nil {
			_ = e.store.Close()
		}
	}
}

// open opens the reader of a span. With r.now, an open end is replaced by the partition's
// present end.
func (w *Worker) open(ctx context.Context, r *reading) (topic.Reader, error) {
	src, s := w.env.Source(r.span.Topic), r.span
	if r.now && s.To == topic.End {
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
	return src.Open(ctx, []topic.Span{s})
}

// look returns the number of partitions of each topic. Topics that cannot be described are left
// out.
func (w *Worker) look(ctx context.Context, topics []string) looked {
	out := looked{map[string]int{}}
	for _, name := range topics {
		if d, err := w.describe(ctx, name); err == nil {
			out.partitions[name] = len(d.Partitions)
		}
	}
	return out
}

// save makes snapshots of tasks, one after the other, and returns the failures.
func (w *Worker) save(ctx context.Context, tasks []string) saved {
	out := saved{map[string]error{}}
	for _, name := range tasks {
		if err := w.env.Log.Save(ctx, name); err != nil && ctx.Err() == nil {
			out.failed[name] = err
		}
	}
	return out
}
