package planner

import (
	"math"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
)

// topN sets the number of rows that a Sort below a Limit keeps.
func topN(_ *binder, n exec.Node) exec.Node {
	return bottomUp(n, func(n exec.Node) exec.Node {
		l, ok := n.(*op.Limit)
		if !ok {
			return n
		}
		return over(l, func(in exec.Node) exec.Node { return firstRows(in, l.N) })
	})
}

func firstRows(n exec.Node, rows int64) exec.Node {
	switch n := n.(type) {
	case *op.Project: // emits one row per row
		return over(n, func(in exec.Node) exec.Node { return firstRows(in, rows) })
	case *op.Sort:
		if rows > math.MaxInt32 {
			return n
		}
		return &op.Sort{Input: n.Input, Keys: n.Keys, First: max(rows, 1)} // with LIMIT 0, Limit drops the row
	}
	return n
}
