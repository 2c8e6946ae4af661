package planner_test

import (
	"strings"
	"testing"

	"github.com/streamql/streamql/planner"
)

// TestMemoOnlyUnderRetractions checks that random values of a row are stored where the row may be
// retracted, and only there.
func TestMemoOnlyUnderRetractions(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{`CREATE STREAM x AS SELECT car, RANDOM() AS r FROM cars WHERE RANDOM() > 0.5`, ""},
		{`CREATE TABLE x AS SELECT speed, COUNT(*) AS n FROM cars WHERE RANDOM() > 0.5 GROUP BY speed`, ""},
		// upserts replace their row
		{`CREATE TABLE x AS SELECT car, UUID() AS u FROM owners WHERE RANDOM() > 0.5`, ""},
		// the sink reads keys of retractions
		{`CREATE TABLE x AS SELECT car, COUNT(*) AS n, UUID() AS u FROM cars GROUP BY car`, ""},
		{`CREATE TABLE x AS SELECT age, COUNT(*) AS n FROM owners GROUP BY age`, ""},
		{`CREATE TABLE x AS SELECT car, COUNT(*) AS n FROM cars WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY car HAVING` +
			` COUNT(*) > 1 EMIT FINAL`, ""},
		{`SELECT RANDOM() AS r FROM owners WHERE RANDOM() > 0.5`, ""},
		{`SELECT age, COUNT(*) AS n FROM owners WHERE NOW() > FROM_UNIXTIME(0) GROUP BY age`, ""},
		{`CREATE TABLE x AS SELECT age, COUNT(*) AS n FROM owners WHERE RANDOM() > 0.5 GROUP BY age`,
			"Memo of ($drawn0) by (car)"},
		{`CREATE TABLE x AS SELECT age, SUM(RANDOM()) AS n FROM owners GROUP BY age`, "Memo of ($drawn0) by (car)"},
		{`CREATE TABLE x AS SELECT car, COUNT(*) AS n FROM cars GROUP BY car HAVING RANDOM() > 0.5`,
			"Memo of ($drawn0) by (car)"},
		{`CREATE TABLE x AS SELECT car, COUNT(*) AS n FROM cars WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY car HAVING` +
			` RANDOM() > 0.5`, "Memo of ($drawn0) by (WINDOWEND, WINDOWSTART, car)"},
		{`SELECT n, RANDOM() AS r FROM (SELECT car, COUNT(*) AS n FROM cars GROUP BY car HAVING COUNT(*) > 0) EMIT` +
			` CHANGES`, "Memo of ($drawn0) by (car)"},
		{`SELECT n, RANDOM() AS r FROM (SELECT COUNT(*) AS n FROM cars GROUP BY car HAVING COUNT(*) > 0) EMIT` +
			` CHANGES`, "Memo of ($drawn0) by (car)"},
		{`CREATE TABLE x AS SELECT n, COUNT(*) AS m FROM (SELECT temp, COUNT(*) AS n FROM cars GROUP BY temp)` +
			` WHERE UUID() <> '' GROUP BY n`, "Memo of ($drawn0) by (temp)"},
	} {
		p, err := plan(t, c.query, options(t, false))
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		var memos []string
		for _, s := range p.Stages {
			for _, line := range planner.Explain(s) {
				if i := strings.Index(line, "Memo of"); i >= 0 {
					memos = append(memos, line[i:])
				}
			}
		}
		if got := strings.Join(memos, "; "); got != c.want {
			t.Errorf("%s\nkeeps %q, want %q", c.query, got, c.want)
		}
	}
}
