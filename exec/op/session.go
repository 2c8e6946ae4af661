package op

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf"
)

// session is the operator of an Aggregate whose window is a session. Rows of one key belong to one
// session as long as no two neighbours are more than Gap apart. A session extends from its first to
// its last event. A row within Gap of several sessions merges them: each is retracted at its old
// end, then the merged session is emitted, with its end as its event time. A session with end + Gap
// + Grace < stream time is closed, whether or not its state has been deleted: no row joins it any
// more, and a row that would create a closed session is late.
//
// The state of a session is stored under its key and end: its start, then the accumulators' states,
// each with its length before it. Sessions of one key are disjoint, so they have one order by start
// and by end, and those that an event joins are found by one seek, however many there are.
type session struct {
	*Aggregate
	ctx   *exec.Context
	open  state.Keyspace
	accs  []udf.Merger
	swept int64 // stream time of the last deletion of closed sessions

	// Buffers of one row.
	key, from, to, val []byte
	met                []span
}

func (a *Aggregate) openSession(ctx *exec.Context) (exec.Operator, error) {
	s := &session{Aggregate: a, ctx: ctx, open: ctx.Keyspace("sessions")}
	for _, c := range a.Calls {
		m, ok := c.New().(udf.Merger)
		if !ok {
			return nil, fmt.Errorf("aggregate %s cannot merge sessions", c.Name)
		}
		s.accs = append(s.accs, m)
	}
	return s, nil
}

// span is one session: its bounds and the accumulators' states.
type span struct {
	start, end int64
	states     [][]byte
}

// Process implements exec.Operator.
func (s *session) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	keys, times := pick(in, s.Keys), in.Times()
	clock := in.Column(in.Schema.Clock).(*array.Int64).Int64Values()
	args := make([][]arrow.Array, len(s.Calls))
	for i, c := range s.Calls {
		args[i] = pick(in, c.Args)
	}
	out := newSpans(s)
	late := int64(0)
next:
	for row := range in.Rows() {
		key := s.key[:0]
		for _, k := range keys {
			if k.IsNull(row) {
				continue next
			}
			key = state.AppendKey(key, k, row)
		}
		s.key = key
		old, err := s.meeting(key, times[row], clock[row])
		if err != nil {
			return err
		}
		merged := s.merge(old, times[row])
		if merged.end+s.Window.Gap+s.Window.Grace < clock[row] {
			late++
			continue
		}
		for i := range old {
			if s.Emit == EmitChanges {
				out.append(row, &old[i], flow.Retract)
			}
			if old[i].end == merged.end {
				continue // the merged session replaces it
			}
			s.from = sessionKey(s.from, key, old[i].end)
			if err := s.open.Delete(s.from); err != nil {
				return err
			}
		}
		s.add(merged, args, row, in.Op(row))
		s.from, s.val = sessionKey(s.from, key, merged.end), merged.append(s.val[:0])
		if err := s.open.Put(s.from, s.val); err != nil {
			return err
		}
		if s.Emit == EmitChanges {
			out.append(row, merged, flow.Insert)
		}
	}
	if late > 0 {
		s.ctx.Late(late)
	}
	if s.Emit != EmitChanges || len(out.ops) == 0 {
		return nil
	}
	return emit(out.batch(in))
}

// sessionKey writes the key of a session to a buffer.
func sessionKey(to, key []byte, end int64) []byte {
	return binary.BigEndian.AppendUint64(append(to[:0], key...), uint64(end)^1<<63)
}

// meeting returns the sessions of a key that an event at time t joins when stream time is now, the
// oldest first. The result is valid until the next call.
func (s *session) meeting(key []byte, t, now int64) ([]span, error) {
	out := s.met[:0]
	s.from, s.to = sessionKey(s.from, key, t-s.Window.Gap), sessionKey(s.to, key, math.MaxInt64)
	for e, err := range s.open.Scan(s.from, s.to) {
		if err != nil {
			return nil, err
		}
		if !s.ctx.Account.Work(int64(len(e.Val))) {
			return nil, s.ctx.Account.Err()
		}
		if len(e.Key) != len(key)+8 {
			continue // a longer key with the same beginning
		}
		var sp span
		if len(out) < cap(out) {
			sp = out[:len(out)+1][len(out)] // its buffers
		}
		if err := s.read(&sp, windowStart(e.Key[len(key):]), e.Val); err != nil {
			return nil, err
		}
		if sp.start > t+s.Window.Gap {
			break
		}
		if sp.end+s.Window.Gap+s.Window.Grace >= now {
			out = append(out, sp)
		}
	}
	s.met = out
	return out, nil
}

var errSession = errors.New("a stored session cannot be decoded")

// read decodes a session into a span, whose buffers it reuses.
func (s *session) read(sp *span, end int64, val []byte) error {
	if len(val) < 8 {
		return errSession
	}
	sp.start, sp.end = int64(binary.BigEndian.Uint64(val)), end
	if sp.states == nil {
		sp.states = make([][]byte, len(s.accs))
	}
	val = val[8:]
	for i, acc := range s.accs {
		n, k := binary.Uvarint(val)
		if k <= 0 || uint64(len(val)-k) < n || acc.Size() >= 0 && int(n) != acc.Size() {
			return errSession
		}
		sp.states[i] = append(sp.states[i][:0], val[k:k+int(n)]...)
		val = val[k+int(n):]
	}
	return nil
}

func (sp *span) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(sp.start))
	for _, s := range sp.states {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// merge merges sessions and extends them to the time of an event, which is added later.
// The result may be a changed element of old.
func (s *session) merge(old []span, t int64) *span {
	if len(old) == 1 {
		m := old[0]
		m.start, m.end = min(m.start, t), max(m.end, t)
		return &m
	}
	m := &span{start: t, end: t}
	for _, acc := range s.accs {
		m.states = append(m.states, make([]byte, max(acc.Size(), 0)))
	}
	for _, sp := range old {
		m.start, m.end = min(m.start, sp.start), max(m.end, sp.end)
		for i, acc := range s.accs {
			merged, err := acc.Merge(m.states[i], sp.states[i])
			if err != nil {
				s.failed(i, err)
				continue
			}
			m.states[i] = merged
		}
	}
	return m
}

func (s *session) add(m *span, args [][]arrow.Array, row int, weight flow.Op) {
	for i, acc := range s.accs {
		added, err := acc.Add(m.states[i], args[i], row, weight)
		if err != nil {
			s.failed(i, err)
			continue
		}
		m.states[i] = added
	}
}

func (s *session) failed(call int, err error) {
	s.ctx.Fail(exec.Failure{Code: "SQ4002", Err: err, Source: s.Calls[call].Name, Side: "row"})
}

// Advance implements exec.Timed. It deletes the closed sessions from time to time.
func (s *session) Advance(now flow.Time, _ exec.Emit) error {
	reach := s.Window.Gap + s.Window.Grace
	if s.Emit == EmitEnd || int64(now)-s.swept < reach/4+1 {
		return nil
	}
	s.swept = int64(now)
	for e, err := range s.open.Scan(nil, nil) {
		if err != nil {
			return err
		}
		if len(e.Key) >= 8 && windowStart(e.Key[len(e.Key)-8:])+reach < int64(now) {
			if err := s.open.Delete(append([]byte(nil), e.Key...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish implements exec.Finisher. It emits the sessions of a bounded input, ordered by key and
// start.
func (s *session) Finish(emit exec.Emit) error {
	if s.Emit != EmitEnd {
		return nil
	}
	var sp span
	out, keys, bytes := newSpans(s), s.keyBuilders(), 0
	for e, err := range s.open.Scan(nil, nil) {
		if err != nil {
			return err
		}
		rest := e.Key
		for _, b := range keys {
			if rest, err = state.DecodeKey(rest, b); err != nil {
				return err
			}
		}
		if err := s.read(&sp, windowStart(rest), e.Val); err != nil {
			return err
		}
		out.append(0, &sp, flow.Insert)
		bytes += len(e.Key) + len(e.Val)
		if len(out.ops) < pieceRows && bytes < pieceBytes {
			continue
		}
		if err := s.tell(out, keys, emit); err != nil {
			return err
		}
		out, keys, bytes = newSpans(s), s.keyBuilders(), 0
	}
	return s.tell(out, keys, emit)
}

func (s *session) keyBuilders() []array.Builder {
	keys := make([]array.Builder, len(s.Keys))
	for i, k := range s.Keys {
		keys[i] = flow.Builder(s.Input.Schema().Field(k).Type)
	}
	return keys
}

func (s *session) tell(out *spans, keys []array.Builder, emit exec.Emit) error {
	if len(out.ops) == 0 {
		return nil
	}
	var cols []arrow.Array
	for _, b := range keys {
		cols = append(cols, b.NewArray())
	}
	cols = out.columns(cols)
	if s.Out.Clock >= 0 {
		cols = append(cols, bigints(append([]int64(nil), out.ends...)))
	}
	before := s.ctx.Account.Used()
	b := flow.NewBatch(s.Out, cols, len(out.ops), nil)
	s.ctx.Account.Grow(b.Size())
	return pass(s.ctx.Account, before, b, emit)
}

// spans collects output rows.
type spans struct {
	s            *session
	rows         []int32
	starts, ends []int64
	ops          []flow.Op
	values       []array.Builder
}

func newSpans(s *session) *spans {
	out := &spans{s: s}
	for _, c := range s.Calls {
		out.values = append(out.values, flow.Builder(c.Result))
	}
	return out
}

func (o *spans) append(row int, sp *span, weight flow.Op) {
	o.rows, o.ops = append(o.rows, int32(row)), append(o.ops, weight)
	o.starts, o.ends = append(o.starts, sp.start), append(o.ends, sp.end)
	for i, acc := range o.s.accs {
		if err := acc.Value(sp.states[i], o.values[i]); err != nil {
			o.s.failed(i, err)
			o.values[i].AppendNull()
		}
	}
}

// columns appends bounds, results and event time, which is the session's end.
func (o *spans) columns(cols []arrow.Array) []arrow.Array {
	cols = append(cols, bigints(o.starts), bigints(o.ends))
	for _, v := range o.values {
		cols = append(cols, v.NewArray())
	}
	return append(cols, bigints(append([]int64(nil), o.ends...)))
}

func (o *spans) batch(in *flow.Batch) *flow.Batch {
	var cols []arrow.Array
	for _, k := range o.s.Keys {
		cols = append(cols, groupKey(in.Column(k), o.rows))
	}
	cols = o.columns(cols)
	if o.s.Out.Clock >= 0 {
		cols = append(cols, flow.Take(in.Column(in.Schema.Clock), o.rows))
	}
	return flow.NewBatch(o.s.Out, cols, len(o.rows), o.ops)
}
