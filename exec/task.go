package exec

import (
	"fmt"
	"maps"
	"sort"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Task is one instance of a stage over some partitions of its inputs: a pipeline with its
// state, stream time and position. The worker's goroutine owns it.
type Task struct {
	Name     string
	ctx      *Context
	pipe     *Pipeline
	clock    *clock
	merge    merge
	position map[topic.Partition]topic.Offset // next offset to read
	spans    []topic.Span                     // remaining offsets to read
	from     []topic.Span                     // the spans of the plan
	touched  bool                             // something was read since the last commit
	finished bool
}

// Stage is the part of a plan between two topics, or between topics and the client.
type Stage struct {
	Root  Node
	Order []Node // the leaves
	Spans map[Node][]topic.Span
	// Gather makes one task of all partitions, ordered by event time. Otherwise each partition
	// number has a task.
	Gather bool
	// SkipGaps continues after missing offsets (ON GAP SKIP). Otherwise a gap ends the job.
	SkipGaps bool
}

// newTask opens a task over its state. It continues from the state's position, ctx.jump, or the
// begin of each span, in this order of precedence from last to first.
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

// assign adds a leaf that reads a span. Leaves of one topic read the same spans: the planner
// refuses a plan in which they differ.
func assign(list []assigned, node Node, s topic.Span) []assigned {
	for i := range list {
		if list[i].Partition == s.Partition {
			list[i].nodes = append(list[i].nodes, node)
			return list
		}
	}
	return append(list, assigned{[]Node{node}, s})
}

// leaf returns the number of a leaf in the pipeline, or -1.
func (t *Task) leaf(n Node) int {
	for i, l := range t.pipe.leaves {
		if l.node == n {
			return i
		}
	}
	return -1
}

// offer decodes a fetch and queues its rows. The fetch must begin at the task's position; a
// reader that is elsewhere has lost rows or repeats them.
func (t *Task) offer(f *topic.Fetch) error {
	if at := t.position[f.Partition]; f.From != at {
		return fmt.Errorf(
			"%s: the reader is at offset %d, the task at %d: %w",
			f.Partition,
			f.From,
			at,
			topic.ErrLost,
		)
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

// skip moves the position past missing offsets and returns it.
func (t *Task) skip(p topic.Partition, to topic.Offset) topic.Offset {
	t.position[p] = max(to, t.position[p])
	t.touched = true
	return t.position[p]
}

// run pushes the queued rows that may be pushed. With wait, rows are held back until every
// partition has shown its next row.
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

// push stamps stream time on a batch, pushes it through the pipeline and advances the timed
// operators.
func (t *Task) push(leaf int, b *flow.Batch) error {
	b = t.clock.stamp(b)
	if err := t.pipe.leaves[leaf].push(b); err != nil {
		return err
	}
	return t.pipe.Advance(t.clock.now)
}

// ended notes that a partition has no more rows.
func (t *Task) ended(p topic.Partition) {
	for _, l := range t.merge.lanes {
		if l.part == p {
			l.ended = true
		}
	}
}

// finish pushes the remaining rows and calls Finish of the operators. It is idempotent.
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

// seal moves the buffered state of the operators and the clock into the store.
func (t *Task) seal() error {
	if err := t.pipe.Seal(); err != nil {
		return err
	}
	return t.clock.seal()
}

// reopen marks the lanes that a drain has ended as live again.
func (t *Task) reopen() {
	for _, l := range t.merge.lanes {
		l.ended = false
	}
}

// read returns the offsets that have been read of each input.
func (t *Task) read() []topic.Span {
	out := make([]topic.Span, len(t.from))
	for i, s := range t.from {
		out[i] = topic.Span{Partition: s.Partition, From: s.From, To: t.position[s.Partition]}
	}
	return out
}
