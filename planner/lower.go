package planner

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
)

// exchange puts a repartitioning by key columns into the plan; lower cuts there.
func (b *binder) exchange(in exec.Node, keys []int) exec.Node {
	b.exchanges++
	partitions := int32(1)
	for _, l := range b.leaves {
		if l.Relation != nil {
			partitions = max(partitions, l.Relation.Partitions)
		}
	}
	return &op.Exchange{Input: in, Keys: keys, Topic: fmt.Sprintf("%s.exchange.%s.%d", b.prefix(), topic.SafeName(b.job), b.exchanges), Partitions: partitions}
}

// lower optimizes a tree and cuts it into stages, upstream first. gather: one task reads all partitions of a stage.
func (b *binder) lower(root exec.Node, gather bool) ([]Stage, error) {
	root = memoize(root)
	prune(root, everything(root))
	return b.cut(root, gather), nil
}

func (b *binder) cut(root exec.Node, gather bool) []Stage {
	var before []Stage
	st := Stage{Root: root, Gather: gather}
	if x, ok := root.(*op.Exchange); ok {
		st.Output, st.Partitions = x.Topic, x.Partitions
	}
	eachInput(root, func(parent exec.Node, in *exec.Node) {
		if x, ok := (*in).(*op.Exchange); ok {
			before = append(before, b.cut(x, gather)...)
			r := &op.Received{Topic: x.Topic, Out: x.Schema()}
			*in = r
			st.Leaves = append(st.Leaves, Leaf{Node: r, Topic: x.Topic, Earliest: true})
		}
	})
	for _, l := range b.leaves {
		if contains(root, l.Node) {
			st.Leaves = append(st.Leaves, l)
		}
	}
	return append(before, st)
}

// eachInput visits every input of every node, parents first, through a pointer that may be changed; it does not go below an
// exchange.
func eachInput(n exec.Node, f func(parent exec.Node, in *exec.Node)) {
	in := input(n)
	if in == nil {
		return
	}
	f(n, in)
	if _, cut := (*in).(*op.Exchange); !cut {
		eachInput(*in, f)
	}
}

// input is the place where a node keeps its input; nil for a leaf.
func input(n exec.Node) *exec.Node {
	switch n := n.(type) {
	case *op.Filter:
		return &n.Input
	case *op.Project:
		return &n.Input
	case *op.Limit:
		return &n.Input
	case *op.Sort:
		return &n.Input
	case *op.Aggregate:
		return &n.Input
	case *op.Normalize:
		return &n.Input
	case *op.Sink:
		return &n.Input
	case *op.Exchange:
		return &n.Input
	case *op.Predict:
		return &n.Input
	case *op.Memo:
		return &n.Input
	case *op.Train:
		return &n.Input
	case *op.Explode:
		return &n.Input
	}
	return nil
}

func contains(root, leaf exec.Node) bool {
	if root == leaf {
		return true
	}
	for _, in := range root.Inputs() {
		if contains(in, leaf) {
			return true
		}
	}
	return false
}

// Use is a version of a model that a plan predicts with; Version 0: the one that serves.
type Use struct {
	Model   string
	Version int
}

// Awaited is the versions without which a plan cannot run: those of PREDICT and its like, but for models with on_absent='null'.
func Awaited(plan []Stage) []Use {
	var out []Use
	var walk func(exec.Node)
	walk = func(n exec.Node) {
		if p, ok := n.(*op.Predict); ok && p.Absent != "null" && !slices.Contains(out, Use{p.Model, p.Version}) {
			out = append(out, Use{p.Model, p.Version})
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	for _, s := range plan {
		walk(s.Root)
	}
	return out
}

// Uses is the models that a plan predicts with.
func Uses(plan []Stage) map[string]bool {
	out := map[string]bool{}
	var walk func(exec.Node)
	walk = func(n exec.Node) {
		if p, ok := n.(*op.Predict); ok {
			out[p.Model] = true
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	for _, s := range plan {
		walk(s.Root)
	}
	return out
}
