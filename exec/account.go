package exec

import (
	"context"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// count makes a task charge the job's account. All tasks of a job share it: they run on one goroutine.
func (w *Worker) count(ctx *Context) {
	ctx.Account, ctx.Strict = w.account, w.env.Transient && w.whole
	if s, ok := ctx.State.(state.Counted); ok {
		s.Count(w.account)
	}
}

// watch begins the account anew for a run that ctx ends. An operator that is stopped half-way returns flow.ErrStopped, which is not ctx's
// error: what it has pushed so far is not whole, and nothing of it may be committed.
func (w *Worker) watch(ctx context.Context) { w.account.Watch(ctx) }

// offered charges what a lane has taken in; pushed gives back what it has let go.
func (t *Task) offered(b *flow.Batch) { t.ctx.Account.Grow(b.Size()) }

func (t *Task) pushed(l *lane) {
	t.ctx.Account.Release(l.done)
	l.done = 0
}
