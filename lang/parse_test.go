package lang

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// statements returns every form of statement and its printed form. In the file, ==> precedes the printed form if
// the two differ.
func statements(t testing.TB) [][2]string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "statements.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][2]string
	for _, line := range strings.Split(string(body), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		src, want, ok := strings.Cut(line, " ==> ")
		if !ok {
			want = src
		}
		out = append(out, [2]string{src, want})
	}
	return out
}

func TestStatements(t *testing.T) {
	for _, c := range statements(t) {
		stmts, err := Parse(c[0] + ";")
		if err != nil {
			t.Errorf("%s\n%s", c[0], AsErrors(err)[0].Show(c[0], false))
			continue
		}
		if len(stmts) != 1 {
			t.Errorf("%s: %d statements", c[0], len(stmts))
			continue
		}
		s := stmts[0]
		if s.Text() != c[0] || s.Number() != 1 || s.Position().Line != 1 || s.Position().Col != 1 ||
			s.End().Offset != len(c[0]) {
			t.Errorf("%s: place %v to %v, number %d, text %q", c[0], s.Position(), s.End(), s.Number(), s.Text())
		}
		if got := Print(s); got != c[1] {
			t.Errorf("%s\n prints %s\n   want %s", c[0], got, c[1])
		}
		again, err := Parse(Print(s))
		if err != nil || len(again) != 1 || !Equal(s, again[0]) {
			t.Errorf("%s: printed, it reads otherwise: %s (%v)", c[0], Print(s), err)
		}
		lower, err := Parse(strings.ToLower(c[0]))
		if err != nil {
			t.Errorf("in small letters: %v", err)
		} else if !strings.EqualFold(Print(lower[0]), c[1]) {
			t.Errorf("in small letters it prints %s", Print(lower[0]))
		}
	}
}

// TestTruncated checks that every prefix of a statement, and every statement without one of its tokens, parses or
// fails with a position, and never panics.
func TestTruncated(t *testing.T) {
	for _, c := range statements(t) {
		tokens := scan(c[0], "").tokens
		for i := range tokens {
			checkErrors(t, c[0][:tokens[i].Pos.Offset])
			end := len(c[0])
			if i+1 < len(tokens) {
				end = tokens[i+1].Pos.Offset
			}
			checkErrors(t, c[0][:tokens[i].Pos.Offset]+c[0][end:])
		}
	}
}

// checkErrors parses src and checks that its errors have all promised properties.
func checkErrors(t *testing.T, src string) {
	t.Helper()
	_, err := Parse(src)
	if err == nil {
		return
	}
	errs := AsErrors(err)
	if len(errs) == 0 {
		t.Fatalf("%q: not an Errors: %v", src, err)
	}
	for _, e := range errs {
		if !strings.HasPrefix(e.Code, "SQ1") || e.Stage != StageParse || e.Pos.Line < 1 || e.Pos.Col < 1 ||
			e.Pos.Offset > len(src) || e.Msg == "" {
			t.Errorf("%q: %+v", src, e)
		}
		shown := e.Show(src, false)
		for _, jargon := range []string{"participle", "lang.", "<nil>", "%!", "Expr ", "lexer", "sub-expression",
			"cannot be read"} {
			if strings.Contains(strings.SplitN(shown, "\n", 2)[0]+e.Label+e.Hint, jargon) {
				t.Errorf("%q: jargon %q in %s", src, jargon, shown)
			}
		}
	}
}

func TestSeveral(t *testing.T) {
	src := "-- first\nSHOW STREAMS; ; /* second; */ SHOW\n TABLES ;SHOW TOPICS"
	stmts, err := Parse(src, File("a.sql"))
	if err != nil || len(stmts) != 3 {
		t.Fatal(err, len(stmts))
	}
	s := stmts[1]
	if s.Text() != "SHOW\n TABLES" || s.Number() != 2 || s.Position() != (Pos{"a.sql", 2, 31, 39}) ||
		s.End() != (Pos{"a.sql", 3, 8, 51}) {
		t.Errorf("%q %d %+v %+v", s.Text(), s.Number(), s.Position(), s.End())
	}
	if stmts, err = Parse("EXPLAIN  SHOW JOBS ;"); err != nil || stmts[0].(*Explain).Statement.Text() != "SHOW JOBS" {
		t.Error(err, "an explained statement knows its text")
	}
	if stmts, err = Parse("SELECT a FROM s LIMIT b"); err != nil ||
		stmts[0].(*QueryStatement).Query.Tail.Limit.N.Position().Col != 23 {
		t.Error(err, "a limit that is no number is left to the planner, with its place")
	}
	if stmts, err := Parse(" -- nothing\n;;"); err != nil || len(stmts) != 0 {
		t.Error(err, stmts)
	}
}

func TestRecovery(t *testing.T) {
	stmts, err := Parse("SHOW STREAMS; SELEC 1; SHOW TABLES; DROP; SELECT 'é' FROM s WHERE #; SHOW TOPICS;")
	errs := AsErrors(err)
	if len(stmts) != 3 || len(errs) != 3 {
		t.Fatal(len(stmts), err)
	}
	if stmts[1].Number() != 3 || stmts[2].Number() != 6 || errs[0].Stmt != 2 || errs[1].Stmt != 4 || errs[2].Stmt != 5 {
		t.Error("the numbers count only good statements")
	}
	if errs[2].Pos.Col != 67 || errs[2].Pos.Offset != 67 {
		t.Errorf("a column counts runes: %+v", errs[2].Pos)
	}
	want := "SQ1001: the statement is not complete: expected STREAM, TABLE, TYPE or CONNECTOR (1:41)"
	if got := errs[1].Error(); got != want {
		t.Error(got)
	}
	_, err = Parse(strings.Repeat("SELEC;", 50))
	if n := len(AsErrors(err)); n != MaxErrors {
		t.Errorf("%d errors", n)
	}
}

func TestCarets(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"SELECT car\nFORM cars;", `error[SQ1001]: unexpected "FORM"
  --> q.sql:2:1
  2 | FORM cars;
    | ^^^^ did you mean FROM?
`},
		{"SELECT * FROM cars WERE speed > 1;", `error[SQ1001]: unexpected "WERE"
  --> q.sql:1:20
  1 | SELECT * FROM cars WERE speed > 1;
    |                    ^^^^ did you mean WHERE?
`},
		{"CREATE STRAEM s (a INT);", `error[SQ1001]: unexpected "STRAEM"
  --> q.sql:1:8
  1 | CREATE STRAEM s (a INT);
    |        ^^^^^^ did you mean STREAM?
`},
		{"SELECT a FROM s EMIT CHANGE;", `error[SQ1001]: unexpected "CHANGE"
  --> q.sql:1:22
  1 | SELECT a FROM s EMIT CHANGE;
    |                      ^^^^^^ did you mean CHANGES?
`},
		{"\tSELECT a, FROM s;", `error[SQ1001]: unexpected "FROM"
  --> q.sql:1:12
  1 |  SELECT a, FROM s;
    |            ^^^^ expected an expression
  help: a column of this name needs back-ticks: ` + "`FROM`\n"},
		{"SELECT a = b = c FROM s;", `error[SQ1001]: comparisons do not chain
  --> q.sql:1:14
  1 | SELECT a = b = c FROM s;
    |              ^ second comparison
  help: write (a = b) = c, or a = b AND b = c
`},
		{"SELECT f(1 FROM s;", `error[SQ1001]: unexpected "FROM"
  --> q.sql:1:12
  1 | SELECT f(1 FROM s;
    |            ^^^^ expected ")"
`},
		{"CREATE TABLE t (id INT KEY);", `error[SQ1015]: column id is KEY, which a table does not have
  --> q.sql:1:17
  1 | CREATE TABLE t (id INT KEY);
    |                 ^^ use PRIMARY KEY
`},
		{"CREATE SINK CONNECTOR c WITH (secret='x', = );", `error[SQ1001]: unexpected "="
  --> q.sql:1:43
  expected a name
`},
	} {
		_, err := Parse(c.src, File("q.sql"))
		errs := AsErrors(err)
		if len(errs) != 1 {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if got := errs[0].Show(c.src, false); got != c.want {
			t.Errorf("got\n%swant\n%s", got, c.want)
		}
	}
}

// TestWordsAsNames checks that any word may be a name if the grammar is unambiguous.
func TestWordsAsNames(t *testing.T) {
	for _, src := range []string{
		"CREATE STREAM stream (table INT, select INT, key INT KEY, `from` INT, " +
			"type STRING, date DATE, headers BYTES) WITH (kafka_topic='x')",
		"SELECT type, date, time, timestamp, key, version, model, left(x, 2), " +
			"replace(x, 'a', 'b'), s->select FROM stream",
		"SELECT a AS select, b AS from FROM s AS where",
		"SELECT a since FROM s since WHERE since.a = 1",
		"SELECT * FROM trips per JOIN cars train WITHIN 1 HOUR ON per.id = train.id",
		"DESCRIBE model", "DESCRIBE function EXTENDED", "DROP STREAM if", "SELECT map, struct, array, cast FROM s",
		"SELECT a.b.c FROM s ==>", "SELECT filter(x, y => y > 0), over FROM s",
		"SELECT 1R, ROUND(v, -1) AS 2R FROM t", "SELECT a@b FROM s@c",
	} {
		src, bad := strings.CutSuffix(src, " ==>")
		stmts, err := Parse(src)
		if (err != nil) != bad {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if err == nil {
			if again, err := Parse(Print(stmts[0])); err != nil || !Equal(stmts[0], again[0]) {
				t.Errorf("%s: printed, it reads otherwise: %s (%v)", src, Print(stmts[0]), err)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	vars := Variables(map[string]string{"topic": "sensor", "n": "5", "quote": "it's", "inject": "1; DROP STREAM s",
		"neg": "'a'"})
	for src, want := range map[string]string{
		"SELECT * FROM ${topic} LIMIT ${n}":                "SELECT * FROM sensor LIMIT 5",
		"SELECT ${quote}, '${quote}', '${', ${neg} FROM s": "SELECT 'it''s', 'it''s', '${', 'a' FROM s",
		"SELECT ${inject} FROM s":                          "SELECT '1; DROP STREAM s' FROM s",
		"SELECT `x${INJECT}` FROM `a ${TOPIC}`":            "SELECT `x1; DROP STREAM s` FROM `a sensor`",
		"DEFINE topic = 'other'; SELECT * FROM ${topic}":   "SELECT * FROM other",
		"CREATE STREAM s WITH (kafka_topic='${topic}', partitions=${n})": "" +
			"CREATE STREAM s WITH (kafka_topic = 'sensor', partitions = 5)",
	} {
		stmts, err := Parse(src, vars)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := Print(stmts[len(stmts)-1]); got != want {
			t.Errorf("%s: %s, want %s", src, got, want)
		}
	}
	for src, label := range map[string]string{"SELECT ${topc} FROM s": "did you mean TOPIC?",
		"SELECT '${zzzzz}' FROM s": "", "UNDEFINE topic; SELECT ${topic}": ""} {
		_, err := Parse(src, vars)
		if errs := AsErrors(err); len(errs) != 1 || errs[0].Code != "SQ1009" || errs[0].Label != label {
			t.Errorf("%s: %v", src, err)
		}
	}
	if stmts, err := Parse("SELECT '${x}' FROM s"); err != nil || Print(stmts[0]) != "SELECT '${x}' FROM s" {
		t.Error("without variables a text is a text", err)
	}
}
