package planner

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
)

// seek passes the terms of the filters directly above a leaf to the leaf, which omits rows that the
// terms exclude, such as all but one key of a table or the offsets before a bound. The filters
// remain, because a leaf may use only some of the terms.
func seek(_ *binder, n exec.Node) exec.Node { return sought(n, nil) }

func sought(n exec.Node, terms []expr.Expr) exec.Node {
	if f, ok := n.(*op.Filter); ok {
		terms = append(conjuncts(f.Predicate), terms...)
	} else if s, ok := n.(op.Seeker); ok && len(terms) > 0 {
		return s.Seek(terms)
	} else {
		terms = nil
	}
	return over(n, func(in exec.Node) exec.Node { return sought(in, terms) })
}

// conjuncts returns the terms of an AND.
func conjuncts(p expr.Expr) []expr.Expr {
	l, ok := p.(*expr.Logic)
	if !ok || !l.And {
		return []expr.Expr{p}
	}
	var out []expr.Expr
	for _, a := range l.Args {
		out = append(out, conjuncts(a)...)
	}
	return out
}
