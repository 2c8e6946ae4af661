package conformance

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/dialect"
)

// variations are run options that must not change any result.
var variations = []struct {
	name     string
	o        Options
	examples bool // also run the documentation's examples, which train on many rows
}{
	{"poll=1024", Options{}, true},
	{"poll=1", Options{Poll: 1}, false},
	{"poll=7", Options{Poll: 7}, false},
	{"record by record", Options{Schedule: "record"}, false},
	{"crash before each commit", Options{Poll: 1, Crash: -100}, false},
	{"crash in the 1st step", Options{Crash: 1}, false},
	{"crash in the 2nd step", Options{Poll: 1, Crash: 2}, false},
	{"crash in the 3rd step", Options{Poll: 1, Crash: 3}, false},
	{"crash in the 5th step", Options{Poll: 1, Crash: 5}, false},
}

// TestCases runs all cases in all variations. Each case must pass, and the results must be identical to the
// byte. The exception is the schedule "record", in which rows of several partitions meet in another order.
func TestCases(t *testing.T) {
	base := map[string]string{}
	for _, v := range variations {
		t.Run(v.name, func(t *testing.T) {
			var out bytes.Buffer
			v.o.Out, v.o.Timeout = &out, time.Minute // only against a hang: training takes longer on a busy machine
			paths := []string{"cases"}
			if v.examples {
				paths = append(paths, "../examples/queries")
			}
			s, err := Run(context.Background(), paths, v.o)
			if err != nil {
				t.Fatal(err)
			}
			if s.Failed > 0 {
				t.Errorf("\n%s", &out)
			}
			if v.o.Schedule != "record" {
				sameAnswers(t, base, s)
			}
			t.Log(s)
		})
	}
}

// sameAnswers compares the results with those of the first run, which base stores.
func sameAnswers(t *testing.T, base map[string]string, s *Summary) {
	t.Helper()
	crashes := 0
	for _, r := range s.Results {
		crashes += r.Crashes
		var b strings.Builder
		if err := emit(&b, []*Result{r}); err != nil {
			t.Fatal(err)
		}
		if first, ok := base[r.Case.ID]; !ok {
			base[r.Case.ID] = b.String()
		} else if first != b.String() {
			t.Errorf("%s: another answer\nfirst %snow   %s", r.Case.ID, first, b.String())
		}
	}
	if crashes > 0 {
		t.Logf("%d crashes", crashes)
	}
}

// TestDialects compares the table of dialects with the cases: each row has a case in each dialect, and no
// case names another difference.
func TestDialects(t *testing.T) {
	cases, err := Find([]string{"cases/dialects"})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range cases {
		if !strings.HasSuffix(c.Name, ": "+c.Dialect) {
			t.Errorf("case %q is in dialect %q", c.Name, c.Dialect)
		}
		have[c.Name] = true
	}
	for _, r := range dialect.Table {
		for _, d := range dialect.Names() {
			if name := r.Name + ": " + d; have[name] != (r.Test == "") {
				t.Errorf("case %q: there is one: %v; the test in its place: %q", name, have[name], r.Test)
			}
			delete(have, r.Name+": "+d)
		}
	}
	for name := range have {
		t.Errorf("case %q is of no difference in the table", name)
	}
}

// TestExternal runs the cases of a directory outside the repository: STREAMQL_CASES=dir, in the dialect ksql
// or STREAMQL_DIALECT. STREAMQL_REPORT=file writes the report as JSON lines. STREAMQL_EMIT=file writes the
// results for another judge. STREAMQL_VARY=1 runs all variations, which must not change a result. Failed
// cases do not fail the test, because it only measures.
func TestExternal(t *testing.T) {
	dir := os.Getenv("STREAMQL_CASES")
	if dir == "" {
		t.Skip("STREAMQL_CASES names no directory of cases")
	}
	o := Options{Dialect: "ksql", Timeout: 5 * time.Second}
	if d := os.Getenv("STREAMQL_DIALECT"); d != "" {
		o.Dialect = d
	}
	create := func(variable string) *os.File {
		name := os.Getenv(variable)
		if name == "" {
			return nil
		}
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	if f := create("STREAMQL_REPORT"); f != nil {
		o.Out, o.Report = f, "jsonl"
	}
	s, err := Run(context.Background(), []string{dir}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s)
	if f := create("STREAMQL_EMIT"); f != nil {
		if err := emit(f, s.Results); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("STREAMQL_VARY") == "" {
		return
	}
	base := map[string]string{}
	sameAnswers(t, base, s)
	for _, v := range variations[1:] {
		v.o.Dialect, v.o.Timeout = o.Dialect, o.Timeout
		s, err := Run(context.Background(), []string{dir}, v.o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", v.name, s)
		if v.o.Schedule != "record" {
			sameAnswers(t, base, s)
		}
	}
}
