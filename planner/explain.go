package planner

import (
	"strings"

	"github.com/streamql/streamql/exec"
)

// Explain prints a stage, a line per operator. Inputs are indented below their operator.
func Explain(s Stage) []string {
	var out []string
	var walk func(n exec.Node, depth int)
	walk = func(n exec.Node, depth int) {
		out = append(out, strings.Repeat("  ", depth)+n.String())
		for _, in := range n.Inputs() {
			walk(in, depth+1)
		}
	}
	walk(s.Root, 0)
	return out
}
