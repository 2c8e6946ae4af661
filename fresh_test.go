package streamql_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/streamql/streamql"
)

// warned collects the codes of the warnings of an engine.
type warned struct {
	mu    sync.Mutex
	codes []string
}

func (w *warned) take(e *streamql.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes = append(w.codes, e.Code)
}

func (w *warned) has(code string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.codes, code)
}

// A query sees the rows of all statements before it, through any number of jobs and in any order of
// the statements.
func TestQuerySeesWhatIsBeforeIt(t *testing.T) {
	declare := `CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (topic='s', partitions=3);`
	insert := `INSERT INTO s VALUES ('a', 'x', 1), ('b', 'y', 2), ('c', 'x', 4);`
	jobs := `CREATE STREAM big AS SELECT k, g, v FROM s WHERE v > 1;
		CREATE TABLE t AS SELECT g, SUM(v) AS n FROM big GROUP BY g;
		CREATE STREAM u (k STRING KEY, g STRING, v INT) WITH (topic='u');
		INSERT INTO u SELECT k, g, v FROM s;`
	for _, text := range []string{declare + insert + jobs, declare + jobs + insert} {
		for _, option := range []streamql.Option{streamql.WithDir(t.TempDir()), streamql.WithPollRecords(1)} {
			e := open(t, option)
			exec(t, e, text)
			if got := result(t, e, `SELECT g, n FROM t ORDER BY g;`); got != "x 4\ny 2\n" {
				t.Fatalf("got\n%s", got)
			}
			if got := result(t, e, `SELECT SUM(v) AS n FROM u;`); got != "7\n" {
				t.Fatalf("got\n%s", got)
			}
			for i := range 10 {
				exec(t, e, fmt.Sprintf(`INSERT INTO s VALUES ('d', 'z%d', 10);`, i))
				if got := result(t, e, fmt.Sprintf(`SELECT n FROM t WHERE g = 'z%d';`, i)); got != "10\n" {
					t.Fatalf("row %d: got\n%s", i, got)
				}
			}
		}
	}
}

// A query whose jobs cannot catch up answers with a warning.
func TestQueryWaits(t *testing.T) {
	var w warned
	e := open(t, streamql.WithWarnings(w.take))
	exec(t, e, `CREATE STREAM s (k STRING KEY, v INT) WITH (topic='s');
		CREATE STREAM big AS SELECT * FROM s WHERE v > 1;
		INSERT INTO s VALUES ('a', 2);`)
	if got := result(t, e, `SELECT v FROM big;`); got != "2\n" || w.has("SQ7309") {
		t.Fatalf("got\n%s", got)
	}
	pauseJob(t, e, "CSAS_big")
	exec(t, e, `INSERT INTO s VALUES ('a', 3);`)
	if got := result(t, e, `SELECT v FROM big;`); got != "2\n" || !w.has("SQ7309") {
		t.Fatalf("got\n%s, warnings %v", got, w.codes)
	}
	for _, text := range []string{`SET 'query.wait'='soon';`, `SET 'query.wait'='-1s';`} {
		if err := e.Exec(context.Background(), text); err == nil || !strings.Contains(err.Error(), "query.wait") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// pauseJob pauses the job whose name begins with a prefix.
func pauseJob(t *testing.T, e *streamql.Engine, prefix string) {
	t.Helper()
	for _, j := range e.Jobs(context.Background()) {
		if strings.HasPrefix(j.Name, prefix) {
			exec(t, e, "PAUSE "+j.Name+";")
			return
		}
	}
	t.Fatal("no job ", prefix)
}
