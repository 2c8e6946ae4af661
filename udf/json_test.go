package udf

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamql/streamql/flow"
)

func TestJSON(t *testing.T) {
	check(t, []callCase{
		{"EXTRACTJSONFIELD", a(`{"a": {"b c": [1, {"d": true}]}}`, `$.a['b c'][1].d`), "true"},
		{"EXTRACTJSONFIELD", a(`{"a": {"b": [1, 2.50]}}`, `$.a`), `{"b":[1,2.50]}`},
		{"EXTRACTJSONFIELD", a(`{"a": null}`, `$.a`), "null"},
		{"EXTRACTJSONFIELD", a(`{"a": 1}`, `$.b`), "null"},
		{"EXTRACTJSONFIELD", a(`{"a": 1}`, `$.a.b`), "null"},
		{"EXTRACTJSONFIELD", a(`[1]`, `$[5]`), "null"},
		{"EXTRACTJSONFIELD", a(`{"\u0061": "\ud83d\ude00\n"}`, `$.a`), "😀\n"},
		{"EXTRACTJSONFIELD", a(`{"a": 1, "a": 2}`, `$.a`), "2"},
		{"EXTRACTJSONFIELD", a(`"x"`, `$`), "x"},
		{"EXTRACTJSONFIELD", a(`{"a": 1`, `$.a`), "error: the text is not JSON at byte 8"},
		{"EXTRACTJSONFIELD", a(`{}`, `a`), "error: the path 'a' does not begin with $"},
		{"EXTRACTJSONFIELD", a(`{}`, `$.*`), "error: the path"},
		{"EXTRACTJSONFIELD", a(`{}`, `$[-1]`), "error: the path"},
		{"EXTRACTJSONFIELD", a(strings.Repeat("[", 100_000), `$`), "error: the JSON is nested too deeply"},
		{"IS_JSON_STRING", a(""), "false"},
		{"IS_JSON_STRING", a(nil), "false"},
		{"IS_JSON_STRING", a(` "abc" `), "true"},
		{"IS_JSON_STRING", a(`01`), "false"},
		{"JSON_ARRAY_LENGTH", a(`abc`), "error: the text is not JSON"},
		{"JSON_ARRAY_LENGTH", a(`[]`), "0"},
		{"JSON_KEYS", a(`[]`), "null"},
		{"JSON_KEYS", a(`{}`), "[]"},
		{"JSON_KEYS", a(`{"b": 1, "a": 2, "b": 3}`), `["b","a"]`},
		{"JSON_CONCAT", a(`{"a": {"5": 6}}`, `{"a": {"3": 4}}`), `{"a":{"3":4}}`},
		{"JSON_CONCAT", a(`null`, `null`), "[null,null]"},
		{"JSON_CONCAT", a(`[1, 2]`, `{"a": 1}`, `4`), `[1,2,{"a":1},4]`},
		{"JSON_CONCAT", a(`[]`, `[]`), "[]"},
		{"JSON_CONCAT", a(`[1]`, nil), "null"},
		{"JSON_CONCAT", a(`1`, ``), "error: the text is not JSON"},
		{"JSON_ARRAY_CONTAINS", a(`["Pink", null]`, "Pink"), "true"},
		{"JSON_ARRAY_CONTAINS", a(`["Pink", null]`, nil), "true"},
		{"JSON_ARRAY_CONTAINS", a(`[1.5, "2"]`, 2), "false"},
		{"JSON_ARRAY_CONTAINS", a(`[1.5, true]`, 1.5), "true"},
		{"JSON_ARRAY_CONTAINS", a(`no`, 1), "false"},
		{"JSON_ARRAY_CONTAINS", a(nil, 1), "false"},
		{"TO_JSON_STRING", a(nil), "null"},
		{"TO_JSON_STRING", a("a\"\n\x01ü"), `"a\"\n\u0001ü"`},
		{"TO_JSON_STRING", a([]byte("!")), `"IQ=="`},
		{
			"TO_JSON_STRING",
			a(typed{flow.Map(flow.Int, flow.Double), []flow.Entry{{Key: int32(1), Value: 2.0}}}),
			`{"1":2.0}`,
		},
	})
}

// FuzzJSON compares the scanner with the standard library's: they must agree on validity and on
// the texts of strings.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\u00e9\n",true,null]}`, `[`, `"\ud800"`, `-`, `1.`, `{"a":1,}`, ` [ ] `, "\"\x01\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := jsonValue(s)
		if len(s) < jsonLimits.Depth && (err == nil) != json.Valid([]byte(s)) {
			t.Fatalf("%q: %v, but valid is %v", s, err, json.Valid([]byte(s)))
		}
		if err != nil {
			return
		}
		if !json.Valid([]byte(compact(v))) {
			t.Fatalf("%q: compact %q", s, compact(v))
		}
		var text string
		if v[0] == '"' && utf8.ValidString(s) && json.Unmarshal([]byte(v), &text) == nil && text != jsonText(v) {
			t.Fatalf("%q: %q, not %q", s, jsonText(v), text)
		}
		_, _ = at(v, []step{{"a", -1}, {"", 1}})
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"$.a.b[0]['x y'][\"z\"]", "$", "$.", "$[", "$['"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePath(s); err == nil {
			_, _ = at(`{"a":{"b":[{"x y":1}]}}`, p)
		}
	})
}
