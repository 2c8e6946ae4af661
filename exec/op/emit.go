package op

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// Advance implements exec.Timed. It closes the windows whose end + grace is at or before stream
// time and deletes their state. With EMIT FINAL it emits their results, ordered by start and key.
func (a *aggregate) Advance(now flow.Time, emit exec.Emit) error {
	if a.Window == nil || a.Emit == EmitEnd {
		return nil
	}
	closed := int64(now) - a.Window.Size - a.Window.Grace // the last start of a closed window
	if a.oldest != unknown && a.oldest > closed {
		return nil
	}
	err := a.flush(binary.BigEndian.AppendUint64(nil, uint64(closed+1)^1<<63), emit)
	if err != nil {
		return err
	}
	a.oldest = closed + 1
	for e, err := range a.groups.Scan(nil, nil) {
		if err != nil {
			return err
		}
		a.oldest = windowStart(e.Key)
		break
	}
	return nil
}

// Finish implements exec.Finisher. It emits the results of a bounded input in the order of their
// keys.
func (a *aggregate) Finish(emit exec.Emit) error {
	if a.Emit == EmitChanges {
		return nil
	}
	if len(a.Keys) == 0 && a.Window == nil && a.Emit == EmitEnd {
		if err := a.empty(); err != nil {
			return err
		}
	}
	return a.flush(nil, emit)
}

// empty creates the only group of an aggregate without keys and windows, which has a result even without rows.
func (a *aggregate) empty() error {
	_, _, err := a.groups.Update(nil, a.size)
	return err
}

// flush emits the groups before a key and deletes them. With EMIT CHANGES it only deletes them,
// because their results have been emitted.
func (a *aggregate) flush(to []byte, emit exec.Emit) error {
	f := a.newFlushed()
	for e, err := range a.groups.Scan(nil, to) {
		if err != nil {
			return err
		}
		if !a.ctx.Account.Work(int64(len(e.Val))) {
			return a.ctx.Account.Err()
		}
		if a.Emit != EmitChanges {
			if err := f.add(e); err != nil {
				return err
			}
		}
		if err := a.drop(e.Key); err != nil {
			return err
		}
		if f.rows >= pieceRows || f.bytes >= pieceBytes {
			if err := f.emit(emit); err != nil {
				return err
			}
			f = a.newFlushed()
		}
	}
	return f.emit(emit)
}

// flushed collects the results of deleted groups and emits them in batches.
type flushed struct {
	a     *aggregate
	c     *changes
	keys  []array.Builder
	rows  int
	bytes int
}

func (a *aggregate) newFlushed() *flushed {
	f := &flushed{a: a, c: a.changes(flow.NewBatch(a.Input.Schema(), nil, 0, nil)),
		keys: make([]array.Builder, len(a.Keys))}
	for i, k := range a.Keys {
		f.keys[i] = flow.Builder(a.Input.Schema().Field(k).Type)
	}
	return f
}

func (f *flushed) add(e state.Entry) error {
	f.rows++
	f.bytes += len(e.Key) + len(e.Val)
	for _, s := range f.a.slots {
		if s.grown != nil {
			v, _, err := s.grown.Get(e.Key)
			if err != nil {
				return err
			}
			f.bytes += len(v)
		}
	}
	return f.a.flushGroup(f.c, f.keys, e)
}

func (f *flushed) emit(emit exec.Emit) error {
	if f.rows == 0 {
		return nil
	}
	var cols []arrow.Array
	for _, k := range f.keys {
		cols = append(cols, k.NewArray())
	}
	cols = f.a.tail(cols, f.c.starts, f.c.values, f.c.times)
	if f.a.Out.Clock >= 0 {
		cols = append(cols, bigints(append([]int64(nil), f.c.times...)))
	}
	return f.a.tell(flow.NewBatch(f.a.Out, cols, f.rows, nil), emit)
}

func (a *aggregate) flushGroup(c *changes, keys []array.Builder, e state.Entry) error {
	key := e.Key
	if a.Window != nil {
		c.starts = append(c.starts, windowStart(key))
		key = key[8:]
	}
	var err error
	for _, b := range keys {
		if key, err = state.DecodeKey(key, b); err != nil {
			return err
		}
	}
	c.times = append(c.times, int64(binary.LittleEndian.Uint64(e.Val)))
	return a.values(e.Key, e.Val, c.values)
}

func (a *aggregate) drop(key []byte) error {
	key = append([]byte(nil), key...)
	for _, s := range a.slots {
		if s.grown != nil {
			if err := s.grown.Delete(key); err != nil {
				return err
			}
		}
	}
	return a.groups.Delete(key)
}

func windowStart(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ 1<<63) }

// changes collects output rows: keys and stream time by input row, the other columns by builders.
type changes struct {
	rows   []int32 // the input row of each output row
	ops    []flow.Op
	starts []int64
	times  []int64
	values []array.Builder
}

func (a *aggregate) changes(in *flow.Batch) *changes {
	c := &changes{}
	for _, call := range a.Calls {
		b := flow.Builder(call.Result)
		b.Reserve(in.Rows())
		c.values = append(c.values, b)
	}
	return c
}

func (c *changes) append(a *aggregate, i int, op flow.Op, in *flow.Batch) error {
	c.rows = append(c.rows, a.index[i])
	c.ops = append(c.ops, op)
	if a.Window != nil {
		c.starts = append(c.starts, a.start[i])
	}
	c.times = append(c.times, int64(binary.LittleEndian.Uint64(a.rows[i])))
	return a.values(a.keys.At(i), a.rows[i], c.values)
}

// values appends a group's results.
func (a *aggregate) values(key, group []byte, to []array.Builder) error {
	for j := range a.slots {
		s := &a.slots[j]
		cur := group[s.from:s.to]
		if s.grown != nil {
			v, _, err := s.grown.Get(key)
			if err != nil {
				return err
			}
			cur = v
		}
		if err := s.Value(cur, to[j]); err != nil {
			a.ctx.Fail(exec.Failure{Code: "SQ4002", Err: err, Source: a.Calls[j].Name, Side: "row"})
			to[j].AppendNull()
		}
	}
	return nil
}

func (c *changes) batch(a *aggregate, in *flow.Batch) *flow.Batch {
	var cols []arrow.Array
	for _, k := range a.Keys {
		cols = append(cols, groupKey(in.Column(k), c.rows))
	}
	cols = a.tail(cols, c.starts, c.values, c.times)
	if a.Out.Clock >= 0 {
		cols = append(cols, flow.Take(in.Column(in.Schema.Clock), c.rows))
	}
	ops := c.ops
	if !a.Retract && in.Ops == nil {
		ops = nil
	}
	return flow.NewBatch(a.Out, cols, len(c.rows), ops)
}

// groupKey selects rows of a key column. It maps -0 to 0 and all NaN values to one, as they are one
// group.
func groupKey(col arrow.Array, rows []int32) arrow.Array {
	switch c := flow.Take(col, rows).(type) {
	case *array.Float64:
		return flow.Fixed(flow.Double, oneZero(c.Float64Values()), arrow.Float64Traits.CastToBytes,
			flow.Both(c.Len(), c))
	case *array.Float32:
		return flow.Fixed(flow.Float, oneZero(c.Float32Values()), arrow.Float32Traits.CastToBytes,
			flow.Both(c.Len(), c))
	default:
		return c
	}
}

func oneZero[T float32 | float64](in []T) []T {
	out := make([]T, len(in))
	for i, x := range in {
		if x != x {
			x = T(math.NaN())
		}
		out[i] = x + 0
	}
	return out
}

// tail appends the window's bounds, the results and the event time.
func (a *aggregate) tail(cols []arrow.Array, starts []int64, values []array.Builder, times []int64) []arrow.Array {
	if a.Window != nil {
		ends := make([]int64, len(starts))
		for i, s := range starts {
			ends[i] = s + a.Window.Size
		}
		cols = append(cols, bigints(starts), bigints(ends))
	}
	for _, v := range values {
		cols = append(cols, v.NewArray())
	}
	return append(cols, bigints(times))
}

func bigints(v []int64) arrow.Array {
	return flow.Fixed(flow.Bigint, v, arrow.Int64Traits.CastToBytes, flow.Valid(len(v)))
}
