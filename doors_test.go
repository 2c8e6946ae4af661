package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamql/streamql"
)

// codeOf returns the code of an error; empty if there is none.
func codeOf(err error) string {
	var e *streamql.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return err.Error()
}

// TestRoles runs every kind of statement in every role.
func TestRoles(t *testing.T) {
	e := open(t, streamql.WithManualJobs())
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exec(t, e, `CREATE STREAM s (a INT, b DOUBLE) WITH (topic='s', format='json'); CREATE STREAM t AS SELECT a FROM s; INSERT INTO s VALUES (1, 0.5);`)
	job := e.Jobs(context.Background())[0].Name
	for i, c := range []struct {
		sql  string
		from streamql.Role
	}{
		{`SELECT 1 AS one;`, streamql.Reader}, {`SELECT a FROM s UNTIL NOW;`, streamql.Reader},
		{`SHOW JOBS;`, streamql.Reader}, {`DESCRIBE s;`, streamql.Reader},
		{`EXPLAIN CREATE STREAM x AS SELECT a FROM s;`, streamql.Reader},
		{`SET 'auto.offset.reset'='earliest';`, streamql.Reader},
		{`UNSET 'auto.offset.reset';`, streamql.Reader}, {`DEFINE x = 'y';`, streamql.Reader},
		{`UNDEFINE x;`, streamql.Reader},
		{`PRINT 's' FROM BEGINNING LIMIT 1;`, streamql.Reader},
		{`INSERT INTO s VALUES (1, 2);`, streamql.Writer}, {`INSERT INTO t SELECT a FROM s;`, streamql.Writer},
		{`CREATE STREAM r%d (a INT) WITH (topic='r', format='json');`, streamql.Writer},
		{`CREATE STREAM q%d AS SELECT a FROM s;`, streamql.Writer},
		{`CREATE TYPE ty%d AS STRUCT<a INT>;`, streamql.Writer}, {`PAUSE ` + job + `;`, streamql.Writer},
		{`RESUME ` + job + `;`, streamql.Writer},
		{`CREATE MODEL m%d TRANSFORM (a, b) FROM s SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='kmeans', k=1);`,
			streamql.Writer},
		{`CREATE STREAM f%d WITH (connector='files', path='` + path + `', format='csv');`, streamql.Admin},
		{`CREATE STREAM g%d (a INT) WITH (connector='FILES', path='` + path + `', format='csv');`, streamql.Admin},
		{`CREATE OR REPLACE STREAM s (a INT, b DOUBLE) WITH (topic='s', format='json');`, streamql.Admin},
		{`RESUME ` + job + ` FROM OFFSETS;`, streamql.Admin},
		{`TERMINATE ` + job + `;`, streamql.Admin}, {`DROP STREAM IF EXISTS nothing;`, streamql.Admin},
		{`DROP MODEL IF EXISTS nothing;`, streamql.Admin},
	} {
		for _, role := range []streamql.Role{0, streamql.Reader, streamql.Writer, streamql.Admin} {
			sql := strings.ReplaceAll(c.sql, "%d", fmt.Sprintf("%d_%d", i, role))
			ctx, before := context.Background(), len(e.Catalog().Relations())
			got := codeOf(e.NewSession(streamql.WithRole(role)).Exec(ctx, sql))
			if role < c.from && (got != "SQ7104" || len(e.Catalog().Relations()) != before) || role >= c.from &&
				got == "SQ7104" {
				t.Errorf("%v: %s: %q", role, sql, got)
			}
		}
	}
}

// TestFilesOfASession defines relations over files within the roots of a session, and is rejected elsewhere.
// All sessions can read them.
func TestFilesOfASession(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, outside} {
		if err := os.WriteFile(filepath.Join(d, "f.csv"), []byte("canary,b\n1,2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "f.csv"), filepath.Join(dir, "e.csv")); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	e := open(t, streamql.WithDir(home), streamql.WithFiles(dir))
	for i, c := range []struct {
		path  string
		roots []string
		code  string
	}{
		// for the link in it
		{"f.csv", []string{dir}, ""}, {filepath.Join(dir, "f.csv"), []string{dir}, ""}, {dir, []string{dir}, "SQ7105"},
		{"f.csv", []string{}, "SQ7105"}, {filepath.Join(dir, "f.csv"), []string{}, "SQ7105"},
		{filepath.Join(outside, "f.csv"), []string{dir}, "SQ7105"},
		{"../" + filepath.Base(outside) + "/f.csv", []string{dir}, "SQ7105"}, {"e.csv", []string{dir}, "SQ7105"},
		{"/proc/self/environ", []string{dir}, "SQ7105"},
		{"none.csv", []string{dir}, "SQ5003"},
	} {
		for k, columns := range []string{"", "(b INT)", "(x INT)"} {
			s := e.NewSession(streamql.WithRoots(c.roots...))
			err := s.Exec(context.Background(),
				fmt.Sprintf("CREATE STREAM f%d_%d %s WITH (connector='files', path='%s', format='csv');", i, k, columns, c.path))
			want := c.code
			if want == "" && k == 2 { // the header of the file has no column x
				want = "SQ5003"
			}
			if got := codeOf(err); got != want || err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s %s: %v, want %q", c.path, columns, err, want)
			}
		}
	}
	if got := codeOf(e.Exec(context.Background(), `CREATE STREAM out (b INT) WITH (connector='files', path='`+
		filepath.Join(outside, "f.csv")+`');`)); got != "SQ7105" {
		t.Errorf("a session of the engine: %q", got)
	}
	exec(t, e, `CREATE STREAM f (b INT) WITH (connector='files', path='f.csv');`)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(outside) // a restart in another working directory, without roots
	e = open(t, streamql.WithDir(home), streamql.WithFiles())
	if got := strings.TrimSpace(result(t, e, `SELECT b FROM f;`)); !strings.Contains(got, "2") {
		t.Errorf("it reads %q", got)
	}
}

// TestFilesThatAreGone opens a directory with relations over deleted files. Only reading them fails.
func TestFilesThatAreGone(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "f.csv")
	if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := open(t, streamql.WithDir(home))
	exec(t, e, `CREATE STREAM f (a INT) WITH (connector='files', path='`+path+`');`)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	e = open(t, streamql.WithDir(home))
	if got := result(t, e, `SHOW STREAMS;`); !strings.Contains(got, "f") {
		t.Errorf("SHOW STREAMS gives %q", got)
	}
	refused(t, e, `SELECT a FROM f;`, "SQ5003", path)
	exec(t, e, `DROP STREAM f;`)
}

// TestManyDefinitions opens a directory with a thousand definitions, of which every tenth is over a deleted
// file.
func TestManyDefinitions(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "f.csv")
	if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := open(t, streamql.WithDir(home))
	for i := range 1000 {
		with := "topic='s', format='json'"
		if i%10 == 0 {
			with = "connector='files', path='" + path + "'"
		}
		exec(t, e, fmt.Sprintf(`CREATE STREAM s%d (a INT) WITH (%s);`, i, with))
	}
	if err := errors.Join(e.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	e = open(t, streamql.WithDir(home))
	if n := len(e.Catalog().Relations()); n < 1000 {
		t.Errorf("%d relations are there", n)
	}
	exec(t, e, `SELECT 1 AS one; SELECT a FROM s1; DROP STREAM s0;`)
}
