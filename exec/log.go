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

// Log is the configuration of state in changelog topics. A task's state changes, its position
// and the positions of its inputs are written in the transaction of its outputs, and applied to
// the local store only after the commit. The local store is therefore always a prefix of the
// changelog, and the missing suffix is replayed. KIP-892 uses the same order.
type Log struct {
	Cluster string
	Replay  func(task string) (*state.Replay, error)
	Kept    func(topic string) bool // the topic belongs to the broker, so the group has its positions
	// maximum age of a local store: an older one may miss deletions that compaction removed,
	// and is discarded; 0: no limit
	Horizon  time.Duration
	Address  string // of this process's query endpoint
	Standbys int
	// AtLeastOnce disables transactions.
	AtLeastOnce bool
	Now         func() time.Time
	// Assigned receives each new assignment; may be nil.
	Assigned func(job string, a topic.Assignment)
	// Load replaces the local store by a snapshot of the task's state if there is one that
	// usable accepts. Save makes a snapshot. Both may be nil.
	Load func(ctx context.Context, task string, usable func(state.Log) bool) error
	Save func(ctx context.Context, task string) error
	// SaveEvery is the interval between two snapshots of a task.
	SaveEvery time.Duration
	// SkipDamaged skips changelog records that are not valid state.
	SkipDamaged bool
	// Restored counts replayed changelog records; may be nil.
	Restored func(task string, records int64)
	// Restores receives the begin and the end of each replay, on the goroutine that replays;
	// may be nil.
	Restores func(Replay)
}

// The errors of recovery. They end the job, because the engine cannot decide which side is
// correct.
var (
	// ErrMoved: the group's positions are ahead of the positions in the changelog.
	ErrMoved = errors.New("the positions of the group and of the state disagree")
	// ErrPartitions: the number of partitions of a topic has changed since the job was created.
	ErrPartitions = errors.New("the number of partitions has changed")
)

// fill adds to the group the topics whose positions it commits and the offsets up to which this
// process has copies of each task's state.
func (l *Log) fill(g *topic.Group, w *Worker) {
	g.Address, g.Standbys, g.AtLeastOnce = l.Address, l.Standbys, l.AtLeastOnce
	seen := map[string]bool{}
	for _, u := range w.slots {
		for _, t := range u.topics() {
			if !seen[t] && l.Kept(t) {
				g.Reads = append(g.Reads, t)
			}
			seen[t] = true
		}
	}
	g.Warm = func() map[topic.Partition]topic.Offset {
		out := map[topic.Partition]topic.Offset{}
		for _, u := range w.slots {
			if r, err := l.Replay(u.name); err == nil && r.Log().Next > 0 {
				out[u.changelog] = r.Log().Next
			}
		}
		return out
	}
}

// seal writes the store's pending changes into the changelog, the position last, and adds the
// positions that the group must commit.
func (l *Log) seal(u *slot, txn topic.Txn, now int64, read map[topic.Partition]topic.Offset) error {
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
	// The commit number is committed as the position of the changelog. It reveals a changelog
	// that has lost records, and it makes the coordinator fence a former owner even if no input
	// is a topic of the broker.
	read[u.changelog] = topic.Offset(t.ctx.State.Seq())
	return nil
}

// applied applies the committed changes to the local store, together with the changelog offset
// that they reach.
func (l *Log) applied(u *slot, txn topic.Txn, now int64) error {
	placer, ok := txn.(topic.Placer)
	if !ok {
		return fmt.Errorf("the transaction does not report where the changelog of %s ends", u.name)
	}
	store := u.task.ctx.State
	// The whole position is stored, not only the offset: a store that was empty at the start
	// does not have the changelog's identity yet.
	return store.CommitLog(
		state.Log{Cluster: l.Cluster, Topic: u.topicID, Next: placer.Ends()[u.changelog], Wall: now},
	)
}

// prepare opens a slot's store as of its last committed transaction. The id in the result is
// the id of the changelog topic.
func (w *Worker) prepare(ctx context.Context, u *slot) (p prepared, err error) {
	p.slot = u
	l := w.env.Log
	if l == nil || w.env.Transient {
		if p.store, err = w.store(u); err != nil {
			return p, err
		}
		if _, p.jump, err = w.resume(ctx, u, p.store, p.store.Position()); err != nil {
			return prepared{slot: u}, errors.Join(err, p.store.Close())
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
	// From here on no other member can commit for this task: the group has fenced the former
	// owner. All decided transactions are below the changelog's present end, to which restore
	// replays.
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
		return prepared{slot: u}, errors.Join(err, p.store.Close())
	}
	return p, nil
}

// disagree distinguishes lost data from a lost task after agree has failed. If the process was
// suspended during the restore, other members may have committed further, and compaction may
// have removed the records below their commits. The positions have then moved since they were
// read. While the member still owns the task, its positions cannot move.
func (w *Worker) disagree(
	ctx context.Context,
	committed map[topic.Partition]topic.Offset,
	positions []topic.Partition,
	cause error,
) error {
	now, err := w.member.Committed(ctx, positions...)
	switch {
	case err != nil:
		return err
	case !maps.Equal(now, committed):
		return fmt.Errorf("the positions of the group have moved during the restore: %w", topic.ErrLost)
	}
	return cause
}

// store opens the local store of a slot.
func (w *Worker) store(u *slot) (state.Store, error) {
	store, err := w.env.Store(u.name)
	if err != nil {
		return nil, fmt.Errorf("open the state of %s: %w", u.name, err)
	}
	return store, nil
}

// agree compares the positions of the state with those of the group. The state may be ahead, if
// the group's positions have expired or were restored from an older copy of the cluster; the
// next commit corrects that. A group that is ahead means that its positions were changed from
// outside, or that the changelog has lost records.
func agree(u *slot, store state.Store, committed map[topic.Partition]topic.Offset) error {
	if seq, ok := committed[u.changelog]; ok && uint64(seq) > store.Seq() {
		return fmt.Errorf(
			"%w: the group has commit %d of task %s, but its changelog %s ends at commit %d",
			ErrMoved,
			seq,
			u.name,
			u.changelog,
			store.Seq(),
		)
	}
	position := store.Position()
	for _, in := range u.inputs {
		at, ok := position[in.Partition]
		if !ok {
			at = in.From
		}
		if group, known := committed[in.Partition]; known && group > at {
			return fmt.Errorf(
				"%w: the group has position %[3]d in %[2]s, but the state of task %[4]s ends at %[5]d",
				ErrMoved,
				in.Partition,
				group,
				u.name,
				at,
			)
		}
	}
	return nil
}

// sameTopics records the id and the number of partitions of each topic that a task reads, and
// fails if a topic of the same name has been recreated.
func (w *Worker) sameTopics(ctx context.Context, u *slot, store state.Store) error {
	keep := store.Keyspace("topics")
	for _, name := range u.topics() {
		if !w.env.Log.Kept(name) {
			continue
		}
		d, err := w.describe(ctx, name)
		if errors.Is(err, topic.ErrUnknownTopic) {
			return fmt.Errorf("topic %q no longer exists: %w", name, topic.ErrTopicReplaced)
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

// samePartitions fails if the number of partitions has changed: keys are then in other
// partitions than the state that belongs to them.
func samePartitions(name string, before, now int) error {
	if before == now {
		return nil
	}
	return fmt.Errorf(
		"topic %q has %d partitions instead of the %d it had when the job was created, so keys have moved: %w",
		name,
		now,
		before,
		ErrPartitions,
	)
}
