package op

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// pass emits a batch, unless the account has exceeded its quota. before is the use of the account
// before the batch was made. The batch's memory is released when all downstream operators have
// processed it; memory that they keep is charged by them.
func pass(a *flow.Account, before int64, b *flow.Batch, emit exec.Emit) error {
	if err := a.Err(); err != nil {
		return err
	}
	made := a.Used() - before
	err := emit(b)
	a.Release(made)
	return err
}

// pieceRows and pieceBytes limit the batches that operators emit when they make rows themselves.
const (
	pieceRows  = 4096
	pieceBytes = 1 << 20
)

// charge adjusts the account to the memory of the sample: by one part, or after a cut by recounting
// all parts.
func (t *trainOnce) charge(cut bool, added part) {
	if !cut {
		t.ctx.Account.Grow(added.size())
		t.charged += added.size()
		return
	}
	now := int64(0)
	for _, p := range t.rows.parts {
		now += p.size()
	}
	t.ctx.Account.Release(t.charged)
	t.ctx.Account.Grow(now)
	t.charged = now
}

// size returns the memory of the rows and of their ranks in the sample, in bytes.
func (p part) size() int64 {
	size := 8 * int64(p.rows)
	for _, c := range p.cols {
		size += flow.Size(c)
	}
	return size
}
