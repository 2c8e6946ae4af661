package planner

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// orderBy sorts a bounded result by items or by columns of what it reads.
func (b *binder) orderBy(q *lang.Query, out *selected, m mode) error {
	if m != pull && !b.untilEverywhere() {
		return fail(q.OrderBy[0], "SQ3010", "ORDER BY needs a query that ends: leave EMIT CHANGES out or give UNTIL")
	}
	s := &scope{exact: b.exact()}
	for _, it := range out.items {
		s.cols = append(s.cols, column{name: it.name, t: it.t})
	}
	sort := &op.Sort{Input: out.node}
	for _, o := range q.OrderBy {
		if n, ok := o.Expr.(*lang.Number); ok {
			if i, err := strconv.Atoi(n.Text); err == nil && i >= 1 && i <= len(out.items) {
				sort.Keys = append(sort.Keys, op.SortKey{Expr: s.column(i - 1), Desc: o.Desc})
				continue
			}
			return fail(n, "SQ2010", "ORDER BY %s: there are %d columns", n.Text, len(out.items))
		}
		x, err := b.sortKey(o.Expr, s, out)
		if err != nil {
			return err
		}
		sort.Keys = append(sort.Keys, op.SortKey{Expr: x, Desc: o.Desc})
	}
	out.node = sort
	return nil
}

// sortKey binds an item of ORDER BY: over the result's columns, else over what the query reads, as a hidden column of the result.
func (b *binder) sortKey(e lang.Expr, s *scope, out *selected) (expr.Expr, error) {
	if x, err := b.expr(e, s); err == nil {
		return x, nil
	}
	b.replace = out.hook
	x, err := b.expr(e, out.from.scope)
	b.replace = nil
	if err != nil {
		return nil, err
	}
	p := out.project
	at := len(p.Exprs)
	p.Exprs = append(p.Exprs, x)
	old := p.Out
	p.Out = flow.NewSchema(append(append([]arrow.Field(nil), old.Fields()...), flow.Field(fmt.Sprintf("$order%d", at), x.Type())), old.Key...)
	p.Out.Time, p.Out.Clock = old.Time, old.Clock
	return &expr.Column{Index: at, Name: lang.PrintExpr(e), T: x.Type()}, nil
}

func (b *binder) untilEverywhere() bool {
	for _, l := range b.leaves {
		if l.Scan.Until == nil && !l.Bounded {
			return false
		}
	}
	return true
}
