package udf

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Table{Name: "EXPLODE", Doc: "a row for each element of an ARRAY; none if it is empty or NULL", Bind: func(have []flow.Type) ([]flow.Type, flow.Type, TableFunc, error) {
	t, err := elementOf("EXPLODE", have, 1, "ARRAY")
	return have, t, TableFunc{Count: length, Append: elements}, err
}, Examples: []Example{{"EXPLODE(ARRAY[1, 2])", "1\n2"}}})

// length is the number of elements of an ARRAY, 0 of NULL.
func length(args []arrow.Array, row int) int {
	if args[0].IsNull(row) {
		return 0
	}
	from, to := args[0].(*array.List).ValueOffsets(row)
	return int(to - from)
}

// elements appends elements [from, to) of an ARRAY.
func elements(args []arrow.Array, row, from, to int, b array.Builder) {
	list := args[0].(*array.List)
	first, _ := list.ValueOffsets(row)
	values, from, to := list.ListValues(), int(first)+from, int(first)+to
	if values.NullN() == 0 {
		switch v := values.(type) {
		case *array.Int32:
			b.(*array.Int32Builder).AppendValues(v.Int32Values()[from:to], nil)
			return
		case *array.Int64:
			b.(*array.Int64Builder).AppendValues(v.Int64Values()[from:to], nil)
			return
		case *array.Float64:
			b.(*array.Float64Builder).AppendValues(v.Float64Values()[from:to], nil)
			return
		}
	}
	for i := from; i < to; i++ {
		flow.Append(b, flow.Value(values, i))
	}
}

// maxCube limits the columns of CUBE_EXPLODE, which returns 2^n rows.
const maxCube = 16

var _ = builtin(Table{Name: "CUBE_EXPLODE", Doc: "a row for each way to replace elements of an ARRAY by NULL, as for GROUP BY CUBE; elements that are NULL stay so; none if the array is NULL or has more than 16 elements that are not",
	Bind: func(have []flow.Type) ([]flow.Type, flow.Type, TableFunc, error) {
		t, err := elementOf("CUBE_EXPLODE", have, 1, "ARRAY")
		if err != nil {
			return nil, nil, TableFunc{}, err
		}
		return have, flow.Array(t), TableFunc{
			Wide: true,
			Count: func(args []arrow.Array, row int) int {
				_, set := cubed(args, row)
				if set == nil || len(set) > maxCube {
					return 0
				}
				return 1 << len(set)
			},
			Append: func(args []arrow.Array, row, from, to int, b array.Builder) {
				list, set := cubed(args, row)
				for r := from; r < to; r++ {
					flow.Append(b, cube(list, set, r))
				}
			}}, nil
	}, Examples: []Example{{"CUBE_EXPLODE(ARRAY[1, 2])", "[null, null]\n[null, 2]\n[1, null]\n[1, 2]"}}})

// cubed is a row's array and which of its elements are not NULL; of NULL both are nil.
func cubed(args []arrow.Array, row int) (list []any, set []int) {
	list, ok := flow.Value(args[0], row).([]any)
	if !ok {
		return nil, nil
	}
	set = []int{}
	for i, v := range list {
		if v != nil {
			set = append(set, i)
		}
	}
	return list, set
}

// cube returns row r of a cube: the bits of r select the elements that remain.
func cube(list []any, set []int, r int) []any {
	out := make([]any, len(list))
	for bit, i := range set {
		if r>>(len(set)-1-bit)&1 == 1 {
			out[i] = list[i]
		}
	}
	return out
}
