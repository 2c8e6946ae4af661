// Package op holds the operators, one per file: a node that the planner makes and EXPLAIN prints, and the loop it opens.
package op

import (
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// Filter passes the rows for which Predicate is true. A retraction passes exactly when its insertion did, because the row is the
// same. With Upsert the input is a table whose old rows are not known: a row that does not pass becomes the deletion of its key.
type Filter struct {
	Input     exec.Node
	Predicate expr.Expr
	Upsert    bool
}

func (f *Filter) Schema() *flow.Schema { return f.Input.Schema() }
func (f *Filter) Inputs() []exec.Node  { return []exec.Node{f.Input} }
func (f *Filter) String() string       { return "Filter " + f.Predicate.String() }
func (f *Filter) Open(ctx *exec.Context) (exec.Operator, error) {
	return &filter{Filter: f, fail: ctx.RowFailed("WHERE")}, nil
}

type filter struct {
	*Filter
	fail func(int, error)
}

func (f *filter) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	keep := f.Predicate.Eval(in, f.fail).(*array.Boolean)
	if !f.Upsert {
		return emit(in.Where(keep))
	}
	ops := make([]flow.Op, in.Rows())
	for i := range ops {
		ops[i] = in.Op(i)
		if keep.IsNull(i) || !keep.Value(i) {
			ops[i] = flow.Retract
		}
	}
	return emit(flow.NewBatch(in.Schema, in.Columns(), in.Rows(), ops))
}
