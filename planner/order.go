package planner

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/lang"
)

// orderBy sorts a bounded result by its items, or by columns of the relation that the items are
// computed from.
func (b *binder) orderBy(q *lang.Query, in *selected, m mode) (*selected, error) {
	if m != pull && !b.untilEverywhere() {
		return nil, fail(q.OrderBy[0], "SQ3010", "ORDER BY needs a query that ends: remove EMIT CHANGES or add UNTIL")
	}
	out := *in
	items := &scope{exact: b.exact()}
	for _, it := range out.items {
		items.cols = append(items.cols, it.column)
	}
	var keys []op.SortKey
	for _, o := range q.OrderBy {
		if n, ok := o.Expr.(*lang.Number); ok {
			if i, err := strconv.Atoi(n.Text); err == nil && i >= 1 && i <= len(out.items) {
				keys = append(keys, op.SortKey{Expr: items.cols[i-1].ref(), Desc: o.Desc})
				continue
			}
			return nil, fail(n, "SQ2010", "ORDER BY %s: there are %d columns", n.Text, len(out.items))
		}
		x, err := b.expr(o.Expr, items)
		if err != nil {
			if x, err = b.beneath(o.Expr, &out, err); err != nil {
				return nil, err
			}
		}
		keys = append(keys, op.SortKey{Expr: x, Desc: o.Desc})
	}
	out.node = &op.Sort{Input: out.node, Keys: keys}
	return &out, nil
}

// beneath binds an expression of ORDER BY over the relation that the items are computed from, and
// adds it to the result as an internal column. refused is the error of binding it over the items.
func (b *binder) beneath(e lang.Expr, out *selected, refused error) (expr.Expr, error) {
	p, ok := out.node.(*op.Project)
	if !ok || out.from == nil {
		return nil, refused
	}
	x, err := b.expr(e, out.from.scope)
	if err != nil {
		return nil, err
	}
	c := b.column(fmt.Sprintf("$order%d", len(p.Exprs)), x.Type(), internal, ordinary)
	out.scope = out.scope.with(c)
	out.node = &op.Project{Input: p.Input, Exprs: append(slices.Clip(p.Exprs), x), Out: schemaOf(out.scope.cols)}
	return &expr.Column{Index: c.id, Name: lang.PrintExpr(e), T: x.Type()}, nil
}

func (b *binder) untilEverywhere() bool {
	for _, l := range b.leaves {
		if l.Scan.Until == nil && !l.Bounded {
			return false
		}
	}
	return true
}
