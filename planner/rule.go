package planner

import (
	"github.com/streamql/streamql/exec"
)

// A rule rewrites a tree of nodes into one that emits the same rows. It uses only exec.Node and the
// optional interfaces of exec/op. A new operator therefore requires no change of a rule, and rules
// do not change a node that implements none of the interfaces.
type rule func(b *binder, root exec.Node) exec.Node

// rules are in the order in which they run. Constants are folded where expressions are bound. prune
// runs after all rules.
var rules = []rule{
	pushDown, // moves filters towards the leaves
	seek,     // passes the filters over leaves to the leaves
	topN,
	merge,   // runs when no filter is left between projections
	memoize, // runs when the operators that evaluate random values are final
}

// over returns a copy of a node over the results of f for its inputs. It returns the node itself if
// f changes none of them.
func over(n exec.Node, f func(exec.Node) exec.Node) exec.Node {
	old := n.Inputs()
	in := make([]exec.Node, len(old))
	changed := false
	for i, o := range old {
		in[i] = f(o)
		changed = changed || in[i] != o
	}
	if !changed {
		return n
	}
	return n.Rewire(in, func(_, column int) int { return column })
}

// bottomUp rewrites every node, inputs first.
func bottomUp(n exec.Node, f func(exec.Node) exec.Node) exec.Node {
	return f(over(n, func(in exec.Node) exec.Node { return bottomUp(in, f) }))
}

// every visits a node and all nodes below it.
func every(n exec.Node, f func(exec.Node)) {
	f(n)
	for _, in := range n.Inputs() {
		every(in, f)
	}
}

// columns is a set of columns, by identity.
type columns map[int]bool

func (c columns) all(n exec.Node) {
	s := n.Schema()
	for i := range s.NumFields() {
		c[s.ID(i)] = true
	}
}

// reads returns the columns that a node reads, by input.
func reads(n exec.Node) []columns {
	in := n.Inputs()
	out := make([]columns, len(in))
	for i := range out {
		out[i] = columns{}
	}
	n.Rewire(in, func(port, column int) int {
		out[port][column] = true
		return column
	})
	return out
}
