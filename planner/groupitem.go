package planner

import (
	"slices"
	"strconv"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/lang"
)

// item returns the expression that a key of GROUP BY means: of the item at a position, or of the item with that alias if
// the input has no column of the name. Other keys are returned as they are.
func (g *grouping) item(e lang.Expr, items []*lang.Item) (lang.Expr, error) {
	if g.b.Dialect.Has(dialect.GroupsByInput) {
		return e, nil
	}
	switch e := e.(type) {
	case *lang.Number:
		i, err := strconv.Atoi(e.Text)
		if err != nil || i < 1 || i > len(items) {
			return nil, fail(e, "SQ2010", "GROUP BY %s: there are %d items", e.Text, len(items))
		}
		if _, star := items[i-1].Expr.(*lang.Star); star || hasStar(items[:i]) {
			return nil, fail(e, "SQ2010", "GROUP BY %s: a position does not count the columns of *", e.Text)
		}
		return items[i-1].Expr, nil
	case *lang.Ident:
		if e.Source != nil || g.in.scope.index("", g.b.fold(e.Name)) >= 0 {
			return e, nil
		}
		for _, it := range items {
			if it.Alias != nil && g.in.scope.same(g.b.fold(*it.Alias), g.b.fold(e.Name)) {
				return it.Expr, nil
			}
		}
	}
	return e, nil
}

func hasStar(items []*lang.Item) bool {
	return slices.ContainsFunc(items, func(it *lang.Item) bool { _, star := it.Expr.(*lang.Star); return star })
}
