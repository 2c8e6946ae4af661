package exec

import (
	"fmt"

	"github.com/streamql/streamql/flow"
)

// Pipeline contains the operators of one task, wired from the leaves to the root.
type Pipeline struct {
	leaves []leaf
	ops    []wired // children before parents
}

// leaf is an input of the pipeline: its decoder and the function that pushes a batch to its
// parent.
type leaf struct {
	node Node
	dec  Decoder
	push Emit
}

// wired is an operator and the function that receives its output.
type wired struct {
	op   Operator
	emit Emit
}

// Resolve returns a copy of a node that refers to the columns of its inputs by their positions: one
// that can be opened.
func Resolve(n Node) Node {
	in := n.Inputs()
	return n.Rewire(in, func(port, column int) int { return in[port].Schema().Position(column) })
}

// Wire opens a plan for one task. sink receives the output of the root.
func Wire(root Node, ctx *Context, sink Emit) (*Pipeline, error) {
	p := &Pipeline{}
	return p, p.wire(root, ctx, sink)
}

// wire opens a node and, before it, its inputs, and appends their operators.
func (p *Pipeline) wire(n Node, ctx *Context, emit Emit) error {
	ctx.numbered = false
	op, err := Resolve(n).Open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", n, err)
	}
	for port, in := range n.Inputs() {
		err := p.wire(in, ctx, func(b *flow.Batch) error {
			if b.Rows() == 0 {
				return nil
			}
			return op.Process(port, b, emit)
		})
		if err != nil {
			return err
		}
	}
	if dec, ok := op.(Decoder); ok && len(n.Inputs()) == 0 {
		p.leaves = append(p.leaves, leaf{n, dec, func(b *flow.Batch) error { return op.Process(0, b, emit) }})
	}
	p.ops = append(p.ops, wired{op, emit})
	return nil
}

// Advance passes the stream time to every timed operator, inputs first.
func (p *Pipeline) Advance(now flow.Time) error {
	for _, w := range p.ops {
		if t, ok := w.op.(Timed); ok {
			if err := t.Advance(now, w.emit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish notifies every operator that the input has ended, inputs first.
func (p *Pipeline) Finish() error {
	for _, w := range p.ops {
		if f, ok := w.op.(Finisher); ok {
			if err := f.Finish(w.emit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Seal makes the operators move buffered state into their keyspaces.
func (p *Pipeline) Seal() error {
	for _, w := range p.ops {
		if s, ok := w.op.(Sealer); ok {
			if err := s.Seal(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Holds reports whether an operator holds rows that are in no state.
func (p *Pipeline) Holds() bool {
	for _, w := range p.ops {
		if h, ok := w.op.(Holder); ok && h.Holds() {
			return true
		}
	}
	return false
}
