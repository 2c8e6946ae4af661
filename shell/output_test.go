package shell

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/flow"
)

// resultOf returns a small result with a key, a number and a text.
func resultOf(ops []flow.Op, keys []any, numbers []any, texts []any) (*streamql.Rows, *flow.Batch) {
	fields := []arrow.Field{flow.Field("id", flow.Int), flow.Field("v", flow.Double), flow.Field("name", flow.String)}
	cols := []arrow.Array{flow.Column(flow.Int, keys...), flow.Column(flow.Double, numbers...), flow.Column(flow.String,
		texts...)}
	rows := &streamql.Rows{Bounded: true, Changes: ops != nil}
	for _, f := range fields {
		rows.Columns = append(rows.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	rows.Columns[0].Role = catalog.Key
	return rows, flow.NewBatch(flow.NewSchema(fields), cols, len(keys), ops)
}

func printed(t *testing.T, look Look, rows *streamql.Rows, batches ...*flow.Batch) (string, int64) {
	t.Helper()
	var out strings.Builder
	p, err := NewPrinter(&out, rows, look)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := p.Print(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), p.Lost()
}

func TestFormats(t *testing.T) {
	rows, b := resultOf(nil, []any{int32(1), int32(22), nil}, []any{1.5, math.NaN(), 1e10}, []any{"a,\"b\"", nil,
		"x\n\x1b[31m"})
	for _, c := range []struct {
		format, want string
		lost         int64
	}{
		{"jsonl", `{"id":1,"v":1.5,"name":"a,\"b\""}` + "\n" + `{"id":22,"v":null,"name":null}` + "\n" +
			`{"id":null,"v":1.0E10,"name":"x\n\u001B[31m"}` + "\n", 1},
		{"json", "[\n  " + `{"id":1,"v":1.5,"name":"a,\"b\""},` + "\n  " + `{"id":22,"v":null,"name":null},` + "\n  " +
			`{"id":null,"v":1.0E10,"name":"x\n\u001B[31m"}` + "\n]\n", 1},
		{"csv", "id,v,name\r\n1,1.5,\"a,\"\"b\"\"\"\r\n22,,\r\n,1.0E10,\"x\n\x1b[31m\"\r\n", 1},
		{"table", " id   │      v │ name\n    1 │    1.5 │ a,\"b\"\n   22 │    NaN │ NULL\n NULL │ 1.0E10 │ x⏎␛[31m\n", 0},
	} {
		got, lost := printed(t, Look{Format: c.format}, rows, b)
		if c.format == "table" { // names are aligned as their columns
			c.want = strings.Replace(c.want, " id   │", "   id │", 1)
		}
		if got != c.want || lost != c.lost {
			t.Errorf("%s: got\n%q (%d lost), want\n%q (%d lost)", c.format, got, lost, c.want, c.lost)
		}
	}
}

func TestEmptyResults(t *testing.T) {
	rows, _ := resultOf(nil, nil, nil, nil)
	for format, want := range map[string]string{"jsonl": "", "json": "[]\n", "csv": "id,v,name\r\n",
		"table": " id │ v │ name\n"} {
		if got, _ := printed(t, Look{Format: format}, rows); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	ops := []flow.Op{flow.Insert, flow.Retract, flow.Insert, flow.Retract}
	rows, b := resultOf(ops, []any{int32(1), int32(1), int32(1), int32(1)}, []any{1.0, 1.0, 2.0, 2.0},
		[]any{"a", "a", "b", "b"})
	want := `{"_op":"upsert","id":1,"v":1.0,"name":"a"}` + "\n" + `{"_op":"upsert","id":1,"v":2.0,"name":"b"}` + "\n" +
		`{"_op":"delete","id":1,"v":2.0,"name":"b"}` + "\n"
	if got, _ := printed(t, Look{Format: "jsonl"}, rows, b); got != want {
		t.Errorf("with a key: got\n%swant\n%s", got, want)
	}
	rows.Columns[0].Role = catalog.Value
	got, _ := printed(t, Look{Format: "csv"}, rows, b)
	if want := "_op,id,v,name\r\n+,1,1.0,a\r\n-,1,1.0,a\r\n+,1,2.0,b\r\n-,1,2.0,b\r\n"; got != want {
		t.Errorf("without a key: got %q, want %q", got, want)
	}
}

func TestTypes(t *testing.T) {
	cols := []arrow.Array{
		flow.Column(flow.Timestamp, arrow.Timestamp(1577836800123)), flow.Column(flow.Bytes, []byte{1, 2, 255}),
		flow.Column(flow.Array(flow.Double), []any{1.0, math.Inf(1)}),
		flow.Column(flow.Boolean, true), flow.Column(flow.Bigint, int64(9007199254740993)),
	}
	rows := &streamql.Rows{Bounded: true}
	var fields []arrow.Field
	for i, c := range cols {
		fields = append(fields, flow.Field(string(rune('a'+i)), c.DataType()))
		rows.Columns = append(rows.Columns, catalog.Column{Name: fields[i].Name, Type: c.DataType()})
	}
	b := flow.NewBatch(flow.NewSchema(fields), cols, 1, nil)
	got, lost := printed(t, Look{Format: "jsonl"}, rows, b)
	if want := `{"a":"2020-01-01T00:00:00.123Z","b":"AQL/","c":[1.0,null],"d":true,"e":9007199254740993}` +
		"\n"; got != want || lost != 1 {
		t.Errorf("got %s (%d lost), want %s", got, lost, want)
	}
	got, _ = printed(t, Look{Format: "jsonl", Dialect: dialect.Set(0).With(dialect.TimesAsNumbers)}, rows, b)
	if !strings.HasPrefix(got, `{"a":1577836800123,`) {
		t.Errorf("ksql: got %s", got)
	}
	got, _ = printed(t, Look{Format: "csv"}, rows, b)
	if want := "a,b,c,d,e\r\n2020-01-01T00:00:00.123Z,AQL/,\"[1.0,null]\",true,9007199254740993\r\n"; got != want {
		t.Errorf("csv: got %q, want %q", got, want)
	}
}

func TestNarrowTerminal(t *testing.T) {
	rows, b := resultOf(nil, []any{int32(1)}, []any{0.1}, []any{strings.Repeat("wide字", 30)})
	got, _ := printed(t, Look{Format: "table", Width: 40}, rows, b)
	for _, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if n := len([]rune(line)) + strings.Count(line, "字"); n > 40 {
			t.Errorf("%d columns wide: %s", n, line)
		}
	}
	if !strings.Contains(got, "…") {
		t.Errorf("nothing shows that the text was truncated:\n%s", got)
	}
	got, _ = printed(t, Look{Format: "table", Expanded: true}, rows, b)
	if !strings.Contains(got, "row 1\n id   │ 1\n v    │ 0.1\n name │ wide字") {
		t.Errorf("one column a line: got\n%s", got)
	}
}

func TestEqualNames(t *testing.T) {
	rows, b := resultOf(nil, []any{int32(1)}, []any{2.0}, []any{"x"})
	rows.Columns[1].Name = "id"
	if got, _ := printed(t, Look{Format: "jsonl"}, rows, b); got != `{"id":1,"id_2":2.0,"name":"x"}`+"\n" {
		t.Errorf("got %s", got)
	}
}

func TestFormatErrors(t *testing.T) {
	rows, _ := resultOf(nil, nil, nil, nil)
	rows.Bounded = false
	if _, err := NewPrinter(nil, rows, Look{Format: "json"}); err == nil || !strings.HasPrefix(err.Error(), "SQ3010") {
		t.Errorf("json without an end: %v", err)
	}
	if _, err := NewPrinter(nil, rows, Look{Format: "tabel"}); err == nil || !strings.Contains(err.Error(),
		"did you mean table?") {
		t.Errorf("a mistyped format: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 950: "950", 999.6: "1.0 k", 1234: "1.2 k", 116_000: "116 k",
		1_940_000: "1.9 M", 3e9: "3.0 G"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) is %q, want %q", v, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) is %q, want %q", n, got, want)
		}
	}
	if got := Spark([]float64{8, 4, 2, 1, math.NaN(), 1}); got != "█▄▂▁ ▁" {
		t.Errorf("Spark: %q", got)
	}
	if got := bar(79, 16); got != "████████████▌░░░" {
		t.Errorf("bar: %q", got)
	}
}
