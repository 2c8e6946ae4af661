package op

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Part is the part of a record that a scanned column comes from.
type Part int

// The parts of a record.
const (
	FromKey Part = iota
	FromValue
	FromTime
	FromPartition
	FromOffset
	FromHeaders
	FromHeader // one header, by name
	FromWindowStart
	FromWindowEnd
	FromClock      // stream time, set by the task
	FromRawHeaders // as FromHeaders, but NULL for a record without headers
)

// ScanColumn is one column of a scan: column Index of the key or value, or a pseudo-column.
type ScanColumn struct {
	From   Part
	Index  int
	Header string
	Keyed  bool // the column is part of the relation's key
}

// Scan reads a topic and decodes the columns that the plan uses.
type Scan struct {
	Source     string // the relation's name
	Topic      string
	Key, Value format.Spec
	Columns    []ScanColumn
	Out        *flow.Schema
	// Time is the event time in ms, computed from the scanned columns; nil: the record's timestamp.
	// A row for which it is NULL is a dead letter, and with From1970 one before 1970 as well.
	Time     expr.Expr
	From1970 bool
	// Table reports that a record replaces the one with its key, and that a null value deletes it.
	// Records without a key are skipped.
	Table bool
	// WindowSize is the size in ms of the windows of windowed keys. Such a key has the key's bytes,
	// then the window's start; its end is start + WindowSize. -1 is a session, whose key has both
	// bounds.
	WindowSize int64
	Windowed   bool
	OnError    string // "deadletter" (default), "skip" or "fail"
	Number     int    // the number of the leaf
	Bounds     Bounds // the range that a bounded query reads
	Nulls      Nulls
}

// Schema implements exec.Node.
func (s *Scan) Schema() *flow.Schema { return s.Out }

// Inputs implements exec.Node.
func (s *Scan) Inputs() []exec.Node { return nil }

// Rewire implements exec.Node.
func (s *Scan) Rewire([]exec.Node, exec.Move) exec.Node { return s }

// EventTime returns Time with columns by their positions in Out.
func (s *Scan) EventTime() expr.Expr {
	return Rewire(s.Time, 0, func(_, c int) int { return s.Out.Position(c) })
}

// Leaf implements Leaf.
func (s *Scan) Leaf() int { return s.Number }

// Narrow implements Narrower. It keeps the event time, because stream time depends on it, and a
// table's key columns, because a record without a key is not a row of the table.
func (s *Scan) Narrow(want func(column int) bool) exec.Node {
	stays := map[int]bool{s.Out.ID(s.Out.Time): true}
	for i, c := range s.Columns {
		stays[s.Out.ID(i)] = stays[s.Out.ID(i)] || s.Table && c.Keyed
	}
	if s.Time != nil {
		expr.Columns(s.Time, func(c *expr.Column) { stays[c.Index] = true })
	}
	out := *s
	var at []int
	out.Out, at = narrowed(s.Out, func(c int) bool { return stays[c] || want(c) })
	out.Columns = make([]ScanColumn, len(at))
	for i, from := range at {
		out.Columns[i] = s.Columns[from]
	}
	return &out
}

// String implements exec.Node.
func (s *Scan) String() string {
	var names []string
	for i, c := range s.Columns {
		if c.From == FromKey || c.From == FromValue {
			names = append(names, s.Out.Field(i).Name)
		}
	}
	return fmt.Sprintf("Scan %s topic=%q format=%s columns=(%s)", s.Source, s.Topic, strings.ToUpper(s.Value.Name),
		strings.Join(names, ", "))
}

// Nulls selects the treatment of a stream's records without a value.
type Nulls int

// A record without a value is dropped, or it passes with weight Retract to a sink, which writes it
// without a value again.
const (
	NullsAreDropped Nulls = iota
	NullsPass
)

// Open implements exec.Node.
func (s *Scan) Open(ctx *exec.Context) (exec.Operator, error) {
	out := &scan{Scan: s, ctx: ctx}
	if s.Time != nil {
		out.time = s.EventTime()
	}
	for i, c := range s.Columns {
		switch c.From {
		case FromKey:
			out.wantKey, out.keyAt = append(out.wantKey, c.Index), append(out.keyAt, i)
		case FromValue:
			out.wantValue, out.valueAt = append(out.wantValue, c.Index), append(out.valueAt, i)
		}
	}
	var err error
	if len(s.Key.Fields) > 0 {
		if out.key, err = ctx.Codec(s.Key, s.Topic, true); err != nil {
			return nil, err
		}
	}
	if out.value, err = ctx.Codec(s.Value, s.Topic, false); err != nil {
		return nil, err
	}
	return out, nil
}

type scan struct {
	*Scan
	ctx                *exec.Context
	key, value         format.Codec
	time               expr.Expr // Time, over a batch
	wantKey, wantValue []int
	keyAt, valueAt     []int
}

// Process implements exec.Operator.
func (s *scan) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Decode implements exec.Decoder.
func (s *scan) Decode(f *topic.Fetch) (*flow.Batch, error) {
	for i := range f.Bad {
		if err := s.passed(f, &f.Bad[i]); err != nil {
			return nil, err
		}
	}
	before := s.ctx.Account.Used()
	defer func() { s.ctx.Account.Settle(before, 0) }() // the task charges the batch
	n := f.Rows()
	cols := make([]arrow.Array, len(s.Columns))
	drop := flow.Valid(n)
	if f.Decoded != nil {
		if err := s.byName(f, cols); err != nil {
			return nil, err
		}
	} else if err := s.decode(f, cols, &drop); err != nil {
		return nil, err
	}
	s.pseudo(f, cols)
	b := flow.NewBatch(s.Out, cols, n, s.ops(f, &drop))
	if s.Time != nil {
		var err error
		if b, err = s.stamp(f, b, &drop); err != nil {
			return nil, err
		}
	}
	if drop.Nulls() == 0 {
		return b, nil
	}
	keep := make([]int32, 0, n-drop.Nulls())
	for i := range n {
		if !drop.IsNull(i) {
			keep = append(keep, int32(i))
		}
	}
	return b.Take(keep), nil
}

func (s *scan) byName(f *topic.Fetch, cols []arrow.Array) error {
	fill := func(at []int, want []int, fields []arrow.Field) error {
		for i, at := range at {
			name := fields[want[i]].Name
			idx := f.Decoded.Schema().FieldIndices(name)
			for j := 0; len(idx) == 0 && j < int(f.Decoded.NumCols()); j++ {
				if strings.EqualFold(f.Decoded.ColumnName(j), name) {
					idx = []int{j}
				}
			}
			if len(idx) == 0 {
				return fmt.Errorf("%s has no column %q", f.Topic, name)
			}
			cols[at] = expr.CastColumn(f.Decoded.Column(idx[0]), fields[want[i]].Type, s.ctx.Evaluation(s.Source))
		}
		return nil
	}
	if err := fill(s.keyAt, s.wantKey, s.Key.Fields); err != nil {
		return err
	}
	return fill(s.valueAt, s.wantValue, s.Value.Fields)
}

func (s *scan) decode(f *topic.Fetch, cols []arrow.Array, drop *flow.Validity) error {
	keys := &f.Key
	if s.Windowed {
		keys = s.cutWindows(f, cols)
	}
	if s.key != nil {
		got, bad, err := s.key.Decode(keys, s.wantKey)
		if err != nil {
			return err
		}
		if err := s.reject(f, "key", bad, drop); err != nil {
			return err
		}
		for i, at := range s.keyAt {
			cols[at] = got[i]
		}
	}
	got, bad, err := s.value.Decode(&f.Value, s.wantValue)
	if err != nil {
		return err
	}
	if err := s.reject(f, "value", bad, drop); err != nil {
		return err
	}
	for i, at := range s.valueAt {
		cols[at] = got[i]
	}
	return nil
}

func (s *scan) reject(f *topic.Fetch, side string, bad []format.Bad, drop *flow.Validity) error {
	for _, b := range bad {
		if drop.IsNull(b.Row) {
			continue
		}
		if err := s.fail(f, b.Row, side, "SQ5102", b.Reason); err != nil {
			return err
		}
		drop.Clear(b.Row)
	}
	return nil
}

func (s *scan) fail(f *topic.Fetch, row int, side, code string, reason error) error {
	if s.OnError == "skip" {
		return nil
	}
	if s.OnError == "fail" {
		return fmt.Errorf("%s offset %d: the %s could not be decoded: %w", f.Partition, f.Offsets[row], side, reason)
	}
	r := topic.Record{Time: f.Times[row]}
	if f.Decoded == nil {
		r.Key, r.Value = f.Key.At(row), f.Value.At(row)
	}
	if f.Headers != nil {
		r.Headers = f.Headers[row]
	}
	s.ctx.Fail(exec.Failure{Code: code, Err: reason, Source: s.Source, Partition: f.Partition, Offset: f.Offsets[row],
		Side: side, Record: &r})
	return nil
}

// passed makes a dead letter without bytes for records that the reader had to skip.
func (s *scan) passed(f *topic.Fetch, b *topic.Bad) error {
	switch s.OnError {
	case "skip":
		return nil
	case "fail":
		return fmt.Errorf("%s %w", f.Partition, b)
	}
	side := "row"
	if b.To > b.From+1 {
		side = "batch"
	}
	s.ctx.Fail(exec.Failure{Code: "SQ5106", Err: b, Source: s.Source, Partition: f.Partition, Offset: b.From,
		Side: side, Record: &topic.Record{Time: b.Time}})
	return nil
}

// ops returns the weights of a table's records and drops those without a key. It returns nil for
// streams.
func (s *scan) ops(f *topic.Fetch, drop *flow.Validity) []flow.Op {
	if f.Decoded != nil {
		return nil
	}
	if !s.Table {
		return s.nulls(f, drop)
	}
	ops := make([]flow.Op, f.Rows())
	for i := range ops {
		ops[i] = flow.Insert
		if f.Value.At(i) == nil {
			ops[i] = flow.Retract
		}
		if f.Key.At(i) == nil && !drop.IsNull(i) {
			drop.Clear(i)
		}
	}
	return ops
}

// nulls drops or retracts a stream's records without a value.
func (s *scan) nulls(f *topic.Fetch, drop *flow.Validity) []flow.Op {
	var ops []flow.Op
	for i := range f.Rows() {
		if f.Value.Spans[2*i] >= 0 {
			continue
		}
		if s.Nulls == NullsAreDropped {
			drop.Clear(i)
			continue
		}
		if ops == nil {
			ops = make([]flow.Op, f.Rows())
			for k := range ops {
				ops[k] = flow.Insert
			}
		}
		ops[i] = flow.Retract
	}
	return ops
}

// stamp sets the event time to the value of the declared expression.
func (s *scan) stamp(f *topic.Fetch, b *flow.Batch, drop *flow.Validity) (*flow.Batch, error) {
	reasons := map[int]error{}
	col := expr.Eval(s.time, b, udf.Env{Account: s.ctx.Account,
		Fail: func(row int, err error) { reasons[row] = err }}).(*array.Int64)
	if err := s.ctx.Account.Err(); err != nil {
		return nil, err
	}
	times := make([]int64, b.Rows())
	for i := range times {
		switch {
		case drop.IsNull(i):
			continue
		case col.IsValid(i) && (col.Value(i) >= 0 || !s.From1970):
			times[i] = col.Value(i)
			continue
		case b.Op(i).Gone():
			times[i] = f.Times[i]
			continue
		}
		reason := reasons[i]
		if reason == nil {
			reason = errors.New("the timestamp column is NULL or before 1970")
		}
		if err := s.fail(f, i, "row", "SQ5104", reason); err != nil {
			return nil, err
		}
		drop.Clear(i)
	}
	cols := append([]arrow.Array(nil), b.Columns()...)
	cols[s.Out.Time] = flow.Fixed(flow.Bigint, times, arrow.Int64Traits.CastToBytes, flow.Valid(len(times)))
	return b.With(s.Out, cols), nil
}
