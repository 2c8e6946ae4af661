package planner

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
)

// prune takes out the columns that nothing above a node wants, so that a scan decodes only what is used. A column that a node passes on
// keeps its identity, so each input must give what the node reads and what is wanted above.
func prune(n exec.Node, want columns) exec.Node {
	if x, ok := n.(op.Narrower); ok {
		n = x.Narrow(func(column int) bool { return want[column] })
	}
	need := reads(n)
	in := n.Inputs()
	for port := range in {
		s := in[port].Schema()
		for i := range s.NumFields() {
			if id := s.ID(i); want[id] {
				need[port][id] = true
			}
		}
		in[port] = prune(in[port], need[port])
	}
	if len(in) == 0 {
		return n
	}
	return n.Rewire(in, func(_, column int) int { return column })
}
