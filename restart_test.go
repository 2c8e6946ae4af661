package streamql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"testing"
	"time"

	"github.com/streamql/streamql"
)

// wait runs a query until it returns these rows.
func wait(t testing.TB, e *streamql.Engine, query, want string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		got := result(t, e, query)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\ngot\n%swant\n%s\njobs\n%s", query, got, want,
				result(t, e, "SELECT job, status, rows, error FROM streamql.jobs"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRestart stops an engine and opens it again. The catalog, the jobs' positions and their state continue.
// The table's key differs from the stream's, so rows pass an exchange.
func TestRestart(t *testing.T) {
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
	run(func(e *streamql.Engine) {
		exec(t, e, `SET 'auto.offset.reset'='earliest';
			CREATE STREAM s (id INT KEY, color STRING, v INT) WITH (topic='s', partitions=4);
			CREATE STREAM big AS SELECT id, color, v FROM s WHERE v >= 10;
			CREATE TABLE colors AS SELECT color, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY color;
			INSERT INTO s VALUES (1, 'red', 1), (2, 'blue', 20), (3, 'red', 30), (4, 'green', 40), (5, 'red', 5);`)
		wait(t, e, `SELECT color, n, total FROM colors ORDER BY color`, "blue 1 20\ngreen 1 40\nred 3 36\n")
	})
	run(func(e *streamql.Engine) {
		wait(t, e, `SELECT color, n, total FROM colors ORDER BY color`, "blue 1 20\ngreen 1 40\nred 3 36\n")
		exec(t, e, `INSERT INTO s VALUES (1, 'red', 100), (6, 'blue', 200);`)
		wait(t, e, `SELECT color, n, total FROM colors ORDER BY color`, "blue 2 220\ngreen 1 40\nred 4 136\n")
		wait(t, e, `SELECT COUNT(*) AS n, SUM(v) AS v FROM big`, "5 390\n")
		wait(t, e, `SELECT total FROM colors WHERE color = 'red'`, "136\n")
	})
}

const killed = "STREAMQL_TEST_KILLED"

// TestMain makes the test binary the process that TestKill kills, if it is started as such.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killed); dir != "" {
		endless(dir)
		return
	}
	os.Exit(m.Run())
}

// endless inserts rows and runs jobs over them until it is killed.
func endless(dir string) {
	ctx := context.Background()
	e, err := streamql.Open(ctx, streamql.WithDir(dir), streamql.WithCommitInterval(2*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	err = e.Exec(ctx, `SET 'auto.offset.reset'='earliest';
		CREATE STREAM IF NOT EXISTS s (id INT KEY, v INT) WITH (topic='s', partitions=3);
		CREATE STREAM IF NOT EXISTS copied AS SELECT id, v FROM s;
		CREATE TABLE IF NOT EXISTS sums AS SELECT v % 7 AS m, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY v % 7;`)
	for i := 0; err == nil; i++ {
		text := "INSERT INTO s VALUES "
		for k := range 20 {
			if k > 0 {
				text += ", "
			}
			text += fmt.Sprintf("(%d, %d)", rand.IntN(1000), i*20+k)
		}
		err = e.Exec(ctx, text)
	}
	fmt.Println(err)
	os.Exit(1)
}

// TestKill kills a process at random moments and restarts it. No row is lost or duplicated.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("left out: -short")
	}
	dir := t.TempDir()
	for range 12 {
		cmd := osexec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killed+"="+dir)
		cmd.Stdout = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(60+rand.IntN(240)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 1 {
			t.Fatalf("the process ended by itself: %v", err)
		}
	}
	e, err := streamql.Open(context.Background(), streamql.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in := result(t, e, `SELECT COUNT(*) AS n, SUM(CAST(v AS BIGINT)) AS total FROM s`)
	wait(t, e, `SELECT COUNT(*) AS n, SUM(CAST(v AS BIGINT)) AS total FROM copied`, in)
	wait(t, e, `SELECT SUM(n) AS n, SUM(CAST(total AS BIGINT)) AS total FROM sums`, in)
	t.Logf("12 kills, rows and total: %s", in)
}
