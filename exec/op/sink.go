package op

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Sink writes rows to a topic in the worker's transaction. Changes of a table become upserts and
// tombstones: an update that keeps its key is one upsert, a deleted row is a tombstone.
type Sink struct {
	Input      exec.Node
	Topic      string
	Partitions int32
	Key, Value format.Spec
	KeyCols    []int // columns of the input, in the order of Key.Fields
	ValueCols  []int
	// Window has the columns of the window's start and end, for a windowed key; nil: the key has no
	// window. Session keys contain both, other keys the start.
	Window  []int
	Session bool
	// Retention is how long a window's row is stored after the window's start, in ms of stream
	// time; 0: without limit.
	Retention int64
	// Headers is the column of the headers that records are written with; -1: none.
	Headers int
	// Keep has the columns that are stored by key in the keyspace "rows", from which pull queries
	// read a table's present rows; nil: none.
	Keep []int
	// From1970 makes a row before 1970 a dead letter.
	From1970 bool
}

// Schema implements exec.Node.
func (s *Sink) Schema() *flow.Schema { return s.Input.Schema() }

// Inputs implements exec.Node.
func (s *Sink) Inputs() []exec.Node { return []exec.Node{s.Input} }

// Rewire implements exec.Node.
func (s *Sink) Rewire(in []exec.Node, move exec.Move) exec.Node {
	touch(s.Schema(), false, move)
	out := *s
	out.Input, out.KeyCols, out.ValueCols = in[0], rewireAll(s.KeyCols, move), rewireAll(s.ValueCols, move)
	out.Window, out.Keep, out.Headers = rewireAll(s.Window, move), rewireAll(s.Keep, move), rewireOne(s.Headers, move)
	return &out
}

// Keeps implements Stateful. A table's present rows are stored if Keep is set.
func (s *Sink) Keeps() bool { return s.Keep != nil }

// String implements exec.Node.
func (s *Sink) String() string {
	return fmt.Sprintf("Sink topic=%q format=%s", s.Topic, strings.ToUpper(s.Value.Name))
}

// Rows is the name of the keyspace of a table's present rows.
const Rows = "rows"

// Open implements exec.Node.
func (s *Sink) Open(ctx *exec.Context) (exec.Operator, error) {
	out := &sink{Sink: s, ctx: ctx}
	var err error
	if len(s.Key.Fields) > 0 {
		if out.key, err = ctx.Codec(s.Key, s.Topic, true); err != nil {
			return nil, err
		}
	}
	if out.value, err = ctx.Codec(s.Value, s.Topic, false); err != nil {
		return nil, err
	}
	if s.Keep != nil {
		out.rows = ctx.State.Keyspace(Rows)
	}
	return out, nil
}

type sink struct {
	*Sink
	ctx        *exec.Context
	key, value format.Codec
	rows       state.Keyspace
	forgot     int64 // stream time of the last deletion of old windows
}

// Process implements exec.Operator.
func (s *sink) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	times := in.Times()
	keyCols, valueCols := pick(in, s.KeyCols), pick(in, s.ValueCols)
	clock := in.Column(in.Schema.Time)
	for i := range in.Rows() {
		if clock.IsNull(i) || times[i] < 0 && s.From1970 {
			err := errors.New("the timestamp is NULL or before 1970: the row is not written")
			s.ctx.Fail(exec.Failure{Code: "SQ5104", Err: err, Source: s.Topic, Side: "row"})
			continue
		}
		key, window, err := s.rowKey(in, keyCols, i)
		if err != nil {
			return fmt.Errorf("topic %q: write the key: %w", s.Topic, err)
		}
		retract := in.Op(i).Gone()
		if in.Op(i) == flow.Before {
			if next, _, err := s.rowKey(in, keyCols, i+1); err == nil && bytes.Equal(next, key) {
				continue
			}
		}
		var value []byte
		if !retract {
			if value, err = s.value.Encode([]byte{}, valueCols, i); err != nil {
				return fmt.Errorf("topic %q: write the value: %w", s.Topic, err)
			}
		}
		if err := s.keep(in, i, retract); err != nil {
			return err
		}
		p := topic.Partition{Topic: s.Topic, ID: s.partition(key[:len(key)-window])}
		rec := topic.Record{Key: key, Value: value, Time: times[i], Headers: s.headers(in, i)}
		err = s.ctx.Out.Write(p, rec)
		// The topic will never accept this record, which must not block the rows after it.
		if errors.Is(err, topic.ErrTooLarge) {
			s.ctx.Fail(exec.Failure{Code: "SQ5105", Err: err, Source: s.Topic, Partition: p, Offset: -1, Side: "row",
				Record: &rec})
			continue
		}
		if err != nil {
			return err
		}
	}
	return emit(in)
}

func (s *sink) headers(in *flow.Batch, row int) []topic.Header {
	if s.Headers < 0 || in.Column(s.Headers).IsNull(row) {
		return nil
	}
	var out []topic.Header
	for _, h := range flow.Value(in.Column(s.Headers), row).([]any) {
		pair := h.([]any)
		header := topic.Header{}
		header.Key, _ = pair[0].(string)
		header.Value, _ = pair[1].([]byte)
		out = append(out, header)
	}
	return out
}

func pick(in *flow.Batch, cols []int) []arrow.Array {
	out := make([]arrow.Array, len(cols))
	for i, c := range cols {
		out[i] = in.Column(c)
	}
	return out
}

// rowKey returns the record's key, and the number of its last bytes that are the window.
func (s *sink) rowKey(in *flow.Batch, cols []arrow.Array, row int) (key []byte, window int, err error) {
	if s.key == nil {
		return nil, 0, nil
	}
	null := true
	for _, c := range cols {
		null = null && c.IsNull(row)
	}
	if null && (len(cols) == 1 || strings.EqualFold(s.Key.Name, "DELIMITED")) {
		return nil, 0, nil
	}
	if key, err = s.key.Encode([]byte{}, cols, row); err != nil || s.Window == nil {
		return key, 0, err
	}
	start, end := flow.Value(in.Column(s.Window[0]), row).(int64), flow.Value(in.Column(s.Window[1]), row).(int64)
	n := len(key)
	if s.Session {
		key = binary.BigEndian.AppendUint64(key, uint64(end))
	}
	key = binary.BigEndian.AppendUint64(key, uint64(start))
	return key, len(key) - n, nil
}

// keep updates the stored rows of the table.
func (s *sink) keep(in *flow.Batch, row int, retract bool) error {
	if s.rows == nil {
		return nil
	}
	var key []byte
	for _, c := range s.Window { // windows first, so that old ones are adjacent
		key = state.AppendKey(key, in.Column(c), row)
	}
	for _, c := range s.KeyCols {
		key = state.AppendKey(key, in.Column(c), row)
	}
	if retract {
		return s.rows.Delete(key)
	}
	return s.rows.Put(key, state.AppendRow(nil, pick(in, s.Keep), row))
}

// Advance implements exec.Timed. It deletes the rows of windows that are older than Retention.
func (s *sink) Advance(now flow.Time, _ exec.Emit) error {
	if s.rows == nil || s.Retention == 0 || int64(now)-s.forgot < s.Retention/16 {
		return nil
	}
	s.forgot = int64(now)
	to := state.AppendKey(nil, flow.Column(flow.Bigint, int64(now)-s.Retention), 0)
	for e, err := range s.rows.Scan(nil, to) {
		if err != nil {
			return err
		}
		if err := s.rows.Delete(append([]byte(nil), e.Key...)); err != nil {
			return err
		}
	}
	return nil
}

// partition returns the partition by Kafka's default rule: murmur2 of the key. A record without a
// key is written to the partition of its task.
func (s *sink) partition(key []byte) int32 {
	if s.Partitions <= 1 {
		return 0
	}
	if key == nil {
		return s.ctx.Partition % s.Partitions
	}
	return PartitionOf(key, s.Partitions)
}

// PartitionOf returns the partition of a key by Kafka's default rule.
func PartitionOf(key []byte, partitions int32) int32 {
	if partitions <= 1 {
		return 0
	}
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is Austin Appleby's MurmurHash2 with the seed by which Kafka's clients choose partitions.
func murmur2(data []byte) uint32 {
	const m, seed = 0x5bd1e995, 0x9747b28c
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
