package lang

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLimits checks that a text beyond a limit is refused quickly, with a position, and within the promised
// memory.
func TestLimits(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct{ name, src, code string }{
		{"parentheses", "SELECT " + rep("(", 1_000_000), "SQ1007"},
		{"brackets", "SELECT " + rep("a[", 400_000), "SQ1007"},
		{"closed", "SELECT " + rep("(", 300) + "1" + rep(")", 300), "SQ1007"},
		{"not", "SELECT " + rep("NOT ", 60_000) + "a", "SQ1007"},
		{"signs", "SELECT " + rep("- ", 60_000) + "1", "SQ1007"},
		{"case", "SELECT " + rep("CASE WHEN a THEN ", 5_000), "SQ1007"},
		{"not in brackets", "SELECT " + rep("NOT (", 129) + "a" + rep(")", 129), "SQ1007"},
		{"arrays", "CREATE STREAM s (a " + rep("ARRAY<", 50_000) + "INT" + rep(">", 50_000) + ");", "SQ1007"},
		{"structs", "CREATE STREAM s (a " + rep("STRUCT<f ", 50_000), "SQ1007"},
		{"queries", rep("SELECT * FROM (", 50_000), "SQ1007"},
		{"text", rep("x", MaxText+1), "SQ1005"},
		{"words", rep("a ", 300_000), "SQ1006"},
		{"semicolons", rep(";", 300_000), "SQ1006"},
		{"or", "SELECT a" + rep(" OR a", 90_000), "SQ1008"},
		{"plus", "SELECT 1" + rep("+1", 90_000), "SQ1008"},
		{"arrows", "SELECT a" + rep("->a", 90_000), "SQ1008"},
		{"lambdas", "SELECT f(" + rep("x=>", 60_000) + "1)", "SQ1008"},
		{"explain", rep("EXPLAIN ", 100_000) + "SELECT 1", "SQ1001"},
		{"name", "SELECT " + rep("x", 250) + " FROM s", "SQ1011"},
		{"number", "SELECT " + rep("1", 1_001) + " FROM s", "SQ1010"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := Parse(c.src)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			errs := AsErrors(err)
			if len(errs) != 1 || errs[0].Code != c.code || errs[0].Pos.Line != 1 {
				t.Fatalf("%.300v", err)
			}
			if shown := errs[0].Show(c.src, false); len(shown) > 1000 {
				t.Errorf("%d bytes are shown", len(shown))
			}
			if took > time.Second { // 50 ms are promised; a busy machine gets more
				t.Errorf("it took %v", took)
			}
			if mem := after.TotalAlloc - before.TotalAlloc; mem > 64<<20 {
				t.Errorf("it took %d MB", mem>>20)
			}
		})
	}
}

// TestWithinLimits checks that large texts within the limits are read.
func TestWithinLimits(t *testing.T) {
	rep := strings.Repeat
	for _, src := range []string{
		"SELECT " + rep("(", 250) + "1" + rep(")", 250) + " FROM s",
		"SELECT " + rep("NOT ", 250) + "a FROM s",
		"SELECT a" + rep(" OR a", 900) + " FROM s",
		"SELECT 'a'" + rep(" || a", 900) + " FROM s",
		"SELECT a FROM s WHERE a IN (1" + rep(", 1", 50_000) + ")",
		"CREATE STREAM s (a " + rep("ARRAY<", 250) + "INT" + rep(">", 250) + ")",
		"SELECT " + rep("CASE WHEN a THEN ", 120) + "1" + rep(" END", 120) + " FROM s",
		rep("SELECT -1, NOT a, CASE WHEN a < b THEN 1 END FROM s;", 3_000),
		"SELECT a" + rep(", - 1, NOT a, a - - 1", 5_000) + " FROM s",
		rep("SELECT a FROM s UNION ALL ", 2_000) + "SELECT a FROM s",
		"SELECT 1 -- " + rep("x", 900_000),
		"SELECT " + rep("x", 249) + " FROM s",
	} {
		if _, err := Parse(src); err != nil {
			t.Errorf("%.60s: %.300v", src, err)
		}
	}
}
