package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// run runs a file's text and returns its report.
func run(t *testing.T, text string, o Options) (*Summary, string, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f.sqltest")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o.Out = &out
	s, err := Run(context.Background(), []string{filepath.Dir(file)}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, strings.ReplaceAll(out.String(), filepath.Dir(file)+"/", ""), file
}

const stream = "--- sql\nCREATE STREAM s (id INT KEY, v INT) WITH (kafka_topic='s');\nCREATE STREAM t AS SELECT id, v + 1 AS w FROM s;\n"
const one = "--- input\n{\"topic\":\"s\",\"key\":1,\"value\":{\"v\":1},\"timestamp\":7}\n"

// TestReport checks that each kind of failure is reported with its position and the actual value.
func TestReport(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"value": {stream + one + "--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":3}}\n",
			"FAIL f.sqltest:8: f/c: record 1 of topic t: the value differs\n  expected {\"topic\":\"t\",\"key\":1,\"value\":{\"w\":3}}\n  got      {\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2}}\n"},
		"key": {stream + one + "--- output\n{\"topic\":\"t\",\"key\":2,\"value\":{\"w\":2}}\n", "the key differs"},
		"time": {stream + one + "--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2},\"timestamp\":8}\n",
			"the timestamp differs\n  expected {\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2},\"timestamp\":8}\n  got      {\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2},\"timestamp\":7}"},
		"window": {stream + one +
			"--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2},\"window\":{\"type\":\"TIME\",\"start\":0,\"end\":1}}\n", "the window differs"},
		"headers": {stream + one +
			"--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2},\"headers\":[{\"key\":\"h\",\"value_base64\":null}]}\n", "the number of headers differs"},
		"missing": {stream + "--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2}}\n",
			"topic t has 0 records, not 1; the first missing record is"},
		"many": {stream + one + one + "--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2}}\n",
			"topic t has 2 records, not 1"},
		"unordered": {stream + one + "--- output unordered\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":3}}\n",
			"topic t lacks a record"},
		"topic":     {stream + one + "--- output\n{\"topic\":\"x\",\"key\":1}\n", "topic \"x\" does not exist"},
		"statement": {"--- sql\nCREATE STREAM s (id INT KEY, v INT) WITH (kafka_topic='s');\nCREATE STREAM t AS\nSELECT id, x FROM s;\n", "FAIL f.sqltest:5: f/c: statement 2 failed (plan): SQ2003"},
		"no error":  {stream + "--- error\n{\"stage\":\"plan\"}\n", "an error was expected, but all statements succeeded"},
		"stage": {"--- sql\nSELCT;\n--- error\n{\"stage\":\"plan\"}\n",
			"FAIL f.sqltest:5: f/c: the error has stage parse, not plan"},
		"number": {"--- sql\nSELCT;\nSHOW STREAMS;\n--- error\n{\"statement\":2}\n",
			"statement 1 failed instead of statement 2"},
		"mentions": {"--- sql\nSELCT;\n--- error\n{\"mentions\":[\"nothing\"]}\n", "the error mentions none of nothing"},
		"rows": {stream + one + "--- query\nSELECT id, v FROM s;\n--- rows\n[1,2]\n",
			"FAIL f.sqltest:10: f/c: row 1 is missing\n  expected [1,2]\n  got      [1,1]\n"},
		"more rows": {stream + one + "--- query\nSELECT id, v FROM s;\n--- rows\n", "1 rows, not 0\n  got      [1,1]\n"},
		"source": {stream + "--- sources\n{\"name\":\"t\",\"schema\":\"id INT KEY, w BIGINT\"}\n",
			"t: the schema differs\n  expected ID INT KEY,W BIGINT\n  got      ID INT KEY,W INT\n"},
		"no source": {stream + "--- sources\n{\"name\":\"u\"}\n", "source \"u\" does not exist"},
		"created":   {stream + "--- created\n{\"name\":\"t\",\"partitions\":2}\n", "topic \"t\" has 1 partitions, not 2"},
		"property":  {"--- properties\nno=thing\n" + stream, "line 3: property no: "},
		"partition": {stream + "--- input\n{\"topic\":\"s\",\"key\":1,\"value\":{},\"partition\":3}\n",
			"topic s has 1 partitions, and no partition 3"},
	} {
		s, out, _ := run(t, "=== c\n"+c.text, Options{})
		if s.Failed != 1 || !strings.Contains(out, c.want) ||
			!strings.HasSuffix(out, "1 cases: 0 passed, 1 failed, 0 skipped\n") {
			t.Errorf("%s: got\n%swant\n%s", name, out, c.want)
		}
	}
}

func TestSkipAndSelect(t *testing.T) {
	text := "=== a\n--- needs\nnothing.csv\n" + stream + "=== b\n" + stream
	s, out, _ := run(t, text, Options{})
	if s.Skipped != 1 || s.Passed != 1 ||
		!strings.Contains(out, "SKIP f.sqltest:1: f/a: it needs nothing.csv, which is not there\n") {
		t.Errorf("got %s", out)
	}
	if s, _, _ := run(t, text, Options{Run: regexp.MustCompile("/b$")}); len(s.Results) != 1 || s.Passed != 1 {
		t.Errorf("got %v", s)
	}
}

func TestMachineReports(t *testing.T) {
	text := "=== good\n" + stream + "=== bad <&>\n" + stream + one + "--- output\n{\"topic\":\"t\"}\n"
	_, out, _ := run(t, text, Options{Report: "junit"})
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Line    int    `xml:"line,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(out), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 2 || suite.Failures != 1 || suite.Cases[0].Failure != nil || suite.Cases[1].Name != "bad <&>" ||
		suite.Cases[1].Line != 12 || suite.Cases[1].Failure == nil {
		t.Errorf("got %+v\n%s", suite, out)
	}
	_, out, _ = run(t, text, Options{Report: "jsonl"})
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var bad struct{ ID, Result, Message, Got string }
	if err := json.Unmarshal([]byte(lines[1]), &bad); err != nil || len(lines) != 3 || bad.ID != "f/bad <&>" ||
		bad.Result != "failed" || bad.Got == "" {
		t.Errorf("%v: %+v\n%s", err, bad, out)
	}
	var emitted bytes.Buffer
	run(t, text, Options{Emit: &emitted})
	lines = strings.Split(strings.TrimSpace(emitted.String()), "\n")
	want := `{"id":"f/bad <&>","outputs":[{"topic":"t","key":1,"value":{"w":2},"timestamp":7,"headers":null,"window":null}],"rows":[],"sources":[{"name":"s","type":"STREAM","schema":"` + "`id` INTEGER KEY, `v` INTEGER" + `"},{"name":"t","type":"STREAM","schema":"` + "`id` INTEGER KEY, `w` INTEGER" + `"}],"error":null}`
	if lines[1] != want {
		t.Errorf("emitted %s\nwant    %s", lines[1], want)
	}
}

// TestUpdate checks that update replaces the expectations, leaves comments and other sections unchanged, and
// makes all cases pass.
func TestUpdate(t *testing.T) {
	text := "# keep\n=== c\n" + stream + one +
		"--- output\n# keep too\n{\"topic\":\"t\",\"key\":9}\n\n--- query\nSELECT id, v FROM s;\n--- rows\n\n=== e\n--- sql\nSELCT;\n--- error\n{\"statement\":7}\n=== ok\n" + stream
	_, _, file := run(t, text, Options{Update: true})
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# keep\n=== c\n",
		one + "--- output\n{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2}}\n\n--- query", "--- rows\n[1,1]\n\n=== e",
		"--- error\n{\"statement\":1,\"stage\":\"parse\"}\n=== ok\n" + stream} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the file has\n%swithout\n%s", got, want)
		}
	}
	if s, out, _ := run(t, string(got), Options{}); s.Failed != 0 {
		t.Errorf("after the update:\n%s", out)
	}
}

func TestArguments(t *testing.T) {
	ctx := context.Background()
	if _, err := Run(ctx, []string{"nowhere"}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, o := range []Options{{Dialect: "oracle"}, {Schedule: "x"}, {Report: "x"},
		{Update: true, Emit: &bytes.Buffer{}}} {
		if _, err := Run(ctx, nil, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	file := filepath.Join(t.TempDir(), "x.sqltest")
	if err := os.WriteFile(file, []byte("=== a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var bad *FileError
	if _, err := Run(ctx, []string{file}, Options{}); !errors.As(err, &bad) || bad.Line != 1 {
		t.Errorf("got %v", err)
	}
}

// TestTimeLimit checks that a case that does not end fails, and that the others continue.
func TestTimeLimit(t *testing.T) {
	s, out, _ := run(t, "=== a\n"+stream+one, Options{Timeout: time.Nanosecond})
	if s.Failed != 1 || !strings.Contains(out, "the case did not end within 1ns") {
		t.Errorf("got %s", out)
	}
}

// TestSteps checks that a crash happens at the requested step, and does not change the results.
func TestSteps(t *testing.T) {
	text := "=== a\n" + stream + one + one + one + "--- output\n" +
		strings.Repeat("{\"topic\":\"t\",\"key\":1,\"value\":{\"w\":2}}\n", 3)
	for _, c := range []struct {
		o       Options
		crashes int
	}{{Options{Poll: 1}, 0}, {Options{Poll: 1, Crash: 2}, 1}, {Options{Poll: 1, Crash: -100}, 3},
		{Options{Poll: 1, Crash: -2}, 2}, {Options{Poll: 1, Crash: 99}, 0}} {
		s, out, _ := run(t, text, c.o)
		if s.Failed != 0 || s.Results[0].Crashes != c.crashes {
			t.Errorf("%+v: %d crashes, %d steps\n%s", c.o, s.Results[0].Crashes, s.Results[0].Steps, out)
		}
	}
}
