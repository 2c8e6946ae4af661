package planner

import (
	"fmt"
	"strings"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
)

// Shape describes the operators of a plan that keep state: their position, computation, and input
// columns. A plan can continue from the state of another plan of the same shape.
func Shape(plan []Stage) string {
	var out []string
	for i, s := range plan {
		n := 0
		every(s.Root, func(node exec.Node) {
			if k, ok := node.(op.Stateful); ok && k.Keeps() {
				n++
				out = append(out, fmt.Sprintf("%d.%d %s over %s", i, n, node, columnsOf(node)))
			}
		})
	}
	return strings.Join(out, "\n")
}

// columnsOf returns the types of the columns that a node reads.
func columnsOf(n exec.Node) string {
	var types []string
	for _, in := range n.Inputs() {
		for _, f := range in.Schema().Fields() {
			types = append(types, flow.TypeName(f.Type))
		}
	}
	return "(" + strings.Join(types, ", ") + ")"
}

// Spread sets the number of partitions of the topic that a plan writes.
func Spread(p *Plan, partitions int32) {
	p.Result.Partitions = partitions
	if s, ok := p.Stages[len(p.Stages)-1].Root.(*op.Sink); ok {
		s.Partitions = max(partitions, 1)
	}
}
