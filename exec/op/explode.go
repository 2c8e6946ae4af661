package op

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Explosion is one table function of a SELECT list and its arguments.
type Explosion struct {
	Name string
	Args []expr.Expr
	Func udf.TableFunc
	Type flow.Type
}

// Explode replaces each row by the rows of its table functions and appends a column per function.
// The longest function determines the number of rows; the columns of shorter ones are padded with
// NULL. A row whose functions all return no rows is dropped. The output is emitted in batches of
// limited size, so one row can produce any number of rows.
type Explode struct {
	Input exec.Node
	Calls []Explosion
	Out   *flow.Schema
}

// Schema implements exec.Node.
func (e *Explode) Schema() *flow.Schema { return e.Out }

// Inputs implements exec.Node.
func (e *Explode) Inputs() []exec.Node { return []exec.Node{e.Input} }

// Rewire implements exec.Node.
func (e *Explode) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := &Explode{Input: in[0], Calls: slices.Clone(e.Calls), Out: rebased(e.Out, e.Input, in[0])}
	for i, c := range e.Calls {
		out.Calls[i].Args = make([]expr.Expr, len(c.Args))
		for j, a := range c.Args {
			out.Calls[i].Args[j] = Rewire(a, 0, move)
		}
	}
	return out
}

// Under implements Sieve. Conditions on columns of the input commute.
func (e *Explode) Under(p expr.Expr) ([]expr.Expr, bool) {
	return []expr.Expr{p}, over(p, e.Input.Schema())
}

// String implements exec.Node.
func (e *Explode) String() string {
	var names []string
	for _, c := range e.Calls {
		names = append(names, c.Name)
	}
	return fmt.Sprintf("Explode %s", strings.Join(names, ", "))
}

// Open implements exec.Node.
func (e *Explode) Open(ctx *exec.Context) (exec.Operator, error) {
	out := &explode{Explode: e, env: ctx.Evaluation("SELECT"), account: ctx.Account, slice: firstSlice}
	out.fixed = make([][]arrow.Array, len(e.Calls))
	one := flow.NewBatch(flow.NewSchema(nil), nil, 1, nil)
	for i, c := range e.Calls {
		if allLiteral(c.Args) {
			for _, a := range c.Args {
				out.fixed[i] = append(out.fixed[i], expr.Eval(a, one, udf.Env{}))
			}
		}
	}
	return out, nil
}

// allLiteral reports whether all arguments are literals. Then they are evaluated once, and all rows
// share the result.
func allLiteral(args []expr.Expr) bool {
	for _, a := range args {
		if _, ok := a.(*expr.Literal); !ok {
			return false
		}
	}
	return true
}

type explode struct {
	*Explode
	env     udf.Env
	account *flow.Account
	fixed   [][]arrow.Array // the results of calls whose arguments are literals: one row each
	slice   int             // the number of input rows whose arguments are evaluated together
}

// The arguments of several input rows are evaluated together. Their number adapts so that a slice
// produces about this many rows.
const (
	firstSlice = 16
	sliceRows  = 16 * pieceRows
)

// Process implements exec.Operator.
func (e *explode) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	for from := 0; from < in.Rows(); {
		part := in.Slice(from, min(from+e.slice, in.Rows()))
		from += part.Rows()
		made, err := e.part(part, emit)
		if err != nil {
			return err
		}
		switch {
		case made > sliceRows:
			e.slice = max(e.slice*sliceRows/made, 1)
		case e.slice < pieceRows:
			e.slice *= 4
		}
	}
	return nil
}

// part explodes a slice of the input and returns the number of rows that it produced.
func (e *explode) part(in *flow.Batch, emit exec.Emit) (made int, err error) {
	before := e.account.Used()
	args := make([][]arrow.Array, len(e.Calls))
	for i, c := range e.Calls {
		if e.fixed[i] != nil {
			continue
		}
		for _, a := range c.Args {
			args[i] = append(args[i], expr.Eval(a, in, e.env))
		}
	}
	defer e.account.Release(e.account.Used() - before)
	if err := e.account.Err(); err != nil {
		return 0, err
	}
	p := e.piece(in)
	counts := make([]int, len(e.Calls))
	for row := range in.Rows() {
		most, width := 0, in.RowSize(row)
		for i, c := range e.Calls {
			a, r := e.argument(args, i, row)
			counts[i] = c.Func.Count(a, r)
			most = max(most, counts[i])
			if c.Func.Wide {
				width += flow.SizeAt(a, r)
			}
		}
		made += most
		for from := 0; from < most; {
			to := min(most, from+p.room(width))
			if err := e.rows(p, args, counts, row, from, to, width); err != nil {
				return made, err
			}
			from = to
			if p.full() {
				if err := p.flush(emit); err != nil {
					return made, err
				}
			}
		}
	}
	return made, p.flush(emit)
}

// argument returns the arguments of call i and the index of a row in them.
func (e *explode) argument(args [][]arrow.Array, i, row int) ([]arrow.Array, int) {
	if e.fixed[i] != nil {
		return e.fixed[i], 0
	}
	return args[i], row
}

// rows appends the rows [from, to) that an input row produces.
func (e *explode) rows(p *piece, args [][]arrow.Array, counts []int, row, from, to int, width int64) error {
	for i, c := range e.Calls {
		if end := min(to, counts[i]); from < end {
			a, r := e.argument(args, i, row)
			c.Func.Append(a, r, from, end, p.builders[i])
		}
		for n := max(from, counts[i]); n < to; n++ {
			p.builders[i].AppendNull()
		}
	}
	for range to - from {
		p.from = append(p.from, int32(row))
	}
	p.bytes += width * int64(to-from)
	e.account.Work(flow.Step * int64(to-from))
	return e.account.Err()
}

// piece collects output rows until it reaches the size of a batch.
type piece struct {
	e        *explode
	in       *flow.Batch
	builders []array.Builder
	from     []int32 // the input row of each output row
	bytes    int64   // of the repeated input columns
}

func (e *explode) piece(in *flow.Batch) *piece {
	p := &piece{e: e, in: in}
	for _, c := range e.Calls {
		p.builders = append(p.builders, flow.Builder(c.Type))
	}
	return p
}

// room returns how many more rows of a width in bytes fit into the piece, at least one.
func (p *piece) room(width int64) int {
	rows := int64(pieceRows - len(p.from))
	return int(max(1, min(rows, (pieceBytes-p.bytes)/max(width, 1))))
}

func (p *piece) full() bool { return len(p.from) >= pieceRows || p.bytes >= pieceBytes }

// flush emits the piece and starts an empty one.
func (p *piece) flush(emit exec.Emit) error {
	if len(p.from) == 0 {
		return nil
	}
	a := p.e.account
	before := a.Used()
	wide := p.in.Take(p.from)
	cols := append([]arrow.Array(nil), wide.Columns()...)
	for _, b := range p.builders {
		cols = append(cols, b.NewArray())
	}
	out := flow.NewBatch(p.e.Out, cols, len(p.from), wide.Ops)
	p.from, p.bytes = p.from[:0], 0
	a.Grow(out.Size())
	return pass(a, before, out, emit)
}
