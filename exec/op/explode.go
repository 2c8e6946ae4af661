package op

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Explosion is one table function of a SELECT list over a row's values.
type Explosion struct {
	Name string
	Args []expr.Expr
	Func udf.TableFunc
	Type flow.Type
}

// Explode makes as many rows of each row as its longest table function gives, and appends a column per function; the shorter ones are
// filled with NULL. A row for which all are empty gives none.
type Explode struct {
	Input exec.Node
	Calls []Explosion
	Out   *flow.Schema
}

func (e *Explode) Schema() *flow.Schema { return e.Out }
func (e *Explode) Inputs() []exec.Node  { return []exec.Node{e.Input} }
func (e *Explode) String() string {
	var names []string
	for _, c := range e.Calls {
		names = append(names, c.Name)
	}
	return fmt.Sprintf("Explode %s", strings.Join(names, ", "))
}

// Open implements exec.Node.
func (e *Explode) Open(ctx *exec.Context) (exec.Operator, error) {
	return &explode{Explode: e, fail: ctx.RowFailed("SELECT")}, nil
}

type explode struct {
	*Explode
	fail func(int, error)
}

func (e *explode) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	var rows []int32
	args := make([][]arrow.Array, len(e.Calls))
	builders := make([]array.Builder, len(e.Calls))
	for i, c := range e.Calls {
		builders[i] = flow.Builder(c.Type)
		for _, a := range c.Args {
			args[i] = append(args[i], a.Eval(in, e.fail))
		}
	}
	counts := make([]int, len(e.Calls))
	for row := range in.Rows() {
		most := 0
		for i, c := range e.Calls {
			counts[i] = c.Func(args[i], row, builders[i])
			most = max(most, counts[i])
		}
		for i, n := range counts {
			for ; n < most; n++ {
				builders[i].AppendNull()
			}
		}
		for range most {
			rows = append(rows, int32(row))
		}
	}
	wide := in.Take(rows)
	cols := append([]arrow.Array(nil), wide.Columns()...)
	for _, b := range builders {
		cols = append(cols, b.NewArray())
	}
	return emit(flow.NewBatch(e.Out, cols, len(rows), wide.Ops))
}
