package models

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// FunctionName is the function with which the relation streamql.training looks up version
// numbers.
const FunctionName = "MODEL_VERSION_NUMBER"

// Function returns MODEL_VERSION_NUMBER(model, id): the number of the version with an id, NULL
// while the registry does not know it. It is volatile, because the same row may be NULL now and
// have a number later.
func (r *Registry) Function() udf.Scalar {
	return udf.Scalar{
		Name: FunctionName,
		Doc:  "the number of a model's version by its id, as in streamql.training; NULL if it is unknown here",
		Bind: func(have []flow.Type) (udf.Signature, error) {
			want := []flow.Type{flow.String, flow.String}
			return udf.Signature{
					Args:     want,
					Result:   flow.Int,
					Volatile: true,
					Kernel:   r.numbers,
				}, udf.Accept(
					FunctionName,
					have,
					want...)
		},
		Examples: []udf.Example{{SQL: "MODEL_VERSION_NUMBER('none', 'none')", Want: "NULL"}},
	}
}

// numbers is the kernel. Consecutive rows belong to one training, so the last result is cached.
func (r *Registry) numbers(args []arrow.Array, rows int, _ udf.Env) arrow.Array {
	model, id := args[0].(*array.String), args[1].(*array.String)
	b := array.NewInt32Builder(flow.Mem)
	b.Reserve(rows)
	n, ok, last := 0, false, -1
	for i := range rows {
		if model.IsNull(i) || id.IsNull(i) {
			b.AppendNull()
			continue
		}
		if last < 0 || model.Value(i) != model.Value(last) || id.Value(i) != id.Value(last) {
			n, ok = r.Number(model.Value(i), id.Value(i))
			last = i
		}
		if !ok {
			b.AppendNull()
			continue
		}
		b.Append(int32(n))
	}
	return b.NewArray()
}
