package udf

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// The entries of a MAP keep the order in which they were put there.

func onMap(
	name, doc string,
	result func(*arrow.MapType) flow.Type,
	f func([]flow.Entry) []any,
	example Example,
) Scalar {
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		if len(have) != 1 || have[0].ID() != arrow.MAP {
			return Signature{}, Mismatch(name, have, "MAP")
		}
		t := result(have[0].(*arrow.MapType))
		return Signature{
			Args:   have,
			Result: t,
			Kernel: Each(t, false, func(args []any) (any, error) { return f(args[0].([]flow.Entry)), nil }),
		}, nil
	}, example)
}

var (
	_ = builtin(
		onMap(
			"MAP_KEYS",
			"the keys of a MAP, as an ARRAY",
			func(m *arrow.MapType) flow.Type { return flow.Array(m.KeyType()) },
			func(m []flow.Entry) []any { return entriesAs(m, func(e flow.Entry) any { return e.Key }) },
			Example{"MAP_KEYS(MAP('a' := 1, 'b' := 2))", "[a, b]"},
		),
	)
	_ = builtin(
		onMap(
			"MAP_VALUES",
			"the values of a MAP, as an ARRAY",
			func(m *arrow.MapType) flow.Type { return flow.Array(m.ItemType()) },
			func(m []flow.Entry) []any { return entriesAs(m, func(e flow.Entry) any { return e.Value }) },
			Example{"MAP_VALUES(MAP('a' := 1, 'b' := 2))", "[1, 2]"},
		),
	)
)

func entriesAs(m []flow.Entry, f func(flow.Entry) any) []any {
	out := make([]any, len(m))
	for i, e := range m {
		out[i] = f(e)
	}
	return out
}

var _ = builtin(
	Scalar{
		Name: "ENTRIES",
		Doc:  "the entries of a MAP as an ARRAY of STRUCT<K, V>, sorted by key if the second argument is TRUE",
		Bind: func(have []flow.Type) (Signature, error) {
			if len(have) != 2 || have[0].ID() != arrow.MAP || !flow.Widens(have[1], flow.Boolean) ||
				!sortable(have[0].(*arrow.MapType).KeyType()) {
				return Signature{}, Mismatch("ENTRIES", have, "MAP, BOOLEAN")
			}
			m := have[0].(*arrow.MapType)
			t := flow.Array(flow.Struct(flow.Field("K", m.KeyType()), flow.Field("V", m.ItemType())))
			return Signature{
				Args:   []flow.Type{m, flow.Boolean},
				Result: t,
				Kernel: Each(t, false, func(args []any) (any, error) {
					out := entriesAs(args[0].([]flow.Entry), func(e flow.Entry) any { return []any{e.Key, e.Value} })
					if args[1].(bool) {
						sortBy(out, func(v any) any { return v.([]any)[0] })
					}
					return out, nil
				}),
			}, nil
		},
		Examples: []Example{{"ENTRIES(MAP('b' := 2, 'a' := 1), TRUE)", "[Struct{K=a,V=1}, Struct{K=b,V=2}]"}},
	},
)

var _ = builtin(
	Scalar{
		Name: "MAP_UNION",
		Doc: "the entries of two maps; a key of both maps has the value of the second; a NULL map adds nothing, and " +
			"the union of two NULL maps is NULL",
		Bind: func(have []flow.Type) (Signature, error) {
			var t flow.Type = flow.Null
			if len(have) == 2 {
				t, _ = flow.Common(have[0], have[1])
			}
			if t == nil || t.ID() != arrow.MAP {
				return Signature{}, Mismatch("MAP_UNION", have, "MAP<K, V>, MAP<K, V>")
			}
			k := t.(*arrow.MapType).KeyType()
			return Signature{Args: repeat(t, 2), Result: t, Kernel: Each(t, true, func(args []any) (any, error) {
				a, okA := args[0].([]flow.Entry)
				b, okB := args[1].([]flow.Entry)
				if !okA && !okB {
					return nil, nil
				}
				if len(a)+len(b) > 2*MaxList {
					return nil, errMany
				}
				return union(k, a, b), nil
			})}, nil
		},
		Examples: []Example{
			{"MAP_UNION(MAP('apple' := 10, 'banana' := 20), MAP('apple' := 50))", "{apple=50, banana=20}"},
		},
	},
)

func union(k flow.Type, lists ...[]flow.Entry) []flow.Entry {
	out, at := []flow.Entry{}, map[string]int{}
	for _, list := range lists {
		for _, e := range list {
			name := key(k, e.Key)
			if i, ok := at[name]; ok {
				out[i].Value = e.Value
				continue
			}
			at[name] = len(out)
			out = append(out, e)
		}
	}
	return out
}

var _ = builtin(
	Scalar{
		Name: "AS_MAP",
		Doc: "a MAP of an ARRAY of keys and an ARRAY of values, with as many entries as the shorter ARRAY; of equal keys " +
			"the last counts, and NULL keys are left out",
		Bind: func(have []flow.Type) (Signature, error) {
			if len(have) != 2 || have[0].ID() != arrow.LIST || have[1].ID() != arrow.LIST {
				return Signature{}, Mismatch("AS_MAP", have, "ARRAY<K>, ARRAY<V>")
			}
			k, v := have[0].(*arrow.ListType).Elem(), have[1].(*arrow.ListType).Elem()
			t := flow.Map(k, v)
			return Signature{Args: have, Result: t, Kernel: Each(t, false, func(args []any) (any, error) {
				keys, values := args[0].([]any), args[1].([]any)
				var list []flow.Entry
				for i := range min(len(keys), len(values)) {
					if keys[i] != nil {
						list = append(list, flow.Entry{Key: keys[i], Value: values[i]})
					}
				}
				return union(k, list), nil
			})}, nil
		},
		Examples: []Example{{"AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "{a=1, b=2}"}},
	},
)
