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

// Explosion is one table function of a SELECT list over a row's values.
type Explosion struct {
	Name string
	Args []expr.Expr
	Func udf.TableFunc
	Type flow.Type
}

// Explode makes as many rows of each row as its longest table function gives, and appends a column per function; the shorter ones are
// filled with NULL. A row for which all are empty gives none. The rows go on in pieces, so that a row may make any number of them.
type Explode struct {
	Input exec.Node
	Calls []Explosion
	Out   *flow.Schema
}

func (e *Explode) Schema() *flow.Schema { return e.Out }
func (e *Explode) Inputs() []exec.Node  { return []exec.Node{e.Input} }

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

// Under implements Sieve: a condition on columns of the input.
func (e *Explode) Under(p expr.Expr) ([]expr.Expr, bool) {
	return []expr.Expr{p}, over(p, e.Input.Schema())
}

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

// allLiteral reports whether the arguments are the same for each row: then they are evaluated once, for a list that all rows share.
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
	fixed   [][]arrow.Array // of calls whose arguments are literals: one row
	slice   int             // input rows whose arguments are evaluated together
}

// The arguments of a slice of the input are evaluated together: as many rows as made about this many rows before.
const (
	firstSlice = 16
	sliceRows  = 16 * pieceRows
)

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

// part explodes a slice of the input and says how many rows it made.
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

// argument is where call i finds the arguments of a row.
func (e *explode) argument(args [][]arrow.Array, i, row int) ([]arrow.Array, int) {
	if e.fixed[i] != nil {
		return e.fixed[i], 0
	}
	return args[i], row
}

// rows adds rows [from, to) of those that an input row makes.
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

// piece gathers output rows until there are enough to go on.
type piece struct {
	e        *explode
	in       *flow.Batch
	builders []array.Builder
	from     []int32 // the input row of each
	bytes    int64   // of the columns of the input, repeated
}

func (e *explode) piece(in *flow.Batch) *piece {
	p := &piece{e: e, in: in}
	for _, c := range e.Calls {
		p.builders = append(p.builders, flow.Builder(c.Type))
	}
	return p
}

// room is how many rows more of a width the piece takes, at least one.
func (p *piece) room(width int64) int {
	rows := int64(pieceRows - len(p.from))
	return int(max(1, min(rows, (pieceBytes-p.bytes)/max(width, 1))))
}

func (p *piece) full() bool { return len(p.from) >= pieceRows || p.bytes >= pieceBytes }

// flush emits the piece and begins the next.
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
