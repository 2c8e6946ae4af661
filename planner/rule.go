package planner

import (
	"github.com/streamql/streamql/exec"
)

// A rule rewrites a tree of nodes into one that gives the same rows. It knows nodes by what they say of themselves (exec.Node, and the
// optional interfaces of exec/op): a new operator needs no change of a rule, and one that says nothing is left as it is.
type rule func(b *binder, root exec.Node) exec.Node

// rules in the order in which they run. Constants are folded where expressions are bound; prune comes after all of them.
var rules = []rule{
	pushDown, // filters go down as far as they can, ..
	seek,     // .. where leaves leave out what they exclude
	topN,
	merge,   // once no filter is between projections
	memoize, // only now is it known where values are drawn
}

// over returns a copy of a node over its inputs after f; the node itself if f changes none of them.
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

// every visits a node and all below it.
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

// reads lists the columns that a node refers to, by input.
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
