package exec

import (
	"fmt"
	"maps"
	"sort"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Task is one instance of a stage over some partitions of its inputs: a pipeline, its state, its stream time and its position.
type Task struct {
	Name     string
	ctx      *Context
	pipe     *Pipeline
	clock    *clock
	merge    merge
	position map[topic.Partition]topic.Offset // next to be read
	spans    []topic.Span                     // to be read
	from     []topic.Span                     // as they were given
	touched  bool                             // something was read since the last commit
	finished bool
}

// Stage is a pipeline between two topics (or from topics to the client).
type Stage struct {
	Root  Node
	Order []Node // the leaves
	Spans map[Node][]topic.Span
	// Gather makes one task of all partitions, ordered by event time; else each partition number is a task of its own.
	Gather bool
	// SkipGaps goes on where offsets are gone (ON GAP SKIP); else that ends the job.
	SkipGaps bool
}

func newTask(name string, root Node, ctx *Context, spans []assigned, sink Emit) (*Task, error) {
	t := &Task{Name: name, ctx: ctx, position: ctx.State.Position()}
	maps.Copy(t.position, ctx.jump)
	ctx.Spans = t.read
	var err error
	if t.pipe, err = Wire(root, ctx, sink); err != nil {
		return nil, err
	}
	if t.clock, err = openClock(ctx.State); err != nil {
		return nil, err
	}
	for _, a := range spans {
		at, ok := t.position[a.Partition]
		if !ok {
			at = a.From
			t.position[a.Partition] = at
		}
		t.from = append(t.from, a.Span)
		s := a.Span
		s.From = max(at, a.From)
		if at > a.From {
			s.From = at
		}
		t.spans = append(t.spans, s)
		for _, node := range a.nodes {
			t.merge.lanes = append(t.merge.lanes, &lane{leaf: t.leaf(node), part: a.Partition, ended: s.From >= s.To})
		}
	}
	sort.SliceStable(t.merge.lanes, func(i, j int) bool {
		a, b := t.merge.lanes[i], t.merge.lanes[j]
		if a.leaf != b.leaf {
			return a.leaf < b.leaf
		}
		return a.part.ID < b.part.ID
	})
	return t, nil
}

// assigned is a span that a task reads, once for all leaves that it feeds.
type assigned struct {
	nodes []Node
	topic.Span
}

// assign adds a leaf that reads a span. Leaves of one topic read the same spans: their plan sees to it.
func assign(list []assigned, node Node, s topic.Span) []assigned {
	for i := range list {
		if list[i].Partition == s.Partition {
			list[i].nodes = append(list[i].nodes, node)
			return list
		}
	}
	return append(list, assigned{[]Node{node}, s})
}

func (t *Task) leaf(n Node) int {
	for i, l := range t.pipe.leaves {
		if l.node == n {
			return i
		}
	}
	return -1
}

// offer takes what a reader brought. It begins exactly at the task's position, or the reader is not to be trusted.
func (t *Task) offer(f *topic.Fetch) error {
	if at := t.position[f.Partition]; f.From != at {
		return fmt.Errorf("%s: the reader is at offset %d, the task at %d: %w", f.Partition, f.From, at, topic.ErrLost)
	}
	for _, l := range t.merge.lanes {
		if l.part != f.Partition {
			continue
		}
		b, err := t.pipe.leaves[l.leaf].dec.Decode(f)
		if err != nil {
			return err
		}
		if b.Rows() > 0 {
			l.queue = append(l.queue, b)
			t.offered(b)
		}
	}
	t.position[f.Partition] = f.Next
	t.touched = true
	return nil
}

// skip moves the position over offsets that are gone.
func (t *Task) skip(p topic.Partition, to topic.Offset) topic.Offset {
	t.position[p] = max(to, t.position[p])
	t.touched = true
	return t.position[p]
}

// run pushes what may go. wait: hold rows back until every partition has shown its next.
func (t *Task) run(wait bool) error {
	for {
		r, ok := t.merge.next(wait)
		if !ok {
			return nil
		}
		if err := t.push(r.lane.leaf, r.batch); err != nil {
			return err
		}
		t.pushed(r.lane)
	}
}

func (t *Task) push(leaf int, b *flow.Batch) error {
	b = t.clock.stamp(b)
	if err := t.pipe.leaves[leaf].push(b); err != nil {
		return err
	}
	return t.pipe.Advance(t.clock.now)
}

// ended says that no more will come of a partition.
func (t *Task) ended(p topic.Partition) {
	for _, l := range t.merge.lanes {
		if l.part == p {
			l.ended = true
		}
	}
}

// finish pushes what is left and tells the operators that the input has ended.
func (t *Task) finish() error {
	for _, l := range t.merge.lanes {
		l.ended = true
	}
	if err := t.run(true); err != nil {
		return err
	}
	if t.finished {
		return nil
	}
	t.finished = true
	if err := t.pipe.Finish(); err != nil {
		return err
	}
	return t.clock.end()
}

// seal moves everything the task holds into its store.
func (t *Task) seal() error {
	if err := t.pipe.Seal(); err != nil {
		return err
	}
	return t.clock.seal()
}

// reopen makes lanes that a drain has ended live again.
func (t *Task) reopen() {
	for _, l := range t.merge.lanes {
		l.ended = false
	}
}

// read is what has been read of each input.
func (t *Task) read() []topic.Span {
	out := make([]topic.Span, len(t.from))
	for i, s := range t.from {
		out[i] = topic.Span{Partition: s.Partition, From: s.From, To: t.position[s.Partition]}
	}
	return out
}
