package exec

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// assign applies a new assignment. Revoked tasks are committed and closed first, then new ones
// are started. The next assignment is requested last: that request releases the revoked tasks
// to other members, so nothing of them may be open by then.
func (w *Worker) assign(ctx context.Context, a topic.Assignment) error {
	owns, copies := set(a.Tasks), set(a.Standbys)
	var lost []*slot
	for _, u := range w.slots {
		switch {
		case owns[u.changelog] || w.whole && len(owns) > 0:
			u.want = owned
		case copies[u.changelog]:
			u.want = warm
		default:
			u.want = nothing
		}
		if u.phase == running && u.want != owned {
			lost = append(lost, u)
		}
	}
	if err := w.revoke(ctx, lost); err != nil {
		return err
	}
	for _, u := range w.slots {
		w.reconcile(u)
	}
	if w.env.Log != nil && w.env.Log.Assigned != nil {
		w.env.Log.Assigned(w.job, a)
	}
	w.order(toAsk{})
	return nil
}

// set returns the partitions as a set.
func set(parts []topic.Partition) map[topic.Partition]bool {
	out := make(map[topic.Partition]bool, len(parts))
	for _, p := range parts {
		out[p] = true
	}
	return out
}

// revoke closes tasks that are to run elsewhere, after a commit of everything that was done for
// them. It fails with topic.ErrLost if held rows prevent the commit.
func (w *Worker) revoke(ctx context.Context, lost []*slot) error {
	if len(lost) == 0 {
		return nil
	}
	for _, u := range lost {
		u.to(leaving)
	}
	if err := w.commit(ctx); err != nil {
		return err
	}
	if !w.first.IsZero() {
		return fmt.Errorf("a task is revoked while rows are held back that cannot be committed: %w", topic.ErrLost)
	}
	for _, u := range lost {
		if err := w.release(u); err != nil {
			return err
		}
		w.order(toDrop{u})
	}
	return nil
}

// reconcile moves a slot one phase closer to the decision in want. Work that has become
// unnecessary must end first; the event dropped then calls reconcile again.
func (w *Worker) reconcile(u *slot) {
	switch {
	case u.phase == absent && u.want == owned:
		u.to(restoring)
		w.order(toRestore{u})
	case u.phase == absent && u.want == warm:
		u.to(standby)
		w.order(toWarm{u})
	case u.phase == restoring && u.want != owned, u.phase == standby && u.want != warm:
		u.to(leaving)
		w.order(toDrop{u})
	}
}

// prepared opens the task of a restored slot. If the task was revoked during the restore, its
// store is closed instead, even after an error.
func (w *Worker) prepared(e prepared) error {
	u := e.slot
	switch {
	case u.phase == leaving && e.store != nil:
		return e.store.Close()
	case u.phase == leaving:
		return nil
	case e.err != nil:
		return e.err
	}
	if err := w.install(u, e); err != nil {
		return err
	}
	if w.mode == following {
		w.read(u)
	}
	return nil
}

// standbyEnded fails the session if a standby copy cannot be maintained. Otherwise the copy
// would be outdated when it is needed.
func (w *Worker) standbyEnded(e standbyEnded) error {
	if e.slot.phase != standby || e.err == nil {
		return nil
	}
	return fmt.Errorf("standby of %s: %w", e.slot.name, e.err)
}
