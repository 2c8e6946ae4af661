package planner

import (
	"math"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
)

// topN tells a Sort under a Limit how many rows are wanted, so that it keeps no more.
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
	case *op.Project: // makes one row of one
		return over(n, func(in exec.Node) exec.Node { return firstRows(in, rows) })
	case *op.Sort:
		if rows > math.MaxInt32 {
			return n
		}
		return &op.Sort{Input: n.Input, Keys: n.Keys, First: max(rows, 1)} // of LIMIT 0 Limit sees that there is none
	}
	return n
}
