package exec

import (
	"context"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// count makes a task charge the job's account. All tasks of a job share one account, which
// needs no lock because they run on one goroutine.
func (w *Worker) count(ctx *Context) {
	ctx.Account, ctx.Strict = w.account, w.env.Transient && w.whole
	if s, ok := ctx.State.(state.Counted); ok {
		s.Count(w.account)
	}
}

// watch resets the account for a run that ctx ends. An operator that is stopped in the middle
// of a batch returns flow.ErrStopped, not ctx's error: its output so far is incomplete and must
// not be committed. A job is therefore allowed some more batches (jobPatience) to reach a point
// at which it can commit.
func (w *Worker) watch(ctx context.Context) {
	patience := 0
	if !w.env.Transient {
		patience = jobPatience
	}
	w.account.Watch(ctx, patience)
}

// jobPatience is the number of looks at the context that a stopped job may still take before
// its work is aborted. It corresponds to 64 MiB of processed data.
const jobPatience = 1024

// offered charges the memory of a batch that an input has queued.
func (t *Task) offered(b *flow.Batch) { t.ctx.Account.Grow(b.Size()) }

// pushed releases the memory of the batches that have left the input's queue.
func (t *Task) pushed(l *lane) {
	t.ctx.Account.Release(l.done)
	l.done = 0
}
