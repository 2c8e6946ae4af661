package expr

import (
	"context"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// The limits of folding: of the bytes and steps of one constant, and of the bytes of all
// constants of a statement. A constant above the limits is not folded but evaluated when the
// query runs, where it is charged to the query and can be stopped.
const (
	foldBytes     = 1 << 20
	foldSteps     = 4 << 20
	foldStatement = 16 << 20
)

// Folder folds the constants of one statement.
type Folder struct {
	ctx   context.Context
	bytes int64 // of all results so far
	steps int64
}

// NewFolder returns a Folder that stops when ctx ends.
func NewFolder(ctx context.Context) *Folder { return &Folder{ctx: ctx} }

// Fold replaces subtrees without columns by their values. A constant that fails is not folded,
// so that each row reports it, and neither is one above the limits.
func (f *Folder) Fold(e Expr) Expr {
	return Map(e, func(e Expr) Expr {
		if len(e.Inputs()) == 0 || f.bytes > foldStatement || f.steps > foldStatement {
			return e
		}
		if Volatile(e) {
			return e
		}
		for _, in := range e.Inputs() {
			if _, ok := in.(*Literal); !ok {
				return e
			}
		}
		return f.value(e)
	})
}

// value returns the value of a constant as a literal, or the constant itself.
func (f *Folder) value(e Expr) Expr {
	failed := false
	one := flow.NewBatch(flow.NewSchema(nil), nil, 1, nil)
	account := flow.NewBudget(f.ctx, foldBytes, foldSteps)
	v := Eval(e, one, udf.Env{Account: account, Fail: func(int, error) { failed = true }})
	f.steps += account.Steps()
	if failed || account.Err() != nil {
		return e
	}
	f.bytes += flow.Size(v)
	return Lit(e.Type(), flow.Value(v, 0))
}

// Fold folds a single expression.
func Fold(e Expr) Expr { return NewFolder(context.Background()).Fold(e) }
