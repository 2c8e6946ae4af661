package op

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// AggregateCall is one aggregate function over columns of the input.
type AggregateCall struct {
	Name string
	Args []int
	udf.Bound
	KSQL bool // bound as in the ksql dialect, which differs
}

// Emission selects when an aggregate emits its results.
type Emission int

// The emissions.
const (
	EmitChanges Emission = iota // a change for each input change
	EmitFinal                   // a window's result when the window has closed
	EmitEnd                     // all results when the bounded input has ended
)

// Window is WINDOW TUMBLING or WINDOW HOPPING: it contains the rows of one key with event time in
// [start, start + Size). Starts are the multiples of Advance, also before 1970. A row is late for a window if
// the window's end + Grace <= stream time; late rows are counted. If Gap is not 0, it is WINDOW
// SESSION (session.go) and Size and Advance are not used. Times are in ms.
type Window struct {
	Size, Advance, Grace int64
	Gap                  int64
	// From1970 leaves out the windows that start before 1970, as Kafka Streams does.
	From1970 bool
}

// Panes returns the maximum number of windows that contain one event time.
func (w *Window) Panes() int64 {
	if w.Advance == 0 {
		return 1
	}
	return (w.Size + w.Advance - 1) / w.Advance
}

// first returns the start of the oldest window that contains an event time.
func (w *Window) first(t int64) int64 {
	t = t - w.Size + w.Advance
	if t -= mod(t, w.Advance); w.From1970 {
		return max(t, 0)
	}
	return t
}

// Aggregate groups rows by the Keys columns, and by window if there is one, and computes the Calls.
// Its output is a table: the keys, the window's bounds if there is a window, a column per call,
// ROWTIME, and stream time if the input has it. The event time of a group is that of its newest
// row.
type Aggregate struct {
	Input  exec.Node
	Keys   []int
	Calls  []AggregateCall
	Window *Window
	Emit   Emission
	// Retract emits the old row of each change before the new one, for operators that need it.
	Retract bool
	Out     *flow.Schema
}

// Schema implements exec.Node.
func (a *Aggregate) Schema() *flow.Schema { return a.Out }

// Inputs implements exec.Node.
func (a *Aggregate) Inputs() []exec.Node { return []exec.Node{a.Input} }

// Rewire implements exec.Node.
func (a *Aggregate) Rewire(in []exec.Node, move exec.Move) exec.Node {
	touch(a.Input.Schema(), a.Window != nil || a.Out.Clock >= 0, move)
	out := *a
	out.Input, out.Keys, out.Calls = in[0], rewireAll(a.Keys, move), slices.Clone(a.Calls)
	for i, c := range a.Calls {
		out.Calls[i].Args = rewireAll(c.Args, move)
	}
	return &out
}

// Keeps implements Stateful.
func (a *Aggregate) Keeps() bool { return true }

// String implements exec.Node.
func (a *Aggregate) String() string {
	var parts []string
	s := "Aggregate by (" + a.Input.Schema().Named(a.Keys) + ")"
	for _, c := range a.Calls {
		parts = append(parts, c.Name)
	}
	s += " " + strings.Join(parts, ", ")
	if a.Window != nil {
		if a.Window.Gap > 0 {
			s += fmt.Sprintf(" window session gap=%dms grace=%dms", a.Window.Gap, a.Window.Grace)
		} else {
			s += fmt.Sprintf(" window size=%dms advance=%dms grace=%dms", a.Window.Size, a.Window.Advance,
				a.Window.Grace)
		}
	}
	return s + [...]string{" emit changes", " emit final", " emit at the end"}[a.Emit]
}

// Open implements exec.Node.
func (a *Aggregate) Open(ctx *exec.Context) (exec.Operator, error) {
	if a.Window != nil && a.Window.Gap > 0 {
		return a.openSession(ctx)
	}
	out := &aggregate{Aggregate: a, ctx: ctx, groups: ctx.Keyspace("groups"), oldest: unknown, late: ctx.Late}
	at := groupHeader
	for i, c := range a.Calls {
		acc := c.New()
		slot := slot{Accumulator: acc, from: at, to: at}
		if n := acc.Size(); n >= 0 {
			slot.to += n
			at += (n + 7) &^ 7
		} else {
			slot.grown = ctx.Keyspace(fmt.Sprintf("grown%d", i))
		}
		out.slots = append(out.slots, slot)
	}
	out.size = at
	return out, nil
}

// A group's state is a row of fixed size: the newest event time, then the accumulators' states.
// Accumulators that grow have their own keyspaces under the same key. The key of a windowed group
// begins with the window's start, so that iteration visits windows in the order in which they
// close.
const groupHeader = 8

const unknown = int64(-1) << 62

type slot struct {
	udf.Accumulator
	from, to int
	grown    state.Keyspace
	cur      []byte // a grown state, while a row is added to it
}

type aggregate struct {
	*Aggregate
	ctx    *exec.Context
	groups state.Keyspace
	slots  []slot
	size   int
	oldest int64 // start of the oldest open window, or unknown, which requires a scan
	late   func(int64)

	keys   topic.Bytes
	buffer int64 // the memory of keys, as charged to the account
	rows   [][]byte
	fresh  []bool
	start  []int64
	index  []int32 // the input row of each group member
}

// pieceGroups is the maximum number of groups that a slice of a batch belongs to when each row is
// in many windows.
const pieceGroups = 1 << 16

// Process implements exec.Operator.
func (a *aggregate) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	rows := in.Rows()
	if a.Window != nil {
		rows = int(max(pieceGroups/a.Window.Panes(), 1))
	}
	// Only streams have windows, so the slices separate no update's rows.
	for from := 0; from < in.Rows(); from += rows {
		if err := a.process(in.Slice(from, min(from+rows, in.Rows())), emit); err != nil {
			return err
		}
	}
	return nil
}

func (a *aggregate) process(in *flow.Batch, emit exec.Emit) error {
	a.group(in)
	if err := a.ctx.Account.Err(); err != nil {
		return err
	}
	n := a.keys.Len()
	if n == 0 {
		return nil
	}
	if len(a.rows) < n {
		a.rows, a.fresh = make([][]byte, n), make([]bool, n)
	}
	if err := a.groups.UpdateBatch(&a.keys, a.size, a.rows[:n], a.fresh[:n]); err != nil {
		return err
	}
	args := make([][]arrow.Array, len(a.Calls))
	for i, c := range a.Calls {
		args[i] = pick(in, c.Args)
	}
	if a.Emit != EmitChanges {
		for i := range n {
			if err := a.add(in, args, i); err != nil {
				return err
			}
		}
		return a.ctx.Account.Err()
	}
	out := a.changes(in)
	told := false // the old value of row i's group has been emitted
	for i := range n {
		quiet := a.undoneAndRedone(in, i)
		if a.Retract && !a.fresh[i] && !told {
			if err := out.append(a, i, flow.Before, in); err != nil {
				return err
			}
		}
		if err := a.add(in, args, i); err != nil {
			return err
		}
		if k := len(out.ops) - 1; k >= 0 && out.ops[k] == flow.Before {
			out.times[k] = int64(binary.LittleEndian.Uint64(a.rows[i])) // both rows of an update have one time
		}
		// The next row changes the same group, so both make one change.
		if told = quiet; quiet {
			continue
		}
		if err := out.append(a, i, flow.Insert, in); err != nil {
			return err
		}
	}
	return a.tell(out.batch(a, in), emit)
}

func (a *aggregate) tell(out *flow.Batch, emit exec.Emit) error {
	// Only the batch is released after the emission. The growth of the states remains charged.
	before := a.ctx.Account.Used()
	a.ctx.Account.Grow(out.Size())
	return pass(a.ctx.Account, before, out, emit)
}

// undoneAndRedone reports whether rows i and i+1 are the old and the new row of an update within
// one group.
func (a *aggregate) undoneAndRedone(in *flow.Batch, i int) bool {
	if in.Ops == nil || i+1 >= a.keys.Len() || a.index[i+1] != a.index[i]+1 {
		return false
	}
	return in.Op(int(a.index[i])) == flow.Before && string(a.keys.At(i)) == string(a.keys.At(i+1))
}

// group sets the key of each row that belongs to a group. Late rows and rows with a NULL in the key
// belong to none.
func (a *aggregate) group(in *flow.Batch) {
	a.keys.Data, a.keys.Spans, a.start, a.index = a.keys.Data[:0], a.keys.Spans[:0], a.start[:0], a.index[:0]
	cols := pick(in, a.Keys)
	var times, clock []int64
	if a.Window != nil {
		times = in.Times()
		clock = in.Column(in.Schema.Clock).(*array.Int64).Int64Values()
	}
	late := int64(0)
next:
	for i := range in.Rows() {
		for _, c := range cols {
			if c.IsNull(i) {
				continue next
			}
		}
		if a.Window == nil {
			a.member(cols, i, int32(len(a.keys.Data)))
			continue
		}
		for start := a.Window.first(times[i]); start <= times[i]; start += a.Window.Advance {
			if a.ctx.Account.Err() != nil {
				break
			}
			if start+a.Window.Size+a.Window.Grace <= clock[i] {
				late++
				continue
			}
			a.start = append(a.start, start)
			if a.oldest != unknown && start < a.oldest {
				a.oldest = start
			}
			from := int32(len(a.keys.Data))
			a.keys.Data = binary.BigEndian.AppendUint64(a.keys.Data, uint64(start)^1<<63)
			a.member(cols, i, from)
		}
	}
	if late > 0 {
		a.late(late)
	}
}

// member completes the key that begins at from and assigns row to its group.
func (a *aggregate) member(cols []arrow.Array, row int, from int32) {
	for _, c := range cols {
		a.keys.Data = state.AppendKey(a.keys.Data, c, row)
	}
	a.keys.Spans = append(a.keys.Spans, from, int32(len(a.keys.Data)))
	a.index = append(a.index, int32(row))
	if now := int64(cap(a.keys.Data)); now > a.buffer {
		a.ctx.Account.Grow(now - a.buffer)
		a.buffer = now
	}
}

func mod(a, b int64) int64 {
	if m := a % b; m >= 0 {
		return m
	} else {
		return m + b
	}
}

// add adds group member i to its group, or retracts it.
func (a *aggregate) add(in *flow.Batch, args [][]arrow.Array, i int) error {
	row := int(a.index[i])
	group, weight := a.rows[i], flow.Insert
	if in.Op(row).Gone() {
		weight = flow.Retract
	}
	if in.Schema.Time >= 0 {
		t := in.Times()[row]
		if last := int64(binary.LittleEndian.Uint64(group)); t > last || a.fresh[i] {
			binary.LittleEndian.PutUint64(group, uint64(t))
		}
	}
	for j := range a.slots {
		s := &a.slots[j]
		if s.grown == nil {
			if _, err := s.Add(group[s.from:s.to], args[j], row, weight); err != nil {
				a.ctx.Fail(exec.Failure{Code: "SQ4002", Err: err, Source: a.Calls[j].Name, Side: "row"})
			}
			continue
		}
		old, _, err := s.grown.Get(a.keys.At(i))
		if err != nil {
			return err
		}
		grown, err := s.Add(append(s.cur[:0], old...), args[j], row, weight)
		if err != nil {
			a.ctx.Fail(exec.Failure{Code: "SQ4002", Err: err, Source: a.Calls[j].Name, Side: "row"})
			continue
		}
		s.cur = grown
		if !a.ctx.Account.Work(int64(len(old) + len(grown))) { // each row copies the whole state
			return a.ctx.Account.Err()
		}
		if err := s.grown.Put(a.keys.At(i), grown); err != nil {
			return err
		}
	}
	return nil
}
