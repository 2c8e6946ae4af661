package udf

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Scalar{
	Name: "ML_BYTES", Doc: "the bytes as an ARRAY<DOUBLE>, divided by scale (default 1): a picture's pixels as features of a model",
	Bind: func(args []flow.Type) (Signature, error) {
		want := []flow.Type{flow.Bytes, flow.Double}
		if len(args) == 1 {
			want = want[:1]
		}
		if err := Accept("ML_BYTES", args, want...); err != nil {
			return Signature{}, err
		}
		return Signature{Args: want, Result: flow.Array(flow.Double), Kernel: mlBytes}, nil
	},
	Examples: []Example{{"ML_BYTES(TO_BYTES('AP8=', 'base64'), 255)", "[0.0, 1.0]"}},
})

func mlBytes(args []arrow.Array, rows int, _ Env) arrow.Array {
	in := args[0].(*array.Binary)
	b := flow.Builder(flow.Array(flow.Double)).(*array.ListBuilder)
	values := b.ValueBuilder().(*array.Float64Builder)
	if rows > 0 {
		values.Reserve(in.ValueLen(0) * rows)
	}
	for i := range rows {
		if in.IsNull(i) || len(args) == 2 && args[1].IsNull(i) {
			b.AppendNull()
			continue
		}
		scale := 1.0
		if len(args) == 2 {
			scale = args[1].(*array.Float64).Value(i)
		}
		b.Append(true)
		for _, v := range in.Value(i) {
			values.Append(float64(v) / scale)
		}
	}
	return b.NewArray()
}
