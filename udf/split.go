package udf

import (
	"bytes"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	Scalar{
		Name: "SPLIT",
		Doc: "the parts of a text or bytes between the occurrences of a delimiter, as an ARRAY; with an empty " +
			"delimiter every character or byte",
		Bind: func(have []flow.Type) (Signature, error) {
			t, ok := textual(have)
			if !ok || len(have) != 2 {
				return Signature{}, Mismatch("SPLIT", have, "STRING, STRING) or (BYTES, BYTES")
			}
			f := splitText
			if t.ID() == arrow.BINARY {
				f = splitBytes
			}
			return Signature{Args: repeat(t, 2), Result: flow.Array(t), Kernel: Each(flow.Array(t), false, f)}, nil
		},
		Examples: []Example{{"SPLIT('a.b.c', '.')", "[a, b, c]"}, {"SPLIT('ab', '')", "[a, b]"}},
	},
)

func splitText(args []any) (any, error) {
	s := args[0].(string)
	if s == "" {
		return []any{""}, nil
	}
	if strings.Count(s, args[1].(string)) >= MaxList {
		return nil, errMany
	}
	return anys(strings.Split(s, args[1].(string))), nil
}

func splitBytes(args []any) (any, error) {
	b, delimiter := args[0].([]byte), args[1].([]byte)
	if len(b) == 0 {
		return []any{[]byte{}}, nil
	}
	if bytes.Count(b, delimiter) >= MaxList {
		return nil, errMany
	}
	if len(delimiter) > 0 {
		return anys(bytes.Split(b, delimiter)), nil
	}
	out := make([]any, len(b))
	for i := range b {
		out[i] = b[i : i+1]
	}
	return out, nil
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

var _ = builtin(
	Scalar{
		Name: "SPLIT_TO_MAP",
		Doc: "a MAP of the pairs in a text, SPLIT_TO_MAP(text, between pairs, between key and value); of equal " +
			"keys the last counts, and parts without a value are left out; NULL with an empty delimiter",
		Bind: func(have []flow.Type) (Signature, error) {
			t := flow.Map(flow.String, flow.String)
			args := repeat(flow.String, 3)
			return Signature{
					Args:   args,
					Result: t,
					Kernel: Each(t, false, splitToMap),
				}, Accept(
					"SPLIT_TO_MAP",
					have,
					args...)
		},
		Examples: []Example{{"SPLIT_TO_MAP('apple:green/cherry:red', '/', ':')", "{apple=green, cherry=red}"}},
	},
)

func splitToMap(args []any) (any, error) {
	text, pairs, middle := args[0].(string), args[1].(string), args[2].(string)
	if pairs == "" || middle == "" {
		return nil, nil
	}
	if strings.Count(text, pairs) >= MaxList {
		return nil, errMany
	}
	out := entryList{}
	for _, pair := range strings.Split(text, pairs) {
		if parts := strings.Split(pair, middle); len(parts) > 1 {
			out.put(parts[0], parts[1])
		}
	}
	return out.entries(), nil
}

// entryList collects the entries of a MAP: of equal keys the last value counts, at the place of
// the first.
type entryList struct {
	list []flow.Entry
	at   map[any]int
}

// put takes keys that Go can compare: all but nested ones and BYTES.
func (l *entryList) put(key, value any) {
	if l.at == nil {
		l.at = map[any]int{}
	}
	if i, ok := l.at[key]; ok {
		l.list[i].Value = value
		return
	}
	l.at[key] = len(l.list)
	l.list = append(l.list, flow.Entry{Key: key, Value: value})
}

func (l *entryList) entries() []flow.Entry {
	if l.list == nil {
		return []flow.Entry{}
	}
	return l.list
}
