package op

import (
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// The interfaces by which the planner's rules learn about nodes. Rules do not change a node that
// implements none of them.

// Leaf is a node that reads a topic and has no inputs. Leaf returns its number in the plan, which
// all its copies share.
type Leaf interface {
	exec.Node
	Leaf() int
}

// Narrower is a node that can omit columns. Narrow returns a copy that emits the columns for
// which want is true, and as few others as possible.
type Narrower interface {
	exec.Node
	Narrow(want func(column int) bool) exec.Node
}

// Sieve is a node that commutes with filters. Under returns a condition for each input, so that
// filtering the inputs by them equals filtering the output by p. It returns false if there are no
// such conditions, or if an expensive expression would be computed twice.
type Sieve interface {
	exec.Node
	Under(p expr.Expr) (under []expr.Expr, ok bool)
}

// Seeker is a leaf that can omit rows. Seek returns a copy that emits at least the rows for which
// all terms are true.
type Seeker interface {
	exec.Node
	Seek(terms []expr.Expr) exec.Node
}

// Stateful is a node whose operator has keyspaces that survive commits. A job can continue from
// them only with a plan of the same shape. Keeps reports whether this node has any.
type Stateful interface {
	exec.Node
	Keeps() bool
}

// Rewire returns an expression in which move has replaced the columns of the input at a port.
func Rewire(e expr.Expr, port int, move exec.Move) expr.Expr {
	return expr.Substitute(e, func(c *expr.Column) expr.Expr {
		if to := move(port, c.Index); to != c.Index {
			return &expr.Column{Index: to, Name: c.Name, T: c.T}
		}
		return c
	})
}

// rewireAll returns the columns that move makes of columns of the input at port 0. Negative columns
// mean none and are not moved.
func rewireAll(columns []int, move exec.Move) []int {
	if columns == nil {
		return nil
	}
	out := make([]int, len(columns))
	for i, c := range columns {
		out[i] = rewireOne(c, move)
	}
	return out
}

func rewireOne(column int, move exec.Move) int {
	if column < 0 {
		return column
	}
	return move(0, column)
}

// touch reports to move the columns that an operator reads by their role instead of by a reference
// of its node: event time and, with clock, stream time.
func touch(s *flow.Schema, clock bool, move exec.Move) {
	rewireOne(s.ID(s.Time), move)
	if clock {
		rewireOne(s.ID(s.Clock), move)
	}
}

// narrowed returns a schema of the columns for which want is true, and their positions.
func narrowed(s *flow.Schema, want func(column int) bool) (*flow.Schema, []int) {
	var at []int
	for i := range s.NumFields() {
		if want(s.ID(i)) {
			at = append(at, i)
		}
	}
	return chosen(s, at), at
}

// chosen returns a schema of some columns of another.
func chosen(s *flow.Schema, at []int) *flow.Schema {
	fields := make([]arrow.Field, len(at))
	out := &flow.Schema{Time: -1, Clock: -1, IDs: make([]int, len(at))}
	for i, from := range at {
		fields[i], out.IDs[i] = s.Field(from), s.ID(from)
		switch from {
		case s.Time:
			out.Time = i
		case s.Clock:
			out.Clock = i
		}
	}
	out.Schema = arrow.NewSchema(fields, nil)
	return out
}

// appended returns a schema with more columns at the end.
func appended(s *flow.Schema, more []arrow.Field, ids []int) *flow.Schema {
	out := &flow.Schema{Schema: arrow.NewSchema(append(slices.Clone(s.Fields()), more...), nil), Time: s.Time,
		Clock: s.Clock}
	for i := range s.NumFields() {
		out.IDs = append(out.IDs, s.ID(i))
	}
	out.IDs = append(out.IDs, ids...)
	return out
}

// rebased returns the schema of a node that appends columns to those of its input, over another
// input.
func rebased(out *flow.Schema, old, in exec.Node) *flow.Schema {
	width := old.Schema().NumFields()
	var ids []int
	for i := width; i < out.NumFields(); i++ {
		ids = append(ids, out.ID(i))
	}
	return appended(in.Schema(), out.Fields()[width:], ids)
}

// over reports whether an expression reads only columns of a schema.
func over(e expr.Expr, s *flow.Schema) bool {
	ok := true
	expr.Columns(e, func(c *expr.Column) { ok = ok && s.Position(c.Index) >= 0 })
	return ok
}

// compared splits a comparison of a column with a literal. It returns the column, the operation
// with the column on its left side, and the literal. The last result is false for any other term.
func compared(term expr.Expr) (column int, op expr.CompareOp, value *expr.Literal, ok bool) {
	c, isCompare := term.(*expr.Compare)
	if !isCompare || c.Distinct {
		return 0, 0, nil, false
	}
	l, r, op := c.L, c.R, c.Op
	if _, ok := l.(*expr.Literal); ok {
		l, r, op = r, l, op.Flipped()
	}
	col, isColumn := l.(*expr.Column)
	value, isLiteral := r.(*expr.Literal)
	if !isColumn || !isLiteral || value.Value == nil {
		return 0, 0, nil, false
	}
	return col.Index, op, value, true
}
