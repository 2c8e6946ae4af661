package reference_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/topic"
)

func out(list ...string) map[string][]reference.Output {
	var rows []reference.Output
	for _, r := range list {
		key, value, _ := strings.Cut(r, "=")
		rec := topic.Record{Value: []byte(value)}
		if key != "" {
			rec.Key = []byte(key)
		}
		rows = append(rows, reference.Output{Record: rec})
	}
	return map[string][]reference.Output{"t": rows}
}

func TestDiff(t *testing.T) {
	want := out("a=1", "b=1", "a=2", "=x", "=y")
	for _, c := range []struct {
		name string
		got  map[string][]reference.Output
		says string
	}{
		{"the same", out("a=1", "b=1", "a=2", "=x", "=y"), ""},
		{"keys in another order", out("b=1", "=y", "a=1", "a=2", "=x"), ""},
		{"a key's rows in another order", out("a=2", "b=1", "a=1", "=x", "=y"), "topic t, key 'a': record 1 of 2 is 'a': 2"},
		{"a row twice", out("a=1", "b=1", "b=1", "a=2", "=x", "=y"), "topic t, key 'b': 2 records, not 1; 'b': 1 at 0 in partition 0 is additional"},
		{"a row lost", out("a=1", "b=1", "a=2", "=x"), "topic t, key none: 1 records, not 2; none: y at 0 in partition 0 is missing"},
		{"all lost", nil, "'a': 1 at 0 in partition 0 is missing"},
	} {
		if d := reference.Diff(want, c.got); c.says == "" && d != "" || !strings.Contains(d, c.says) {
			t.Errorf("%s: %q, not %q", c.name, d, c.says)
		}
	}
}

// TestUncovered checks that unsupported constructs are reported before any row is processed.
func TestUncovered(t *testing.T) {
	const s = "CREATE STREAM s (k INT KEY, v INT, w ARRAY<INT>) WITH (kafka_topic='s');\n"
	for text, what := range map[string]string{
		"CREATE STREAM o AS SELECT k, RANDOM() AS r FROM s;":             "function RANDOM",
		"CREATE TABLE o AS SELECT k, TOPK(v, 2) AS r FROM s GROUP BY k;": "aggregate TOPK",
		"CREATE STREAM o AS SELECT k, CUBE_EXPLODE(w) AS r FROM s;":      "table function CUBE_EXPLODE",
		"CREATE STREAM o AS SELECT k, v FROM s SINCE LATEST;":            "a scan clause with LATEST",
		"DROP STREAM s;": "statement DROP STREAM",
	} {
		_, err := reference.Job(s+text, reference.Options{}, nil)
		if u := new(reference.Uncovered); !errors.As(err, &u) || u.What != what {
			t.Errorf("%s: %v, not %q", text, err, what)
		}
	}
}
