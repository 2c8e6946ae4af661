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
// A job therefore gets as much time as some batches need.
func (w *Worker) watch(ctx context.Context) {
	patience := 0
	if !w.env.Transient {
		patience = jobPatience
	}
	w.account.Watch(ctx, patience)
}

// jobPatience is how often a job that was stopped may still look at its context before it is broken off: 64 MiB of work.
const jobPatience = 1024

// offered charges what a lane has taken in; pushed gives back what it has let go.
func (t *Task) offered(b *flow.Batch) { t.ctx.Account.Grow(b.Size()) }

func (t *Task) pushed(l *lane) {
	t.ctx.Account.Release(l.done)
	l.done = 0
}
