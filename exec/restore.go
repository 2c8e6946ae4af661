package exec

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// restore replays the changelog into the local store up to its end now, and returns the id of its topic; with follow, for ever: that is
// a standby.
func (w *Worker) restore(ctx context.Context, u *unit, follow bool) (id string, err error) {
	d, err := w.describe(ctx, u.changelog.Topic, u.changelog.ID)
	if err != nil {
		return "", err
	}
	if int(u.changelog.ID) >= len(d.Partitions) {
		return "", fmt.Errorf("topic %q has %d partitions, none with number %d: %w", d.Name, len(d.Partitions), u.changelog.ID, ErrPartitions)
	}
	span := d.Partitions[u.changelog.ID]
	began := w.env.Now()
	r, err := w.startOf(ctx, u, d.ID, &span)
	if err != nil {
		return "", err
	}
	defer r.Close()
	l := w.env.Log
	if follow {
		span.To = topic.End
	}
	late := func() bool {
		now := w.env.Now()
		late := l.Horizon > 0 && now.Sub(began) >= l.Horizon
		if follow { // it goes on for ever, so each step counts by itself: it may have been frozen, or only idle, which costs a replay
			began = now
		}
		return late
	}
	ended := w.replays(u, follow, span)
	err = l.replay(ctx, w.env.Broker, r, d.ID, span, late, func(f *topic.Fetch) { w.replayed(u, f, follow) })
	ended(err)
	return d.ID, err
}

// describe looks at a topic, and at the offsets of these partitions only where the broker can do that.
func (w *Worker) describe(ctx context.Context, name string, partitions ...int32) (topic.Topic, error) {
	if n, ok := w.env.Broker.(topic.Narrow); ok {
		return n.DescribeOnly(ctx, name, partitions...)
	}
	return w.env.Broker.Describe(ctx, name)
}

// startOf finds where to replay from: the local store if it belongs to this changelog and lacks nothing, else a snapshot, else the
// changelog's beginning.
func (w *Worker) startOf(ctx context.Context, u *unit, id string, span *topic.Span) (*state.Replay, error) {
	l := w.env.Log
	usable := func(at state.Log) bool {
		fresh := l.Horizon == 0 || w.env.Now().UnixMilli()-at.Wall < l.Horizon.Milliseconds()
		return at.Cluster == l.Cluster && at.Topic == id && at.Next >= span.From && at.Next <= span.To && (fresh || at.Next == span.To)
	}
	r, err := l.Replay(u.name)
	if err != nil {
		return nil, err
	}
	if !usable(r.Log()) && span.From < span.To && l.Load != nil {
		if err := l.Load(ctx, u.name, usable); err != nil {
			return nil, err
		}
		if r, err = l.Replay(u.name); err != nil {
			return nil, err
		}
	}
	if !usable(r.Log()) {
		if span.From > 0 { // compaction never moves the beginning: somebody has deleted records
			return nil, fmt.Errorf("%w: the changelog %s begins at offset %d, and neither the local state nor a snapshot has what was before", ErrMoved, u.changelog, span.From)
		}
		if err := r.Clear(); err != nil {
			return nil, err
		}
		return r, nil
	}
	span.From = r.Log().Next
	return r, nil
}

// replay puts a span of the changelog into the local store. Like a task, it does not trust the reader's cursor. When it becomes late, the
// deletions of what it has put may have gone from the changelog before it came to them, and it ends with what it is sure of. put is called
// after each fetch that is in the store.
func (l *Log) replay(ctx context.Context, src topic.Source, r *state.Replay, id string, span topic.Span, late func() bool, put func(*topic.Fetch)) error {
	if span.From >= span.To {
		return nil
	}
	reader, err := src.Open(ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	defer reader.Close()
	for at := span.From; ; {
		fetches, err := reader.Poll(ctx)
		if errors.Is(err, io.EOF) && at >= span.To {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: the reader ends at offset %d, not at %d: %w", span.Partition, at, span.To, topic.ErrLost)
		}
		if err != nil {
			return err
		}
		if late() {
			return fmt.Errorf("%s: the replay has taken longer than %s: %w", span.Partition, l.Horizon, topic.ErrLost)
		}
		for k := range fetches {
			f := &fetches[k]
			if f.From != at {
				return fmt.Errorf("%s: the reader is at offset %d, the state at %d: %w", f.Partition, f.From, at, topic.ErrLost)
			}
			if err := f.Sound(); err != nil {
				return err
			}
			at = f.Next
			if err := l.put(r, f, id); err != nil {
				return err
			}
			put(f)
		}
	}
}

func (l *Log) put(r *state.Replay, f *topic.Fetch, id string) error {
	for i := range f.Rows() {
		at := state.Log{Cluster: l.Cluster, Topic: id, Next: f.Offsets[i] + 1, Wall: f.Times[i]}
		if err := r.Put(topic.Record{Key: f.Key.At(i), Value: f.Value.At(i)}, at); err != nil && !l.damaged(err) {
			return fmt.Errorf("%s offset %d: %w", f.Partition, f.Offsets[i], err)
		}
	}
	return nil
}
