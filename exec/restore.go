package exec

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// restore replays the changelog into the local store up to its present end and returns the id
// of the changelog topic. With follow, it continues after the end until ctx ends: the store is
// then a standby.
func (w *Worker) restore(ctx context.Context, u *slot, follow bool) (id string, err error) {
	d, err := w.describe(ctx, u.changelog.Topic, u.changelog.ID)
	if err != nil {
		return "", err
	}
	if int(u.changelog.ID) >= len(d.Partitions) {
		return "", fmt.Errorf(
			"topic %q has %d partitions, none with number %d: %w",
			d.Name,
			len(d.Partitions),
			u.changelog.ID,
			ErrPartitions,
		)
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
		if follow {
			// each fetch is measured by itself: the process may have been suspended, or only
			// idle, which costs an unnecessary replay
			began = now
		}
		return late
	}
	ended := w.replays(u, follow, span)
	err = l.replay(ctx, w.env.Broker, r, d.ID, span, late, func(f *topic.Fetch) { w.replayed(u, f, follow) })
	ended(err)
	return d.ID, err
}

// describe returns a topic, with the offsets of the given partitions only if the broker
// supports that.
func (w *Worker) describe(ctx context.Context, name string, partitions ...int32) (topic.Topic, error) {
	if n, ok := w.env.Broker.(topic.Narrow); ok {
		return n.DescribeOnly(ctx, name, partitions...)
	}
	return w.env.Broker.Describe(ctx, name)
}

// startOf selects the start of the replay: the local store if it belongs to this changelog and
// is complete, else a snapshot, else the beginning of the changelog, with an emptied store. It
// sets span.From accordingly.
func (w *Worker) startOf(ctx context.Context, u *slot, id string, span *topic.Span) (*state.Replay, error) {
	l := w.env.Log
	usable := func(at state.Log) bool {
		fresh := l.Horizon == 0 || w.env.Now().UnixMilli()-at.Wall < l.Horizon.Milliseconds()
		return at.Cluster == l.Cluster && at.Topic == id && at.Next >= span.From && at.Next <= span.To &&
			(fresh || at.Next == span.To)
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
		if span.From > 0 { // compaction never moves the beginning: records have been deleted
			return nil, fmt.Errorf(
				"%w: the changelog %s begins at offset %d, but neither the local state nor a snapshot has the records before it",
				ErrMoved,
				u.changelog,
				span.From,
			)
		}
		if err := r.Clear(); err != nil {
			return nil, err
		}
		return r, nil
	}
	span.From = r.Log().Next
	return r, nil
}

// replay applies a span of the changelog to the local store. Like a task, it checks the
// reader's offsets instead of trusting them. If the replay takes longer than the horizon,
// compaction may have removed deletions of keys that it has already stored; it then ends with
// an error, and the next replay starts over. put is called after each stored fetch.
func (l *Log) replay(
	ctx context.Context,
	src topic.Source,
	r *state.Replay,
	id string,
	span topic.Span,
	late func() bool,
	put func(*topic.Fetch),
) error {
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
			return fmt.Errorf(
				"%s: the reader ended at offset %d instead of %d: %w",
				span.Partition,
				at,
				span.To,
				topic.ErrLost,
			)
		}
		if err != nil {
			return err
		}
		if late() {
			return fmt.Errorf("%s: the replay took longer than %s: %w", span.Partition, l.Horizon, topic.ErrLost)
		}
		for k := range fetches {
			f := &fetches[k]
			if f.From != at {
				return fmt.Errorf(
					"%s: the reader is at offset %d, the state at %d: %w",
					f.Partition,
					f.From,
					at,
					topic.ErrLost,
				)
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

// put stores the records of a fetch. The position advances with every record, so that an
// interrupted replay continues after the last one.
func (l *Log) put(r *state.Replay, f *topic.Fetch, id string) error {
	for i := range f.Rows() {
		at := state.Log{Cluster: l.Cluster, Topic: id, Next: f.Offsets[i] + 1, Wall: f.Times[i]}
		if err := r.Put(topic.Record{Key: f.Key.At(i), Value: f.Value.At(i)}, at); err != nil && !l.damaged(err) {
			return fmt.Errorf("%s offset %d: %w", f.Partition, f.Offsets[i], err)
		}
	}
	return nil
}
