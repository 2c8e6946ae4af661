// Package op contains the operators. A file defines a node, which the planner creates and EXPLAIN
// prints, and the operator that the node opens.
package op

import (
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Filter passes the rows for which Predicate is true. A retraction passes exactly if its insertion
// did, because both have the same values. With Upsert the input is a table without old rows: a row
// that does not pass becomes the deletion of its key.
type Filter struct {
	Input     exec.Node
	Predicate expr.Expr
	Upsert    bool
}

// Schema implements exec.Node.
func (f *Filter) Schema() *flow.Schema { return f.Input.Schema() }

// Inputs implements exec.Node.
func (f *Filter) Inputs() []exec.Node { return []exec.Node{f.Input} }

// Rewire implements exec.Node.
func (f *Filter) Rewire(in []exec.Node, move exec.Move) exec.Node {
	return &Filter{Input: in[0], Predicate: Rewire(f.Predicate, 0, move), Upsert: f.Upsert}
}

// String implements exec.Node.
func (f *Filter) String() string { return "Filter " + f.Predicate.String() }

// Open implements exec.Node.
func (f *Filter) Open(ctx *exec.Context) (exec.Operator, error) {
	return &filter{Filter: f, env: ctx.Evaluation("WHERE")}, nil
}

type filter struct {
	*Filter
	env udf.Env
}

// Process implements exec.Operator.
func (f *filter) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	before := f.env.Account.Used()
	keep := expr.Eval(f.Predicate, in, f.env).(*array.Boolean)
	if !f.Upsert {
		out := in.Where(keep)
		if out != in {
			f.env.Account.Grow(out.Size())
		}
		return pass(f.env.Account, before, out, emit)
	}
	ops := make([]flow.Op, in.Rows())
	for i := range ops {
		ops[i] = in.Op(i)
		if keep.IsNull(i) || !keep.Value(i) {
			ops[i] = flow.Retract
		}
	}
	return pass(f.env.Account, before, flow.NewBatch(in.Schema, in.Columns(), in.Rows(), ops), emit)
}
