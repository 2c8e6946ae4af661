package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql"
)

const fraud = `CREATE STREAM tx WITH (connector='generator', kind='fraud', rows=3000, seed=7, step='1 SECOND');`

// trained queries the versions of a model without times and names.
const trained = `SELECT version, status, rows, sha256 FROM m ORDER BY version`

// TestSameBytes trains in each mode with different fetch sizes, and with a crash before every third commit.
// Equal rows, options and seed must result in equal bytes.
func TestSameBytes(t *testing.T) {
	for name, create := range map[string]string{
		"once":    `CREATE MODEL m TRANSFORM (amount, hour) FROM tx SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='autoencoder', layers='2:tanh', epochs=2, seed=5);`,
		"sampled": `CREATE MODEL m TRANSFORM (amount, hour) FROM tx SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='kmeans', k=3, max_rows=100, seed=5);`,
		"window":  `CREATE MODEL m TRANSFORM (amount, hour) FROM tx SINCE EARLIEST UNTIL NOW WINDOW TUMBLING (SIZE 10 MINUTES) TRAIN EACH WINDOW WARM START WITH (type='autoencoder', layers='2:tanh', epochs=2, seed=5);`,
		"event":   `CREATE MODEL m TRANSFORM (amount, hour, merchant_category) TARGET is_fraud FROM tx SINCE EARLIEST UNTIL NOW TRAIN EACH EVENT PUBLISH EVERY 1000 ROWS WITH (type='logistic_regression');`,
		"event t": `CREATE MODEL m TRANSFORM (amount, hour, merchant_category) TARGET is_fraud FROM tx SINCE EARLIEST UNTIL NOW TRAIN EACH EVENT PUBLISH EVERY 13 MINUTES WITH (type='logistic_regression');`,
	} {
		t.Run(name, func(t *testing.T) {
			first := ""
			for _, poll := range []int{1024, 7, 100} {
				for _, crash := range []bool{false, true} {
					e := open(t, streamql.WithManualJobs(), streamql.WithPollRecords(poll))
					exec(t, e, fraud+create)
					steps := 0
					err := e.Drain(context.Background(), func(string) error {
						if steps++; crash && steps%3 == 2 && steps < 60 {
							return streamql.ErrCrash
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					got := result(t, e, trained)
					if first == "" {
						first = got
						t.Log("\n" + got)
					}
					if got != first || got == "" {
						t.Fatalf("poll %d crash %v gave\n%swant\n%s", poll, crash, got, first)
					}
				}
			}
		})
	}
}

// TestHotSwap retrains a model while a query predicts with it. Every row has a prediction of one of the two
// versions, and no row is lost.
func TestHotSwap(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (id INT KEY, x DOUBLE, y DOUBLE) WITH (topic='s', format='json', partitions=2);`)
	insert := func(from int) {
		var rows []string
		for i := range 100 {
			rows = append(rows, fmt.Sprintf("(%d, %d, %d)", from+i, i%10, i%7))
		}
		exec(t, e, "INSERT INTO s VALUES "+strings.Join(rows, ", "))
	}
	insert(0)
	exec(t, e, `CREATE MODEL m TRANSFORM (x, y) FROM s TRAIN ONCE WITH (type='kmeans', k=2, seed=1);
		CREATE STREAM p AS SELECT id, CLUSTER(m, *) AS c, MODEL_VERSION(m) AS v FROM s;`)
	wait(t, e, `SELECT COUNT(*) AS n, COUNT(c) AS c, MIN(v) AS lo, MAX(v) AS hi FROM p`, "100 100 1 1\n")
	exec(t, e, `RETRAIN MODEL m;`)
	insert(100)
	wait(t, e, `SELECT COUNT(*) AS n, COUNT(c) AS c, MIN(v) AS lo, MAX(v) AS hi FROM p`, "200 200 1 2\n")
	wait(t, e, `SELECT COUNT(*) AS n, COUNT_DISTINCT(id) AS ids FROM p WHERE v = 2`, "100 100\n")
	if got := result(t, e, `SELECT model, version, detail FROM streamql.training WHERE event = 'swap' ORDER BY version`); !strings.Contains(got, "m 1 from 0\n") || !strings.Contains(got, "m 2 from 1\n") {
		t.Errorf("the swaps are\n%s", got)
	}
	if got := result(t, e, `SELECT MAX(MODEL_VERSION(m$1, *)) AS v FROM s`); got != "1\n" {
		t.Errorf("m$1 is version %q", got)
	}
	exec(t, e, `DROP MODEL m$1;`)
	refused(t, e, `SELECT CLUSTER(m$1, *) AS c FROM s;`, "SQ6003", "dropped")
	refused(t, e, `DROP MODEL m;`, "SQ3016", "CSAS_p")
}

// TestWaitsForModel starts a query before its model has a version. The query waits and loses no row.
func TestWaitsForModel(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (x DOUBLE) WITH (topic='s', format='json');
		INSERT INTO s VALUES (1), (2);
		CREATE MODEL m TRANSFORM (x) FROM s WINDOW TUMBLING (SIZE 1 DAY) TRAIN EACH WINDOW WITH (type='kmeans', k=1);
		CREATE STREAM p AS SELECT x, CLUSTER(m, *) AS c FROM s;`)
	time.Sleep(50 * time.Millisecond)
	if got := result(t, e, `SELECT status, waits_for FROM streamql.jobs WHERE job = 'CSAS_p_1'`); !strings.HasPrefix(got,
		"WAITING ") || !strings.Contains(got, `model "m"`) {
		t.Errorf("the job that waits is %q", got)
	}
	if got := result(t, e, `SELECT COUNT(*) AS n FROM p`); got != "0\n" {
		t.Errorf("there are %q predictions without a model", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	rows, err := e.Query(ctx, `SELECT CLUSTER(m, *) AS c FROM s`)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range rows.Batches() {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a query that waits for a model ended with %v", err)
		}
	}
	exec(t, e, `CREATE STREAM q AS SELECT x, CLUSTER(m, *) AS c FROM s; TERMINATE CSAS_q_2;`)
	exec(t, e, fmt.Sprintf(`INSERT INTO s (ROWTIME, x) VALUES (%d, 3);`, time.Now().Add(48*time.Hour).UnixMilli()))
	wait(t, e, `SELECT x, c FROM p`, "1 0\n2 0\n3 0\n")
}

func TestModelStatements(t *testing.T) {
	e := open(t)
	exec(t, e, fraud+`CREATE MODEL m TRANSFORM (amount, hour, merchant_category) TARGET is_fraud FROM tx SINCE EARLIEST UNTIL NOW TRAIN EACH EVENT WITH (type='logistic_regression');`)
	got := result(t, e, `SELECT metric, value FROM ML_EVALUATE(m, tx) WHERE metric IN ('rows', 'accuracy')`)
	if !strings.Contains(got, "rows 3000\n") {
		t.Errorf("ML_EVALUATE gave\n%s", got)
	}
	if got := result(t, e, `SELECT COUNT(*) AS n FROM tx WHERE ABS(PREDICT_PROBA(m, *)['true'] + PREDICT_PROBA(m, *)['false'] - 1) > 1e-9`); got != "0\n" {
		t.Errorf("%s rows have probabilities that do not sum to 1", got)
	}
	for query, want := range map[string]string{
		`SHOW MODELS;`: "m logistic_regression 5 5 MODEL_m_0 streamql.model.m\n",
		`SELECT model, version, status FROM streamql.models;`: "m 1 READY\nm 2 READY\nm 3 READY\nm 4 READY\nm 5 READY\n",
		`SELECT job, status FROM streamql.jobs;`:              "MODEL_m_0 DONE\n",
	} {
		if got := result(t, e, query); got != want {
			t.Errorf("%s gave\n%swant\n%s", query, got, want)
		}
	}
	if got := result(t, e, `DESCRIBE MODEL m;`); !strings.Contains(got, "inputs amount DOUBLE, hour") {
		t.Errorf("DESCRIBE MODEL gave\n%s", got)
	}
	exec(t, e, `DROP MODEL m; DROP MODEL IF EXISTS m;`)
	if got := result(t, e, `SHOW MODELS;`); got != "" {
		t.Errorf("after DROP there are %q", got)
	}
}

func TestModelOptions(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM s (x DOUBLE, y DOUBLE) WITH (topic='s', value_format='json');
		INSERT INTO s VALUES (1, 2), (NULL, 4), (3, 6), (5, NULL);`)
	refused(t, e, `CREATE MODEL m FROM s TRAIN ONCE WITH (type='kmeans', k=1, on_null='error');`, "SQ4000", "on_null")
	exec(t, e, `CREATE OR REPLACE MODEL m FROM s TRAIN ONCE WITH (type='kmeans', k=1, on_null='impute', keep_versions=2);`)
	if got := result(t, e, `SELECT version, rows FROM m`); got != "1 4\n" {
		t.Errorf("with on_null='impute' the versions are %q", got)
	}
	exec(t, e, `RETRAIN MODEL m; RETRAIN MODEL m;`)
	if got := result(t, e, `SELECT version, status FROM m`); got != "1 DROPPED\n2 READY\n3 READY\n" {
		t.Errorf("with keep_versions=2 the versions are\n%s", got)
	}
	refused(t, e, `CREATE MODEL n FROM s TRAIN ONCE WITH (type='kmeans', k=1, store='compacted');`, "SQ3001", "store")
	refused(t, e, `SET 'emit.changes'='commit';`, "SQ3001", "emit.changes")
}

// TestRetention checks that the rows of a windowed table stay for the time of RETENTION.
func TestRetention(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (k STRING KEY, v INT) WITH (topic='s', value_format='json');
		CREATE TABLE w AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS, RETENTION 1 MINUTE, GRACE PERIOD 0 SECONDS) GROUP BY k;
		INSERT INTO s (ROWTIME, k, v) VALUES (0, 'a', 1), (1000, 'a', 1), (30000, 'a', 1);`)
	wait(t, e, `SELECT k, WINDOWSTART, n FROM w`, "a 0 2\na 30000 1\n")
	exec(t, e, `INSERT INTO s (ROWTIME, k, v) VALUES (80000, 'b', 1), (5000, 'a', 1);`)
	wait(t, e, `SELECT k, WINDOWSTART, WINDOWEND, n FROM w`, "a 30000 40000 1\nb 80000 90000 1\n")
	wait(t, e, `SELECT late, rows FROM streamql.jobs WHERE kind = 'CTAS'`, "1 5\n")
}
