package planner

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
)

// merge combines two projections if no expression would be evaluated twice.
func merge(_ *binder, n exec.Node) exec.Node {
	return bottomUp(n, func(n exec.Node) exec.Node {
		upper, ok := n.(*op.Project)
		if !ok {
			return n
		}
		lower, ok := upper.Input.(*op.Project)
		if !ok || !once(upper, lower) {
			return n
		}
		out := &op.Project{Input: lower.Input, Out: upper.Out, Exprs: make([]expr.Expr, len(upper.Exprs))}
		for i, e := range upper.Exprs {
			out.Exprs[i] = expr.Substitute(e, func(c *expr.Column) expr.Expr {
				return lower.Exprs[lower.Out.Position(c.Index)]
			})
		}
		return out
	})
}

// once reports whether the upper projection reads each computed column of the lower one at most
// once.
func once(upper, lower *op.Project) bool {
	read := map[int]int{}
	for _, e := range upper.Exprs {
		expr.Columns(e, func(c *expr.Column) { read[c.Index]++ })
	}
	for i, e := range lower.Exprs {
		switch e.(type) {
		case *expr.Column, *expr.Literal:
		default:
			if read[lower.Out.ID(i)] > 1 {
				return false
			}
		}
	}
	return true
}
