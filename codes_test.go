package streamql_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

var (
	exampleBlock = regexp.MustCompile("(?s)```sql( dialect=([a-z]+))?\n(.*?)\n```")
	testedBy     = regexp.MustCompile(`\nTested by (Test\w+)\.\n$`)
	codeText     = regexp.MustCompile(`(== )?"(SQ\d{4})"`)
	testFunc     = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// goFiles calls f for every Go file of the tree.
func goFiles(t *testing.T, f func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		f(path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCodePages checks the pages of the error codes: every code in the source has a page, every page's code
// is in the source, every example fails with its code, and a code without an example is covered by the test
// that its page names.
func TestCodePages(t *testing.T) {
	raised, tests := map[string]string{}, map[string]bool{}
	goFiles(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(text, -1) {
				tests[m[1]] = true
			}
			return
		}
		for _, m := range codeText.FindAllStringSubmatch(text, -1) {
			if m[1] == "" { // a comparison, which does not raise the code
				raised[m[2]] = path
			}
		}
	})
	pages, err := filepath.Glob("lang/codes/SQ*.md")
	if err != nil || len(pages) < 70 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	have := map[string]bool{}
	for _, page := range pages {
		code := strings.TrimSuffix(filepath.Base(page), ".md")
		have[code] = true
		if raised[code] == "" {
			t.Errorf("%s: nothing raises %s", page, code)
		}
		if strings.HasPrefix(code, "SQ10") {
			continue // tested in package lang
		}
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			body := string(raw)
			if !strings.HasPrefix(body, "# "+code+": ") {
				t.Error("the page does not begin with its code")
			}
			block, by := exampleBlock.FindStringSubmatch(body), testedBy.FindStringSubmatch(body)
			switch {
			case block != nil && by == nil:
				runExample(t, code, block[2], block[3])
			case block != nil || by == nil:
				t.Error("a page has either an example or a last line that names its test")
			case !tests[by[1]]:
				t.Errorf("there is no test %s", by[1])
			}
		})
	}
	for code, path := range raised {
		if !have[code] {
			t.Errorf("%s raises %s, which has no page", path, code)
		}
	}
}

// runExample runs the statements of a page. The last one must fail with the code or emit it as a warning, the
// others must succeed.
func runExample(t *testing.T, code, dialect, text string) {
	var mu sync.Mutex
	var warned []string
	opts := []streamql.Option{streamql.WithWarnings(func(e *streamql.Error) {
		mu.Lock()
		defer mu.Unlock()
		warned = append(warned, e.Code)
	})}
	if dialect != "" {
		opts = append(opts, streamql.WithDialect(dialect))
	}
	e := open(t, opts...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	statements, err := lang.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range statements {
		err := runStatement(ctx, e, st)
		var got *streamql.Error
		switch last := i == len(statements)-1; {
		case !last && err != nil:
			t.Fatalf("statement %d: %v", i+1, err)
		case !last:
		case err == nil:
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(warned, code) {
				t.Errorf("the example succeeds, and warns only of %v", warned)
			}
		case !errors.As(err, &got) || got.Code != code:
			t.Errorf("the example fails with %v", err)
		case code < "SQ4" && got.Pos.Line == 0:
			t.Errorf("%v has no place", err)
		}
	}
}

func runStatement(ctx context.Context, e *streamql.Engine, st lang.Statement) error {
	if _, ok := st.(*lang.QueryStatement); !ok {
		return e.Exec(ctx, st.Text()+";")
	}
	rows, err := e.Query(ctx, st.Text()+";")
	if err != nil {
		return err
	}
	for _, err := range rows.Batches() {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestQueryWithoutRows passes a statement that has no rows to Query.
func TestQueryWithoutRows(t *testing.T) {
	e := open(t)
	_, err := e.Query(context.Background(), "CREATE STREAM s (a INT) WITH (topic='s', format='json');")
	var got *streamql.Error
	if !errors.As(err, &got) || got.Code != "SQ3015" || got.Pos.Line != 1 {
		t.Errorf("got %v", err)
	}
	if _, made := e.Catalog().Relation("s", true); made {
		t.Error("the statement was refused and done")
	}
}

// TestSourceWithoutTimes uses a timestamp clause over files, which have no timestamps.
func TestSourceWithoutTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := open(t)
	exec(t, e, `CREATE STREAM f (a INT) WITH (connector='files', path='`+path+`', format='csv');`)
	refused(t, e, `SELECT a FROM f SINCE '2026-01-01T00:00:00' UNTIL NOW;`, "SQ5007", "by timestamp")
}
