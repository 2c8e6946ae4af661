package streamql_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamql/streamql"
)

// TestNothingStays closes an engine in the middle of its work: no goroutine is left.
func TestNothingStays(t *testing.T) {
	before := goleak.IgnoreCurrent()
	e, err := streamql.Open(context.Background(), streamql.WithDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (k INT KEY, v DOUBLE) WITH (topic='s', value_format='json', partitions=4);
		CREATE STREAM g WITH (connector='generator', kind='fraud', rate=1000);
		CREATE TABLE t AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;
		CREATE STREAM h AS SELECT amount FROM g;
		CREATE MODEL m TRANSFORM (v) FROM s WINDOW TUMBLING (SIZE 1 DAY) TRAIN EACH WINDOW WITH (type='kmeans', k=1);
		CREATE STREAM waiting AS SELECT k, CLUSTER(m, *) AS c FROM s;
		INSERT INTO s VALUES (1, 2), (2, 3);`)
	wait(t, e, "SELECT COUNT(*) AS n FROM t", "2\n")
	rows, err := e.Query(context.Background(), "SELECT * FROM s EMIT CHANGES")
	if err != nil {
		t.Fatal(err)
	}
	for range rows.Batches() { // leaving the loop stops the query
		break
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// TestTogether uses one engine from several goroutines: definitions, inserts, pull queries and SHOW at once.
func TestTogether(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (k INT KEY, v INT) WITH (topic='s', value_format='json', partitions=2);
		CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;`)
	var all sync.WaitGroup
	run := func(f func(i int) string) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 40 {
				if err := e.Exec(context.Background(), f(i)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	run(func(i int) string { return fmt.Sprintf("INSERT INTO s VALUES (%d, %d)", i%5, i) })
	run(func(int) string { return "SELECT * FROM t WHERE k = 1" })
	run(func(int) string { return "SELECT COUNT(*) AS n FROM t" })
	run(func(i int) string { return fmt.Sprintf("CREATE STREAM s%d AS SELECT k, v + %d AS v FROM s", i, i) })
	run(func(i int) string {
		return fmt.Sprintf("CREATE STREAM g%d WITH (connector='generator', kind='fraud', rows=%d); SELECT COUNT(*) AS n FROM g%d; DROP STREAM g%d", i, i+1, i, i)
	})
	run(func(int) string { return "SHOW JOBS" })
	run(func(int) string { return "SELECT * FROM streamql.jobs" })
	all.Wait()
	wait(t, e, "SELECT SUM(n) AS n FROM t", "40\n")
	wait(t, e, "SELECT COUNT(*) AS n FROM s39", "40\n")
	// a topic where a generator was
	exec(t, e, "CREATE STREAM g1 (a INT) WITH (value_format='json'); INSERT INTO g1 VALUES (1);")
	wait(t, e, "SELECT a FROM g1", "1\n")
}
