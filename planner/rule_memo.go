package planner

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// memoize adds a Memo over values that are not a function of the row alone, where the row may be
// retracted. These are predictions, and expressions that use RANDOM, UUID, the current time or the
// row's event time (a retraction has the event time of its cause). It adds none over an append-only
// input, nor where only the key of a retraction is read, as directly below a sink.
func memoize(b *binder, n exec.Node) exec.Node {
	_, sink := n.(*op.Sink)
	return b.keepDrawn(giveOld(n, false), !sink)
}

// giveOld makes an aggregate emit old rows if its results are filtered, or read by an operator that determines the
// changes itself.
func giveOld(n exec.Node, want bool) exec.Node {
	if a, ok := n.(*op.Aggregate); ok && !a.Retract && want && a.Emit == op.EmitChanges {
		out := *a
		out.Retract = true
		n = &out
	}
	switch n.(type) {
	case op.Changer, *op.Filter:
		want = true
	}
	return over(n, func(in exec.Node) exec.Node { return giveOld(in, want) })
}

// keepDrawn rewrites from the leaves up. values reports whether the nodes above read more of a
// retraction than its key.
func (b *binder) keepDrawn(n exec.Node, values bool) exec.Node {
	below := values
	switch n.(type) {
	case *op.Sink:
		below = false
	case *op.Project, *op.Predict, *op.Limit, *op.Union:
	default:
		below = true
	}
	n = over(n, func(in exec.Node) exec.Node { return b.keepDrawn(in, below) })
	if !slices.ContainsFunc(n.Inputs(), op.Retracts) {
		return n
	}
	switch n := n.(type) {
	case *op.Predict:
		if values {
			return memoOver(n, outputs(n))
		}
	case *op.Filter:
		return b.keepCondition(n)
	case *op.Project:
		if values {
			return b.keepExprs(n)
		}
	}
	return n
}

// outputs returns the columns that a Predict appends.
func outputs(n *op.Predict) []int {
	var out []int
	for i := n.Input.Schema().NumFields(); i < n.Out.NumFields(); i++ {
		out = append(out, n.Out.ID(i))
	}
	return out
}

// drawn reports whether an expression may have different values for a row's insertion and its
// retraction.
func drawn(e expr.Expr, s *flow.Schema) bool {
	out := expr.Volatile(e)
	expr.Columns(e, func(c *expr.Column) {
		out = out || c.Index == s.ID(s.Time) || c.Index == s.ID(s.Clock)
	})
	return out
}

// keepCondition computes a filter's condition below the filter, once for a row's insertion and
// retraction.
func (b *binder) keepCondition(f *op.Filter) exec.Node {
	if !drawn(f.Predicate, f.Input.Schema()) {
		return f
	}
	kept, cols := b.memoOf(f.Input, []expr.Expr{f.Predicate})
	return &op.Filter{Input: kept, Predicate: cols[0]}
}

// keepExprs moves the drawn expressions of a projection into a memo below the projection. The event
// time and the stream time of the projection stay in it: they belong to the change, not to the row.
func (b *binder) keepExprs(p *op.Project) exec.Node {
	in := p.Input.Schema()
	var list []expr.Expr
	var at []int
	for i, e := range p.Exprs {
		if i != p.Out.Time && i != p.Out.Clock && drawn(e, in) {
			list, at = append(list, e), append(at, i)
		}
	}
	if len(list) == 0 {
		return p
	}
	out := &op.Project{Out: p.Out, Exprs: slices.Clone(p.Exprs)}
	var cols []expr.Expr
	out.Input, cols = b.memoOf(p.Input, list)
	for i, c := range cols {
		out.Exprs[at[i]] = c
	}
	return out
}

// memoOf appends computed columns to a node and stores them.
func (b *binder) memoOf(in exec.Node, list []expr.Expr) (*op.Memo, []expr.Expr) {
	names, ids, cols := make([]string, len(list)), make([]int, len(list)), make([]expr.Expr, len(list))
	for i, e := range list {
		c := b.column(fmt.Sprintf("$drawn%d", i), e.Type(), internal, ordinary)
		names[i], ids[i], cols[i] = c.name, c.id, c.ref()
	}
	return memoOver(op.Extend(in, list, names, ids), ids), cols
}

// memoOver stores columns of a node.
func memoOver(n exec.Node, cols []int) *op.Memo {
	id := op.Identify(n)
	return &op.Memo{Input: n, Key: id.Columns, Window: id.Window, Lasts: id.Lasts, Columns: cols}
}
