package udf

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Table{Name: "EXPLODE", Doc: "a row for each element of an ARRAY; none if it is empty or NULL", Bind: func(have []flow.Type) ([]flow.Type, flow.Type, TableFunc, error) {
	t, err := elementOf("EXPLODE", have, 1, "ARRAY")
	return have, t, func(args []arrow.Array, row int, to array.Builder) int {
		if args[0].IsNull(row) {
			return 0
		}
		list := args[0].(*array.List)
		from, end := list.ValueOffsets(row)
		for i := from; i < end; i++ {
			flow.Append(to, flow.Value(list.ListValues(), int(i)))
		}
		return int(end - from)
	}, err
}, Examples: []Example{{"EXPLODE(ARRAY[1, 2])", "1\n2"}}})

// maxCube bounds the columns of CUBE_EXPLODE, which makes 2^n rows.
const maxCube = 16

var _ = builtin(Table{Name: "CUBE_EXPLODE", Doc: "a row for each way to replace elements of an ARRAY by NULL, as for GROUP BY CUBE; elements that are NULL stay so; none if the array is NULL or has more than 16 elements that are not",
	Bind: func(have []flow.Type) ([]flow.Type, flow.Type, TableFunc, error) {
		t, err := elementOf("CUBE_EXPLODE", have, 1, "ARRAY")
		if err != nil {
			return nil, nil, nil, err
		}
		return have, flow.Array(t), func(args []arrow.Array, row int, to array.Builder) int {
			list, ok := flow.Value(args[0], row).([]any)
			if !ok {
				return 0
			}
			return cube(list, to)
		}, nil
	}, Examples: []Example{{"CUBE_EXPLODE(ARRAY[1, 2])", "[null, null]\n[null, 2]\n[1, null]\n[1, 2]"}}})

func cube(list []any, to array.Builder) int {
	var set []int
	for i, v := range list {
		if v != nil {
			set = append(set, i)
		}
	}
	if len(set) > maxCube {
		return 0
	}
	rows := 1 << len(set)
	for r := range rows {
		out := make([]any, len(list))
		for bit, i := range set {
			if r>>(len(set)-1-bit)&1 == 1 {
				out[i] = list[i]
			}
		}
		flow.Append(to, out)
	}
	return rows
}
