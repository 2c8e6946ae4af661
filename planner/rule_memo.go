package planner

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// memoize puts a Memo over what is not a function of the row alone, where the row may be retracted: over predictions, and over expressions
// that use RANDOM, UUID, the present time or the row's own event time (a retraction has that of its cause). Over an append-only input
// nothing is kept, nor where only the key of a retraction is read, as directly under a sink. It returns the node that takes n's place.
func memoize(n exec.Node) exec.Node {
	wantOld(n, false)
	_, sink := n.(*op.Sink)
	return keepDrawn(n, !sink)
}

// wantOld tells the aggregates over whose results rows are filtered or grouped that they must give old rows too.
func wantOld(n exec.Node, want bool) {
	in := input(n)
	if in == nil {
		return
	}
	switch n := n.(type) {
	case *op.Aggregate:
		n.Retract = n.Retract || want && n.Emit == op.EmitChanges
		want = true
	case *op.Filter:
		want = true
	}
	wantOld(*in, want)
}

// keepDrawn works from the leaves up. values: what is above reads more of a retraction than its key.
func keepDrawn(n exec.Node, values bool) exec.Node {
	in := input(n)
	if in == nil {
		return n
	}
	below := values
	switch n.(type) {
	case *op.Sink:
		below = false
	case *op.Project, *op.Predict, *op.Limit:
	default:
		below = true
	}
	*in = keepDrawn(*in, below)
	if !retracts(*in) {
		return n
	}
	switch n := n.(type) {
	case *op.Predict:
		if values {
			return memoOver(n, len(n.Input.Schema().Fields()))
		}
	case *op.Filter:
		return keepCondition(n)
	case *op.Project:
		if values {
			keepExprs(n)
		}
	}
	return n
}

// retracts reports whether a node's rows may be taken back.
func retracts(n exec.Node) bool {
	switch n := n.(type) {
	case *op.Normalize:
		return !n.Final
	case *op.Aggregate:
		session := n.Window != nil && n.Window.Gap > 0
		return n.Emit == op.EmitChanges && (n.Retract || session)
	}
	in := input(n)
	return in != nil && retracts(*in)
}

// drawn reports whether an expression may have another value for a row's retraction than it had for its insertion.
func drawn(e expr.Expr, s *flow.Schema) bool {
	out := expr.Volatile(e)
	expr.Walk(e, func(e expr.Expr) {
		if c, ok := e.(*expr.Column); ok && (c.Index == s.Time || c.Index == s.Clock) {
			out = true
		}
	})
	return out
}

// keepCondition computes a filter's condition under it, once for a row's insertion and retraction.
func keepCondition(f *op.Filter) exec.Node {
	in := f.Input
	if !drawn(f.Predicate, in.Schema()) {
		return f
	}
	width := len(in.Schema().Fields())
	under, _ := computed(in, []expr.Expr{f.Predicate})
	kept := memoOver(under, width)
	out := &op.Project{Input: &op.Filter{Input: kept, Predicate: fieldColumn(kept.Schema(), width)}, Out: in.Schema()}
	for i := range width {
		out.Exprs = append(out.Exprs, fieldColumn(in.Schema(), i))
	}
	return out
}

// keepExprs computes a projection's drawn expressions under it. Event and stream time go on as they are: they are those of the change.
func keepExprs(p *op.Project) {
	in := p.Input.Schema()
	var list []expr.Expr
	var at []int
	for i, e := range p.Exprs {
		if i != p.Out.Time && i != p.Out.Clock && drawn(e, in) {
			list, at = append(list, e), append(at, i)
		}
	}
	if len(list) == 0 {
		return
	}
	width := len(in.Fields())
	under, cols := computed(p.Input, list)
	p.Input = memoOver(under, width)
	for i, c := range cols {
		p.Exprs[at[i]] = c
	}
}

// computed appends columns to a node's.
func computed(in exec.Node, list []expr.Expr) (*op.Project, []expr.Expr) {
	old := in.Schema()
	p := &op.Project{Input: in}
	fields := append([]arrow.Field(nil), old.Fields()...)
	for i := range fields {
		p.Exprs = append(p.Exprs, fieldColumn(old, i))
	}
	var cols []expr.Expr
	for i, e := range list {
		name := fmt.Sprintf("$drawn%d", i)
		cols = append(cols, &expr.Column{Index: len(fields), Name: name, T: e.Type()})
		p.Exprs = append(p.Exprs, e)
		fields = append(fields, flow.Field(name, e.Type()))
	}
	p.Out = flow.NewSchema(fields, old.Key...)
	p.Out.Time, p.Out.Clock = old.Time, old.Clock
	return p, cols
}

func fieldColumn(s *flow.Schema, i int) *expr.Column {
	return &expr.Column{Index: i, Name: s.Field(i).Name, T: s.Field(i).Type}
}

// memoOver keeps the columns of a node from the given one on.
func memoOver(n exec.Node, from int) *op.Memo {
	id := identity(n)
	m := &op.Memo{Input: n, Key: id.columns, Window: id.window, Lasts: id.lasts}
	for c := from; c < len(n.Schema().Fields()); c++ {
		m.Columns = append(m.Columns, c)
	}
	return m
}

// identified is the columns that identify a row of a node. window: the first is the end of a window, and a row may change until stream time
// is lasts ms past that end.
type identified struct {
	columns []int
	window  bool
	lasts   int64
}

// identity finds the columns that identify a row of a node that retracts. Every node above a Normalize or an Aggregate carries them on:
// the binder sees to it.
func identity(n exec.Node) identified {
	switch n := n.(type) {
	case *op.Normalize:
		return identified{columns: n.Key}
	case *op.Aggregate:
		return aggregateIdentity(n)
	case *op.Project:
		id := identity(n.Input)
		out := identified{window: id.window, lasts: id.lasts}
		for _, c := range id.columns {
			out.columns = append(out.columns, columnOf(n, c))
		}
		return out
	}
	return identity(*input(n))
}

func aggregateIdentity(n *op.Aggregate) identified {
	var id identified
	if w := n.Window; w != nil {
		id.window, id.lasts = true, w.Grace+w.Gap
		id.columns = append(id.columns, len(n.Keys)+1, len(n.Keys))
	}
	for i := range n.Keys {
		id.columns = append(id.columns, i)
	}
	return id
}

// columnOf is where a projection has a column of its input.
func columnOf(p *op.Project, c int) int {
	for i, e := range p.Exprs {
		if col, ok := e.(*expr.Column); ok && col.Index == c {
			return i
		}
	}
	panic(fmt.Sprintf("planner: %s does not carry column %d of its input on", p, c))
}

// pruneMemo keeps the key and what is kept with it.
func pruneMemo(n *op.Memo, need columns) []int {
	need.add(n.Key...)
	need.add(n.Columns...)
	to := prune(n.Input, need)
	n.Key, n.Columns = movedAll(n.Key, to), movedAll(n.Columns, to)
	return to
}
