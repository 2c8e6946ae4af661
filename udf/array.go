package udf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	Scalar{
		Name: "ARRAY_LENGTH",
		Doc:  "the number of elements of an ARRAY",
		Bind: func(have []flow.Type) (Signature, error) {
			if _, err := elementOf("ARRAY_LENGTH", have, 1, "ARRAY"); err != nil {
				return Signature{}, err
			}
			return Signature{
				Args:   have,
				Result: flow.Int,
				Kernel: func(args []arrow.Array, rows int, env Env) arrow.Array {
					list := args[0].(*array.List)
					return each(rows, args, env, func(i int) (int32, error) {
						from, to := list.ValueOffsets(i)
						return int32(to - from), nil
					})
				},
			}, nil
		},
		Examples: []Example{{"ARRAY_LENGTH(ARRAY[1, 2, 3])", "3"}},
	},
)

// elementOf is the type of the elements of the ARRAY that a function's first argument must be.
func elementOf(name string, have []flow.Type, n int, want string) (flow.Type, error) {
	if len(have) != n || have[0].ID() != arrow.LIST {
		return nil, Mismatch(name, have, want)
	}
	return have[0].(*arrow.ListType).Elem(), nil
}

// withElement binds (ARRAY<T>, T).
func withElement(name string, have []flow.Type) (flow.Type, error) {
	elem, err := elementOf(name, have, 2, "ARRAY<T>, T")
	if err != nil {
		return nil, err
	}
	t, ok := flow.Common(elem, have[1])
	if !ok || t.ID() == arrow.NULL {
		return nil, Mismatch(name, have, "ARRAY<T>, T")
	}
	return t, nil
}

var _ = builtin(
	Scalar{
		Name: "ARRAY_CONTAINS",
		Doc:  "whether an ARRAY has an element equal to a value (NULL equals NULL); a NULL array has none",
		Bind: func(have []flow.Type) (Signature, error) {
			t, err := withElement("ARRAY_CONTAINS", have)
			if err != nil {
				return Signature{}, err
			}
			return Signature{Args: []flow.Type{flow.Array(t), t}, Result: flow.Boolean, Kernel: contains}, nil
		},
		Examples: []Example{{"ARRAY_CONTAINS(ARRAY[1, 2, 3], 3)", "true"}},
	},
)

func contains(args []arrow.Array, rows int, _ Env) arrow.Array {
	list := args[0].(*array.List)
	b := array.NewBooleanBuilder(flow.Mem)
	for i := range rows {
		from, to := list.ValueOffsets(i)
		found := false
		for j := from; j < to && !found && list.IsValid(i); j++ {
			found = sameCell(list.ListValues(), int(j), args[1], i)
		}
		b.Append(found)
	}
	return b.NewArray()
}

// key returns a map key that identifies a value of the type: for nested types and numbers with
// a fraction, the cell.
func key(t flow.Type, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return "=" + v
	case int32:
		return string(binary.AppendVarint([]byte{1}, int64(v)))
	case int64:
		return string(binary.AppendVarint([]byte{1}, v))
	}
	return string(appendCell(nil, flow.Column(t, v), 0))
}

var _ = builtin(
	Scalar{
		Name: "ARRAY_REMOVE",
		Doc:  "an ARRAY without the elements equal to a value (NULL removes NULLs)",
		Bind: func(have []flow.Type) (Signature, error) {
			t, err := withElement("ARRAY_REMOVE", have)
			if err != nil {
				return Signature{}, err
			}
			return Signature{
				Args:   []flow.Type{flow.Array(t), t},
				Result: flow.Array(t),
				Kernel: Each(flow.Array(t), true, func(args []any) (any, error) {
					list, ok := args[0].([]any)
					if !ok {
						return nil, nil
					}
					gone := key(t, args[1])
					out := []any{}
					for _, v := range list {
						if key(t, v) != gone {
							out = append(out, v)
						}
					}
					return out, nil
				}),
			}, nil
		},
		Examples: []Example{{"ARRAY_REMOVE(ARRAY[1, 2, 3, 2, 1], 2)", "[1, 3, 1]"}},
	},
)

// sets returns a function of two arrays whose result is the selected distinct elements in
// order. take selects an element: first reports whether it is in the first array, in whether it
// is in the other array.
func sets(name, doc string, take func(first, in bool) bool, example Example) Scalar {
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		t, err := arraysOf(name, have)
		if err != nil {
			return Signature{}, err
		}
		return Signature{
			Args:   repeat(flow.Array(t), 2),
			Result: flow.Array(t),
			Kernel: Each(flow.Array(t), false, func(args []any) (any, error) {
				a, b := args[0].([]any), args[1].([]any)
				if len(a)+len(b) > 2*MaxList {
					return nil, errMany
				}
				inA, inB := keys(t, a), keys(t, b)
				out, seen := []any{}, map[string]bool{}
				pick := func(list []any, first bool, other map[string]bool) {
					for _, v := range list {
						k := key(t, v)
						if !seen[k] && take(first, other[k]) {
							seen[k], out = true, append(out, v)
						}
					}
				}
				pick(a, true, inB)
				pick(b, false, inA)
				return out, nil
			}),
		}, nil
	}, example)
}

func arraysOf(name string, have []flow.Type) (flow.Type, error) {
	if len(have) == 2 {
		if c, ok := flow.Common(have[0], have[1]); ok && c.ID() == arrow.LIST {
			return c.(*arrow.ListType).Elem(), nil
		}
	}
	return nil, Mismatch(name, have, "ARRAY<T>, ARRAY<T>")
}

func keys(t flow.Type, list []any) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, v := range list {
		out[key(t, v)] = true
	}
	return out
}

var (
	_ = builtin(
		sets(
			"ARRAY_UNION",
			"the distinct elements of two arrays, in the order in which they first come",
			func(_, _ bool) bool { return true },
			Example{"ARRAY_UNION(ARRAY[1, 2, 3, 1, 2], ARRAY[4, 1])", "[1, 2, 3, 4]"},
		),
	)
	_ = builtin(
		sets(
			"ARRAY_INTERSECT",
			"the distinct elements that two arrays share, in the order of the first",
			func(first, in bool) bool { return first && in },
			Example{"ARRAY_INTERSECT(ARRAY[1, 2, 3, 1, 2], ARRAY[2, 1])", "[1, 2]"},
		),
	)
	_ = builtin(
		sets(
			"ARRAY_EXCEPT",
			"the distinct elements of the first array that the second does not have",
			func(first, in bool) bool { return first && !in },
			Example{"ARRAY_EXCEPT(ARRAY[1, 2, 3, 1, 2], ARRAY[2, 3])", "[1]"},
		),
	)
)

// onArray returns a function of one ARRAY; result maps the element type to the result type, and
// f receives the array without NULL.
func onArray(
	name, doc string,
	ok func(flow.Type) bool,
	result func(flow.Type) flow.Type,
	f func(t flow.Type, list []any) any,
	examples ...Example,
) Scalar {
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		t, err := elementOf(name, have, 1, "ARRAY")
		if err == nil && !ok(t) {
			err = Mismatch(name, have, "ARRAY of numbers, text, bytes, dates or times")
		}
		if err != nil {
			return Signature{}, err
		}
		return Signature{
			Args:   have,
			Result: result(t),
			Kernel: Each(result(t), false, func(args []any) (any, error) { return f(t, args[0].([]any)), nil }),
		}, nil
	}, examples...)
}

func element(t flow.Type) flow.Type { return t }
func anyType(flow.Type) bool        { return true }

var (
	_ = builtin(
		onArray(
			"ARRAY_DISTINCT",
			"the distinct elements of an ARRAY, NULL too, in the order in which they first come",
			anyType,
			flow.Array,
			distinct,
			Example{"ARRAY_DISTINCT(ARRAY['apple', 'apple', NULL, 'cherry'])", "[apple, null, cherry]"},
		),
	)
	_ = builtin(
		onArray(
			"ARRAY_MAX",
			"the greatest of the elements of an ARRAY that are not NULL",
			sortable,
			element,
			func(_ flow.Type, list []any) any { return outmost(list, 1) },
			Example{"ARRAY_MAX(ARRAY[-1, 2, NULL, 0])", "2"},
		),
	)
	_ = builtin(
		onArray(
			"ARRAY_MIN",
			"the least of the elements of an ARRAY that are not NULL",
			sortable,
			element,
			func(_ flow.Type, list []any) any { return outmost(list, -1) },
			Example{"ARRAY_MIN(ARRAY[-1, 2, NULL, 0])", "-1"},
		),
	)
)

func distinct(t flow.Type, list []any) any {
	out, seen := []any{}, map[string]bool{}
	for _, v := range list {
		if k := key(t, v); !seen[k] {
			seen[k], out = true, append(out, v)
		}
	}
	return out
}

func outmost(list []any, sign int) any {
	var best any
	for _, v := range list {
		if v != nil && (best == nil || sign*compareValues(v, best) > 0) {
			best = v
		}
	}
	return best
}

var _ = builtin(
	overload(
		"ARRAY_SORT",
		"an ARRAY in ascending order, or with 'DESC' in descending order; NULLs come last",
		[]Example{
			{"ARRAY_SORT(ARRAY[3, NULL, 1])", "[1, 3, null]"},
			{"ARRAY_SORT(ARRAY[3, 1, 2], 'DESC')", "[3, 2, 1]"},
		},
		onArray("ARRAY_SORT", "", sortable, flow.Array, func(_ flow.Type, list []any) any { return sorted(list, 1) }),
		bound("ARRAY_SORT", "", func(have []flow.Type) (Signature, error) {
			t, err := elementOf("ARRAY_SORT", have, 2, "ARRAY, STRING")
			if err == nil && (!sortable(t) || !flow.Widens(have[1], flow.String)) {
				err = Mismatch("ARRAY_SORT", have, "ARRAY of numbers, text, bytes, dates or times, STRING")
			}
			if err != nil {
				return Signature{}, err
			}
			return Signature{
				Args:   []flow.Type{have[0], flow.String},
				Result: have[0],
				Kernel: Each(have[0], false, func(args []any) (any, error) {
					switch order := upper(args[1].(string)); order {
					case "ASC", "ASCENDING":
						return sorted(args[0].([]any), 1), nil
					case "DESC", "DESCENDING":
						return sorted(args[0].([]any), -1), nil
					default:
						return nil, fmt.Errorf("an order is ASC or DESC, not '%s'", order)
					}
				}),
			}, nil
		}),
	),
)

func sorted(list []any, sign int) any {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b any) int {
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		case b == nil:
			return -1
		}
		return sign * compareValues(a, b)
	})
	return out
}

// sortBy sorts by a part of the elements that is never NULL.
func sortBy(list []any, part func(any) any) {
	slices.SortStableFunc(list, func(a, b any) int { return compareValues(part(a), part(b)) })
}

var _ = builtin(
	Scalar{
		Name: "ARRAY_CONCAT",
		Doc: "the elements of one ARRAY, followed by those of another; a NULL array adds nothing, and " +
			"of two NULL arrays the result is NULL",
		Bind: func(have []flow.Type) (Signature, error) {
			t, err := arraysOf("ARRAY_CONCAT", have)
			if err != nil {
				return Signature{}, err
			}
			return Signature{
				Args:   repeat(flow.Array(t), 2),
				Result: flow.Array(t),
				Kernel: Each(flow.Array(t), true, func(args []any) (any, error) {
					a, okA := args[0].([]any)
					b, okB := args[1].([]any)
					if !okA && !okB {
						return nil, nil
					}
					if len(a)+len(b) > MaxList {
						return nil, errMany
					}
					return append(append([]any{}, a...), b...), nil
				}),
			}, nil
		},
		Examples: []Example{{"ARRAY_CONCAT(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 2, 3]"}},
	},
)

var _ = builtin(
	Scalar{
		Name: "ARRAY_JOIN",
		Doc: "the elements of an ARRAY as one text, with a delimiter between them (a comma if it is not given, " +
			"nothing if it is NULL)",
		Bind: func(have []flow.Type) (Signature, error) {
			n := min(max(len(have), 1), 2)
			t, err := elementOf("ARRAY_JOIN", have, n, "ARRAY[, STRING]")
			if err == nil &&
				(!sortable(t) || t.ID() == arrow.BINARY || n == 2 && !flow.Widens(have[1], flow.String)) {
				err = Mismatch("ARRAY_JOIN", have, "ARRAY of numbers, booleans, text, dates or times[, STRING]")
			}
			if err != nil {
				return Signature{}, err
			}
			args := append([]flow.Type{have[0]}, repeat(flow.String, n-1)...)
			return Signature{
				Args:   args,
				Result: flow.String,
				Kernel: Each(flow.String, true, func(args []any) (any, error) {
					list, ok := args[0].([]any)
					if !ok {
						return nil, nil
					}
					delimiter := ","
					if len(args) == 2 {
						delimiter, _ = args[1].(string)
					}
					return joinList(t, list, delimiter)
				}),
			}, nil
		},
		Examples: []Example{
			{"ARRAY_JOIN(ARRAY[1, NULL, 3])", "1,null,3"},
			{"ARRAY_JOIN(ARRAY['a', 'b'], ' - ')", "a - b"},
		},
	},
)

func joinList(t flow.Type, list []any, delimiter string) (any, error) {
	parts := make([]string, len(list))
	size := len(delimiter) * max(len(list)-1, 0)
	for i, v := range list {
		parts[i] = flow.Spell(t, v)
		if size += len(parts[i]); size > MaxText {
			return nil, errLong
		}
	}
	return strings.Join(parts, delimiter), nil
}

var _ = builtin(
	Scalar{
		Name: "SLICE",
		Doc: "the elements of an ARRAY from one position to another, both included, 1 the first; a NULL " +
			"position is the first or last, one outside the array is NULL",
		Bind: func(have []flow.Type) (Signature, error) {
			if _, err := elementOf("SLICE", have, 3, "ARRAY, INTEGER, INTEGER"); err != nil {
				return Signature{}, err
			}
			args := []flow.Type{have[0], flow.Int, flow.Int}
			return Signature{Args: args, Result: have[0], Kernel: Each(have[0], true, func(args []any) (any, error) {
				list, ok := args[0].([]any)
				if !ok {
					return nil, nil
				}
				from, to := 0, len(list)
				if n, ok := args[1].(int32); ok {
					from = int(n) - 1
				}
				if n, ok := args[2].(int32); ok {
					to = int(n)
				}
				if from < 0 || to > len(list) || from > to {
					return nil, nil
				}
				return list[from:to], nil
			})}, Accept("SLICE", have, args...)
		},
		Examples: []Example{{"SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]"}},
	},
)

var _ = builtin(
	overload(
		"GENERATE_SERIES",
		"the numbers from one to another, both included, as an ARRAY: GENERATE_SERIES(from, to[, step]); the "+
			"step is 1, or -1 where to is less",
		[]Example{{"GENERATE_SERIES(1, 4)", "[1, 2, 3, 4]"}, {"GENERATE_SERIES(5, 1, -2)", "[5, 3, 1]"}},
		seriesOf(flow.Int),
		seriesOf(flow.Int, flow.Int),
		seriesOf(flow.Bigint),
		seriesOf(flow.Bigint, flow.Int),
	),
)

func seriesOf(t flow.Type, step ...flow.Type) Scalar {
	want := append(repeat(t, 2), step...)
	return bound("GENERATE_SERIES", "", func(have []flow.Type) (Signature, error) {
		return Signature{
				Args:   want,
				Result: flow.Array(t),
				Kernel: Each(flow.Array(t), false, series),
			}, Accept(
				"GENERATE_SERIES",
				have,
				want...)
	})
}

var errSeries = limit("the series has more than %d numbers", MaxList)

func series(args []any) (any, error) {
	from, to := whole(args[0]), whole(args[1])
	step := int64(1)
	if to < from {
		step = -1
	}
	if len(args) == 3 {
		step = whole(args[2])
	}
	if step == 0 || step > 0 && from > to || step < 0 && from < to {
		return nil, errors.New("the step does not lead from the first number to the last")
	}
	distance, stride := uint64(to)-uint64(from), uint64(step)
	if step < 0 {
		distance, stride = uint64(from)-uint64(to), -uint64(step)
	}
	count := distance/stride + 1
	if count > MaxList || count == 0 {
		return nil, errSeries
	}
	out := make([]any, count)
	for i := range out {
		if n := from + int64(i)*step; isInt(args[0]) {
			out[i] = int32(n)
		} else {
			out[i] = n
		}
	}
	return out, nil
}

func isInt(v any) bool {
	_, ok := v.(int32)
	return ok
}

func whole(v any) int64 {
	if n, ok := v.(int32); ok {
		return int64(n)
	}
	return v.(int64)
}
