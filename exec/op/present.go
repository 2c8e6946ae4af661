package op

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// Present emits the present rows of a table from the state of its sinks, as of their last commit.
// It is the leaf of a pull query.
type Present struct {
	Relation string
	Job      string // the job whose state has the rows
	Out      *flow.Schema
	Keys     []int // the columns of the key, if the key alone identifies a row
	// The key of the only row to read, in the order of Keys; nil: all rows are read.
	Asked []KeyValue
}

// KeyValue is a key column and the value that it must have, which is not NULL.
type KeyValue struct {
	Column string
	Type   flow.Type
	Value  any
}

// Seek implements Seeker. Terms that fix every column of the key leave one row.
func (p *Present) Seek(terms []expr.Expr) exec.Node {
	values := map[int]*expr.Literal{}
	for _, t := range terms {
		if column, op, value, ok := compared(t); ok && op == expr.Equal {
			values[column] = value
		}
	}
	var asked []KeyValue
	for _, k := range p.Keys {
		v, ok := values[k]
		if !ok {
			return p
		}
		asked = append(asked, KeyValue{p.Out.Field(p.Out.Position(k)).Name, v.T, v.Value})
	}
	out := *p
	out.Asked = asked
	return &out
}

// key returns the encoded key of the only row to read, or nil if all rows are read.
func (p *Present) key() (key []byte) {
	for _, a := range p.Asked {
		key = state.AppendKey(key, flow.Column(a.Type, a.Value), 0)
	}
	return key
}

// Schema implements exec.Node.
func (p *Present) Schema() *flow.Schema { return p.Out }

// Inputs implements exec.Node.
func (p *Present) Inputs() []exec.Node { return nil }

// Rewire implements exec.Node.
func (p *Present) Rewire([]exec.Node, exec.Move) exec.Node { return p }

// String implements exec.Node.
func (p *Present) String() string {
	if p.Asked != nil {
		return "Lookup " + p.Relation + " by key"
	}
	return "Lookup " + p.Relation
}

// Open implements exec.Node.
func (p *Present) Open(ctx *exec.Context) (exec.Operator, error) {
	return &present{p, ctx.Tables, ctx.Account}, nil
}

type present struct {
	*Present
	tables  exec.Tables
	account *flow.Account
}

// Process implements exec.Operator.
func (p *present) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Finish implements exec.Finisher. It reads the views and closes them.
func (p *present) Finish(emit exec.Emit) error {
	views, elsewhere, err := p.tables(p.Present)
	if err != nil {
		return err
	}
	defer func() {
		for _, v := range views {
			v.Close()
		}
	}()
	before := p.account.Used()
	for _, record := range elsewhere {
		for _, c := range record.Columns() {
			p.account.Grow(flow.Size(c))
		}
	}
	defer p.account.Release(p.account.Used() - before)
	out := &kept{schema: p.Out, account: p.account, emit: emit}
	for _, v := range views {
		if err := p.read(v, out); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	for _, record := range elsewhere {
		b, err := p.from(record)
		if err != nil {
			return err
		}
		if err := emit(b); err != nil {
			return err
		}
	}
	return nil
}

// from checks that the rows that another process returned have the columns of this table.
func (p *Present) from(record arrow.Record) (*flow.Batch, error) {
	if n := int(record.NumCols()); n != p.Out.NumFields() {
		return nil, fmt.Errorf("%s: another process returned %d columns instead of %d", p.Relation, n,
			p.Out.NumFields())
	}
	cols := make([]arrow.Array, record.NumCols())
	for i := range cols {
		cols[i] = record.Column(i)
		if f := p.Out.Field(i); !arrow.TypeEqual(f.Type, cols[i].DataType()) {
			return nil, fmt.Errorf("%s: another process returned column %s as %s instead of %s", p.Relation, f.Name,
				cols[i].DataType(), f.Type)
		}
	}
	return flow.NewBatch(p.Out, cols, int(record.NumRows()), nil), nil
}

func (p *Present) read(v state.View, out *kept) error {
	if key := p.key(); key != nil {
		row, ok, err := v.Get(Rows, key)
		if err != nil || !ok {
			return err
		}
		return out.add(row)
	}
	for e, err := range v.Scan(Rows, nil, nil) {
		if err != nil {
			return err
		}
		if err := out.add(e.Val); err != nil {
			return fmt.Errorf("%s: %w", p.Relation, err)
		}
	}
	return nil
}

// kept emits stored rows in batches.
type kept struct {
	schema  *flow.Schema
	account *flow.Account
	emit    exec.Emit
	out     *changed
	bytes   int
}

func (k *kept) add(row []byte) error {
	if k.out == nil {
		k.out, k.bytes = newChanged(k.schema), 0
	}
	if err := k.out.encoded(row, flow.Insert); err != nil {
		return err
	}
	k.bytes += len(row)
	if !k.account.Work(int64(len(row))) {
		return k.account.Err()
	}
	if len(k.out.ops) < pieceRows && k.bytes < pieceBytes {
		return nil
	}
	return k.flush()
}

func (k *kept) flush() error {
	if k.out == nil {
		return nil
	}
	b := k.out.batch()
	k.out, b.Ops = nil, nil
	before := k.account.Used()
	k.account.Grow(b.Size())
	return pass(k.account, before, b, k.emit)
}
