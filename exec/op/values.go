package op

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// Values emits rows that are in no topic: constants, or data of the engine that is read when the
// query runs.
type Values struct {
	Name  string
	Batch *flow.Batch                 // nil: Make returns the batch
	Make  func() (*flow.Batch, error) // called when the query runs, never during planning
	Out   *flow.Schema
}

// Schema implements exec.Node.
func (v *Values) Schema() *flow.Schema { return v.Out }

// Inputs implements exec.Node.
func (v *Values) Inputs() []exec.Node { return nil }

// Rewire implements exec.Node.
func (v *Values) Rewire([]exec.Node, exec.Move) exec.Node { return v }

// String implements exec.Node.
func (v *Values) String() string {
	if v.Batch == nil {
		return "Values " + v.Name
	}
	return fmt.Sprintf("Values %s %d rows", v.Name, v.Batch.Rows())
}

// Open implements exec.Node.
func (v *Values) Open(*exec.Context) (exec.Operator, error) { return v, nil }

// Process implements exec.Operator. There is no input.
func (v *Values) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Finish implements exec.Finisher. It emits the rows.
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
