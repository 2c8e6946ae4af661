package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
)

// bombs contains small statements with huge results. stops means that only the end of the context ends the
// statement.
var bombs = []struct {
	name, sql, code string
	stops           bool
}{
	{"replace", `SELECT LEN(REPLACE(LPAD('x', 100000, 'x'), 'x', LPAD('y', 100000, 'y'))) AS n;`, "SQ4003", false},
	{"concat", `SELECT LEN(` + nested("CONCAT", "LPAD('x', 10000, 'x')", 10, 4) + `) AS n;`, "SQ4003", false},
	{"texts in a list", `SELECT ARRAY_LENGTH(TRANSFORM(GENERATE_SERIES(1, 100000), x => LPAD('y', 100000, 'y'))) AS n;`,
		"SQ7004", false},
	{"lists in a list", `SELECT ARRAY_LENGTH(TRANSFORM(GENERATE_SERIES(1, 100000), x => GENERATE_SERIES(1, 100000))) AS n;`, "SQ7004", false},
	{"rows of rows", `SELECT COUNT(*) AS n FROM (SELECT EXPLODE(GENERATE_SERIES(1, 10000)) AS a, b FROM (SELECT EXPLODE(GENERATE_SERIES(1, 10000)) AS b));`, "", true},
	{"collected", `SELECT ARRAY_LENGTH(COLLECT_LIST(LPAD('y', 100000, 'y'))) AS n FROM (SELECT EXPLODE(GENERATE_SERIES(1, 100000)) AS a);`, "SQ7004", false},
	{"sorted", `SELECT x FROM (SELECT LPAD('y', 10000, 'y') AS x, a FROM (SELECT EXPLODE(GENERATE_SERIES(1, 1000000)) AS a)) ORDER BY a;`, "SQ7004", false},
	{"the first of many", `SELECT x FROM (SELECT LPAD('y', 10000, 'y') AS x, a FROM (SELECT EXPLODE(GENERATE_SERIES(1, 1000000)) AS a)) ORDER BY a DESC LIMIT 1;`, "", true},
	{"groups", `SELECT a, COUNT(*) AS n FROM (SELECT CONCAT(CAST(b AS STRING), LPAD('y', 1000, 'y')) AS a FROM (SELECT EXPLODE(GENERATE_SERIES(1, 1000000)) AS b)) GROUP BY a;`, "SQ7004", false},
	{"windows", `SELECT a, COUNT(*) AS n FROM one WINDOW HOPPING (SIZE 365 DAYS, ADVANCE BY 1 MILLISECONDS) GROUP BY a;`,
		"SQ2010", false},
	{"a pattern", `SELECT REGEXP_REPLACE(LPAD('a', 100000, 'a'), '((a{1,100}){1,10})b', 'x') IS NULL AS n;`, "", true},
	{"a pattern often", `SELECT LEN(REGEXP_REPLACE(LPAD('a', 1000000, 'a'), '(a+b)|a', 'xy')) AS n;`, "", true},
	{"a series", `SELECT COUNT(*) AS n FROM (SELECT EXPLODE(GENERATE_SERIES(1, 1000001)) AS x);`, "SQ4003", false},
	{"a value", `INSERT INTO one VALUES (1, ARRAY_JOIN(TRANSFORM(GENERATE_SERIES(1, 100000), x => LPAD('y', 100000, 'y')), ''));`, "SQ7004", false},
}

func nested(f, x string, width, depth int) string {
	for range depth {
		x = f + "(" + strings.Repeat(x+", ", width-1) + x + ")"
	}
	return x
}

// countdown is a context that ends after a number of checks, so that a test does not depend on time.
type countdown struct {
	context.Context
	mu    sync.Mutex
	looks int
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looks--; c.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestBombs runs small statements with huge results. Each is rejected, fails, or ends with its context, and
// the engine continues to serve.
func TestBombs(t *testing.T) {
	e := open(t, streamql.WithQuota(160<<20, 32<<20))
	exec(t, e, `CREATE STREAM one (a INT, t STRING) WITH (topic='one', format='json'); INSERT INTO one VALUES (1, 'x');`)
	for _, b := range bombs {
		t.Run(b.name, func(t *testing.T) {
			ctx := &countdown{Context: context.Background(), looks: 100_000}
			if b.stops {
				ctx.looks = 500
			}
			err := e.Exec(ctx, b.sql)
			var got *streamql.Error
			switch {
			case b.stops && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("ended with %v", err)
			case b.stops && ctx.looks < -100:
				t.Errorf("continued for %d checks of the context after its end", -ctx.looks)
			case !b.stops && (!errors.As(err, &got) || got.Code != b.code):
				t.Errorf("ended with %v, want %s", err, b.code)
			}
		})
	}
	if got := result(t, e, `SELECT a, t FROM one;`); !strings.Contains(got, "x") {
		t.Errorf("afterwards the engine answers %q", got)
	}
}

// TestLimitInAJob checks that a job does not fail at a row that exceeds a limit. The value is NULL, and the
// row is counted in the errors.
func TestLimitInAJob(t *testing.T) {
	var mu sync.Mutex
	var codes []string
	e := open(t, streamql.WithManualJobs(), streamql.WithWarnings(func(err *streamql.Error) {
		mu.Lock()
		defer mu.Unlock()
		codes = append(codes, err.Code)
	}))
	exec(t, e, `CREATE STREAM s (n INT) WITH (topic='s', format='json');
		CREATE STREAM d AS SELECT n, ARRAY_LENGTH(GENERATE_SERIES(1, n)) AS c FROM s;
		INSERT INTO s VALUES (3), (1000001), (4);`)
	if err := e.Drain(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if got := result(t, e, `SELECT c FROM d;`); strings.Join(strings.Fields(got),
		" ") != strings.Join(strings.Fields(result(t, e, `SELECT c FROM (SELECT EXPLODE(ARRAY[3, NULL, 4]) AS c);`)), " ") {
		t.Errorf("the job's rows are %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(codes) != "[SQ4003]" {
		t.Errorf("the job's warnings are %v", codes)
	}
}

// TestQuotaOfAJob checks that a job that exceeds its quota fails with SQ7004, and that the others continue.
func TestQuotaOfAJob(t *testing.T) {
	e := open(t, streamql.WithManualJobs(), streamql.WithQuota(0, 1<<20))
	exec(t, e, `CREATE STREAM s (n INT) WITH (topic='s', format='json');
		CREATE STREAM d AS SELECT n, LEN(ARRAY_JOIN(GENERATE_SERIES(1, n), ',')) AS c FROM s;
		INSERT INTO s VALUES (3), (100000);`)
	err := e.Drain(context.Background(), nil)
	var got *streamql.Error
	if !errors.As(err, &got) || got.Code != "SQ7004" {
		t.Errorf("the job ended with %v", err)
	}
}

// TestTotalMemory runs queries that are each within their quota but together exceed the total. One fails, and
// the memory is released.
func TestTotalMemory(t *testing.T) {
	e := open(t, streamql.WithQuota(64<<20, 0), streamql.WithTotalMemory(48<<20))
	const big = `SELECT x FROM (SELECT LPAD('y', 10000, 'y') AS x, a FROM (SELECT EXPLODE(GENERATE_SERIES(1, 1500)) AS a)) ORDER BY a;`
	if err := e.Exec(context.Background(), big); err != nil {
		t.Fatalf("alone: %v", err)
	}
	rows, err := e.Query(context.Background(), big)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range rows.Batches() { // the first query holds its memory while it returns rows
		if err != nil {
			t.Fatal(err)
		}
		var got *streamql.Error
		if err := e.Exec(context.Background(), big); !errors.As(err, &got) || got.Code != "SQ7004" ||
			!errors.Is(err, flow.ErrFull) {
			t.Errorf("alongside another query: %v", err)
		}
		if err := e.Exec(context.Background(), `SELECT 1 AS one;`); err != nil {
			t.Errorf("a small one alongside it: %v", err)
		}
		break
	}
	for range 3 {
		if err := e.Exec(context.Background(), big); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}
