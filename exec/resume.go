package exec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Resume says where the tasks of a job go on that a person has resumed after a failure. Each task does so once per generation, and notes it in
// its state: a task that moves later goes on from its commits, as always.
type Resume struct {
	From       From
	Generation int
	// SkipDamaged leaves out records of a changelog that are no state.
	SkipDamaged bool
}

// From is where tasks go on.
type From string

// Where tasks go on. The zero value is the last commit, which state and group must agree on.
const (
	FromState   From = "STATE"   // where the state says, whatever the group's positions are
	FromOffsets From = "OFFSETS" // where the group's positions are and something is still there, in the topics as they are now
)

// resumedKey is where a task notes the generation in which it was resumed.
var resumedKey = []byte("\x00resumed")

// resume finds where a task goes on, if its job was resumed and it has not been yet. jump are the positions that differ from the state's.
func (w *Worker) resume(ctx context.Context, u *unit, store state.Store, committed map[topic.Partition]topic.Offset) (resumed bool, jump map[topic.Partition]topic.Offset, err error) {
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

// jump finds the offsets that are there, from the committed ones on, and takes the topics as they are now for those of the job.
func (w *Worker) jump(ctx context.Context, u *unit, store state.Store, committed map[topic.Partition]topic.Offset) (map[topic.Partition]topic.Offset, error) {
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
			if replaced { // its offsets are of other records
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

func (w *Worker) kept(name string) bool { return w.env.Log != nil && w.env.Log.Kept(name) }

// identity is what a task notes of a topic: the number of its partitions, and its id.
func identity(d topic.Topic) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(d.Partitions))), d.ID...)
}

// damaged reports whether an error of a replay is to be passed over.
func (l *Log) damaged(err error) bool { return l.SkipDamaged && errors.Is(err, state.ErrFormat) }
