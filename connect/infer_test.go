package connect

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic/files"
)

// TestInfer: the columns of a file without declared columns have the narrowest type that all records of
// the sample have.
func TestInfer(t *testing.T) {
	known := []files.Format{{Name: "CSV", Endings: []string{".csv"}, Table: true},
		{Name: "JSON", Endings: []string{".jsonl"}}}
	for _, c := range []struct{ name, text, want string }{
		{"a.csv", "b,n,x,d,t,s,id,e\ntrue,1,1.5,2024-01-02,2024-01-02 03:04:05,a,007,\nFALSE,-2,2,2024-01-03,2024-01-02T03:04:05Z,1,1,\n",
			"b BOOLEAN, n BIGINT, x DOUBLE, d DATE, t TIMESTAMP, s STRING, id STRING, e STRING"},
		{"quoted.csv", "\"a b\",c\n\"1\",\"x,\"\"y\"\"\"\n", "a b BIGINT, c STRING"},
		{"mixed.csv", "a\n1\n1.5\nx\n", "a STRING"},
		{"wide.csv", "a\n1\n2,3\n", "a BIGINT"},
		{"gap.csv", "a,b\n1,\n,2.5\n", "a BIGINT, b DOUBLE"},
		{"big.csv", "a\n9223372036854775808\n", "a DOUBLE"},
		{"j.jsonl", `{"a":1,"b":[1,2.5],"o":{"x":true}}` + "\nnot JSON\n" + `{"a":2.5,"n":null,"o":{"y":"z"}}` + "\n",
			"a DOUBLE, b ARRAY<DOUBLE>, o STRUCT<`x` BOOLEAN, `y` STRING>, n STRING"},
		{"bad.jsonl", `{"a":1}` + "\n" + `{"a":"x"}` + "\n",
			`error: field "a": the sample has values of different types; declare the columns`},
		{"none.jsonl", "1\n", "error: the sample has no JSON object with a field; declare the columns"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := files.Open(context.Background(), files.Config{Path: path, Formats: known, Header: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := spelled(inferFiles(context.Background(), src)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestInferWithoutHeader: the columns are numbered.
func TestInferWithoutHeader(t *testing.T) {
	if got := spelled(inferTable(nil, [][]string{{"1", "x"}, {"2", "y"}}), nil); got != "c1 BIGINT, c2 STRING" {
		t.Error(got)
	}
}

func spelled(fields []arrow.Field, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, f := range fields {
		out = append(out, f.Name+" "+flow.TypeName(f.Type))
	}
	return strings.Join(out, ", ")
}
