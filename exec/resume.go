package exec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Resume determines where the tasks of a job continue after a user has resumed it. Each task
// applies it once per generation and records that in its state; a task that moves later
// continues from its commits as usual.
type Resume struct {
	From       From
	Generation int
	// SkipDamaged skips changelog records that are not valid state.
	SkipDamaged bool
}

// From is the position from which tasks continue.
type From string

// The values of From. The zero value is the last commit, on which state and group must agree.
const (
	FromState From = "STATE" // the state's positions, whatever the group's are
	// the group's positions, moved to existing offsets of the topics as they are now
	FromOffsets From = "OFFSETS"
)

// resumedKey is the key under which a task records the generation that it was resumed in.
var resumedKey = []byte("\x00resumed")

// resume applies Env.Resume to a task that has not applied it yet. jump contains the positions
// that differ from the state's.
func (w *Worker) resume(
	ctx context.Context,
	u *slot,
	store state.Store,
	committed map[topic.Partition]topic.Offset,
) (resumed bool, jump map[topic.Partition]topic.Offset, err error) {
	r := w.env.Resume
	if r.From == "" || w.env.Transient {
		return false, nil, nil
	}
	keep := store.Keyspace("topics")
	done, _, err := keep.Get(resumedKey)
	if n, size := binary.Uvarint(done); err != nil || size > 0 && int(n) >= r.Generation {
		return false, nil, err
	}
	if err := keep.Put(resumedKey, binary.AppendUvarint(nil, uint64(r.Generation))); err != nil {
		return false, nil, err
	}
	if r.From == FromOffsets {
		jump, err = w.jump(ctx, u, store, committed)
	}
	return true, jump, err
}

// jump returns the committed positions, moved into the range of existing offsets, and records
// the present topics as those of the job.
func (w *Worker) jump(
	ctx context.Context,
	u *slot,
	store state.Store,
	committed map[topic.Partition]topic.Offset,
) (map[topic.Partition]topic.Offset, error) {
	out := map[topic.Partition]topic.Offset{}
	position := store.Position()
	for _, in := range u.inputs {
		d, err := w.env.Source(in.Topic).Describe(ctx, in.Topic)
		if err != nil {
			return nil, err
		}
		at, ok := committed[in.Partition]
		if !ok {
			if at, ok = position[in.Partition]; !ok {
				at = in.From
			}
		}
		before, known, err := store.Keyspace("topics").Get([]byte(in.Topic))
		if err != nil {
			return nil, err
		}
		replaced := known && w.kept(in.Topic) && !bytes.Equal(before, identity(d))
		for _, p := range d.Partitions {
			if replaced { // the offsets belong to another topic of this name
				at = p.From
			}
			if p.ID == in.ID {
				out[in.Partition] = min(max(at, p.From), p.To)
			}
		}
		if w.kept(in.Topic) {
			if err := store.Keyspace("topics").Put([]byte(in.Topic), identity(d)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// kept reports whether the topic belongs to the broker.
func (w *Worker) kept(name string) bool { return w.env.Log != nil && w.env.Log.Kept(name) }

// identity encodes the number of partitions and the id of a topic.
func identity(d topic.Topic) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(d.Partitions))), d.ID...)
}

// damaged reports whether an error of a replay is skipped.
func (l *Log) damaged(err error) bool { return l.SkipDamaged && errors.Is(err, state.ErrFormat) }
