package streamql_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// TestSynonyms runs what users of other systems type: it works, or the error's hint has the right form.
func TestSynonyms(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM s (k STRING KEY, g STRING, v INT, at TIMESTAMP) WITH (topic='s', format='json');
		INSERT INTO s VALUES ('a', 'x', 1, '2026-01-31T00:00:00'), ('b', 'x', 2, '2026-01-31T00:00:00'), ('c', 'y', 3, NULL);`)
	for _, c := range []struct{ text, want string }{
		{"SELECT SUBSTR('abcd', 2, 2)", "bc"},
		{"SELECT NVL(NULL, 'z')", "z"},
		{"SELECT '12'::INT + 1", "13"},
		{"SELECT (-5)::STRING || 'x'", "-5x"},
		{"SELECT CAST('1.5' AS DOUBLE)::INT::STRING", "1"},
		{"SELECT STRPOS('abc', 'c')", "3"},
		{"SELECT POW(2, 3)", "8"},
		{"SELECT CURRENT_TIMESTAMP = CURRENT_TIMESTAMP()", "true"},
		{"SELECT TIMESTAMP '2026-01-31T00:00:00' + INTERVAL '1' DAY = TIMESTAMP '2026-02-01T00:00:00'", "true"},
		{"SELECT DATE '2026-01-31' - INTERVAL 1 DAY = DATE '2026-01-30'", "true"},
		{"SELECT at + INTERVAL 2 HOURS = TIMESTAMP '2026-01-31T02:00:00' FROM s WHERE k = 'a'", "true"},
		{"SELECT ARRAY_AGG(v) FROM s", "[1 2 3]"},
		{"SELECT UNNEST(ARRAY[4, 5])", "4\n5"},
		{"SELECT g, SUM(v) FROM s GROUP BY 1 ORDER BY 1", "x 3\ny 3"},
		{"SELECT UCASE(g) AS big, SUM(v) FROM s GROUP BY big ORDER BY 1", "X 3\nY 3"},
		{"SELECT UCASE(g) AS k, k AS own, COUNT(*) FROM s GROUP BY k, UCASE(g) ORDER BY own", "X a 1\nX b 1\nY c 1"},
	} {
		if got := strings.TrimSpace(result(t, e, c.text+";")); got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	for text, hint := range map[string]string{
		"SELECT TO_TIMESTAMP('2026') FROM s;":                              "PARSE_TIMESTAMP",
		"SELECT STRING_AGG(g, ',') FROM s;":                                "ARRAY_JOIN(COLLECT_LIST",
		"SELECT IF(v > 1, 1, 2) FROM s;":                                   "CASE WHEN",
		"SELECT MEDIAN(v) FROM s;":                                         "APPROX_QUANTILE",
		"CREATE MATERIALIZED VIEW x AS SELECT * FROM s;":                   "CREATE TABLE name AS SELECT",
		"CREATE VIEW x AS SELECT * FROM s;":                                "CREATE STREAM name AS SELECT",
		"CREATE SOURCE x (a INT);":                                         "CREATE STREAM name",
		"CREATE STREAM x (a TIMESTAMP, WATERMARK FOR a AS a);":             "no watermark",
		"CREATE MODEL m OPTIONS (model_type='kmeans') AS SELECT v FROM s;": "WITH (type=",
		"SELECT * FROM s WHERE g ILIKE 'x';":                               "LCASE",
		"UPDATE s SET v = 1;":                                              "INSERT INTO",
		"DELETE FROM s;":                                                   "NULL",
		"SHOW COLUMNS FROM s;":                                             "DESCRIBE",
		"VALUES (1);":                                                      "SELECT 1",
		"SELECT * FROM ML.PREDICT(MODEL m, TABLE s);":                      "PREDICT(m, *)",
	} {
		statements, err := e.Parse(text)
		if err == nil {
			_, err = e.Run(context.Background(), statements[0])
		}
		var failed *streamql.Error
		if list := lang.AsErrors(err); len(list) > 0 {
			failed = list[0]
		} else if !errors.As(err, &failed) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !strings.Contains(failed.Hint, hint) {
			t.Errorf("%s: %v, hint %q, want %q", text, failed, failed.Hint, hint)
		}
	}
	known := e.Functions()
	for word, s := range lang.Synonyms {
		_, scalar := known.Scalar(s.Ours)
		_, aggregate := known.Aggregate(s.Ours)
		_, table := known.Table(s.Ours)
		if word != strings.ToUpper(word) || (s.Ours == "") == (s.Hint == "") || s.Ours != "" && !scalar && !aggregate && !table {
			t.Errorf("%s: %+v", word, s)
		}
	}
}
