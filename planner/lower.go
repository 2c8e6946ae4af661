package planner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// exchange adds a repartitioning by key columns, where lower cuts the plan. It has as many
// partitions as its input.
func (b *binder) exchange(in exec.Node, keys []int) exec.Node {
	b.exchanges++
	return &op.Exchange{Input: in, Keys: keys, Partitions: b.width(in),
		Topic: fmt.Sprintf("%s.exchange.%s.%d", b.prefix(), topic.SafeName(b.job), b.exchanges)}
}

// width returns the number of partitions of a node's rows: that of the widest topic that it reads.
func (b *binder) width(n exec.Node) int32 {
	switch n := n.(type) {
	case *op.Exchange:
		return n.Partitions
	case op.Leaf:
		return max(b.leaves[n.Leaf()].Relation.Partitions, 1)
	}
	out := int32(1)
	for _, in := range n.Inputs() {
		out = max(out, b.width(in))
	}
	return out
}

// lower rewrites a tree and cuts it into stages, upstream first. With gather one task reads all
// partitions of a stage. With emits the rows of the root are the result; the root of a job writes
// them.
func (b *binder) lower(root exec.Node, gather, emits bool) ([]Stage, error) {
	for _, r := range rules {
		root = r(b, root)
	}
	want := columns{}
	if emits {
		want.all(root)
	}
	return b.cut(prune(root, want), gather)
}

// cut returns a stage for a tree, after the stages of the exchanges that it reads.
func (b *binder) cut(root exec.Node, gather bool) ([]Stage, error) {
	st := Stage{Gather: gather}
	var before []Stage
	var err error
	var walk func(n exec.Node) exec.Node
	walk = func(n exec.Node) exec.Node {
		if x, ok := n.(*op.Exchange); ok && n != root {
			upstream, cutErr := b.cut(x, gather)
			before, err = append(before, upstream...), cmp.Or(err, cutErr)
			n = &op.Received{Topic: x.Topic, Out: x.Schema(), Number: b.leaf(Leaf{Topic: x.Topic, Earliest: true})}
		}
		if l, ok := n.(op.Leaf); ok {
			leaf := b.leaves[l.Leaf()]
			leaf.Node = n
			if s, ok := n.(*op.Scan); ok && leaf.Bounded {
				leaf.Bounds = s.Bounds
			}
			st.Leaves = append(st.Leaves, leaf)
			return n
		}
		return over(n, walk)
	}
	st.Root = walk(root)
	if x, ok := st.Root.(*op.Exchange); ok {
		st.Output, st.Partitions = x.Topic, x.Partitions
	}
	return append(before, st), cmp.Or(err, shared(st.Leaves))
}

// shared checks that the leaves of one topic read the same offsets, because a task reads a
// partition once.
func shared(leaves []Leaf) error {
	first := map[string]*Leaf{}
	for i := range leaves {
		l := &leaves[i]
		other, again := first[l.Topic]
		if !again {
			first[l.Topic] = l
			continue
		}
		if !lang.Equal(&l.Scan, &other.Scan) {
			e := unsupported(&l.Scan, quote(l.Relation.Name)+" twice in a query, over different offsets,")
			e.Hint = "create a stream for each range and query these streams"
			return e
		}
		l.Bounds, other.Bounds = op.Bounds{}, op.Bounds{}
	}
	return nil
}

// Use is a version of a model that a plan predicts with. Version 0 is the serving version.
type Use struct {
	Model   string
	Version int
}

// Awaited returns the versions that must exist before a plan can run: those of PREDICT and the
// other model functions, except of models with on_absent='null'.
func Awaited(plan []Stage) []Use {
	var out []Use
	predicts(plan, func(p *op.Predict) {
		if p.Absent != "null" && !slices.Contains(out, Use{p.Model, p.Version}) {
			out = append(out, Use{p.Model, p.Version})
		}
	})
	return out
}

// Reads returns the names of the relations whose present rows a query reads: from their topics, up to an end, or from
// the state of their jobs.
func Reads(plan []Stage) []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, s := range plan {
		for _, l := range s.Leaves {
			if l.Relation != nil && (l.Bounded || l.Scan.Until != nil) {
				add(l.Relation.Name)
			}
		}
		every(s.Root, func(n exec.Node) {
			if p, ok := n.(*op.Present); ok {
				add(p.Relation)
			}
		})
	}
	return out
}

// Uses returns the names of the models that a plan predicts with.
func Uses(plan []Stage) map[string]bool {
	out := map[string]bool{}
	predicts(plan, func(p *op.Predict) { out[p.Model] = true })
	return out
}

func predicts(plan []Stage, f func(*op.Predict)) {
	for _, s := range plan {
		every(s.Root, func(n exec.Node) {
			if p, ok := n.(*op.Predict); ok {
				f(p)
			}
		})
	}
}
