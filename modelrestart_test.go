package streamql_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/topic"
)

// TestVersionOverRestart stops an engine between two batches of a query that predicts. After the restart the
// same version serves, and no swap is logged. If that version was dropped meanwhile, the newest one serves.
func TestVersionOverRestart(t *testing.T) {
	dir := t.TempDir()
	run := func(f func(*streamql.Engine)) {
		e, err := streamql.Open(context.Background(), streamql.WithDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		f(e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const swaps = `SELECT version, detail FROM streamql.training WHERE event = 'swap'`
	const counts = `SELECT COUNT(*) AS n, MIN(v) AS lo, MAX(v) AS hi FROM p`
	run(func(e *streamql.Engine) {
		exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (x DOUBLE) WITH (topic='s', format='json'); INSERT INTO s VALUES (1), (2);
			CREATE MODEL m TRANSFORM (x) FROM s TRAIN ONCE WITH (type='kmeans', k=1);
			CREATE STREAM p AS SELECT x, MODEL_VERSION(m, *) AS v FROM s;`)
		wait(t, e, counts, "2 1 1\n")
	})
	run(func(e *streamql.Engine) {
		exec(t, e, `INSERT INTO s VALUES (3);`)
		wait(t, e, counts, "3 1 1\n")
		if got := result(t, e, swaps); got != "1 from 0\n" {
			t.Errorf("after a restart the swaps are\n%s", got)
		}
		exec(t, e, `RETRAIN MODEL m; INSERT INTO s VALUES (4);`)
		wait(t, e, counts, "4 1 2\n")
		exec(t, e, `DROP MODEL m$2;`)
	})
	run(func(e *streamql.Engine) {
		exec(t, e, `INSERT INTO s VALUES (5);`)
		wait(t, e, `SELECT COUNT(*) AS n FROM p WHERE v = 1`, "4\n")
		if got := result(t, e, swaps); got != "1 from 0\n2 from 1\n1 from 2\n" {
			t.Errorf("after version 2 was dropped the swaps are\n%s", got)
		}
		if got := result(t, e, `SELECT version, status, parent FROM m`); got != "1 READY 0\n2 DROPPED 1\n" {
			t.Errorf("the versions are\n%s", got)
		}
	})
}

// TestTrainingsSideBySide runs several RETRAIN statements concurrently with a training per window. No version
// is lost, and each row of the training log refers to the number of its version.
func TestTrainingsSideBySide(t *testing.T) {
	e := open(t)
	exec(t, e, fraud+`CREATE MODEL m TRANSFORM (amount, hour) FROM tx SINCE EARLIEST WINDOW TUMBLING (SIZE 1 MINUTE) TRAIN EACH WINDOW WITH (type='kmeans', k=2, seed=5);`)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := e.Exec(context.Background(), `RETRAIN MODEL m SINCE EARLIEST UNTIL OFFSET 500;`); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	// 49 windows of 3000 seconds have closed
	wait(t, e, `SELECT COUNT(*) AS n FROM streamql.training WHERE event = 'version'`, "52\n")
	wait(t, e, `SELECT COUNT(*) AS n, COUNT_DISTINCT(version) AS d, MIN(version) AS lo, MAX(version) AS hi FROM m WHERE status = 'READY'`, "52 52 1 52\n")
	wait(t, e, `SELECT COUNT_DISTINCT(version) AS d, COUNT_DISTINCT(version_id) AS ids, MIN(version) AS lo, MAX(version) AS hi FROM streamql.training WHERE event = 'version'`, "52 52 1 52\n")
}

// TestOldTrainingLog reads training-log rows of early versions, which contain the version's number itself.
func TestOldTrainingLog(t *testing.T) {
	e := open(t)
	txn, err := e.Broker().Begin(context.Background(), "test")
	if err != nil {
		t.Fatal(err)
	}
	row := topic.Record{Value: []byte(`{"model":"m","version":4,"event":"version","pass":0,"rows":7,"metric":"rows","value":7,"job":"j","detail":""}`)}
	if err := txn.Write(topic.Partition{Topic: "streamql.training"}, row); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if got := result(t, e, `SELECT model, version, version_id, rows FROM streamql.training`); !strings.HasPrefix(got,
		"m 4 ") || !strings.HasSuffix(got, " 7\n") {
		t.Errorf("the row is %q", got)
	}
}
