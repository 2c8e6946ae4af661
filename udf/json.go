package udf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	made2(
		"EXTRACTJSONFIELD",
		"the value at a path in a JSON text, as text: EXTRACTJSONFIELD(json, '$.a.b[0]'); a path has names, "+
			"['names'] and positions from 0, no wildcards; NULL if there is none",
		func(Env) func(string, string) (string, error) {
			paths := remember(parsePath)
			return func(s, path string) (string, error) {
				p, err := paths(path)
				if err != nil {
					return "", err
				}
				v, err := jsonValue(s)
				if err != nil {
					return "", err
				}
				return at(v, p)
			}
		},
		Example{`EXTRACTJSONFIELD('{"log": {"cloud": "gcp", "sizes": [1, 2]}}', '$.log.cloud')`, "gcp"},
		Example{`EXTRACTJSONFIELD('{"log": {"cloud": "gcp", "sizes": [1, 2]}}', '$.log.sizes[1]')`, "2"},
	),
)

// step is a member's name or, with index >= 0, an element's position.
type step struct {
	name  string
	index int
}

func parsePath(path string) ([]step, error) {
	bad := func(why string) ([]step, error) { return nil, fmt.Errorf("the path '%s' %s", path, why) }
	if !strings.HasPrefix(path, "$") {
		return bad("does not begin with $")
	}
	var out []step
	for s := path[1:]; s != ""; {
		switch {
		case s[0] == '.':
			n := strings.IndexAny(s[1:], ".[")
			if n < 0 {
				n = len(s) - 1
			}
			name := s[1 : 1+n]
			if name == "" || name == "*" {
				return bad("needs a name after each point")
			}
			out, s = append(out, step{name, -1}), s[1+n:]
		case s[0] == '[' && len(s) > 1 && (s[1] == '\'' || s[1] == '"'):
			n := strings.Index(s[2:], s[1:2]+"]")
			if n < 0 {
				return bad("has a [ without its ]")
			}
			out, s = append(out, step{s[2 : 2+n], -1}), s[n+4:]
		case s[0] == '[':
			n := strings.IndexByte(s, ']')
			if n < 0 {
				return bad("has a [ without its ]")
			}
			i, err := strconv.Atoi(strings.TrimSpace(s[1:n]))
			if err != nil || i < 0 {
				return bad("needs a position from 0, or a name in quotes, between [ and ]")
			}
			out, s = append(out, step{"", i}), s[n+1:]
		default:
			return bad("has neither . nor [ before " + quote(s))
		}
	}
	return out, nil
}

// at follows a path through a valid value and returns the value there as text.
func at(v string, path []step) (string, error) {
	for _, p := range path {
		found, i := "", 0
		if (p.index < 0) != (v[0] == '{') || (p.index >= 0) != (v[0] == '[') {
			return "", errNull
		}
		err := jsonEach(v, func(name, value string, escaped bool) bool {
			switch {
			case p.index >= 0 && i == p.index:
				found = value
				return false
			case p.index < 0 && (name == p.name || escaped && unescaped(name) == p.name):
				found = value
			}
			i++
			return true
		})
		if err != nil {
			return "", err
		}
		if found == "" {
			return "", errNull
		}
		v = found
	}
	switch {
	case v == "null":
		return "", errNull
	case v[0] == '"':
		return jsonText(v), nil
	}
	return compact(v), nil
}

// NULL and invalid JSON are false.
var _ = builtin(
	Scalar{
		Name: "IS_JSON_STRING",
		Doc:  "whether a text is a JSON value; false of NULL",
		Bind: func(have []flow.Type) (Signature, error) {
			return Signature{
					Args:   []flow.Type{flow.String},
					Result: flow.Boolean,
					Kernel: Each(flow.Boolean, true, func(args []any) (any, error) {
						s, ok := args[0].(string)
						if ok {
							_, err := jsonValue(s)
							ok = err == nil
						}
						return ok, nil
					}),
				}, Accept(
					"IS_JSON_STRING",
					have,
					flow.String,
				)
		},
		Examples: []Example{{"IS_JSON_STRING('[1, 2, 3]')", "true"}, {"IS_JSON_STRING('abc')", "false"}},
	},
)

var _ = builtin(
	Try1(
		"JSON_ARRAY_LENGTH",
		"the number of elements of a JSON array; NULL if the text is not a JSON array",
		func(s string) (int32, error) {
			v, err := jsonValue(s)
			if err != nil {
				return 0, err
			}
			if v[0] != '[' {
				return 0, errNull
			}
			n := int32(0)
			members(v, func(_, _ string) { n++ })
			return n, nil
		},
		Example{"JSON_ARRAY_LENGTH('[1, [2], 3]')", "3"},
		Example{"JSON_ARRAY_LENGTH('{}')", "null"},
	),
)

var (
	_ = builtin(
		ofJSON(
			"JSON_KEYS",
			"the names of a JSON object's members, as an ARRAY; NULL if the text is not a JSON object",
			'{',
			flow.Array(flow.String),
			func(v string) (any, error) {
				out := entryList{}
				err := fewMembers(v, func(name, _ string) { out.put(name, nil) })
				return entriesAs(out.entries(), func(e flow.Entry) any { return e.Key }), err
			},
			Example{`JSON_KEYS('{"a": 1, "b": {"c": 2}}')`, "[a, b]"},
		),
	)
	_ = builtin(
		ofJSON(
			"JSON_RECORDS",
			"a JSON object's members as a MAP of their names to their JSON; NULL if the text is not a JSON object",
			'{',
			flow.Map(flow.String, flow.String),
			func(v string) (any, error) {
				out := entryList{}
				err := fewMembers(v, func(name, value string) { out.put(name, compact(value)) })
				return out.entries(), err
			},
			Example{`JSON_RECORDS('{"a": "abc", "b": {"c": 2}}')`, `{a="abc", b={"c":2}}`},
		),
	)
	_ = builtin(
		ofJSON(
			"JSON_ITEMS",
			"a JSON array's elements as an ARRAY of their JSON; NULL if the text is not a JSON array",
			'[',
			flow.Array(flow.String),
			func(v string) (any, error) {
				out := []any{}
				err := fewMembers(v, func(_, value string) { out = append(out, compact(value)) })
				return out, err
			},
			Example{`JSON_ITEMS('[{"a": 1}, 2]')`, `[{"a":1}, 2]`},
		),
	)
)

// ofJSON returns a function of a JSON object or array. Invalid JSON fails the row.
func ofJSON(name, doc string, opening byte, result flow.Type, f func(v string) (any, error), example Example) Scalar {
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		return Signature{
				Args:   []flow.Type{flow.String},
				Result: result,
				Kernel: Each(result, false, func(args []any) (any, error) {
					v, err := jsonValue(args[0].(string))
					if err != nil || v[0] != opening {
						return nil, err
					}
					return f(v)
				}),
			}, Accept(
				name,
				have,
				flow.String,
			)
	}, example)
}

var _ = builtin(
	Scalar{
		Name: "JSON_CONCAT",
		Doc: "JSON texts joined as PostgreSQL's || does: objects to one with all members (the last of equal " +
			"names), else arrays and single values to one array; NULL if one is NULL or no JSON",
		Bind: func(have []flow.Type) (Signature, error) {
			args := repeat(flow.String, max(1, len(have)))
			return Signature{
					Args:   args,
					Result: flow.String,
					Kernel: Each(flow.String, false, jsonConcat),
				}, Accept(
					"JSON_CONCAT",
					have,
					args...)
		},
		Examples: []Example{
			{`JSON_CONCAT('{"a": 1}', '{"b": 2}')`, `{"a":1,"b":2}`},
			{"JSON_CONCAT('[1, 2]', '3')", "[1,2,3]"},
		},
	},
)

func jsonConcat(args []any) (any, error) {
	values, objects, size := make([]string, len(args)), true, 0
	for i, a := range args {
		v, err := jsonValue(a.(string))
		if err != nil {
			return nil, err
		}
		values[i] = compact(v)
		if size += len(values[i]); size > MaxText {
			return nil, errLong
		}
		objects = objects && v[0] == '{'
	}
	if !objects {
		return jsonArray(values), nil
	}
	all := entryList{}
	for _, v := range values {
		if err := fewMembers(v, func(name, value string) { all.put(name, value) }); err != nil {
			return nil, err
		}
	}
	out := []byte{'{'}
	for i, e := range all.entries() {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(appendJSONString(out, e.Key.(string)), ':'), e.Value.(string)...)
	}
	return string(append(out, '}')), nil
}

// fewMembers is members with a limit: more than MaxList members are an error.
func fewMembers(v string, f func(name, value string)) error {
	n := 0
	members(v, func(name, value string) {
		if n++; n <= MaxList {
			f(name, value)
		}
	})
	if n > MaxList {
		return errMany
	}
	return nil
}

func jsonArray(values []string) string {
	var parts []string
	for _, v := range values {
		if v[0] == '[' {
			v = v[1 : len(v)-1]
		}
		if v != "" {
			parts = append(parts, v)
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}

var _ = builtin(
	Scalar{
		Name: "JSON_ARRAY_CONTAINS",
		Doc: "whether a JSON array has an element equal to a value, which is text, a number, a BOOLEAN or NULL; " +
			"false if the text is not a JSON array",
		Bind: func(have []flow.Type) (Signature, error) {
			if len(have) != 2 || !flow.Widens(have[0], flow.String) ||
				have[1].ID() != arrow.NULL &&
					!(flow.IsNumber(have[1]) || have[1].ID() == arrow.STRING || have[1].ID() == arrow.BOOL) {
				return Signature{}, Mismatch("JSON_ARRAY_CONTAINS", have, "STRING, STRING, number or BOOLEAN")
			}
			t := have[1]
			return Signature{
				Args:   []flow.Type{flow.String, t},
				Result: flow.Boolean,
				Kernel: Each(flow.Boolean, true, func(args []any) (any, error) {
					s, ok := args[0].(string)
					if !ok {
						return false, nil
					}
					v, err := jsonValue(s)
					if err != nil || v[0] != '[' {
						return false, nil
					}
					found := false
					members(v, func(_, value string) { found = found || jsonEquals(value, t, args[1]) })
					return found, nil
				}),
			}, nil
		},
		Examples: []Example{
			{"JSON_ARRAY_CONTAINS('[1, 2, 3]', 3)", "true"},
			{`JSON_ARRAY_CONTAINS('["Red", "Green"]', 'Blue')`, "false"},
		},
	},
)

func jsonEquals(value string, t flow.Type, v any) bool {
	switch v := v.(type) {
	case nil:
		return value == "null"
	case bool:
		return value == strconv.FormatBool(v)
	case string:
		return value[0] == '"' && jsonText(value) == v
	case int32, int64:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && n == whole(v)
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return false
	}
	have, err := strconv.ParseFloat(value, 64)
	want, _ := strconv.ParseFloat(flow.Spell(t, v), 64)
	return err == nil && have == want
}

var _ = builtin(
	Scalar{
		Name: "TO_JSON_STRING",
		Doc:  "a value of any type as JSON; NULL is null",
		Bind: func(have []flow.Type) (Signature, error) {
			if len(have) != 1 {
				return Signature{}, Mismatch("TO_JSON_STRING", have, "one argument")
			}
			return Signature{
				Args:   have,
				Result: flow.String,
				Kernel: Each(flow.String, true, func(args []any) (any, error) {
					return string(appendJSON(nil, have[0], args[0])), nil
				}),
			}, nil
		},
		Examples: []Example{{"TO_JSON_STRING(ARRAY[1, 2])", "[1,2]"}, {"TO_JSON_STRING('a \"b\"')", `"a \"b\""`}},
	},
)

// appendJSON appends a value as JSON. It stops when the text exceeds the limit.
func appendJSON(dst []byte, t flow.Type, v any) []byte {
	if len(dst) > MaxText {
		return dst
	}
	if v == nil {
		return append(dst, "null"...)
	}
	switch t := t.(type) {
	case *arrow.MapType:
		dst = append(dst, '{')
		for i, e := range v.([]flow.Entry) {
			if i > 0 {
				dst = append(dst, ',')
			}
			name := string(appendJSON(nil, t.KeyType(), e.Key))
			if name[0] != '"' {
				name = string(appendJSONString(nil, name))
			}
			dst = appendJSON(append(append(dst, name...), ':'), t.ItemType(), e.Value)
		}
		return append(dst, '}')
	case *arrow.ListType:
		dst = append(dst, '[')
		for i, e := range v.([]any) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, t.Elem(), e)
		}
		return append(dst, ']')
	case *arrow.StructType:
		dst = append(dst, '{')
		for i, e := range v.([]any) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(append(appendJSONString(dst, t.Field(i).Name), ':'), t.Field(i).Type, e)
		}
		return append(dst, '}')
	}
	s := flow.Spell(t, v)
	bare := t.ID() == arrow.BOOL || flow.IsNumber(t) && s[len(s)-1] >= '0' && s[len(s)-1] <= '9'
	if bare {
		return append(dst, s...)
	}
	return appendJSONString(dst, s)
}
