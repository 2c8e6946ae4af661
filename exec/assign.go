package exec

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// assign follows what the group says: what it has taken away is committed and let go, what it has given is begun. Only then is the group
// asked again, which is its sign that others may have what was taken away.
func (w *Worker) assign(ctx context.Context, a topic.Assignment) error {
	owns, copies := set(a.Tasks), set(a.Standbys)
	var lost []*unit
	for _, u := range w.units {
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
	if err := w.letGo(ctx, lost); err != nil {
		return err
	}
	for _, u := range w.units {
		w.reconcile(u)
	}
	if w.env.Log != nil && w.env.Log.Assigned != nil {
		w.env.Log.Assigned(w.job, a)
	}
	w.order(toAsk{})
	return nil
}

func set(parts []topic.Partition) map[topic.Partition]bool {
	out := make(map[topic.Partition]bool, len(parts))
	for _, p := range parts {
		out[p] = true
	}
	return out
}

// letGo closes tasks that are to run elsewhere, after a commit of all that was done for them.
func (w *Worker) letGo(ctx context.Context, lost []*unit) error {
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
		return fmt.Errorf("a task moves away while rows are held that cannot be committed: %w", topic.ErrLost)
	}
	for _, u := range lost {
		if err := w.release(u); err != nil {
			return err
		}
		w.order(toDrop{u})
	}
	return nil
}

// reconcile takes a unit a step nearer to what is wanted of it. What is given up has to end first: gone brings the unit back here.
func (w *Worker) reconcile(u *unit) {
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

// prepared opens a restored task. One that was taken away meanwhile is closed, whatever came of it.
func (w *Worker) prepared(e prepared) error {
	u := e.unit
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

// cooled ends the session: a copy that cannot be kept would never be of use.
func (w *Worker) cooled(e cooled) error {
	if e.unit.phase != standby || e.err == nil {
		return nil
	}
	return fmt.Errorf("standby of %s: %w", e.unit.name, e.err)
}
