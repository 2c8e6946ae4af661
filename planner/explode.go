package planner

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

func (b *binder) tableFunction(e lang.Expr) (*lang.Call, bool) {
	c, ok := e.(*lang.Call)
	if !ok {
		return nil, false
	}
	_, ok = b.Functions.Table(c.Name.Text)
	return c, ok
}

// explodes reports whether an item is a table function.
func (b *binder) explodes(items []*lang.Item) bool {
	for _, it := range items {
		if _, ok := b.tableFunction(it.Expr); ok {
			return true
		}
	}
	return false
}

// explode puts the table functions of a SELECT list under it; their items become columns.
func (b *binder) explode(items []*lang.Item, bound []expr.Expr, in *rel) (*rel, []*lang.Item, []expr.Expr, error) {
	if in.table {
		return nil, nil, nil, fail(items[0], "SQ3009", "table functions are for streams, not for tables")
	}
	old := in.node.Schema()
	node := &op.Explode{Input: in.node}
	fields := append([]arrow.Field(nil), old.Fields()...)
	out := append([]expr.Expr(nil), bound...)
	next := *in
	next.scope = &scope{cols: append([]column(nil), in.scope.cols...), exact: in.scope.exact}
	for i, it := range items {
		c, ok := b.tableFunction(it.Expr)
		if !ok {
			continue
		}
		f, _ := b.Functions.Table(c.Name.Text)
		args, err := b.list(c.Args, in.scope)
		if err != nil {
			return nil, nil, nil, err
		}
		types := make([]flow.Type, len(args))
		for j, a := range args {
			types[j] = a.Type()
		}
		want, t, fn, err := f.Bind(types)
		if err != nil {
			return nil, nil, nil, fail(c, "SQ2007", "%s", err.Error())
		}
		for j := range args {
			args[j] = b.folder.Fold(expr.Convert(args[j], want[j]))
		}
		node.Calls = append(node.Calls, op.Explosion{Name: f.Name, Args: args, Func: fn, Type: t})
		name := fmt.Sprintf("$explode%d", i)
		out[i] = &expr.Column{Index: len(fields), Name: name, T: t}
		fields = append(fields, flow.Field(name, t))
		next.scope.cols = append(next.scope.cols, column{name: name, t: t, hidden: true})
	}
	node.Out = flow.NewSchema(fields, old.Key...)
	node.Out.Time, node.Out.Clock = old.Time, old.Clock
	next.node = node
	return &next, items, out, nil
}

// pruneExplode keeps what is needed above and the arguments; every table function stays, as it decides how many rows there are.
func pruneExplode(n *op.Explode, need columns) []int {
	width := len(n.Input.Schema().Fields())
	below := columns{}
	for c := range need {
		if c < width {
			below[c] = true
		}
	}
	for _, c := range n.Calls {
		below.uses(c.Args...)
	}
	down := prune(n.Input, below)
	for i := range n.Calls {
		for j, a := range n.Calls[i].Args {
			n.Calls[i].Args[j] = moved(a, down)
		}
	}
	return appended(n.Input.Schema(), &n.Out, width, down)
}

// appended rebuilds the schema of a node that appends columns to its pruned input.
func appended(in *flow.Schema, out **flow.Schema, width int, down []int) []int {
	more := append([]arrow.Field(nil), (*out).Fields()[width:]...)
	s := flow.NewSchema(append(append([]arrow.Field(nil), in.Fields()...), more...), in.Key...)
	s.Time, s.Clock = in.Time, in.Clock
	*out = s
	to := append([]int(nil), down...)
	for i := range more {
		to = append(to, len(in.Fields())+i)
	}
	return to
}
