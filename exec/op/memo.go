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

// Memo stores columns that are not a function of the row alone (RANDOM, the current time, a
// prediction by the present version) under the row's key, from the row's insertion to its
// retraction. A retraction thus has the values of its insertion. The planner uses a Memo only where
// rows can be retracted.
type Memo struct {
	Input   exec.Node
	Key     []int // identify a row: a retraction has the key of its insertion
	Columns []int // the stored columns
	// Window reports that Key begins with the end of the row's window. When stream time reaches
	// that end + Lasts, in ms, the row can no longer change, and its values are deleted.
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

// Schema implements exec.Node.
func (m *Memo) Schema() *flow.Schema { return m.Input.Schema() }

// Inputs implements exec.Node.
func (m *Memo) Inputs() []exec.Node { return []exec.Node{m.Input} }

// String implements exec.Node.
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
	oldest int64 // end of the oldest window that has rows, or unknown, which requires a scan
	key    []byte
	row    []byte
}

// Process implements exec.Operator.
func (m *memo) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	keys, cols := pick(in, m.Key), pick(in, m.Columns)
	var out []array.Builder // the output columns; nil if the input columns pass unchanged
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
			return fmt.Errorf("the stored values of a row cannot be decoded: %w", err)
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

// one stores the values of row, which are in m.row. For a retraction it replaces them by the stored
// ones. A retraction without a stored insertion has the values that were computed for it.
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

// Advance implements exec.Timed. It deletes the values of windows that can no longer change.
func (m *memo) Advance(now flow.Time, _ exec.Emit) error {
	closed := int64(now) - m.Lasts // the last end of a window that can no longer change
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

// keyEnd returns the end of the window with which a key begins.
func keyEnd(key []byte) (int64, error) {
	b := flow.Builder(flow.Bigint)
	if _, err := state.DecodeKey(key, b); err != nil {
		return 0, err
	}
	return b.NewArray().(*array.Int64).Value(0), nil
}
