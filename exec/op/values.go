package op

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// Values gives rows that are known when the plan is made: constants, or what the engine knows of itself.
type Values struct {
	Name  string
	Batch *flow.Batch
	Out   *flow.Schema
}

func (v *Values) Schema() *flow.Schema                      { return v.Out }
func (v *Values) Inputs() []exec.Node                       { return nil }
func (v *Values) String() string                            { return fmt.Sprintf("Values %s %d rows", v.Name, v.Batch.Rows()) }
func (v *Values) Open(*exec.Context) (exec.Operator, error) { return v, nil }

// Process implements exec.Operator; nothing comes in.
func (v *Values) Process(_ int, in *flow.Batch, emit exec.Emit) error { return emit(in) }

// Finish gives the rows: the input, which there is none of, has ended.
func (v *Values) Finish(emit exec.Emit) error {
	if v.Batch.Rows() == 0 {
		return nil
	}
	return emit(v.Batch)
}
