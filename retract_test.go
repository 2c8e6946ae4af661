package streamql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// turns returns the option for TURN(), a function whose calls return 0, 1, 2, .. so that no two rows have the
// same value.
func turns() streamql.Option {
	n := int64(0)
	return streamql.WithFunction(udf.Scalar{Name: "TURN", Doc: "another number each time",
		Bind: func(have []flow.Type) (udf.Signature, error) {
			return udf.Signature{Result: flow.Bigint, Volatile: true,
				Kernel: func(_ []arrow.Array, rows int, _ udf.Env) arrow.Array {
					b := flow.Builder(flow.Bigint)
					for range rows {
						flow.Append(b, n)
						n++
					}
					return b.NewArray()
				}}, udf.Accept("TURN", have)
		}})
}

// TestDrawnOnce uses functions with a new value per call in every clause over tables. A retraction must equal
// the row that was inserted, so that no count is negative and the counts add up to the rows. Each query is
// drained at once, row by row, and with a crash before each commit.
func TestDrawnOnce(t *testing.T) {
	for name, c := range map[string]struct{ create, sum, want string }{
		"group by": {`CREATE TABLE c AS SELECT CAST(RANDOM() * 3 AS INT) AS b, COUNT(*) AS n FROM t GROUP BY CAST(RANDOM() * 3 AS INT);`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"uuid": {`CREATE TABLE c AS SELECT SUBSTRING(UUID(), 1, 1) AS b, COUNT(*) AS n FROM t GROUP BY SUBSTRING(UUID(), 1, 1);`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"turn": {`CREATE TABLE c AS SELECT TURN() % 4 AS b, COUNT(*) AS n FROM t GROUP BY TURN() % 4;`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"where": {`CREATE TABLE c AS SELECT 1 AS one, COUNT(*) AS n FROM t WHERE TURN() % 3 = 0 GROUP BY 1;`,
			`SELECT COUNT(*) AS rows FROM c WHERE n < 0 OR n > 2`, "0\n"},
		"argument": {`CREATE TABLE c AS SELECT g, SUM(CAST(TURN() AS DOUBLE)) AS s, COUNT(*) AS n FROM t GROUP BY g;`,
			`SELECT COUNT(*) AS rows FROM c WHERE n = 0 AND s <> 0`, "0\n"},
		"lambda": {`CREATE TABLE c AS SELECT TRANSFORM(ARRAY[1], x => TURN() % 4)[1] AS b, COUNT(*) AS n FROM t GROUP BY TRANSFORM(ARRAY[1], x => TURN() % 4)[1];`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"subquery": {`CREATE TABLE c AS SELECT b, COUNT(*) AS n FROM (SELECT v, TURN() % 4 AS b FROM t) GROUP BY b;`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"over groups": {`CREATE TABLE c AS SELECT TURN() % 4 AS b, COUNT(*) AS n FROM (SELECT g, COUNT(*) AS m FROM t GROUP BY g HAVING COUNT(*) > 0) GROUP BY TURN() % 4;`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 2\n"},
		"over windows": {`CREATE TABLE c AS SELECT TURN() % 4 AS b, COUNT(*) AS n FROM (SELECT v, COUNT(*) AS m FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY v) GROUP BY TURN() % 4;`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 5\n"},
		"over sessions": {`CREATE TABLE c AS SELECT TURN() % 4 AS b, COUNT(*) AS n FROM (SELECT v, COUNT(*) AS m FROM s WINDOW SESSION (1 HOUR) GROUP BY v) GROUP BY TURN() % 4;`,
			`SELECT SUM(CASE WHEN n < 0 THEN 1 ELSE 0 END) AS bad, SUM(n) AS n FROM c`, "0 5\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, poll := range []int{1024, 1, 7} {
				for _, crash := range []bool{false, true} {
					e := open(t, turns(), streamql.WithManualJobs(), streamql.WithPollRecords(poll))
					exec(t, e, `SET 'auto.offset.reset'='earliest';
						CREATE TABLE t (k STRING PRIMARY KEY, g STRING, v INT) WITH (topic='t', format='json');
						CREATE STREAM s (v INT) WITH (topic='s', format='json');`+c.create+drawnRows())
					drainCrashing(t, e, crash)
					if got := result(t, e, c.sum); got != c.want {
						t.Errorf("poll %d crash %v: %s gave %q, want %q", poll, crash, c.sum, got, c.want)
					}
				}
			}
		})
	}
}

// drawnRows returns statements for 40 changes of two rows in one of two groups and for a stream of five
// values. After the last change the rows are in different groups.
func drawnRows() string {
	var table, stream []string
	for i := range 40 {
		table = append(table, fmt.Sprintf("('k%d', 'g%d', %d)", i%2, (i/3+i)%2, i))
		stream = append(stream, fmt.Sprintf("(%d)", i%5))
	}
	return "INSERT INTO t VALUES " + strings.Join(append(table, "('k0', 'g0', 1)", "('k1', 'g1', 1)"), ", ") +
		"; INSERT INTO s VALUES " + strings.Join(stream, ", ") + ";"
}

// drainCrashing drains all jobs; with crash, it crashes before every second commit.
func drainCrashing(t *testing.T, e *streamql.Engine, crash bool) {
	t.Helper()
	steps := 0
	err := e.Drain(context.Background(), func(string) error {
		if steps++; crash && steps%2 == 1 && steps < 200 {
			return streamql.ErrCrash
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
