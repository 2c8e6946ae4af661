package planner

import (
	"strings"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// concatenation binds ||. In the SQL standard its result is NULL if an operand is NULL.
func (b *binder) concatenation(place lang.Node, l, r expr.Expr) (expr.Expr, error) {
	if b.Dialect.Has(dialect.NullConcatEmpty) {
		return b.function(place, "CONCAT", []expr.Expr{l, r})
	}
	sig, err := udf.Concatenation([]flow.Type{l.Type(), r.Type()})
	if err != nil {
		return at(place, "SQ2007", nil, err)
	}
	return &expr.Call{Name: "||", Args: []expr.Expr{expr.Convert(l, sig.Args[0]), expr.Convert(r, sig.Args[1])},
		Sig: sig}, nil
}

func (b *binder) like(e *lang.Like, s *scope) (expr.Expr, error) {
	x, p, err := b.pair(e.X, e.Pattern, s)
	if err != nil {
		return nil, err
	}
	escape := ""
	if e.Escape != nil {
		escape = e.Escape.Value
	}
	if lit, ok := p.(*expr.Literal); ok && !b.Dialect.Has(dialect.LikeTakesAnyEscape) {
		if text, _ := lit.Value.(string); escapes(text, escape) {
			return nil, fail(e.Pattern, "SQ2010",
				"the LIKE pattern ends in its escape character, which escapes nothing")
		}
	}
	out, err := expr.NewLike(x, p, escape, e.Not)
	return at(e, "SQ2006", out, err)
}

// escapes reports whether a LIKE pattern ends in an escape character that is not itself escaped.
func escapes(pattern, escape string) bool {
	n := 0
	for escape != "" && strings.HasSuffix(pattern, escape) {
		pattern, n = strings.TrimSuffix(pattern, escape), n+1
	}
	return n%2 == 1
}
