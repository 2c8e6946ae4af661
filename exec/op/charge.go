package op

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// pass emits a batch that was made since the account stood at before, unless the account has refused it. When everything downstream has
// taken the batch, what making it took is given back; what those downstream keep they have charged themselves.
func pass(a *flow.Account, before int64, b *flow.Batch, emit exec.Emit) error {
	if err := a.Err(); err != nil {
		return err
	}
	made := a.Used() - before
	err := emit(b)
	a.Release(made)
	return err
}

// pieceRows and pieceBytes bound the batches in which an operator that makes rows by itself emits them.
const (
	pieceRows  = 4096
	pieceBytes = 1 << 20
)

// charge keeps the account at what the sample takes: a part more, or after a cut whatever is left.
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

// size is the memory of the rows and of their ranks in the sample.
func (p part) size() int64 {
	size := 8 * int64(p.rows)
	for _, c := range p.cols {
		size += flow.Size(c)
	}
	return size
}
