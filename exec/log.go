package exec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Log keeps the state of tasks in changelog topics: a task's changes, its position and the positions of its inputs go into the
// transaction of its outputs, and into the local store only after that has been committed. So the local store is always a prefix of the
// changelog, and what it lacks is replayed (KIP-892 has the same order).
type Log struct {
	Cluster  string
	Replay   func(task string) (*state.Replay, error)
	Kept     func(topic string) bool // the broker has this topic: its positions are also the group's
	Horizon  time.Duration           // a store that did not move for longer may lack deletions: it is discarded; 0: never
	Address  string                  // where this process answers queries
	Standbys int
	// AtLeastOnce gives up transactions.
	AtLeastOnce bool
	Now         func() time.Time
	// Assigned is told who owns which task; may be nil.
	Assigned func(job string, a topic.Assignment)
	// Load brings a snapshot of a task's state into the local store if there is one that usable accepts; Save makes one. May be nil.
	Load func(ctx context.Context, task string, usable func(state.Log) bool) error
	Save func(ctx context.Context, task string) error
	// SaveEvery is the time between two snapshots of a task.
	SaveEvery time.Duration
	// SkipDamaged leaves out records that are no state.
	SkipDamaged bool
	// Restored counts the changelog records that were replayed; may be nil.
	Restored func(task string, records int64)
	// Restores receives the begin and the end of each replay, on the goroutine that replays; may be nil.
	Restores func(Replay)
}

// Errors of recovery. They end the job, because what is right cannot be proved.
var (
	// ErrMoved: the group's positions and those in the changelog disagree.
	ErrMoved = errors.New("the positions of the group and of the state disagree")
	// ErrPartitions: a topic has another number of partitions than when the job began.
	ErrPartitions = errors.New("the number of partitions has changed")
)

func (l *Log) fill(g *topic.Group, w *Worker) {
	g.Address, g.Standbys, g.AtLeastOnce = l.Address, l.Standbys, l.AtLeastOnce
	seen := map[string]bool{}
	for _, u := range w.units {
		for _, t := range u.topics() {
			if !seen[t] && l.Kept(t) {
				g.Reads = append(g.Reads, t)
			}
			seen[t] = true
		}
	}
	g.Warm = func() map[topic.Partition]topic.Offset {
		out := map[topic.Partition]topic.Offset{}
		for _, u := range w.units {
			if r, err := l.Replay(u.name); err == nil && r.Log().Next > 0 {
				out[u.changelog] = r.Log().Next
			}
		}
		return out
	}
}

// seal writes what the store has sealed into the changelog, the position last, and adds what the group is to know.
func (l *Log) seal(u *unit, txn topic.Txn, now int64, read map[topic.Partition]topic.Offset) error {
	t := u.task
	records := t.ctx.State.Logged()
	for i := range records {
		records[i].Time = now
	}
	if err := txn.Write(u.changelog, records...); err != nil {
		return fmt.Errorf("changelog of %s: %w", u.name, err)
	}
	for p, o := range t.position {
		if l.Kept(p.Topic) {
			read[p] = o
		}
	}
	// The number of the commit stands as the changelog's own position: it tells a changelog that has lost records, and it makes the
	// coordinator refuse a former owner even where no input is a topic of the broker.
	read[u.changelog] = topic.Offset(t.ctx.State.Seq())
	return nil
}

// applied moves the local store to where the transaction left the changelog.
func (l *Log) applied(u *unit, txn topic.Txn, now int64) error {
	placer, ok := txn.(topic.Placer)
	if !ok {
		return fmt.Errorf("the broker does not tell where the changelog of %s ends", u.name)
	}
	store := u.task.ctx.State
	// All of it, not the offset only: a store that began empty does not know yet which changelog it is of.
	return store.CommitLog(state.Log{Cluster: l.Cluster, Topic: u.topicID, Next: placer.Ends()[u.changelog], Wall: now})
}

// prepare opens a unit's store as of its last committed transaction. The id is that of its changelog topic.
func (w *Worker) prepare(ctx context.Context, u *unit) (p prepared, err error) {
	p.unit = u
	l := w.env.Log
	if l == nil || w.env.Transient {
		if p.store, err = w.store(u); err != nil {
			return p, err
		}
		if _, p.jump, err = w.resume(ctx, u, p.store, p.store.Position()); err != nil {
			return prepared{unit: u}, errors.Join(err, p.store.Close())
		}
		return p, nil
	}
	positions := []topic.Partition{u.changelog}
	for _, in := range u.inputs {
		if l.Kept(in.Topic) {
			positions = append(positions, in.Partition)
		}
	}
	committed, err := w.member.Committed(ctx, positions...)
	if err != nil {
		return p, fmt.Errorf("positions of %s: %w", u.name, err)
	}
	// Nobody else can commit for this task from here on. What is decided lies below the changelog's end.
	if p.id, err = w.restore(ctx, u, false); err != nil {
		return p, fmt.Errorf("restore the state of %s: %w", u.name, err)
	}
	if p.store, err = w.store(u); err != nil {
		return p, err
	}
	resumed := false
	if resumed, p.jump, err = w.resume(ctx, u, p.store, committed); err == nil && !resumed {
		if err = agree(u, p.store, committed); err != nil {
			err = w.disagree(ctx, committed, positions, err)
		}
	}
	if err == nil {
		err = w.sameTopics(ctx, u, p.store)
	}
	if err != nil {
		return prepared{unit: u}, errors.Join(err, p.store.Close())
	}
	return p, nil
}

// disagree tells a loss from a place that is lost. A process that stood still while it restored may find that others have gone on and the
// changelog below their commits was compacted: then it is only late. Nobody can do that to one that still has its place.
func (w *Worker) disagree(ctx context.Context, committed map[topic.Partition]topic.Offset, positions []topic.Partition, cause error) error {
	now, err := w.member.Committed(ctx, positions...)
	switch {
	case err != nil:
		return err
	case !maps.Equal(now, committed):
		return fmt.Errorf("the group has gone on meanwhile: %w", topic.ErrLost)
	}
	return cause
}

func (w *Worker) store(u *unit) (state.Store, error) {
	store, err := w.env.Store(u.name)
	if err != nil {
		return nil, fmt.Errorf("open the state of %s: %w", u.name, err)
	}
	return store, nil
}

// agree compares what the state says with what the group says. The state may be ahead, when the group's positions have expired or came
// from an older copy of the cluster: then it heals with the next commit. The group ahead means that somebody moved it, or that the
// changelog has lost records.
func agree(u *unit, store state.Store, committed map[topic.Partition]topic.Offset) error {
	if seq, ok := committed[u.changelog]; ok && uint64(seq) > store.Seq() {
		return fmt.Errorf("%w: the group knows commit %d of task %s, its changelog %s ends with commit %d", ErrMoved, seq, u.name, u.changelog, store.Seq())
	}
	position := store.Position()
	for _, in := range u.inputs {
		at, ok := position[in.Partition]
		if !ok {
			at = in.From
		}
		if group, known := committed[in.Partition]; known && group > at {
			return fmt.Errorf("%w: the group reads %s from offset %d on, the state of task %s has been computed up to %d", ErrMoved, in.Partition, group, u.name, at)
		}
	}
	return nil
}

// sameTopics notes which topics a task reads, by id and number of partitions, and refuses others of the same name.
func (w *Worker) sameTopics(ctx context.Context, u *unit, store state.Store) error {
	keep := store.Keyspace("topics")
	for _, name := range u.topics() {
		if !w.env.Log.Kept(name) {
			continue
		}
		d, err := w.describe(ctx, name)
		if errors.Is(err, topic.ErrUnknownTopic) {
			return fmt.Errorf("topic %q is gone: %w", name, topic.ErrTopicReplaced)
		}
		if err != nil {
			return err
		}
		now := identity(d)
		before, ok, err := keep.Get([]byte(name))
		if err != nil {
			return err
		}
		if !ok {
			if err := keep.Put([]byte(name), now); err != nil {
				return err
			}
			continue
		}
		n, size := binary.Uvarint(before)
		if size <= 0 || string(before[size:]) != d.ID {
			return fmt.Errorf("topic %q: %w", name, topic.ErrTopicReplaced)
		}
		if err := samePartitions(name, int(n), len(d.Partitions)); err != nil {
			return err
		}
	}
	return nil
}

func samePartitions(name string, before, now int) error {
	if before == now {
		return nil
	}
	return fmt.Errorf("topic %q has %d partitions, it had %d when the job began, and keys have moved: %w", name, now, before, ErrPartitions)
}
