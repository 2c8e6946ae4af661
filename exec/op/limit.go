package op

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// Limit passes the first N rows and ends the query. An update counts as one row and is not split.
type Limit struct {
	Input exec.Node
	N     int64
}

// Schema implements exec.Node.
func (l *Limit) Schema() *flow.Schema { return l.Input.Schema() }

// Inputs implements exec.Node.
func (l *Limit) Inputs() []exec.Node { return []exec.Node{l.Input} }

// Rewire implements exec.Node.
func (l *Limit) Rewire(in []exec.Node, _ exec.Move) exec.Node { return &Limit{Input: in[0], N: l.N} }

// String implements exec.Node.
func (l *Limit) String() string { return fmt.Sprintf("Limit %d", l.N) }

// Open implements exec.Node.
func (l *Limit) Open(*exec.Context) (exec.Operator, error) { return &limit{left: l.N}, nil }

type limit struct{ left int64 }

// Process implements exec.Operator.
func (l *limit) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	n, changes := in.Head(l.left)
	l.left -= changes
	if n > 0 {
		if err := emit(in.Slice(0, n)); err != nil {
			return err
		}
	}
	if l.left == 0 {
		return exec.ErrDone
	}
	return nil
}

// Finish implements exec.Finisher.
func (l *limit) Finish(exec.Emit) error { return nil }
