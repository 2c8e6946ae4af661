package op

import (
	"errors"
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Exchange sends rows to the partition of their key, through a topic. It is the only way for rows
// to reach another task. The plan is cut here: one stage ends in the Exchange, the next begins with
// its Received.
type Exchange struct {
	Input      exec.Node
	Keys       []int
	Topic      string
	Partitions int32
}

// Schema implements exec.Node.
func (x *Exchange) Schema() *flow.Schema { return x.Input.Schema() }

// Inputs implements exec.Node.
func (x *Exchange) Inputs() []exec.Node { return []exec.Node{x.Input} }

// String implements exec.Node.
func (x *Exchange) String() string {
	return fmt.Sprintf("Exchange by (%s) topic=%q", x.Schema().Named(x.Keys), x.Topic)
}

// Rewire implements exec.Node.
func (x *Exchange) Rewire(in []exec.Node, move exec.Move) exec.Node {
	touch(x.Schema(), false, move)
	return &Exchange{Input: in[0], Keys: rewireAll(x.Keys, move), Topic: x.Topic, Partitions: x.Partitions}
}

// Open implements exec.Node.
func (x *Exchange) Open(ctx *exec.Context) (exec.Operator, error) {
	return &exchange{Exchange: x, out: ctx.Out}, nil
}

type exchange struct {
	*Exchange
	out exec.Output
}

// Process implements exec.Operator.
func (x *exchange) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	keys, all, times := pick(in, x.Keys), in.Columns(), in.Times()
	for i := range in.Rows() {
		var key []byte
		for _, k := range keys {
			key = state.AppendKey(key, k, i)
		}
		weight := in.Op(i)
		if weight.Gone() {
			weight = flow.Retract // the new row may belong to another partition
		}
		value := state.AppendRow([]byte{byte(weight + 1)}, all, i)
		p := topic.Partition{Topic: x.Topic, ID: PartitionOf(key, x.Partitions)}
		if err := x.out.Write(p, topic.Record{Key: key, Value: value, Time: times[i]}); err != nil {
			return err
		}
	}
	return nil
}

// Received reads the rows that an Exchange has sent.
type Received struct {
	Topic  string
	Out    *flow.Schema
	Number int // the number of the leaf
}

// Schema implements exec.Node.
func (r *Received) Schema() *flow.Schema { return r.Out }

// Inputs implements exec.Node.
func (r *Received) Inputs() []exec.Node { return nil }

// Rewire implements exec.Node.
func (r *Received) Rewire([]exec.Node, exec.Move) exec.Node { return r }

// Leaf implements Leaf.
func (r *Received) Leaf() int { return r.Number }

// String implements exec.Node.
func (r *Received) String() string { return fmt.Sprintf("Receive topic=%q", r.Topic) }

// Open implements exec.Node.
func (r *Received) Open(*exec.Context) (exec.Operator, error) { return r, nil }

// Process implements exec.Operator.
func (r *Received) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Decode implements exec.Decoder. Only the engine writes these rows, so a row that cannot be
// decoded is an error and not a dead letter.
func (r *Received) Decode(f *topic.Fetch) (*flow.Batch, error) {
	if err := f.Sound(); err != nil {
		return nil, err
	}
	out := newChanged(r.Out)
	changes := false
	for i := range f.Rows() {
		v := f.Value.At(i)
		if len(v) == 0 || v[0] > 2 || v[0] == 1 {
			return nil, fmt.Errorf("%s offset %d: %w", f.Partition, f.Offsets[i],
				errors.New("not a row of this exchange"))
		}
		op := flow.Op(int8(v[0]) - 1)
		changes = changes || op.Gone()
		if err := out.encoded(v[1:], op); err != nil {
			return nil, fmt.Errorf("%s offset %d: %w", f.Partition, f.Offsets[i], err)
		}
	}
	b := out.batch()
	if !changes {
		b.Ops = nil
	}
	return b, nil
}
