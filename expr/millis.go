package expr

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Millis converts a TIMESTAMP to a BIGINT of ms since the epoch.
type Millis struct{ X Expr }

// Type implements Expr.
func (m *Millis) Type() flow.Type { return flow.Bigint }

// Inputs implements Expr.
func (m *Millis) Inputs() []Expr { return []Expr{m.X} }

// With implements Expr.
func (m *Millis) With(in []Expr) Expr { return &Millis{in[0]} }

// String implements Expr.
func (m *Millis) String() string { return "MILLIS(" + m.X.String() + ")" }

// Eval implements Expr.
func (m *Millis) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	col := Eval(m.X, in, env).(*array.Timestamp)
	out := make([]int64, col.Len())
	for i, t := range col.TimestampValues() {
		out[i] = int64(t)
	}
	return flow.Fixed(flow.Bigint, out, arrow.Int64Traits.CastToBytes, flow.Both(len(out), col))
}
