package exec

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// carry carries out a command that waits, and returns what came of it. Any goroutine may call it: it touches nothing that the machine
// changes. What is read is not among them, because readers go on from one command to the next.
func (w *Worker) carry(ctx context.Context, c command) (event, error) {
	switch c := c.(type) {
	case toJoin:
		m, err := w.join(ctx)
		return joined{m, err}, err
	case toAsk:
		a, err := w.member.Next(ctx)
		return assignment{a, err}, err
	case toRestore:
		p, err := w.prepare(ctx, c.unit)
		p.err = err
		return p, err
	case toWarm:
		_, err := w.restore(ctx, c.unit, true)
		return cooled{c.unit, err}, err
	case toLook:
		return w.look(ctx, c.topics), nil
	case toSave:
		return w.save(ctx, c.tasks), nil
	case toTrim:
		return trimmed{c.due, w.env.Trim.To.Trim(ctx, c.due)}, nil
	}
	panic(fmt.Sprintf("exec: %T is no command that is carried out", c))
}

// discard closes what an event brings that nobody takes.
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

// open opens the reader of what is to be read.
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

// look counts the partitions of topics.
func (w *Worker) look(ctx context.Context, topics []string) looked {
	out := looked{map[string]int{}}
	for _, name := range topics {
		if d, err := w.describe(ctx, name); err == nil {
			out.partitions[name] = len(d.Partitions)
		}
	}
	return out
}

// save makes snapshots of tasks, one after the other.
func (w *Worker) save(ctx context.Context, tasks []string) saved {
	out := saved{map[string]error{}}
	for _, name := range tasks {
		if err := w.env.Log.Save(ctx, name); err != nil && ctx.Err() == nil {
			out.failed[name] = err
		}
	}
	return out
}
