package streamql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
)

func open(t testing.TB, opts ...streamql.Option) *streamql.Engine {
	t.Helper()
	e, err := streamql.Open(context.Background(), opts...)
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

func exec(t testing.TB, e *streamql.Engine, text string) {
	t.Helper()
	if err := e.Exec(context.Background(), text); err != nil {
		t.Fatal(err)
	}
}

// result returns the rows of a query, one per line.
func result(t testing.TB, e *streamql.Engine, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rows, err := e.Query(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for batch, err := range rows.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Rows() {
			for c := range int(batch.NumCols()) {
				if c > 0 {
					b.WriteByte(' ')
				}
				fmt.Fprint(&b, flow.Value(batch.Column(c), i))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestMainPath(t *testing.T) {
	e := open(t)
	exec(t, e, `
		CREATE STREAM s (id INT KEY, v INT, name STRING) WITH (topic='s', partitions=4);
		INSERT INTO s VALUES (1, 10, 'a'), (2, 20, 'b'), (1, 30, 'c'), (3, NULL, 'd');`)
	if got, want := result(t, e, `SELECT id, v * 2 AS w, UCASE(name) AS n FROM s WHERE v > 10 ORDER BY id`),
		"1 60 C\n2 40 B\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := result(t, e, `SELECT id, COUNT(*) AS n, SUM(v) AS s FROM s GROUP BY id ORDER BY n DESC, id LIMIT 2`),
		"1 2 40\n2 1 20\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT id, COUNT(*) AS n, AVG(v) AS a FROM s GROUP BY id;`)
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := result(t, e, `SELECT id, n FROM t ORDER BY id`)
		if got == "1 2\n2 1\n3 1\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the table has\n%s\n%s", got, result(t, e, "SELECT job, status, rows, error FROM streamql.jobs"))
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got, want := result(t, e, `SELECT n, a FROM t WHERE id = 1`), "2 20\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestModelPath(t *testing.T) {
	e := open(t)
	exec(t, e, `
		CREATE STREAM cars WITH (connector='generator', kind='cars', rows=20000, seed=314, step='5 MINUTES');
		CREATE MODEL engine TRANSFORM (* EXCEPT (car, failure_occurred)) FROM (SELECT * FROM cars SINCE EARLIEST UNTIL NOW WHERE failure_occurred = 'false')
		  TRAIN ONCE WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh,18:linear', epochs=3, batch_size=100, threshold='quantile:0.999', seed=314);`)
	got := result(t, e, `SELECT failure_occurred, COUNT(*) AS n, SUM(CASE WHEN IS_ANOMALY(engine, *) THEN 1 ELSE 0 END) AS found FROM cars GROUP BY failure_occurred`)
	t.Log("\n" + got)
	t.Log(result(t, e, `SELECT version, status, rows, threshold FROM engine`))
	t.Log(result(t, e, `SELECT * FROM ML_TRAINING_INFO(engine)`))
}

// TestBounds sets bounds beyond the offsets of a topic. The query ends at the end of the topic.
func TestBounds(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM s (a INT) WITH (topic='s', value_format='json'); INSERT INTO s VALUES (1), (2), (3);`)
	for query, want := range map[string]string{
		`SELECT a FROM s SINCE OFFSET 1 UNTIL OFFSET 100`:                         "2\n3\n",
		`SELECT a FROM s SINCE OFFSET 50 UNTIL NOW`:                               "",
		`SELECT a FROM s SINCE EARLIEST UNTIL OFFSET 2 EMIT CHANGES`:              "1\n2\n",
		`SELECT a FROM s SINCE '2000-01-01' UNTIL '2000-01-02'`:                   "",
		`SELECT COUNT(*) AS n FROM s SINCE 1 HOUR AGO`:                            "3\n",
		`SELECT COUNT(*) AS n FROM s SINCE TIMESTAMP '2020-01-01' UNTIL LATEST`:   "3\n",
		`SELECT a FROM s PARTITIONS (0) SINCE EARLIEST UNTIL NOW ORDER BY a DESC`: "3\n2\n1\n",
	} {
		if got := result(t, e, query); got != want {
			t.Errorf("%s gave %q, want %q", query, got, want)
		}
	}
}

// TestRepeats runs a script repeatedly with WithRepeats, in the same engine and after a restart. Identical
// definitions have no effect; all others fail as usual.
func TestRepeats(t *testing.T) {
	dir := t.TempDir()
	script := `CREATE TYPE pair AS STRUCT<a INT, b INT>;
CREATE STREAM s (k STRING KEY, v INT) WITH (topic='s', format='json', partitions=1);
CREATE STREAM big AS SELECT * FROM s WHERE v > 5;
CREATE STREAM also (k STRING KEY, v INT) WITH (topic='also', format='json', partitions=1);
INSERT INTO also SELECT * FROM s;`
	for range 2 {
		e, err := streamql.Open(t.Context(), streamql.WithDir(dir), streamql.WithRepeats())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := e.Exec(t.Context(), script); err != nil {
				t.Fatal(err)
			}
		}
		for _, changed := range []string{"CREATE STREAM big AS SELECT * FROM s WHERE v > 6;",
			"CREATE STREAM s (k STRING KEY, v BIGINT) WITH (topic='s', format='json', partitions=1);",
			"CREATE TYPE pair AS STRUCT<a INT>;"} {
			if err := e.Exec(t.Context(), changed); err == nil || !strings.Contains(err.Error(), "SQ2002") {
				t.Errorf("%s: %v", changed, err)
			}
		}
		jobs := 0
		rows, err := e.Query(t.Context(), "SHOW JOBS;")
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range rows.Batches() {
			if err != nil {
				t.Fatal(err)
			}
			jobs += b.Rows()
		}
		if jobs != 2 {
			t.Errorf("%d jobs", jobs)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
