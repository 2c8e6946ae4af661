package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// Time is event time: milliseconds since the epoch, UTC.
type Time int64

// Op is the weight of a row: a relation changes by rows that are inserted (positive) and
// removed (negative). An update is the old row with weight Before, directly followed by the new
// one with weight Insert; a row that is only removed is a Retract. Code that drops one half of
// an update must adjust the other: a Before without its Insert becomes a Retract (Take does
// that).
type Op int8

// The weights.
const (
	Insert  Op = +1
	Retract Op = -1
	Before  Op = -2
)

// Gone reports whether the row is removed.
func (o Op) Gone() bool { return o < 0 }

// The names of the pseudo-columns. A scan appends those that a query uses after the declared
// columns; ROWTIME always exists.
const (
	RowTime      = "ROWTIME"      // BIGINT, the row's event time in ms
	RowPartition = "ROWPARTITION" // INTEGER
	RowOffset    = "ROWOFFSET"    // BIGINT
	Headers      = "HEADERS"      // ARRAY<STRUCT<KEY STRING, VALUE BYTES>>
	WindowStart  = "WINDOWSTART"  // BIGINT, ms
	WindowEnd    = "WINDOWEND"    // BIGINT, ms
	RawHeaders   = "$HEADERS"     // like HEADERS, but NULL without headers; for a sink that copies them
	StreamTime   = "$STREAMTIME"  // BIGINT, the task's stream time at this row, which decides lateness
)

// Schema describes the columns of a batch. Time is the position of the column of event time (-1:
// none), Clock that of the column of stream time (-1: none).
//
// IDs are the identities of the columns while a plan is being made: unique within the plan, and kept
// by every operator that passes a column on. Nil means that the position is the identity.
type Schema struct {
	*arrow.Schema
	Time  int
	Clock int
	IDs   []int
}

// ID returns the identity of the column at a position; -1 for position -1.
func (s *Schema) ID(position int) int {
	if s.IDs == nil || position < 0 {
		return position
	}
	return s.IDs[position]
}

// Position returns where the column with an identity is, -1 if it is not there.
func (s *Schema) Position(id int) int {
	if s.IDs != nil {
		return slices.Index(s.IDs, id)
	}
	if id < s.NumFields() {
		return id
	}
	return -1
}

// Named returns the names of the columns with the given identities, joined by commas.
func (s *Schema) Named(ids []int) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = s.Field(s.Position(id)).Name
	}
	return strings.Join(names, ", ")
}

// NewSchema returns a schema of the fields. It finds Time and Clock by the names of the
// pseudo-columns.
func NewSchema(fields []arrow.Field) *Schema {
	s := &Schema{Schema: arrow.NewSchema(fields, nil), Time: -1, Clock: -1}
	for i, f := range fields {
		switch f.Name {
		case RowTime:
			s.Time = i
		case StreamTime:
			s.Clock = i
		}
	}
	return s
}

// Batch is a part of a changing relation: columns of equal length, and a weight for each row
// (Ops nil: all inserts). Batches are immutable once emitted and need no release: the garbage
// collector frees the buffers.
type Batch struct {
	arrow.Record
	Schema *Schema
	Ops    []Op
}

// NewBatch returns a batch with the given number of rows. ops may be nil.
func NewBatch(schema *Schema, cols []arrow.Array, rows int, ops []Op) *Batch {
	return &Batch{Record: array.NewRecord(schema.Schema, cols, int64(rows)), Schema: schema, Ops: ops}
}

// Rows returns the number of rows.
func (b *Batch) Rows() int { return int(b.NumRows()) }

// Op returns the weight of a row.
func (b *Batch) Op(row int) Op {
	if b.Ops == nil {
		return Insert
	}
	return b.Ops[row]
}

// Times returns the event-time column.
func (b *Batch) Times() []int64 { return b.Column(b.Schema.Time).(*array.Int64).Int64Values() }

// With returns a batch of the same rows and weights with other columns.
func (b *Batch) With(schema *Schema, cols []arrow.Array) *Batch {
	return NewBatch(schema, cols, b.Rows(), b.Ops)
}

// Slice returns rows [from, to) without copying.
func (b *Batch) Slice(from, to int) *Batch {
	if from == 0 && to == b.Rows() {
		return b
	}
	out := &Batch{Record: b.Record.NewSlice(int64(from), int64(to)), Schema: b.Schema}
	if b.Ops != nil {
		out.Ops = b.Ops[from:to]
	}
	return out
}

// Where returns the rows for which keep is true (NULL is not true), and b itself if that is all
// of them.
func (b *Batch) Where(keep *array.Boolean) *Batch {
	rows := make([]int32, 0, b.Rows())
	for i, n := 0, keep.Len(); i < n; i++ {
		if keep.Value(i) && keep.IsValid(i) {
			rows = append(rows, int32(i))
		}
	}
	return b.Take(rows)
}

// Head returns the length of the longest beginning of the batch that has at most n changes, and the
// number of its changes. An update is one change and is not split.
func (b *Batch) Head(n int64) (rows int, changes int64) {
	if b.Ops == nil {
		rows = int(min(int64(b.Rows()), n))
		return rows, int64(rows)
	}
	for ; rows < b.Rows() && changes < n; rows++ {
		if b.Op(rows) != Before {
			changes++
		}
	}
	return rows, changes
}

// keepPairs turns the old half of an update into a plain retraction if its new half was not
// taken.
func keepPairs(ops []Op, rows []int32) {
	for i, o := range ops {
		if o == Before && (i+1 == len(rows) || rows[i+1] != rows[i]+1) {
			ops[i] = Retract
		}
	}
}

// Take returns the rows with the given indexes, in that order.
func (b *Batch) Take(rows []int32) *Batch {
	if len(rows) == b.Rows() && ascending(rows) {
		return b
	}
	cols := make([]arrow.Array, b.NumCols())
	for i := range cols {
		cols[i] = Take(b.Column(i), rows)
	}
	var ops []Op
	if b.Ops != nil {
		ops = make([]Op, len(rows))
		for i, r := range rows {
			ops[i] = b.Ops[r]
		}
		keepPairs(ops, rows)
	}
	return NewBatch(b.Schema, cols, len(rows), ops)
}

func ascending(rows []int32) bool {
	for i, r := range rows {
		if int(r) != i {
			return false
		}
	}
	return true
}

// Text returns the batch as text for tests and debugging: a line per row, with weights as + and
// -.
func (b *Batch) Text() string {
	var out strings.Builder
	for row := 0; row < b.Rows(); row++ {
		sign := "+"
		if b.Op(row).Gone() {
			sign = "-"
		}
		out.WriteString(sign)
		for c := 0; c < int(b.NumCols()); c++ {
			v := "NULL"
			if b.Column(c).IsValid(row) {
				v = fmt.Sprint(Value(b.Column(c), row))
			}
			fmt.Fprintf(&out, " %s=%s", b.ColumnName(c), v)
		}
		out.WriteByte('\n')
	}
	return out.String()
}
