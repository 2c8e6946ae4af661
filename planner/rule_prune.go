package planner

import (
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
)

// prune removes the columns that no node above reads, so that a scan decodes only the columns in
// use. A column that a node passes keeps its identity, so each input must emit the columns that the
// node reads and those that are read above it.
func prune(n exec.Node, want columns) exec.Node {
	if x, ok := n.(op.Narrower); ok {
		n = x.Narrow(func(column int) bool { return want[column] })
	}
	need := reads(n)
	in := slices.Clone(n.Inputs())
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
