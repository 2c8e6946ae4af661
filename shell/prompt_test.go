package shell

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql"
)

func TestComplete(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  \n": true, "SELECT 1": false, "SELECT 1;": true, "SELECT 1; ": true, "SELECT ';": false,
		"SELECT ';';":     true,
		"SELECT 'it''s';": true, "SELECT 1 -- ;": false, "SELECT 1; -- done": true, "/* ; */": true, "/* ;": false,
		"SELECT `;`":       false,
		"SELECT 1; SELECT": false, "-- only a comment": true,
	} {
		if got := Complete(text); got != want {
			t.Errorf("Complete(%q) is %v", text, got)
		}
	}
}

// typed runs a shell over an input and returns its output.
func typed(t *testing.T, e *streamql.Engine, input string) string {
	t.Helper()
	var out bytes.Buffer
	p := &Prompt{Session: &Session{Engine: e, Out: &out, Err: &out, Look: Look{Format: "table"}}}
	p.Plain(strings.NewReader(input))
	if err := p.Loop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func engine(t *testing.T) *streamql.Engine {
	t.Helper()
	e, err := streamql.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestShell(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "s.sql")
	if err := os.WriteFile(script, []byte("SELECT 'from a file' AS f;"), 0o600); err != nil {
		t.Fatal(err)
	}
	rowsFile := filepath.Join(dir, "rows.csv")
	for _, c := range []struct{ name, input, want string }{
		{"over two lines", "SELECT 1 + 1\nAS two;\n", " two\n   2\n1 row"},
		{"an error does not end the shell", "SELECT x;\nSELECT 7 AS seven;\n", " seven\n     7\n"},
		{"caret", "SELECT spead FROM c;\n", "^^^^^ did you mean \"speed\" (DOUBLE)?"},
		{"\\d", `\d c` + "\n", " speed "},
		{"\\df", `\df ucase` + "\n", "UCASE"},
		{"\\x", `\x` + "\nSELECT 1 AS a, 2 AS b;\n", "row 1\n a │ 1\n b │ 2\n"},
		{"\\f", `\f jsonl` + "\nSELECT 1 AS a;\n", `{"a":1}`},
		{"\\timing", `\timing` + "\nDEFINE x = '1';\n", "defined x · 0.0"},
		{"\\set", `\set top 2` + "\nSELECT 1 AS a FROM c LIMIT ${top};\n", "2 rows"},
		{"\\i", `\i ` + script + "\n", "from a file"},
		{"\\i of nothing", `\i /no/such/file` + "\n", "cannot read /no/such/file: no such file"},
		{"\\o", `\f csv` + "\n" + `\o ` + rowsFile + "\nSELECT 5 AS five;\n" + `\o` + "\n", "rows are written as csv"},
		{"\\plan", "SELECT car FROM c;\n" + `\plan` + "\n", "Scan c"},
		{"\\peek", "INSERT INTO t VALUES ('1', 'a'), ('2', 'b');\n" + `\peek t 1` + "\n", `{"v":"b"}`},
		{"\\peek of nothing", `\peek nope` + "\n", `topic "nope" does not exist`},
		{"\\jobs", `\jobs` + "\n", "status"},
		{"\\errors", `\errors c` + "\n", "0 rows"},
		{"\\h", `\h select` + "\n", "EMIT CHANGES"},
		{"\\h of a code", `\h sq2003` + "\n", "there is no such column or field"},
		{"\\?", `\?` + "\n", `\peek TOPIC [N]`},
		{"help", "help\n", `\peek TOPIC [N]`},
		{"exit", "exit\nSELECT 'unreachable' AS u;\n", "streamql> "},
		{"a mistyped command", `\plam` + "\n", `did you mean \plan?`},
		{"run script", "RUN SCRIPT '" + script + "';\n", "from a file"},
		{"the end without a semicolon", "SELECT 3 AS three", " three\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t)
			if err := e.Exec(context.Background(), `CREATE STREAM c WITH (connector='generator', kind='cars', rows=5);
				CREATE STREAM t (id STRING KEY, v STRING) WITH (topic='t', format='json');`); err != nil {
				t.Fatal(err)
			}
			got := typed(t, e, c.input)
			if !strings.Contains(got, c.want) || strings.Contains(got, "unreachable") {
				t.Errorf("got\n%s\nwithout %q", got, c.want)
			}
		})
	}
	if b, err := os.ReadFile(rowsFile); err != nil || string(b) != "five\r\n5\r\n" {
		t.Errorf("\\o wrote %q, %v", b, err)
	}
}

// TestHelp runs the examples of \h in their order.
func TestHelp(t *testing.T) {
	e := engine(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, h := range Help {
		if err := e.Exec(ctx, h.Example); err != nil {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
}

func TestCandidates(t *testing.T) {
	e := engine(t)
	if err := e.Exec(context.Background(),
		`CREATE STREAM cars WITH (connector='generator', kind='cars', rows=5);`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want, kind string }{
		{"SEL", "SELECT", "keyword"}, {"SELECT * FROM ca", "cars", "source"}, {"SELECT coolant_t", "coolant_temp", "column"},
		{"SELECT spe FROM cars WHERE sp", "speed", "column"}, {"SELECT UCA", "UCASE", "function"}, {"SHOW MOD", "MODELS", "keyword"},
		{"CREATE STREAM x WITH (par", "partitions=", "option"}, {"CREATE STREAM x WITH (epi", "episode=", "option"},
		{"CREATE STREAM x WITH (connector=", "'files'", "connector"}, {"CREATE STREAM x WITH (format=", "'CSV'", "format"},
		{"CREATE STREAM x WITH (key_del", "key_delimiter=", "option"}, {`\pe`, "peek", "command"}, {"SELECT 1; DESC", "DESCRIBE", "keyword"},
	} {
		begun := time.Now()
		got := Candidates(e, c.text)
		if took := time.Since(begun); took > 50*time.Millisecond {
			t.Errorf("%q took %v", c.text, took)
		}
		if !slices.Contains(got, Candidate{c.want, c.kind}) {
			t.Errorf("%q is completed to %v, without %s %s", c.text, got, c.kind, c.want)
		}
	}
}

func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "history")
	h, err := openHistory(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"SELECT 1;", "SELECT secret('password');", "SELECT\n2;"} {
		if _, err := h.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	b, _ := os.ReadFile(file)
	if strings.Contains(string(b), "password") {
		t.Errorf("a secret was written: %s", b)
	}
	again, err := openHistory(file)
	if err != nil || again.Len() != 2 {
		t.Fatalf("%d statements are remembered, %v", again.Len(), err)
	}
	if s, _ := again.GetLine(1); s != "SELECT\n2;" {
		t.Errorf("the last one is %q", s)
	}
}

// TestInterrupt ends a push query as Ctrl-C does.
func TestInterrupt(t *testing.T) {
	e := engine(t)
	if err := e.Exec(context.Background(),
		`CREATE STREAM c WITH (connector='generator', kind='cars', rate=1000);`); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &Session{Engine: e, Out: &out, Err: &out, Look: Look{Format: "jsonl"}}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err := s.Script(ctx, "", "SELECT car FROM c EMIT CHANGES;")
	if took := time.Since(begun); ctx.Err() == nil || err != ctx.Err() || took > time.Second {
		t.Errorf("it ended after %v with %v", took, err)
	}
	if n := strings.Count(out.String(), "car-"); n < 50 {
		t.Errorf("the query returned %d rows", n)
	}
}
