package conformance

import (
	"strings"
	"testing"
)

const whole = `# a file may open with comments
=== first
# id: group/first 
--- needs
file.csv
--- tolerance
0.001
--- properties
auto.offset.reset = latest
--- topics
{"name":"s","partitions":2,"value_format":"AVRO","value_schema":{"type":"int"}}
--- sql
-- a comment of SQL
CREATE STREAM s;

# not a comment here
--- input
{"topic":"s","key":1,"value":{"v":1.10},"timestamp":5,"window":{"type":"session","start":1,"end":2},"headers":[{"key":"h","value_base64":"AQI="}]}

# a comment
{"topic":"s","key_base64":"AA=="}
--- input after-query
{"topic":"s"}
--- output final
{"topic":"t","value":null}
--- query
SELECT 1;
--- rows unordered
[1, null]
! [2, "x"]
--- sources
{"name":"t","type":"TABLE","schema":"a INT"}
--- created
{"name":"t","partitions":2}
=== second
--- sql
SELECT;
--- error
{"statement":"last","stage":"plan","mentions":["a"]}
`

func TestParse(t *testing.T) {
	cases, err := Parse("dir/file.sqltest", []byte(strings.ReplaceAll(whole, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 2 {
		t.Fatalf("%d cases", len(cases))
	}
	c := cases[0]
	if c.ID != "group/first " || c.Name != "first" || c.Line != 2 || c.Tolerance != 0.001 || c.Needs[0] != "file.csv" {
		t.Errorf("got %+v", c)
	}
	if c.Properties[0] != (Property{"auto.offset.reset", "latest", 9}) || c.Topics[0].Partitions != 2 ||
		string(c.Topics[0].ValueSchema) != `{"type":"int"}` {
		t.Errorf("properties %v, topics %v", c.Properties, c.Topics)
	}
	if want := "-- a comment of SQL\nCREATE STREAM s;\n\n# not a comment here"; c.SQL.SQL != want || c.SQL.Line != 13 {
		t.Errorf("SQL %q at %d", c.SQL.SQL, c.SQL.Line)
	}
	in := c.Input[0]
	if string(in.Value) != `{"v":1.10}` || *in.Timestamp != 5 || *in.Window != (Window{"SESSION", 1, 2}) ||
		string(in.Headers[0].Value) != "\x01\x02" {
		t.Errorf("input %+v", in)
	}
	if len(c.Input) != 2 || string(c.Input[1].KeyBytes) != "\x00" || c.Input[1].Line != 21 || len(c.After) != 1 {
		t.Errorf("inputs %+v, after %+v", c.Input, c.After)
	}
	if c.Outputs[0].Mode != Final || c.Outputs[0].body != (span{25, 26}) {
		t.Errorf("output %+v", c.Outputs[0])
	}
	rows := c.Queries[0].Rows
	if c.Queries[0].SQL != "SELECT 1;" || rows.Mode != Unordered || rows.Rows[0].Deleted || !rows.Rows[1].Deleted ||
		string(rows.Rows[1].Columns) != `[2, "x"]` {
		t.Errorf("query %+v %+v", c.Queries[0], rows)
	}
	if d := cases[1]; d.ID != "file/second" || d.Error.Statement != 0 || d.Error.Stage != "plan" ||
		d.Error.Mentions[0] != "a" {
		t.Errorf("got %+v %+v", d, d.Error)
	}
}

// TestBadFiles checks that each error has its line.
func TestBadFiles(t *testing.T) {
	sql := "=== a\n--- sql\nSELECT 1;\n"
	for text, want := range map[string]string{
		"--- sql\n":                               "1: a section outside a case",
		"hello\n":                                 `1: "hello" is outside a section`,
		"=== \n":                                  "1: a case needs a name",
		"=== a\n--- input\n":                      `2: case "a" of line 1 has no section sql`,
		"=== a\n--- sql\n\n":                      "3: the section sql of line 2 is empty",
		sql + "--- inputs\n":                      `4: unknown section "inputs"`,
		sql + "--- sql\nSELECT 2;\n":              "4: a second section sql",
		sql + "--- output sorted\n":               `4: section output has no option "sorted"`,
		sql + "--- rows\n":                        "4: section rows must follow a section query",
		sql + "--- query\nSELECT 1;\n--- rows\n1": "7: a row must be an array",
		sql + "--- input\n{\"topic\":\"s\",\"valeu\":1}\n":                         `5: the JSON does not match the section: json: unknown field "valeu"`,
		sql + "--- input\n{\"value\":1}\n":                                         "5: a record needs a topic",
		sql + "--- input\n{\"topic\":\"s\"} {}\n":                                  "5: more than one JSON value",
		sql + "--- input\n{\"topic\":\"s\",\n":                                     "5: the JSON does not match the section",
		sql + "--- input\n{\"topic\":\"s\",\"value\":1,\"value_base64\":\"AA==\"}": "5: a record cannot have both key and key_base64",
		sql + "--- input\n{\"topic\":\"s\",\"window\":{\"type\":\"DAY\"}}\n":       `5: the type of a window must be TIME or SESSION, not "DAY"`,
		sql + "--- error\n":                                    "4: the section error of line 4 is empty",
		sql + "--- error\n{\"statement\":\"first\"}\n":         `5: the JSON does not match the section: statement must be a number or "last", not "first"`,
		sql + "--- error\n{\"stage\":\"later\"}\n":             `stage must be parse, plan or run, not "later"`,
		sql + "--- error\n{}\n--- output\n{\"topic\":\"t\"}\n": "expects an error",
		sql + "--- tolerance\n2\n":                             "5: the tolerance must be a number from 0 to 1",
		sql + "--- properties\na\n":                            "5: a property must have the form name=value",
		sql + sql:                                              `the cases of lines 1 and 4 have the same name "f/a"`,
		"=== \xff\n":                                           "1: the file is not UTF-8",
	} {
		_, err := Parse("f.sqltest", []byte(text))
		if err == nil {
			t.Errorf("%q is accepted, expected: %s", text, want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "f.sqltest:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("=== a\n--- sql\nx\n--- error\n{\"statement\":1e9}")
	f.Add("=== a\n--- sql\nx\n--- query\ny\n--- rows\n! []")
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := Parse("f.sqltest", []byte(text))
		if err != nil && !strings.HasPrefix(err.Error(), "f.sqltest:") {
			t.Errorf("an error without its place: %v", err)
		}
		for _, c := range cases {
			for _, r := range c.Input {
				if _, err := value(r.Value); err != nil {
					t.Errorf("an accepted value is not JSON: %s", r.Value)
				}
			}
		}
	})
}
