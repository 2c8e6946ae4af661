package udf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// typed is an argument: a Go value of a type.
type typed struct {
	t flow.Type
	v any
}

func arg(v any) typed {
	switch v := v.(type) {
	case int:
		return typed{flow.Int, int32(v)} // the tests' whole numbers are INTEGER
	case int64:
		return typed{flow.Bigint, v}
	case float64:
		return typed{flow.Double, v}
	case bool:
		return typed{flow.Boolean, v}
	case []byte:
		return typed{flow.Bytes, v}
	case arrow.Timestamp:
		return typed{flow.Timestamp, v}
	case arrow.Date32:
		return typed{flow.Date, v}
	case arrow.Time32:
		return typed{flow.TimeOfDay, v}
	case string:
		return typed{flow.String, v}
	case typed:
		return v
	}
	return typed{flow.Null, nil}
}

// call evaluates a function on one row and returns the result as text, "error: .." if the row
// fails. Numbers widen.
func call(r *Registry, name string, args ...any) string {
	f, ok := r.Scalar(name)
	if !ok {
		return "no function " + name
	}
	types, values := make([]flow.Type, len(args)), make([]any, len(args))
	for i, a := range args {
		types[i], values[i] = arg(a).t, arg(a).v
	}
	sig, err := f.Bind(types)
	if err != nil {
		return "bind: " + err.Error()
	}
	cols := make([]arrow.Array, len(args))
	for i, t := range sig.Args {
		cols[i] = flow.Column(t, widened(values[i], t), widened(values[i], t))
	}
	failed := map[int]error{}
	out := sig.Kernel(cols, 2, Env{Fail: func(row int, err error) { failed[row] = err }})
	if err := failed[1]; err != nil {
		if out.IsValid(1) || failed[0] == nil {
			return "a failed row is not NULL"
		}
		return "error: " + err.Error()
	}
	if !flow.SameType(out.DataType(), sig.Result) || out.Len() != 2 {
		return fmt.Sprintf("%d rows of %s", out.Len(), out.DataType())
	}
	return spellAny(sig.Result, flow.Value(out, 1))
}

func widened(v any, t flow.Type) any {
	n, isInt := v.(int32)
	big, isBig := v.(int64)
	switch {
	case isInt && t.ID() == arrow.INT64:
		return int64(n)
	case isInt && t.ID() == arrow.FLOAT64:
		return float64(n)
	case isBig && t.ID() == arrow.FLOAT64:
		return float64(big)
	}
	return v
}

func spellAny(t flow.Type, v any) string {
	if v == nil || t.ID() != arrow.LIST && t.ID() != arrow.MAP {
		return flow.Spell(t, v)
	}
	return string(appendJSON(nil, t, v))
}

type callCase struct {
	name string
	args []any
	want string // a prefix where it begins with "error:" or "bind:"
}

func check(t *testing.T, cases []callCase) {
	t.Helper()
	r := Builtins()
	for _, c := range cases {
		got := call(r, c.name, c.args...)
		if got != c.want && !(strings.HasPrefix(c.want, "error:") || strings.HasPrefix(c.want, "bind:")) ||
			!strings.HasPrefix(got, c.want) {
			t.Errorf("%s%v: got %s, want %s", c.name, c.args, got, c.want)
		}
	}
}

func decimalOf(unscaled int64) decimal128.Num { return decimal128.FromI64(unscaled) }

func a(v ...any) []any { return v }

func list(t flow.Type, v ...any) typed { return typed{flow.Array(t), v} }

func TestText(t *testing.T) {
	check(t, []callCase{
		{"SUBSTRING", a("stream", 0), "stream"},
		{"SUBSTRING", a("héllo", 2, 3), "éll"},
		{"SUBSTRING", a("héllo", -3), "llo"},
		{"SUBSTRING", a("s", 2, 5), ""},
		{"SUBSTRING", a("stream", 2, -1), ""},
		{"SUBSTRING", a("stream", 2, 2147483647), "tream"},
		{"SUBSTRING", a("stream", -2147483648), "stream"},
		{"SUBSTRING", a([]byte("stream"), 6), "bQ=="},
		{"SUBSTRING", a("stream", nil), "null"},
		{"LPAD", a("foo", -1, "Bar"), "null"},
		{"LPAD", a("foo", 5, ""), "null"},
		{"LPAD", a("", 7, "Bar"), "BarBarB"},
		{"LPAD", a("foo", 2147483647, "Bar"), "error: the result is longer"},
		{"RPAD", a([]byte("yes"), 8, []byte("no")), "eWVzbm9ub24="},
		{"RPAD", a("é", 3, "ü"), "éüü"},
		{"LEN", a([]byte("é")), "2"},
		{"LEN", a(nil), "null"},
		{"LEN", a(1), "bind: function LEN takes (STRING) or (BYTES), not (INTEGER)"},
		{"INSTR", a("corporate floor", "or", -4, 2), "2"},
		{"INSTR", a("corporate floor", "or", 0), "0"},
		{"INSTR", a("short", "longer than short"), "0"},
		{"INSTR", a("aaa", "a", -1), "3"},
		{"INSTR", a("aaa", "a", -99), "0"},
		{"CONCAT", a(nil, nil), ""},
		{"CONCAT", a([]byte("a"), []byte("b")), "YWI="},
		{"CONCAT", a("a", []byte("b")), "bind: function CONCAT takes"},
		{"CONCAT_WS", a(nil, "a"), "null"},
		{"CONCAT_WS", a("-", nil, nil), ""},
		{"CONCAT_WS", a("-", "", ""), "-"},
		{"INITCAP", a("the   Quick br0wn fOx some_string"), "The   Quick Br0wn Fox Some_string"},
		{"TRIM", a(" \t with space \t"), "with space"},
		{"REPLACE", a("abc", "", "x"), "abc"},
		{"CHR", a(99000), string(rune(99000))},
		{"CHR", a(-1), "null"},
		{"CHR", a(0xd800), "null"},
		{"CHR", a(`\ud83d\ude00`), "😀"},
		{"CHR", a(`\u00zz`), "null"},
		{"CHR", a("x"), "null"},
		{"ELT", a(nil, "a"), "null"},
		{"ELT", a(0, "a"), "null"},
		{"FIELD", a(nil, "a"), "0"},
		{"SPLIT", a("..a..", "."), `["","","a","",""]`},
		{"SPLIT", a("", "."), `[""]`},
		{"SPLIT", a([]byte("a.b"), []byte(".")), `["YQ==","Yg=="]`},
		{"SPLIT", a("é1", ""), `["é","1"]`},
		{"SPLIT_TO_MAP", a("apple:green//cherry:red/", "/", ":"), `{"apple":"green","cherry":"red"}`},
		{"SPLIT_TO_MAP", a("a:1/a:2", "/", ":"), `{"a":"2"}`},
		{"SPLIT_TO_MAP", a("a:1", "", ":"), "null"},
		{"SPLIT_INDEX", a("a/b", "/", 2), "null"},
		{"SPLIT_INDEX", a("a/b", "/", -1), "null"},
		{"SPLIT_INDEX", a("a/b", "", 0), "error: the delimiter is empty"},
		{"MASK", a(nil), "null"},
		{"MASK", a("Ab1!", "YY", "x", "n", "-"), "error: a mask is one character"},
		{"MASK_LEFT", a("Abc", -1), "error: the number of characters is negative"},
		{"MASK_KEEP_RIGHT", a("Abc", 99), "Abc"},
		{"ENCODE", a("zpXOu867", "base64", "utf8"), "Ελλ"},
		{"ENCODE", a("0x1f", "hex", "hex"), "1f"},
		{"ENCODE", a("x", "null", "utf8"), "error: an encoding is"},
		{"FROM_BYTES", a([]byte{0xff}, "utf8"), "\uFFFD"},
		{"TO_BYTES", a("zz", "hex"), "error: the text is not in hexadecimal digits"},
		{"INT_FROM_BYTES", a([]byte{1}), "error: 4 bytes are needed, not 1"},
		{"INT_FROM_BYTES", a([]byte{5, 7, 0, 0}, "LITTLE_ENDIAN"), "1797"},
		{"INT_FROM_BYTES", a([]byte{5, 7, 0, 0}, "MIDDLE"), "error: a byte order is"},
	})
}

func TestMath(t *testing.T) {
	dec := func(unscaled int64, p, s int32) typed { return typed{flow.Decimal(p, s), decimalOf(unscaled)} }
	check(t, []callCase{
		{"ABS", a(-2147483648), "error: the result does not fit"},
		{"ABS", a(dec(-32, 2, 1)), "3.2"},
		{"ABS", a("x"), "bind: function ABS takes (INTEGER) or (BIGINT) or (DECIMAL) or (DOUBLE), not (STRING)"},
		{"FLOOR", a(dec(-15, 2, 1)), "-2.0"},
		{"CEIL", a(dec(15, 2, 1)), "2.0"},
		{"CEIL", a(dec(95, 2, 1)), "error: the result does not fit"},
		{"CEIL", a(7), "7"},
		{"ROUND", a(1.5), "2"},
		{"ROUND", a(-1.5), "-1"},
		{"ROUND", a(1e300), "error: the result does not fit"},
		{"ROUND", a(2.675, 2), "2.68"},
		{"ROUND", a(-2.675, 2), "-2.67"},
		{"ROUND", a(12345.678, -2), "12300.0"},
		{"ROUND", a(0.5, -5), "0.0"},
		{"ROUND", a(9.995, 2), "10.0"},
		{"ROUND", a(99.5, 0), "100.0"},
		{"ROUND", a(1e22, -22), "1.0E22"},
		{"ROUND", a(15, -1), "20"},
		{"ROUND", a(-15, -1), "-10"},
		{"ROUND", a(dec(2235, 4, 2)), "22"},
		{"ROUND", a(dec(2235, 4, 2), 1), "22.40"},
		{"ROUND", a(dec(2235, 4, 2), -1), "20.00"},
		{"ROUND", a(dec(2235, 4, 2), 10), "22.35"},
		{"ROUND", a(dec(995, 3, 1)), "error: the result does not fit"},
		{"TRUNC", a(-1.7), "-1"},
		{"TRUNC", a(-12345.678, 1), "-12345.6"},
		{"TRUNC", a(dec(-12, 3, 1)), "-1"},
		{"SIGN", a(-0.5), "-1"},
		{"LOG", a(0.0), "-Infinity"},
		{"LOG", a(1.0, 5.0), "NaN"},
		{"LOG", a(10.0, -5.0), "NaN"},
		{"LN", a(-1), "NaN"},
		{"SQRT", a(int64(-4)), "NaN"},
		{"POWER", a(15, -1), "0.06666666666666667"},
		{"GEO_DISTANCE", a(37.4439, -122.1663, 51.5257, -0.1122, nil), "8634.659796579546"},
		{"GEO_DISTANCE", a(37.4439, -122.1663, 51.5257, -0.1122, "MI"), "5365.659729188263"},
		{"GEO_DISTANCE", a(91.0, 0.0, 0.0, 0.0), "error: a latitude lies"},
		{"GEO_DISTANCE", a(1.0, 0.0, 0.0, 0.0, "FURLONG"), "error: the unit of a distance"},
		{"GREATEST", a(1, int64(2)), "bind: function GREATEST takes"},
		{"GREATEST", a(1, 2.5, int64(2), nil), "2.5"},
		{"GREATEST", a(nil, nil), "bind: function GREATEST: all arguments are NULL"},
		{"GREATEST", a(), "bind:"},
		{"GREATEST", a("a", 1), "bind:"},
		{"LEAST", a("hello", nil, "aardvark"), "aardvark"},
		{"LEAST", a([]byte("b"), []byte("a")), "YQ=="},
		{"COALESCE", a(), "bind: function COALESCE takes"},
		{"COALESCE", a(nil, 3), "3"},
		{"NULLIF", a(1.5, 1.5), "null"},
		{"NULLIF", a(nil, "x"), "null"},
		{"NULLIF", a("x", nil), "x"},
	})
}

func TestCollections(t *testing.T) {
	ints := func(v ...any) typed { return list(flow.Int, v...) }
	m := typed{
		flow.Map(flow.String, flow.Int),
		[]flow.Entry{{Key: "b", Value: int32(2)}, {Key: "a", Value: int32(1)}},
	}
	none := typed{flow.Array(flow.Int), nil}
	i := func(n int) any { return int32(n) }
	check(t, []callCase{
		{"ARRAY_CONTAINS", a(ints(i(1), nil), nil), "true"},
		{"ARRAY_CONTAINS", a(none, 1), "false"},
		{"ARRAY_CONTAINS", a(ints(i(1)), "1"), "bind:"},
		{"ARRAY_REMOVE", a(ints(i(1), nil, i(2)), nil), "[1,2]"},
		{"ARRAY_REMOVE", a(none, 2), "null"},
		{"ARRAY_CONCAT", a(none, ints(i(1))), "[1]"},
		{"ARRAY_CONCAT", a(none, none), "null"},
		{"ARRAY_UNION", a(ints(i(0), i(0), i(1), i(-1)), ints(i(1), i(-2), i(0))), "[0,1,-1,-2]"},
		{"ARRAY_UNION", a(none, ints()), "null"},
		{"ARRAY_INTERSECT", a(ints(i(0), nil), ints(nil)), "[null]"},
		{"ARRAY_EXCEPT", a(ints(i(1), nil, i(1)), ints()), "[1,null]"},
		{"ARRAY_MAX", a(ints(nil, nil)), "null"},
		{"ARRAY_MAX", a(list(flow.String, "Foo", "baz", nil)), "baz"},
		{"ARRAY_MAX", a(list(flow.Array(flow.Int), []any{})), "bind:"},
		{"ARRAY_SORT", a(ints(i(3), nil, i(1)), "desc"), "[3,1,null]"},
		{"ARRAY_SORT", a(ints(), "sideways"), "error: an order is"},
		{"ARRAY_JOIN", a(list(flow.Double, 1.23, nil, 0.0), nil), "1.23null0.0"},
		{"ARRAY_JOIN", a(list(flow.Boolean, true, nil)), "true,null"},
		{"ARRAY_LENGTH", a(none), "null"},
		{"SLICE", a(ints(i(1), i(2), i(3)), nil, 2), "[1,2]"},
		{"SLICE", a(ints(i(1), i(2)), 0, 1), "null"},
		{"SLICE", a(ints(i(1), i(2)), 1, 9), "null"},
		{"GENERATE_SERIES", a(4, 0), "[4,3,2,1,0]"},
		{"GENERATE_SERIES", a(int64(1), int64(3)), "[1,2,3]"},
		{"GENERATE_SERIES", a(0, 3, 0), "error: the step"},
		{"GENERATE_SERIES", a(0, 3, -1), "error: the step"},
		{"GENERATE_SERIES", a(int64(-9223372036854775808), int64(9223372036854775807)), "error: the series has more"},
		{"MAP_KEYS", a(m), `["b","a"]`},
		{"MAP_UNION", a(m, typed{m.t, nil}), `{"b":2,"a":1}`},
		{"ENTRIES", a(m, true), `[{"K":"a","V":1},{"K":"b","V":2}]`},
		{"AS_MAP", a(list(flow.String, "a", nil, "a"), ints(i(1), i(2), i(3))), `{"a":3}`},
	})
}

func TestRegexpAndURL(t *testing.T) {
	check(t, []callCase{
		{"REGEXP_EXTRACT", a("(.*) (.*)", "agavra", 2), "null"},
		{"REGEXP_EXTRACT", a("a", "a", 9), "null"},
		{"REGEXP_EXTRACT", a("(?=x)", "a"), "error: the regular expression '(?=x)' uses looking ahead"},
		{"REGEXP_EXTRACT", a("(", "a"), "error: the regular expression '(' is not valid"},
		{"REGEXP_EXTRACT_ALL", a("test.", "anothertest"), "[]"},
		{"REGEXP_EXTRACT_ALL", a("test.", nil), "null"},
		{"REGEXP_EXTRACT_ALL", a("(a)|b", "ab", 1), `["a",null]`},
		{"REGEXP_REPLACE", a("abc", "(b)", "[$1$0\\$1]"), "a[bb$1]c"},
		{"REGEXP_REPLACE", a("abc", "b", "$7"), "error: the replacement '$7' names a group"},
		{"REGEXP_REPLACE", a("abc", "(?P<x>b)", "<${x}>"), "a<b>c"},
		{"REGEXP_SPLIT_TO_ARRAY", a("aabcda", "(ab|cd)"), `["a","","a"]`},
		{"REGEXP_SPLIT_TO_ARRAY", a("abc", ""), `["a","b","c"]`},
		{"URL_EXTRACT_PATH", a("http://www.test.com?query#fragment"), ""},
		{"URL_EXTRACT_QUERY", a("http://test@confluent.io:8080/path"), "null"},
		{"URL_EXTRACT_PORT", a("http://test@confluent.io"), "null"},
		{"URL_EXTRACT_HOST", a("http://%zz"), "null"},
		{"URL_EXTRACT_HOST", a("mailto:a@b"), "null"},
		{"URL_EXTRACT_PARAMETER", a("http://t.com?a%20b=c%20d&x", "a b"), "c d"},
		{"URL_EXTRACT_PARAMETER", a("http://t.com?a=1&x", "x"), "null"},
		{"URL_ENCODE_PARAM", a("a~b*ü"), "a%7Eb*%C3%BC"},
		{"URL_DECODE_PARAM", a("%zz"), "error:"},
		{"UUID", a([]byte("short")), "error: a UUID has 16 bytes"},
		{"NOW", a(), "error: the engine was given no clock"},
		{"RANDOM", a(), "error: the engine was given no clock"},
	})
}
