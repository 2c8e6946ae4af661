package op

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// Present gives the present rows of a table from what its sinks keep, as of their last commit: the leaf of a pull query. Views are
// one per task; Key, if set, is the encoded key of the only row wanted.
type Present struct {
	Relation string
	Out      *flow.Schema
	Views    func() ([]state.View, error)
	Key      []byte
}

func (p *Present) Schema() *flow.Schema { return p.Out }
func (p *Present) Inputs() []exec.Node  { return nil }
func (p *Present) String() string {
	if p.Key != nil {
		return "Lookup " + p.Relation + " by key"
	}
	return "Lookup " + p.Relation
}
func (p *Present) Open(*exec.Context) (exec.Operator, error) { return p, nil }

// Process implements exec.Operator.
func (p *Present) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Finish reads the views and closes them.
func (p *Present) Finish(emit exec.Emit) error {
	views, err := p.Views()
	if err != nil {
		return err
	}
	defer func() {
		for _, v := range views {
			v.Close()
		}
	}()
	out := newChanged(p.Out)
	for _, v := range views {
		if err := p.read(v, out); err != nil {
			return err
		}
	}
	if len(out.ops) == 0 {
		return nil
	}
	b := out.batch()
	b.Ops = nil
	return emit(b)
}

func (p *Present) read(v state.View, out *changed) error {
	if p.Key != nil {
		row, ok, err := v.Get(Rows, p.Key)
		if err != nil || !ok {
			return err
		}
		return out.encoded(row, flow.Insert)
	}
	for e, err := range v.Scan(Rows, nil, nil) {
		if err != nil {
			return err
		}
		if err := out.encoded(e.Val, flow.Insert); err != nil {
			return fmt.Errorf("%s: %w", p.Relation, err)
		}
	}
	return nil
}
