package planner

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
)

// pushDown moves filters below the nodes that commute with them, so that fewer rows are computed
// and each branch of a union has its own filter. It does not move a filter that uses random values
// or turns rows into deletions.
func pushDown(_ *binder, n exec.Node) exec.Node { return sunk(n) }

func sunk(n exec.Node) exec.Node {
	f, ok := n.(*op.Filter)
	if !ok || f.Upsert || expr.Volatile(f.Predicate) {
		return over(n, sunk)
	}
	s, ok := f.Input.(op.Sieve)
	if !ok {
		return over(n, sunk)
	}
	under, ok := s.Under(f.Predicate)
	if !ok {
		return over(n, sunk)
	}
	port := -1
	return over(s, func(in exec.Node) exec.Node {
		port++
		return sunk(&op.Filter{Input: in, Predicate: under[port]})
	})
}
