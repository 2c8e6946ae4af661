// Package reference computes what a job must write, slowly and plainly: it is the oracle of tests that crash, fence and reorder the
// engine. It takes the planner's stages and the records of their inputs, goes through them row by row over Go values and maps, and
// knows nothing of batches, keyspaces, commits or time that passes. [Plan] makes the jobs of a script, [Script.Evaluate] runs them one
// after the other, and [Diff] says where an engine's records are others.
//
// What is shared with the engine: the grammar and the planner, and so the types, the implicit casts and the constants that the planner
// has folded; the codecs of package format, which make rows of record bytes and record bytes of rows; how a value is spelled as text
// (flow.Spell); and the bytes by which an exchange chooses a partition. Operators, aggregates, windows, stream time, comparisons,
// arithmetic, casts and the common functions are written here anew. Scalar functions that are not (regular expressions, dates by
// pattern, JSON, URLs and the like) run through their udf kernel, a row at a time.
//
// What a stage does that is not covered gives an [Uncovered] error before any row is looked at, never a wrong answer. Dead letters are
// not computed: a row that cannot be read is left out.
//
// Rows of an exchange arrive partition by partition of the source, as Engine.Drain works them off. A live job over several partitions
// may see them in another order.
package reference

import (
	"fmt"
	"sort"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// Record is a record of an input and where it stands in its partition.
type Record struct {
	Offset topic.Offset
	topic.Record
}

// Output is a record that a sink writes and the partition it writes it to.
type Output struct {
	Partition int32
	topic.Record
}

// Uncovered is the error of a plan that has something this package does not compute.
type Uncovered struct{ What string }

// Error implements error.
func (u *Uncovered) Error() string { return "reference: " + u.What + " is not covered" }

func uncovered(format string, args ...any) error { return &Uncovered{fmt.Sprintf(format, args...)} }

// Evaluate runs the stages of one job over all records of its inputs and returns what it writes, by topic: the records of a partition
// in order. inputs holds what the job reads, from the offset it starts at, in the order of offsets; a clause SINCE OFFSET or UNTIL
// OFFSET narrows it further. An [Uncovered] error says what cannot be computed.
func Evaluate(stages []planner.Stage, inputs map[topic.Partition][]Record) (map[string][]Output, error) {
	j := &job{inputs: inputs, sent: map[topic.Partition][]row{}, out: map[string][]Output{}}
	for _, s := range stages {
		if err := j.stage(s); err != nil {
			return nil, err
		}
	}
	return j.out, nil
}

// job is what the stages of a job share.
type job struct {
	inputs map[topic.Partition][]Record
	sent   map[topic.Partition][]row // through exchanges
	out    map[string][]Output
}

// row is a row of a changing relation: a value for each column of its node's schema, in the form of flow.Value, and a weight.
type row struct {
	vals []any
	op   flow.Op
}

// step takes the rows that come of one record: what one of them means may depend on the next.
type step func(rows []row) error

// task is a stage over one partition.
type task struct {
	*job
	id      int32
	entry   step // of the leaf
	leaf    exec.Node
	advance []func(now int64) error // inputs first
	finish  []func() error
	clock   int64
}

func (j *job) stage(s planner.Stage) error {
	if len(s.Leaves) != 1 {
		return uncovered("a stage with %d sources", len(s.Leaves))
	}
	leaf := s.Leaves[0]
	if s.Gather {
		return uncovered("a query to the client")
	}
	var ids []int32
	for p := range j.inputs {
		if p.Topic == leaf.Topic {
			ids = append(ids, p.ID)
		}
	}
	for p := range j.sent {
		if p.Topic == leaf.Topic {
			ids = append(ids, p.ID)
		}
	}
	sort.Slice(ids, func(a, b int) bool { return ids[a] < ids[b] })
	if len(ids) == 0 {
		ids = []int32{0} // so that what is not covered is told
	}
	for _, id := range ids {
		if err := j.run(s.Root, leaf, id); err != nil {
			return err
		}
	}
	return nil
}

// run works off one partition.
func (j *job) run(root exec.Node, leaf planner.Leaf, id int32) error {
	t := &task{job: j, id: id, clock: -1 << 63}
	if err := t.wire(root, func([]row) error { return nil }); err != nil {
		return err
	}
	p := topic.Partition{Topic: leaf.Topic, ID: id}
	switch n := t.leaf.(type) {
	case *op.Received:
		for _, r := range j.sent[p] {
			if err := t.push(n.Out, []row{{append([]any(nil), r.vals...), r.op}}); err != nil {
				return err
			}
		}
	case *op.Scan:
		within, err := bounds(leaf, id)
		if err != nil {
			return err
		}
		sc, err := newScanner(n, id)
		if err != nil {
			return err
		}
		for i := range j.inputs[p] {
			rec := &j.inputs[p][i]
			if !within(rec) {
				continue
			}
			rows, err := sc.rows(rec)
			if err != nil {
				return err
			}
			if err := t.push(n.Out, rows); err != nil {
				return err
			}
		}
	}
	if leaf.Scan.Until != nil || leaf.Bounded { // the input has ended
		for _, f := range t.finish {
			if err := f(); err != nil {
				return err
			}
		}
	}
	return nil
}

// push moves stream time over the rows of a record, hands them to the operators and tells these the time.
func (t *task) push(s *flow.Schema, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		if s.Time < 0 {
			continue
		}
		if at := rows[i].vals[s.Time].(int64); at > t.clock {
			t.clock = at
		}
		if s.Clock >= 0 {
			rows[i].vals[s.Clock] = t.clock
		}
	}
	if err := t.entry(rows); err != nil {
		return err
	}
	for _, f := range t.advance {
		if err := f(t.clock); err != nil {
			return err
		}
	}
	return nil
}
