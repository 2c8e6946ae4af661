package udf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Scalar{Name: "COALESCE", Doc: "the first argument that is not NULL",
	Bind:     func(have []flow.Type) (Signature, error) { return first("COALESCE", have) },
	Examples: []Example{{"COALESCE(NULL, 'a', 'b')", "a"}, {"COALESCE(CAST(NULL AS INT), 7)", "7"}}})

var _ = builtin(Scalar{Name: "IFNULL", Doc: "the first argument, or the second where the first is NULL",
	Bind: func(have []flow.Type) (Signature, error) {
		if len(have) != 2 {
			return Signature{}, Mismatch("IFNULL", have, "two arguments of one type")
		}
		return first("IFNULL", have)
	},
	Examples: []Example{{"IFNULL(CAST(NULL AS STRING), 'none')", "none"}}})

var _ = builtin(
	Scalar{Name: "NULLIF", Doc: "the first argument, or NULL where it equals the second", Bind: bindNullIf,
		Examples: []Example{{"NULLIF('a', 'a')", "null"}, {"NULLIF('a', 'b')", "a"}}},
)

var _ = builtin(
	Scalar{
		Name: "AS_VALUE",
		Doc:  "the argument: a copy of a key column for the value",
		Bind: func(have []flow.Type) (Signature, error) {
			if len(have) != 1 {
				return Signature{}, Mismatch("AS_VALUE", have, "one argument")
			}
			return Signature{
				Args:   have,
				Result: have[0],
				Kernel: func(args []arrow.Array, _ int, _ Env) arrow.Array { return args[0] },
			}, nil
		},
		Examples: []Example{{"AS_VALUE(5)", "5"}},
	},
)

var _ = builtin(
	Scalar{
		Name: "GREATEST",
		Doc: "the greatest of the arguments that are not NULL; numbers of different types need a CAST, " +
			"unless one is a DOUBLE",
		Bind:     func(have []flow.Type) (Signature, error) { return best("GREATEST", have, +1) },
		Examples: []Example{{"GREATEST(3, 7, 5)", "7"}, {"GREATEST('apple', NULL, 'banana')", "banana"}},
	},
)

var _ = builtin(
	Scalar{
		Name: "LEAST",
		Doc: "the least of the arguments that are not NULL; numbers of different types need a CAST, unless " +
			"one is a DOUBLE",
		Bind:     func(have []flow.Type) (Signature, error) { return best("LEAST", have, -1) },
		Examples: []Example{{"LEAST(3, 7, 5)", "3"}},
	},
)

// commonOf is the type to which all arguments widen.
func commonOf(name string, have []flow.Type) (flow.Type, error) {
	if len(have) == 0 {
		return nil, Mismatch(name, have, "one argument or more")
	}
	t := flow.Null
	for _, h := range have {
		c, ok := flow.Common(t, h)
		if !ok {
			return nil, Mismatch(name, have, "arguments of one type")
		}
		t = c
	}
	if t.ID() == arrow.NULL {
		return nil, fmt.Errorf("function %s: all arguments are NULL, which has no type: CAST one of them", name)
	}
	return t, nil
}

func repeat(t flow.Type, n int) []flow.Type {
	out := make([]flow.Type, n)
	for i := range out {
		out[i] = t
	}
	return out
}

// choose builds a column whose rows are cells of the arguments; pick selects the argument of
// each row.
func choose(args []arrow.Array, rows int, pick func(row int) int) arrow.Array {
	index := make([]int32, rows)
	for i := range index {
		index[i] = int32(pick(i)*rows + i)
	}
	return flow.Take(flow.Concat(args), index)
}

func first(name string, have []flow.Type) (Signature, error) {
	t, err := commonOf(name, have)
	if err != nil {
		return Signature{}, err
	}
	return Signature{
		Args:   repeat(t, len(have)),
		Result: t,
		Kernel: func(args []arrow.Array, rows int, _ Env) arrow.Array {
			if args[0].NullN() == 0 {
				return args[0]
			}
			return choose(args, rows, func(row int) int {
				for k, a := range args {
					if a.IsValid(row) {
						return k
					}
				}
				return 0
			})
		},
	}, nil
}

func bindNullIf(have []flow.Type) (Signature, error) {
	if len(have) != 2 {
		return Signature{}, Mismatch("NULLIF", have, "two arguments of one type")
	}
	t, err := commonOf("NULLIF", have)
	if err != nil {
		return Signature{}, err
	}
	return Signature{Args: repeat(t, 2), Result: t, Kernel: func(args []arrow.Array, rows int, _ Env) arrow.Array {
		b := flow.Builder(t)
		for i := range rows {
			if args[0].IsNull(i) || args[1].IsValid(i) && sameCell(args[0], i, args[1], i) {
				b.AppendNull()
				continue
			}
			flow.Append(b, flow.Value(args[0], i))
		}
		return b.NewArray()
	}}, nil
}

func best(name string, have []flow.Type, sign int) (Signature, error) {
	t, err := comparableType(name, have)
	if err != nil {
		return Signature{}, err
	}
	return Signature{
		Args:   repeat(t, len(have)),
		Result: t,
		Kernel: func(args []arrow.Array, rows int, _ Env) arrow.Array {
			return choose(args, rows, func(row int) int {
				at := -1
				for k, a := range args {
					if a.IsValid(row) && (at < 0 || sign*compareCells(a, row, args[at], row) > 0) {
						at = k
					}
				}
				return max(at, 0)
			})
		},
	}, nil
}

// comparableType returns the common type of the arguments of GREATEST and LEAST. Text is
// converted to a date or time if another argument is one.
func comparableType(name string, have []flow.Type) (flow.Type, error) {
	if len(have) == 0 {
		return nil, Mismatch(name, have, "one argument or more")
	}
	t := flow.Null
	for _, h := range have {
		switch {
		case h.ID() == arrow.NULL || flow.SameType(t, h):
		case t.ID() == arrow.NULL, isTime(h) && t.ID() == arrow.STRING:
			t = h
		case isTime(t) && h.ID() == arrow.STRING:
		case t.ID() == arrow.DECIMAL128 && h.ID() == arrow.DECIMAL128:
			t, _ = flow.Common(t, h)
		case flow.IsNumber(t) && flow.IsNumber(h) && hasDouble(have):
			t = flow.Double
		case flow.IsNumber(t) && flow.IsNumber(h):
			return nil, fmt.Errorf("%w; CAST them to one type", Mismatch(name, have, "arguments of one type"))
		default:
			return nil, Mismatch(name, have, "arguments of one type")
		}
	}
	switch {
	case t.ID() == arrow.NULL:
		return nil, fmt.Errorf("function %s: all arguments are NULL, which has no type: CAST one of them", name)
	case !sortable(t):
		return nil, Mismatch(name, have, "numbers, text, bytes, dates or times")
	}
	return t, nil
}

func hasDouble(have []flow.Type) bool {
	for _, h := range have {
		if h.ID() == arrow.FLOAT64 {
			return true
		}
	}
	return false
}

func isTime(t flow.Type) bool {
	return t.ID() == arrow.DATE32 || t.ID() == arrow.TIME32 || t.ID() == arrow.TIMESTAMP
}

// constant returns a function without arguments that always returns the same value.
func constant(name, doc string, t flow.Type, v any, examples ...Example) Scalar {
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		return Signature{
				Result: t,
				Kernel: func(_ []arrow.Array, rows int, _ Env) arrow.Array { return flow.Repeat(t, v, rows) },
			}, Accept(
				name,
				have,
			)
	}, examples...)
}

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }
func quote(s string) string { return "'" + s + "'" }

var errWorld = errors.New("the engine was given no clock or no source of random numbers")
