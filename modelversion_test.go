package streamql_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
)

const halves = `CREATE STREAM points (id INT KEY, x DOUBLE, y DOUBLE, label STRING, n INT) WITH (topic='points', format='json');
	INSERT INTO points VALUES (1, -2, 2, 'low', 1), (2, -1, 1, 'low', 1), (3, 1, -1, 'high', 2), (4, 2, -2, 'high', 2);
	CREATE MODEL side TRANSFORM (x + 0.5 AS f) TARGET label FROM points SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='logistic_regression', epochs=100, lr=0.5);`

const otherHalves = `CREATE OR REPLACE MODEL side TRANSFORM (y * 1000 AS f, x) TARGET n FROM points SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='softmax_regression', epochs=100, lr=0.5);`

// TestReplacedModel replaces a model by one with other features, another type and another target. Each version is used
// with the features with which it was trained, and a push query continues with the version that it was planned for.
func TestReplacedModel(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest';`+halves)
	rows, err := e.Query(t.Context(), `SELECT id, PREDICT(side, *) AS p, MODEL_VERSION(side) AS v FROM points SINCE EARLIEST EMIT CHANGES LIMIT 6`)
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(rows.Batches())
	defer stop()
	var live []string
	read := func(n int) {
		for len(live) < n {
			b, err, ok := next()
			if err != nil || !ok {
				t.Fatal(err)
			}
			for i := range b.Rows() {
				live = append(live, fmt.Sprintln(flow.Value(b.Column(0), i), flow.Value(b.Column(1), i), flow.Value(b.Column(2), i)))
			}
		}
	}
	read(4)
	exec(t, e, otherHalves+`INSERT INTO points VALUES (5, -3, -3, 'low', 1), (6, 3, 3, 'high', 2);`)
	read(6)
	if !slices.Equal(live[4:], []string{"5 low 1\n", "6 high 1\n"}) {
		t.Errorf("the push query continues with %q", live[4:])
	}
	got := result(t, e, `SELECT PREDICT(side$1, *) AS a, PREDICT(side$1, 2.0) AS b, PREDICT(side, *) AS c FROM points WHERE id = 1`)
	if got != "low high 1\n" {
		t.Errorf("the versions predict %q", got)
	}
	if got := result(t, e, `SELECT value FROM ML_EVALUATE(side$1, points) WHERE metric = 'accuracy'`); got != "1\n" {
		t.Errorf("the accuracy of version 1 is %q", got)
	}
	if got := result(t, e, `SELECT version FROM side WHERE manifest LIKE '%x + 0.5%' AND created > 0`); got != "1\n" {
		t.Errorf("manifests with the first expression: %q", got)
	}
}

// TestSkippedRows counts rows that are not learned, by code and reason, and with the place of the first of each.
func TestSkippedRows(t *testing.T) {
	for _, mode := range []string{"ONCE", "EACH EVENT"} {
		for _, poll := range []int{1, 1024} {
			e := open(t, streamql.WithPollRecords(poll))
			array := "a"
			if mode == "EACH EVENT" {
				array = "x"
			}
			exec(t, e, `CREATE STREAM s (id INT KEY, x DOUBLE, a ARRAY<DOUBLE>, y STRING) WITH (topic='s', format='json', partitions=1);
				INSERT INTO s VALUES (1, 0, ARRAY[1.0, 2.0], 'p'), (2, NULL, ARRAY[1.0, 2.0], 'p'), (3, 1, ARRAY[1.0, 2.0], 'q'), (4, 1, ARRAY[1.0, 2.0], 'r'), (5, NULL, ARRAY[1.0, 2.0], 'q'), (6, 1, ARRAY[1.0], 'q');
				CREATE MODEL m TRANSFORM (x, `+array+`) TARGET y FROM s SINCE EARLIEST UNTIL NOW TRAIN `+mode+` WITH (type='logistic_regression', classes=ARRAY['p', 'q']);`)
			got := result(t, e, `SELECT message, code, SUM(count) AS n, MIN(offset) AS o, MAX(partition) AS p, MAX(topic) AS t FROM streamql.errors GROUP BY message, code`)
			want := []string{"feature x is missing SQ6101 2 1 0 s\n", "target y: the value is none of the declared classes SQ6102 1 3 0 s\n"}
			if mode == "ONCE" {
				want = append(want, "feature a does not have 2 elements, as the first row of the training has SQ6103 1 5 0 s\n")
			}
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("%s, poll %d: the errors are\n%sand not %s", mode, poll, got, w)
				}
			}
			if n := strings.Count(got, "\n"); n != len(want) {
				t.Errorf("%s, poll %d: %d reasons, not %d:\n%s", mode, poll, n, len(want), got)
			}
		}
	}
}
