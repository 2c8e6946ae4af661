package planner

import (
	"fmt"

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

// explode adds the table functions of a SELECT list below it. In the resulting scope their calls
// are columns.
func (b *binder) explode(items []*lang.Item, in *rel) (*rel, error) {
	if in.table {
		return nil, fail(items[0], "SQ3009", "table functions work on streams, not on tables")
	}
	node := &op.Explode{Input: in.node}
	next := in.scope
	for i, it := range items {
		c, ok := b.tableFunction(it.Expr)
		if !ok {
			continue
		}
		f, _ := b.Functions.Table(c.Name.Text)
		args, err := b.list(c.Args, in.scope)
		if err != nil {
			return nil, err
		}
		types := make([]flow.Type, len(args))
		for j, a := range args {
			types[j] = a.Type()
		}
		want, t, fn, err := f.Bind(types)
		if err != nil {
			return nil, fail(c, "SQ2007", "%s", err.Error())
		}
		for j := range args {
			args[j] = b.folder.Fold(expr.Convert(args[j], want[j]))
		}
		node.Calls = append(node.Calls, op.Explosion{Name: f.Name, Args: args, Func: fn, Type: t})
		next = next.calling(lang.PrintExpr(c), b.column(fmt.Sprintf("$explode%d", i), t, internal, ordinary))
	}
	node.Out = schemaOf(next.cols)
	return in.over(node, next), nil
}
