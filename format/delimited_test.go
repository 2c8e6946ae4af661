package format

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

func TestDelimitedDecode(t *testing.T) {
	list := fields("i", flow.Int, "s", flow.String, "d", flow.Double)
	one := func(typ flow.Type) []arrow.Field { return fields("v", typ) }
	cases := []struct {
		name, format string
		list         []arrow.Field
		delim        string
		in, want     string
	}{
		{"plain", "DELIMITED", list, "", `1,a,2.5`, `1 "a" 2.5`},
		{"quoted", "DELIMITED", list, "", `"1","a,""b""","2"`, `1 "a,\"b\"" 2.0`},
		{"line break in quotes", "DELIMITED", list, "", "1,\"a\nb\",2", `1 "a\nb" 2.0`},
		{"a line break at the end", "DELIMITED", list, "", "1,a,2\r\n", `1 "a" 2.0`},
		{"empty is NULL", "DELIMITED", list, "", `,,`, `null null null`},
		{"quoted empty is NULL", "DELIMITED", list, "", `1,"",`, `1 null null`},
		{"quoted empty text in CSV", "CSV", list, "", `1,"",`, `1 "" null`},
		{"blanks around numbers", "DELIMITED", list, "", ` 1 , a , 2 `, `1 " a " 2.0`},
		{"a quote inside", "DELIMITED", list, "", `1,5" pipe,2`, `1 "5\" pipe" 2.0`},
		{"null record", "DELIMITED", list, "", `<null>`, `null null null`},
		{"too few", "DELIMITED", list, "", `1,a`, `bad: the record has 2 fields, 3 are declared`},
		{"too many", "DELIMITED", list, "", `1,a,2,`, `bad: the record has 4 fields, 3 are declared`},
		{"empty record", "DELIMITED", list, "", ``, `bad: the record has 1 fields, 3 are declared`},
		{"quote not closed", "DELIMITED", list, "", `1,"a,2`, `bad: a quoted field is not closed`},
		{"after a quote", "DELIMITED", list, "", `1,"a"b,2`, `bad: the delimiter does not follow the closing quote`},
		{"two lines", "DELIMITED", list, "", "1,a,2\n1,a,2", `bad: a line break is outside quotes`},
		{"not a number", "DELIMITED", list, "", `x,a,2`, `bad: column i is INTEGER: "x" is not a number`},
		{"not whole", "DELIMITED", list, "", `1.5,a,2`, `bad: column i is INTEGER: "1.5" is not a whole number`},
		{"not UTF-8", "DELIMITED", list, "", "1,\xff,2", `bad: column s: the text is not UTF-8`},
		{"pipe", "DELIMITED", list, "|", `1|a,b|2`, `1 "a,b" 2.0`},
		{"tab", "DELIMITED", list, "TAB", "1\t\"a\tb\"\t2", `1 "a\tb" 2.0`},
		{"space", "DELIMITED", list, "space", "1 a 2", `1 "a" 2.0`},
		{"one field", "DELIMITED", one(flow.String), "", ``, `null`},
		{"boolean", "DELIMITED", one(flow.Boolean), "", `TRUE`, `true`},
		{"no boolean", "DELIMITED", one(flow.Boolean), "", `yes`, `bad: column v is BOOLEAN: "yes" is neither true nor false`},
		{"decimal", "DELIMITED", one(flow.Decimal(5, 3)), "", `.12`, `0.120`},
		{"bytes", "DELIMITED", one(flow.Bytes), "", `AQI=`, `"AQI="`},
		{"no base64", "DELIMITED", one(flow.Bytes), "", `!`, `bad: column v is BYTES: "!" is not base64`},
		{"timestamp", "DELIMITED", one(flow.Timestamp), "", `1700000000000`, `1700000000000`},
		{"no ISO in DELIMITED", "DELIMITED", one(flow.Timestamp), "", `2020-01-31`, `bad: column v is TIMESTAMP: "2020-01-31" is not a number`},
		{"ISO timestamp in CSV", "CSV", one(flow.Timestamp), "", `2020-01-31T12:34:56.789+01:00`, `1580470496789`},
		{"ISO date in CSV", "CSV", one(flow.Date), "", `1969-12-31`, `-1`},
		{"ISO time in CSV", "CSV", one(flow.TimeOfDay), "", `12:34:56.789`, `45296789`},
		{"no time in CSV", "CSV", one(flow.Date), "", `31.1.2020`, `bad: column v is DATE: "31.1.2020" is neither a number nor ISO 8601`},
		{"time out of range", "DELIMITED", one(flow.TimeOfDay), "", `86400000`, `bad: column v is TIME: "86400000" is out of range`},
		{"float", "DELIMITED", one(flow.Float), "", `1e39`, `bad: column v is FLOAT: "1e39" is out of range`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := Spec{Name: c.format, Fields: c.list}
			if c.delim != "" {
				spec.Options = map[string]string{"delimiter": c.delim}
			}
			codec := mustNew(t, spec)
			in := records(c.in, c.in)
			if got := decode(t, codec, in, all(c.list)); got != c.want+"\n"+c.want {
				t.Errorf("%s, want twice %s", got, c.want)
			}
		})
	}
}

func TestDelimitedEncode(t *testing.T) {
	list := fields("a", flow.String, "b", flow.String, "c", flow.Double, "d", flow.Decimal(4, 2))
	cases := []struct {
		row  []any
		csv  string // as format CSV
		want string
	}{
		{[]any{"x", "y", 1e10, nil}, "", `x,y,1.0E10,`},
		{[]any{"a,b", `a"b`, 0.5, nil}, "", `"a,b","a""b",0.5,`},
		{[]any{nil, nil, nil, nil}, "", `,,,`},
		{[]any{"", "", nil, nil}, `"","",,`, `"",,,`},
		{[]any{"-1", "-1", -1.0, nil}, "", `"-1",-1,-1.0,`},
		{[]any{"é", "é", nil, nil}, "", `"é",é,,`},
		{[]any{" a", "a ", nil, nil}, "", `" a","a ",,`},
		{[]any{"#", "#a\n", nil, nil}, "", "\"#\",\"#a\n\",,"},
		{[]any{`"`, `""`, nil, nil}, "", `"""","""""",,`},
	}
	for _, c := range cases {
		cols := make([]arrow.Array, len(list))
		for i, v := range c.row {
			cols[i] = flow.Column(list[i].Type, v)
		}
		if c.csv == "" {
			c.csv = c.want
		}
		for name, want := range map[string]string{"DELIMITED": c.want, "CSV": c.csv} {
			got, err := mustNew(t, Spec{Name: name, Fields: list}).Encode([]byte("<"), cols, 0)
			if err != nil || string(got) != "<"+want {
				t.Errorf("%s: %s %v, want %s", name, got, err, want)
			}
		}
	}
}

// TestCSVRoundTrip encodes and decodes any text with any delimiter. The empty text and NULL remain distinct.
func TestCSVRoundTrip(t *testing.T) {
	list := fields("a", flow.String, "b", flow.String)
	rapid.Check(t, func(t *rapid.T) {
		delim := rapid.SampledFrom([]string{",", "|", "TAB", "SPACE", "x"}).Draw(t, "delimiter")
		codec, err := New(Spec{Name: "CSV", Fields: list, Options: map[string]string{"delimiter": delim}})
		if err != nil {
			t.Fatal(err)
		}
		cols := make([]arrow.Array, 2)
		for i := range cols {
			var v any
			if rapid.Bool().Draw(t, "not null") {
				v = rapid.StringMatching("[a,|\t x\"\r\né]{0,6}").Draw(t, "text")
			}
			cols[i] = flow.Column(flow.String, v)
		}
		record, err := codec.Encode(nil, cols, 0)
		if err != nil {
			t.Fatal(err)
		}
		in := &topic.Bytes{}
		in.Append(record)
		back, bad, err := codec.Decode(in, []int{0, 1})
		if err != nil || show(back, 1, bad) != show(cols, 1, nil) {
			t.Fatalf("%q: %s, want %s", record, show(back, 1, bad), show(cols, 1, nil))
		}
	})
}

func TestKafka(t *testing.T) {
	cases := []struct {
		typ      flow.Type
		in, want string
	}{
		{flow.Int, "\x00\x00\x00\x01", `1`}, {flow.Int, "\xff\xff\xff\xff", `-1`}, {flow.Int, "1", `bad: column v is INTEGER, which takes 4 bytes, the record has 1`},
		{flow.Bigint, "\x00\x00\x00\x00\x00\x00\x01\x00", `256`}, {flow.Bigint, "\x00\x00\x00\x01", `bad: column v is BIGINT, which takes 8 bytes, the record has 4`},
		{flow.Double, "\x3f\xf8\x00\x00\x00\x00\x00\x00", `1.5`}, {flow.Float, "\x3f\xc0\x00\x00", `1.5`},
		{flow.String, "hey", `"hey"`}, {flow.String, "", `""`}, {flow.String, "\xff", `bad: column v: the text is not UTF-8`},
		{flow.Bytes, "\xff\x00", `"/wA="`}, {flow.String, "<null>", `null`},
	}
	for _, c := range cases {
		list := fields("v", c.typ)
		codec := mustNew(t, Spec{Name: "KAFKA", Fields: list, Unwrapped: true})
		in := records(c.in)
		if got := decode(t, codec, in, []int{0}); got != c.want {
			t.Errorf("%s %q: %s, want %s", flow.TypeName(c.typ), c.in, got, c.want)
		}
		cols, bad, _ := codec.Decode(in, []int{0})
		if bad != nil {
			continue
		}
		back, err := codec.Encode(nil, cols, 0)
		if err != nil || (back == nil) != (c.in == "<null>") || back != nil && string(back) != c.in {
			t.Errorf("%s %q is written %q, %v", flow.TypeName(c.typ), c.in, back, err)
		}
	}
}

func TestNone(t *testing.T) {
	codec := mustNew(t, Spec{Name: "none"})
	if cols, bad, err := codec.Decode(records("x", "<null>"), nil); len(cols) != 0 || bad != nil || err != nil {
		t.Error(cols, bad, err)
	}
	if got, err := codec.Encode(nil, nil, 0); got != nil || err != nil {
		t.Error(got, err)
	}
}

func TestNewErrors(t *testing.T) {
	v := fields("v", flow.Int)
	two := fields("a", flow.Int, "b", flow.Int)
	cases := []struct {
		spec Spec
		want string
	}{
		{Spec{Name: "JSONN"}, `unknown format "JSONN"; did you mean JSON?`},
		{Spec{Name: "delimted"}, `did you mean DELIMITED?`},
		{Spec{Name: "thrift"}, `unknown format "thrift"; known are CSV, DELIMITED, JSON, KAFKA, NONE, RAW`},
		{Spec{Name: "avro"}, `format AVRO is not supported yet`},
		{Spec{Name: "KAFKA", Fields: two}, `format KAFKA: a record is a single column, 2 are given`},
		{Spec{Name: "KAFKA", Fields: fields("v", flow.Boolean)}, `column v has type BOOLEAN, which is not supported`},
		{Spec{Name: "RAW", Fields: v}, `column v has type INTEGER, which is not supported`},
		{Spec{Name: "NONE", Fields: v}, `format NONE: a record holds no columns, 1 are given`},
		{Spec{Name: "JSON", Fields: two, Unwrapped: true}, `needs exactly one column, 2 are given`},
		{Spec{Name: "JSON", Fields: fields("m", flow.Map(flow.Int, flow.Int))}, `column m is a MAP whose keys are not STRING`},
		{Spec{Name: "JSON", Fields: fields("x", arrow.PrimitiveTypes.Uint8)}, `column x has type UINT8, which is not supported`},
		{Spec{Name: "DELIMITED", Fields: fields("l", flow.Array(flow.Int))}, `column l has type ARRAY<INTEGER>, which is not supported; use JSON`},
		{Spec{Name: "DELIMITED", Fields: v, Options: map[string]string{"delimiter": " "}}, `SPACE or TAB, not " "`},
		{Spec{Name: "DELIMITED", Fields: v, Options: map[string]string{"delimiter": ""}}, `SPACE or TAB, not ""`},
		{Spec{Name: "DELIMITED", Fields: v, Options: map[string]string{"delimiter": "||"}}, `is one ASCII character`},
		{Spec{Name: "DELIMITED", Fields: v, Options: map[string]string{"delimiter": `"`}}, `other than the quote`},
	}
	for _, c := range cases {
		_, err := New(c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
		if err != nil && strings.Contains(c.want, "not supported") && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v is not ErrUnsupported", err)
		}
	}
}
