package op

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// Union passes the rows of all its inputs in the order of their arrival. That is event time if the
// task merges its inputs by it.
type Union struct {
	Branches []exec.Node
	Columns  [][]int // by branch: its column for each column of Out
	Out      *flow.Schema
}

// Schema implements exec.Node.
func (u *Union) Schema() *flow.Schema { return u.Out }

// Inputs implements exec.Node.
func (u *Union) Inputs() []exec.Node { return u.Branches }

// String implements exec.Node.
func (u *Union) String() string { return fmt.Sprintf("Union of %d", len(u.Branches)) }

// Rewire implements exec.Node.
func (u *Union) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := &Union{Branches: in, Out: u.Out, Columns: make([][]int, len(u.Columns))}
	for port, columns := range u.Columns {
		out.Columns[port] = make([]int, len(columns))
		for i, c := range columns {
			out.Columns[port][i] = move(port, c)
		}
	}
	return out
}

// Narrow implements Narrower.
func (u *Union) Narrow(want func(column int) bool) exec.Node {
	out := &Union{Branches: u.Branches, Columns: make([][]int, len(u.Columns))}
	var at []int
	out.Out, at = narrowed(u.Out, want)
	for port, columns := range u.Columns {
		for _, i := range at {
			out.Columns[port] = append(out.Columns[port], columns[i])
		}
	}
	return out
}

// Under implements Sieve. Each branch is filtered by its own columns.
func (u *Union) Under(p expr.Expr) ([]expr.Expr, bool) {
	out := make([]expr.Expr, len(u.Branches))
	for port := range out {
		out[port] = Rewire(p, port, func(port, c int) int { return u.Columns[port][u.Out.Position(c)] })
	}
	return out, true
}

// Open implements exec.Node.
func (u *Union) Open(*exec.Context) (exec.Operator, error) { return u, nil }

// Process implements exec.Operator.
func (u *Union) Process(port int, in *flow.Batch, emit exec.Emit) error {
	cols := make([]arrow.Array, len(u.Columns[port]))
	for i, c := range u.Columns[port] {
		cols[i] = in.Column(c)
	}
	return emit(in.With(u.Out, cols))
}
