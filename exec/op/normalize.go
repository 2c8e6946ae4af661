package op

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// Normalize turns upserts into changes. It stores the row of each key, and emits the retraction of
// the old row before the insertion of its replacement. With Final it emits only the last row of
// each key, at the end of the bounded input.
type Normalize struct {
	Input exec.Node
	Key   []int
	Final bool
}

// Rewire implements exec.Node.
func (n *Normalize) Rewire(in []exec.Node, move exec.Move) exec.Node {
	return &Normalize{Input: in[0], Key: rewireAll(n.Key, move), Final: n.Final}
}

// Keeps implements Stateful.
func (n *Normalize) Keeps() bool { return true }

// Schema implements exec.Node.
func (n *Normalize) Schema() *flow.Schema { return n.Input.Schema() }

// Inputs implements exec.Node.
func (n *Normalize) Inputs() []exec.Node { return []exec.Node{n.Input} }

// String implements exec.Node.
func (n *Normalize) String() string {
	if n.Final {
		return "Normalize to present rows"
	}
	return "Normalize upserts"
}

// Open implements exec.Node.
func (n *Normalize) Open(ctx *exec.Context) (exec.Operator, error) {
	return &normalize{Normalize: n, rows: ctx.Keyspace("rows"), account: ctx.Account}, nil
}

type normalize struct {
	*Normalize
	rows    state.Keyspace
	account *flow.Account
	key     []byte
	row     []byte
}

// Process implements exec.Operator.
func (n *normalize) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	keys, all := pick(in, n.Key), in.Columns()
	var out *changed
	// The input row of each output row. A retraction has the event time of the row that caused it.
	var from []int32
	if !n.Final {
		out = newChanged(in.Schema)
	}
	for i := range in.Rows() {
		n.key = n.key[:0]
		for _, k := range keys {
			n.key = state.AppendKey(n.key, k, i)
		}
		if !n.Final {
			old, ok, err := n.rows.Get(n.key)
			if err != nil {
				return err
			}
			if ok {
				weight := flow.Before
				if in.Op(i).Gone() {
					weight = flow.Retract
				}
				if err := out.encoded(old, weight); err != nil {
					return err
				}
				from = append(from, int32(i))
			}
		}
		if in.Op(i).Gone() {
			if err := n.rows.Delete(n.key); err != nil {
				return err
			}
			continue
		}
		n.row = state.AppendRow(n.row[:0], all, i)
		if err := n.rows.Put(n.key, n.row); err != nil {
			return err
		}
		if !n.Final {
			if err := out.encoded(n.row, flow.Insert); err != nil {
				return err
			}
			from = append(from, int32(i))
		}
	}
	if n.Final || len(out.ops) == 0 {
		return nil
	}
	b := out.batch()
	cols := append([]arrow.Array(nil), b.Columns()...)
	for _, c := range []int{in.Schema.Time, in.Schema.Clock} {
		if c >= 0 {
			cols[c] = flow.Take(in.Column(c), from)
		}
	}
	return emit(b.With(in.Schema, cols))
}

// Finish implements exec.Finisher. It emits the present rows in the order of their keys.
func (n *normalize) Finish(emit exec.Emit) error {
	if !n.Final {
		return nil
	}
	out := &kept{schema: n.Input.Schema(), account: n.account, emit: emit}
	for e, err := range n.rows.Scan(nil, nil) {
		if err != nil {
			return err
		}
		if err := out.add(e.Val); err != nil {
			return err
		}
	}
	return out.flush()
}

// changed builds a batch from encoded rows.
type changed struct {
	schema   *flow.Schema
	builders []array.Builder
	ops      []flow.Op
}

func newChanged(s *flow.Schema) *changed {
	c := &changed{schema: s}
	for _, f := range s.Fields() {
		c.builders = append(c.builders, flow.Builder(f.Type))
	}
	return c
}

func (c *changed) encoded(row []byte, op flow.Op) error {
	rest, err := state.DecodeRow(row, c.builders)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes remain after the last column", len(rest))
	}
	if err != nil {
		return fmt.Errorf("a stored row cannot be decoded: %w", err)
	}
	c.ops = append(c.ops, op)
	return nil
}

func (c *changed) batch() *flow.Batch {
	cols := make([]arrow.Array, len(c.builders))
	for i, b := range c.builders {
		cols[i] = b.NewArray()
	}
	return flow.NewBatch(c.schema, cols, len(c.ops), c.ops)
}
