package streamql_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/format"
	page "github.com/streamql/streamql/result"
)

// TestConnectorExamples runs the examples of the connectors.
func TestConnectorExamples(t *testing.T) {
	for _, c := range connect.Builtins().All() {
		if len(c.Examples) == 0 {
			t.Errorf("connector %s has no example", c.Name)
		}
		for _, x := range c.Examples {
			dir := t.TempDir()
			for name, text := range x.Files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			example(t, open(t, streamql.WithFiles(dir)), x.SQL, x.Want)
		}
	}
}

// TestFormatExamples runs the examples of the formats.
func TestFormatExamples(t *testing.T) {
	for _, f := range format.Builtins().All() {
		if len(f.Examples) == 0 {
			t.Errorf("format %s has no example", f.Name)
		}
		for _, x := range f.Examples {
			example(t, open(t), x.SQL, x.Want)
		}
	}
}

// example runs statements and compares the rows of the last with CSV lines.
func example(t *testing.T, e *streamql.Engine, text, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	statements, err := e.Parse(text + ";")
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	var b bytes.Buffer
	for i, st := range statements {
		r, err := e.Run(ctx, st)
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			return
		}
		if i < len(statements)-1 {
			continue
		}
		sheet := page.Sheet(page.NewPage(&b, r.Rows.Columns, r.Rows.Changes, 0))
		for batch, err := range r.Rows.Batches() {
			if err == nil {
				err = sheet.Print(batch)
			}
			if err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
		}
		if err := sheet.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, got, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(b.String(), "\r\n", "\n")), "\n")
	if got != want {
		t.Errorf("%s\n got %s\nwant %s", text, got, want)
	}
}

// TestPrintConnector prints what connectors read, and records of the broker.
func TestPrintConnector(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte("x,y\n1,2\n3,4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := open(t, streamql.WithFiles(dir))
	exec(t, e, `CREATE STREAM g WITH (connector='generator', kind='moa.sea', seed=3);
CREATE STREAM f WITH (connector='files', path='a.csv');
CREATE STREAM s (a INT) WITH (topic='other', format='json'); INSERT INTO s (a) VALUES (7);`)
	for _, c := range []struct{ text, want string }{
		{"PRINT g FROM BEGINNING LIMIT 2;", "attrib1="},
		{"PRINT f FROM BEGINNING LIMIT 2;", "3,4"},
		{"PRINT s FROM BEGINNING LIMIT 1;", `{"a":7}`},
	} {
		if got := result(t, e, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s\ngave %s", c.text, got)
		}
	}
	refused(t, e, "PRINT nothing;", "SQ5004", "nothing")
}

// TestOptions: the error of an option that is unknown, of a wrong type or out of range names the option, its position,
// the legal values and the nearest name.
func TestOptions(t *testing.T) {
	e := open(t)
	for _, c := range []struct{ with, code, at, says string }{
		{"topic='x', partitions=0", "SQ2013", "partitions", "a whole number from 1 to 2147483647"},
		{"topic='x', partitions='many'", "SQ2013", "partitions", `not "many"`},
		{"topic='x', replicas=3", "SQ2013", "replicas", "at most 1"},
		{"topic='x', retention_ms='soon'", "SQ2013", "retention_ms", "a length of time"},
		{"topic='x', cleanup_policy='compct'", "SQ2013", "cleanup_policy", "did you mean 'compact'?"},
		{"topic='x', header=true", "SQ2012", "header", "the options here are"},
		{"topic='x', delimter='|', format='csv'", "SQ2012", "delimter", "did you mean delimiter?"},
		{"topic='x', format='json', delimiter='|'", "SQ2012", "delimiter", "WITH has no option"},
		{"topic='x', value_format='csv', value_delimiter='||'", "SQ2013", "value_delimiter", "one ASCII character"},
		{"topic='x', value_format='csv', key_delimiter='|'", "SQ2012", "key_delimiter", "WITH has no option"},
		{"topic='x', wrap_single_value=maybe", "SQ2013", "wrap_single_value", "true or false"},
		{"topic='x', window_type='tumbled'", "SQ2013", "window_type", "'tumbling', 'hopping' or 'session'"},
		{"topic='x', window_size='1 MINUTE'", "SQ2013", "window_size", "needs window_type"},
		{"topic='x', on_error='skp'", "SQ2013", "on_error", "did you mean 'skip'?"},
		{"topic='x', value_schema_id=1", "SQ3001", "value_schema_id", "not supported yet"},
		{"topic='x', value_format='AVRO'", "SQ2017", "", "not supported"},
		{"connector='file', path='x'", "SQ5001", "connector", "did you mean 'files'?"},
		{"connector='files'", "SQ5002", "", "option path is needed"},
		{"connector='files', path='x', header=yes", "SQ5002", "header", "true or false"},
		{"connector='files', path='x', partitions=2", "SQ2012", "partitions", "the options of connector 'files' are"},
		{"connector='files', path='x', key_format='json'", "SQ2012", "key_format", "WITH has no option"},
		{"connector='generator'", "SQ5002", "", "option kind is needed"},
		{"connector='generator', kind='crs'", "SQ5002", "kind", "did you mean 'cars'?"},
		{"connector='generator', kind='cars', rows=-1", "SQ5002", "rows", "a whole number from 0"},
		{"connector='generator', kind='cars', step=0", "SQ5002", "step", "from 1ms"},
		{"connector='generator', kind='cars', failing=2", "SQ5002", "failing", "from 0 to 1"},
		{"connector='generator', kind='cars', cards=2", "SQ2012", "cards", "did you mean cars?"},
		{"connector='generator', kind='cars', format='json'", "SQ2012", "format", "the options of connector 'generator' are"},
	} {
		text := "CREATE STREAM x (car STRING) WITH (" + c.with + ");"
		got := refused(t, e, text, c.code)
		if said := got.Error() + got.Label + got.Hint; !strings.Contains(said, c.says) {
			t.Errorf("%s\ngave %s\nwhich does not say %q", c.with, said, c.says)
		}
		if at := strings.Index(text, c.at+"="); c.at != "" && (got.Pos.Offset < at || got.Pos.Offset > at+len(c.at)+1) {
			t.Errorf("%s\nis at %d, want %s", c.with, got.Pos.Offset, c.at)
		}
	}
	exec(t, e, "CREATE STREAM g (car STRING KEY) WITH (connector='generator', kind='cars', rows=3, cars=1, episode=2, start='2026-01-01');")
	if got := result(t, e, "SELECT COUNT(*) AS n, MIN(ROWTIME) AS t FROM g GROUP BY car;"); got != "3 1767225600000\n" {
		t.Error(got)
	}
	for text, code := range map[string]string{
		"CREATE STREAM t WITH (connector='generator', kind='cars') AS SELECT * FROM g;": "SQ3013",
		"CREATE STREAM t WITH (window_type='session') AS SELECT * FROM g;":              "SQ2012",
		"INSERT INTO g SELECT * FROM g;":                                                "SQ3013",
	} {
		refused(t, e, text, code)
	}
}

// TestShowConnectors shows what connectors and formats declare.
func TestShowConnectors(t *testing.T) {
	e := open(t)
	exec(t, e, "CREATE STREAM g WITH (connector='generator', kind='cars', rows=3);")
	for text, want := range map[string]string{
		"SHOW CONNECTORS;":             "files read, replay, infer columns, infer format records A file",
		"SHOW FORMATS;":                "NONE read, write The key or the value has no columns",
		"DESCRIBE CONNECTOR files;":    "path STRING <nil> a text, needed the file",
		"DESCRIBE FORMAT csv;":         "delimiter CHARACTER , one ASCII",
		"DESCRIBE g EXTENDED;":         "option rows 3",
		"DESCRIBE EXTENDED g;":         "connector generator",
		"DESCRIBE g;":                  "speed DOUBLE",
		"LIST CONNECTORS;":             "topic read, write, replay",
		"DESCRIBE CONNECTOR generator": "nulls DOUBLE 0 a number from 0 to 1",
	} {
		if got := result(t, e, text); !strings.Contains(got, want) {
			t.Errorf("%s\ngave %s", text, got)
		}
	}
	if got := refused(t, e, "DESCRIBE CONNECTOR file;", "SQ5001"); got.Label != "did you mean files?" {
		t.Error(got.Label)
	}
	refused(t, e, "DESCRIBE FORMAT avro;", "SQ2017", "not supported yet")
}
