package op

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// Memo keeps columns that are not a function of the row alone (RANDOM, the present time, a prediction by the version of the day) under
// the row's key from its insertion to its retraction, so that a row is taken out with the values it was put in with. The planner uses it
// only where rows can be retracted.
type Memo struct {
	Input   exec.Node
	Key     []int // the columns by which a retraction finds its insertion
	Columns []int // what is kept
	// Window says that Key begins with the end of the row's window: when stream time has come to that end + Lasts, in ms, the row
	// changes no more and is forgotten.
	Window bool
	Lasts  int64
}

// Rewire implements exec.Node.
func (m *Memo) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := *m
	out.Input, out.Key, out.Columns = in[0], rewireAll(m.Key, move), rewireAll(m.Columns, move)
	return &out
}

// Keeps implements Stateful.
func (m *Memo) Keeps() bool { return true }

func (m *Memo) Schema() *flow.Schema { return m.Input.Schema() }
func (m *Memo) Inputs() []exec.Node  { return []exec.Node{m.Input} }
func (m *Memo) String() string {
	s := m.Input.Schema()
	return "Memo of (" + s.Named(m.Columns) + ") by (" + s.Named(m.Key) + ")"
}

// Open implements exec.Node.
func (m *Memo) Open(ctx *exec.Context) (exec.Operator, error) {
	return &memo{Memo: m, kept: ctx.Keyspace("kept"), oldest: unknown}, nil
}

type memo struct {
	*Memo
	kept   state.Keyspace
	oldest int64 // end of the oldest window that has rows, unknown: look
	key    []byte
	row    []byte
}

func (m *memo) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	keys, cols := pick(in, m.Key), pick(in, m.Columns)
	var out []array.Builder // the columns as they go out; nil: as they came
	if m.retracts(in) {
		for _, c := range cols {
			out = append(out, flow.Builder(c.DataType()))
		}
	}
	for i := range in.Rows() {
		m.key = m.key[:0]
		for _, k := range keys {
			m.key = state.AppendKey(m.key, k, i)
		}
		m.row = state.AppendRow(m.row[:0], cols, i)
		if err := m.one(in, i); err != nil {
			return err
		}
		if out == nil {
			continue
		}
		if _, err := state.DecodeRow(m.row, out); err != nil {
			return fmt.Errorf("kept values cannot be read: %w", err)
		}
	}
	if out == nil {
		return emit(in)
	}
	all := append([]arrow.Array(nil), in.Columns()...)
	for i, c := range m.Columns {
		all[c] = out[i].NewArray()
	}
	return emit(in.With(in.Schema, all))
}

func (m *memo) retracts(in *flow.Batch) bool {
	for _, o := range in.Ops {
		if o.Gone() {
			return true
		}
	}
	return false
}

// one keeps row's values, which are in m.row, or for a retraction replaces them by what was kept. A retraction whose insertion is not known
// has the values as they are computed now.
func (m *memo) one(in *flow.Batch, row int) error {
	if !in.Op(row).Gone() {
		if m.Window && m.oldest != unknown {
			m.oldest = min(m.oldest, in.Column(m.Key[0]).(*array.Int64).Value(row))
		}
		return m.kept.Put(m.key, m.row)
	}
	old, ok, err := m.kept.Get(m.key)
	if err != nil || !ok {
		return err
	}
	m.row = append(m.row[:0], old...)
	return m.kept.Delete(m.key)
}

// Advance forgets the rows of windows that change no more.
func (m *memo) Advance(now flow.Time, _ exec.Emit) error {
	closed := int64(now) - m.Lasts // the last end that is closed
	if !m.Window || m.oldest != unknown && m.oldest > closed {
		return nil
	}
	m.oldest = math.MaxInt64
	for e, err := range m.kept.Scan(nil, nil) {
		if err != nil {
			return err
		}
		end, err := keyEnd(e.Key)
		if err != nil {
			return err
		}
		if end > closed {
			m.oldest = end
			return nil
		}
		if err := m.kept.Delete(append([]byte(nil), e.Key...)); err != nil {
			return err
		}
	}
	return nil
}

// keyEnd is the window's end that a key begins with.
func keyEnd(key []byte) (int64, error) {
	b := flow.Builder(flow.Bigint)
	if _, err := state.DecodeKey(key, b); err != nil {
		return 0, err
	}
	return b.NewArray().(*array.Int64).Value(0), nil
}
