package udf

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	boolean(
		"BOOL_AND",
		"whether all values that are not NULL are true; NULL if there are none",
		true,
		Example{over("BOOL_AND(x)", "ARRAY[true, false]"), "false"},
	),
)

var _ = builtin(
	boolean(
		"BOOL_OR",
		"whether a value is true; NULL if all are NULL",
		false,
		Example{over("BOOL_OR(x)", "ARRAY[true, false]"), "true"},
	),
)

func boolean(name, doc string, and bool, example Example) Aggregate {
	return Aggregate{
		Name:     name,
		Doc:      doc,
		Examples: []Example{example},
		Bind: func(args []flow.Type, _ []any) (Bound, error) {
			return Bound{
					Args:     []flow.Type{flow.Boolean},
					Result:   flow.Boolean,
					Retracts: true,
					New:      func() Accumulator { return verdict{and} },
				}, Accept(
					name,
					args,
					flow.Boolean,
				)
		},
	}
}

// verdict counts the false and the true values.
type verdict struct{ and bool }

func (verdict) Size() int { return 16 }
func (verdict) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if a := args[0].(*array.Boolean); a.IsValid(row) {
		i := 0
		if a.Value(row) {
			i = 1
		}
		setWord(s, i, word(s, i)+uint64(int64(w)))
	}
	return s, nil
}
func (v verdict) Value(s []byte, to array.Builder) error {
	no, yes := int64(word(s, 0)), int64(word(s, 1))
	switch b := to.(*array.BooleanBuilder); {
	case no == 0 && yes == 0:
		b.AppendNull()
	case v.and:
		b.Append(no == 0)
	default:
		b.Append(yes > 0)
	}
	return nil
}
func (verdict) Merge(into, from []byte) ([]byte, error) { return addWords(into, from), nil }

// addWords adds states that are counts.
func addWords(into, from []byte) []byte {
	for i := range len(into) / 8 {
		setWord(into, i, word(into, i)+word(from, i))
	}
	return into
}
