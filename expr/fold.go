package expr

import (
	"context"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// What folding may cost: a constant takes at most so many bytes and steps, those of a statement together so many bytes. What costs more
// is left as it is and worked out when the query runs, where it is charged to the query and can be stopped.
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

// NewFolder makes a Folder that stops when ctx ends.
func NewFolder(ctx context.Context) *Folder { return &Folder{ctx: ctx} }

// Fold replaces what depends on no column by its value. A constant that fails is left, so that each row reports it, and so is one that
// costs too much.
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

// value is a constant's value, or the constant itself.
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

// Fold folds one expression by itself.
func Fold(e Expr) Expr { return NewFolder(context.Background()).Fold(e) }
