// Package reference computes the output of a job in a slow and simple way. It is the oracle of tests that
// crash, fence and reorder the engine. It takes the planner's stages and the records of their inputs, and
// processes them row by row over Go values and maps. It has no batches, keyspaces, commits or clocks. [Plan]
// plans the jobs of a script, [Script.Evaluate] runs them in order, and [Diff] compares the records of an
// engine with the result.
//
// It shares with the engine: the grammar and the planner, and therefore the types, the implicit casts and the
// folded constants; the codecs of package format, which convert between record bytes and rows; the notation
// of a value as text (flow.Spell); and the bytes by which an exchange selects a partition. It has its own
// implementation of operators, aggregates, windows, stream time, comparisons, arithmetic, casts and the
// common functions. Other scalar functions (regular expressions, dates by pattern, JSON, URLs and similar)
// call their udf kernel with one row at a time.
//
// If a stage contains anything that this package does not support, the result is an [Uncovered] error before
// any row is processed, and never a wrong result.
//
// Dead letters are not computed: a record that cannot be decoded is left out. Rows of an exchange arrive in
// the order of the source's partitions, as in Engine.Drain. A running job over several partitions may process
// them in another order.
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

// Record is a record of an input, with its offset in its partition.
type Record struct {
	Offset topic.Offset
	topic.Record
}

// Output is a record that a sink writes, with its partition.
type Output struct {
	Partition int32
	topic.Record
}

// Uncovered is the error for a plan that this package does not support.
type Uncovered struct{ What string }

// Error returns the text of the error.
func (u *Uncovered) Error() string { return "reference: " + u.What + " is not covered" }

func uncovered(format string, args ...any) error { return &Uncovered{fmt.Sprintf(format, args...)} }

// Evaluate runs the stages of one job over all records of its inputs. It returns the output records by topic,
// each partition in order. inputs contains the records that the job reads, from its start offset and in the
// order of offsets; SINCE OFFSET and UNTIL OFFSET narrow it further. An [Uncovered] error names the
// unsupported construct.
func Evaluate(stages []planner.Stage, inputs map[topic.Partition][]Record) (map[string][]Output, error) {
	j := &job{inputs: inputs, sent: map[topic.Partition][]row{}, out: map[string][]Output{}}
	for _, s := range stages {
		if err := j.stage(s); err != nil {
			return nil, err
		}
	}
	return j.out, nil
}

// job is the state that the stages of a job share.
type job struct {
	inputs map[topic.Partition][]Record
	sent   map[topic.Partition][]row // through exchanges
	out    map[string][]Output
}

// row is a row of a changing relation: a value for each column of its node's schema, in the form of
// flow.Value, and a weight.
type row struct {
	vals []any
	op   flow.Op
}

// step processes the rows of one record together, because the meaning of a row may depend on the next.
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
		ids = []int32{0} // so that unsupported constructs are reported
	}
	for _, id := range ids {
		if err := j.run(s.Root, leaf, id); err != nil {
			return err
		}
	}
	return nil
}

// run processes the records of one partition.
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

// push advances stream time over the rows of a record, passes them to the operators, and then advances the
// operators.
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
