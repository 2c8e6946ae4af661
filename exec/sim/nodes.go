package sim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// number parses a record's value: a number, optionally followed by a space and ignored text.
func number(value []byte) (int64, error) {
	text, _, _ := strings.Cut(string(value), " ")
	return strconv.ParseInt(text, 10, 64)
}

// scan decodes numbers with their partition and offset; other values are dead letters.
type scan struct{ ctx *exec.Context }

var schema = flow.NewSchema([]arrow.Field{flow.Field("K", flow.String), flow.Field("V", flow.Bigint), flow.Field("P", flow.Bigint), flow.Field("O", flow.Bigint),
	flow.Field(flow.RowTime, flow.Bigint)})

func (s *scan) Schema() *flow.Schema                                { return schema }
func (s *scan) Inputs() []exec.Node                                 { return nil }
func (s *scan) Rewire([]exec.Node, exec.Move) exec.Node             { return s }
func (s *scan) String() string                                      { return "Scan" }
func (s *scan) Open(c *exec.Context) (exec.Operator, error)         { return &scan{c}, nil }
func (s *scan) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Decode implements exec.Decoder.
func (s *scan) Decode(f *topic.Fetch) (*flow.Batch, error) {
	var keys, values, parts, offsets, times []any
	for i := range f.Rows() {
		v, err := number(f.Value.At(i))
		if err != nil {
			s.ctx.Fail(exec.Failure{Code: "SQ5102", Err: err, Source: "in", Partition: f.Partition, Offset: f.Offsets[i], Side: "value",
				Record: &topic.Record{Key: f.Key.At(i), Value: f.Value.At(i), Time: f.Times[i]}})
			continue
		}
		keys, values, times = append(keys, string(f.Key.At(i))), append(values, v), append(times, f.Times[i])
		parts, offsets = append(parts, int64(f.ID)), append(offsets, int64(f.Offsets[i]))
	}
	cols := []arrow.Array{flow.Column(flow.String, keys...), flow.Column(flow.Bigint, values...), flow.Column(flow.Bigint, parts...), flow.Column(flow.Bigint, offsets...),
		flow.Column(flow.Bigint, times...)}
	return flow.NewBatch(schema, cols, len(keys), nil), nil
}

// row is a row of scan.
type row struct {
	key            string
	v, part, place int64
	time           int64
}

// effect is the function of an operation: from a row and the stored number of its key, it
// returns the new stored number (ok: there is one) and the record to write (none if key is "").
type effect func(r row, kept int64) (keep int64, ok bool, key, value string)

// sum writes the running sum of a key. The number 0 deletes the key.
func sum(r row, kept int64) (int64, bool, string, string) {
	if r.v == 0 {
		return 0, false, r.key, "0"
	}
	return kept + r.v, true, r.key, strconv.FormatInt(kept+r.v, 10)
}

// even stores nothing and passes even numbers.
func even(r row, _ int64) (int64, bool, string, string) {
	if r.v%2 != 0 {
		return 0, false, "", ""
	}
	return 0, false, r.key, strconv.FormatInt(r.v, 10)
}

// rekey stores nothing and changes the key of each row.
func rekey(r row, _ int64) (int64, bool, string, string) {
	return 0, false, fmt.Sprint("r", r.v), strconv.FormatInt(r.v, 10)
}

// apply runs an effect over its input and writes to a topic, row by row, with the origin of the
// row in the value.
type apply struct {
	in     exec.Node
	effect effect
	keeps  bool
	out    string
	spread int64 // number of partitions, selected by value; 0: the task's own
}

func (a *apply) Schema() *flow.Schema { return schema }
func (a *apply) Inputs() []exec.Node  { return []exec.Node{a.in} }
func (a *apply) Rewire(in []exec.Node, _ exec.Move) exec.Node {
	out := *a
	out.in = in[0]
	return &out
}
func (a *apply) String() string { return "Apply" }

// Open implements exec.Node.
func (a *apply) Open(c *exec.Context) (exec.Operator, error) {
	o := &applying{apply: a, ctx: c}
	if a.keeps {
		o.keep = c.Keyspace("kept")
	}
	return o, nil
}

// keptSpace is the name of the keyspace: the operator is the first of its task.
const keptSpace = "1.kept"

type applying struct {
	*apply
	ctx  *exec.Context
	keep state.Keyspace
}

// Process implements exec.Operator.
func (a *applying) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	num := func(col, i int) int64 { return flow.Value(in.Column(col), i).(int64) }
	for i := range in.Rows() {
		r := row{flow.Value(in.Column(0), i).(string), num(1, i), num(2, i), num(3, i), in.Times()[i]}
		if err := a.row(r); err != nil {
			return err
		}
	}
	return emit(in)
}

func (a *applying) row(r row) error {
	var kept int64
	if a.keeps {
		old, _, err := a.keep.Get([]byte(r.key))
		if err != nil {
			return err
		}
		kept, _ = strconv.ParseInt(string(old), 10, 64)
	}
	keep, ok, key, value := a.effect(r, kept)
	var err error
	switch {
	case a.keeps && ok:
		err = a.keep.Put([]byte(r.key), strconv.AppendInt(nil, keep, 10))
	case a.keeps:
		err = a.keep.Delete([]byte(r.key))
	}
	if err != nil || key == "" {
		return err
	}
	to := topic.Partition{Topic: a.out, ID: a.ctx.Partition}
	if a.spread > 0 {
		to.ID = int32(r.v % a.spread)
	}
	return a.ctx.Out.Write(to, topic.Record{Key: []byte(key), Value: fmt.Appendf(nil, "%s %d@%d", value, r.part, r.place), Time: r.time})
}
