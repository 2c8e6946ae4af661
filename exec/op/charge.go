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
