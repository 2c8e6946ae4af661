package op

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// Values returns rows that no topic has: constants, or what the engine knows of itself when the query runs.
type Values struct {
	Name  string
	Batch *flow.Batch                 // nil: Make makes it
	Make  func() (*flow.Batch, error) // called when the query runs, never while it is planned
	Out   *flow.Schema
}

func (v *Values) Schema() *flow.Schema { return v.Out }
func (v *Values) Inputs() []exec.Node  { return nil }

// Rewire implements exec.Node.
func (v *Values) Rewire([]exec.Node, exec.Move) exec.Node { return v }

func (v *Values) String() string {
	if v.Batch == nil {
		return "Values " + v.Name
	}
	return fmt.Sprintf("Values %s %d rows", v.Name, v.Batch.Rows())
}
func (v *Values) Open(*exec.Context) (exec.Operator, error) { return v, nil }

// Process implements exec.Operator; nothing comes in.
func (v *Values) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Finish emits the rows: the input, which there is none of, has ended.
func (v *Values) Finish(emit exec.Emit) error {
	b := v.Batch
	if b == nil {
		var err error
		if b, err = v.Make(); err != nil {
			return err
		}
	}
	if b.Rows() == 0 {
		return nil
	}
	return emit(b)
}
