package streamql_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/streamql/streamql"

// floors contains the packages, the lowest floor first. A package imports only packages of lower floors, and
// from its own floor only those listed here.
var floors = [][]string{
	{"flow", "jsontext", "lang", "lang/codes", "dialect", "option", "topic", "internal/fault"},
	{"format", "udf", "state", "topic/batch", "topic/local", "topic/kafka", "topic/files", "topic/generate", "peer"},
	{"catalog", "expr", "udf/ml", "udf/ml/nn", "udf/ml/fmath", "udf/ml/mltest"},
	{"connect", "exec", "result"},
	{"exec/op", "internal/mutant"},
	{"models", "planner"},
	{"decide", "inspect", "journal", "supervise"},
	{"engine", "conformance/reference"},
	{""},
	{"shell", "conformance", "exec/sim", "conformance/storm", "server/http"},
	{"cmd/streamql", "bench/kafka", "bench/calibrate", "conformance/process"},
}

// testsOnly contains the packages that consist of tests.
var testsOnly = map[string]bool{"bench/calibrate": true, "conformance/process": true, "conformance/storm": true}

var sameFloor = map[string][]string{
	"topic/local":   {"topic/batch"},
	"topic/kafka":   {"topic/batch"},
	"udf/ml":        {"udf/ml/nn", "udf/ml/fmath"},
	"udf/ml/nn":     {"udf/ml/fmath"},
	"udf/ml/mltest": {"udf/ml"},
}

// forTests contains the additional imports of a package's tests, which drive the package from above.
var forTests = map[string][]string{
	"":                      {"server/http"},
	"conformance/reference": {""},
	"topic/files":           {"format"},
	"topic/local":           {"state"},
	"udf":                   {"expr"},
}

// testLibraries contains the third-party packages that any test may import.
var testLibraries = []string{"pgregory.net/rapid", "go.uber.org/goleak", "github.com/twmb/franz-go",
	"github.com/cockroachdb/pebble"}

// lives contains the packages that may import each third-party package. Any package may import arrow and the
// standard library.
var lives = map[string][]string{
	"github.com/cockroachdb/pebble":       {"state", "topic/local", "exec/sim"},
	"github.com/alecthomas/participle":    {"lang"},
	"github.com/alecthomas/kong":          {"cmd/streamql"},
	"github.com/reeflective/readline":     {"shell"},
	"github.com/klauspost/compress":       {"topic/batch", "udf/ml"},
	"github.com/pierrec/lz4":              {"topic/batch"},
	"github.com/cespare/xxhash":           {"state", "topic/local", "udf"},
	"golang.org/x/term":                   {"shell", "cmd/streamql"},
	"github.com/rivo/uniseg":              {"shell"},
	"github.com/twmb/franz-go":            {"topic/kafka", "bench/kafka"},
	"github.com/pelletier/go-toml/v2":     {"cmd/streamql"},
	"github.com/prometheus/client_golang": {"server/http"},
}

// TestFloors checks every import of every package, including those of tests.
func TestFloors(t *testing.T) {
	floor := map[string]int{}
	for i, rooms := range floors {
		for _, r := range rooms {
			floor[r] = i
		}
	}
	seen, rooms := 0, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		isTest := strings.HasSuffix(path, "_test.go")
		room := filepath.ToSlash(filepath.Dir(path))
		if room == "." {
			room = ""
		}
		at, known := floor[room]
		if !known {
			t.Errorf("%s is on no floor: give it one in floors_test.go and ARCHITECTURE.md", path)
			return nil
		}
		seen++
		rooms[room] = rooms[room] || !isTest || testsOnly[room]
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			check(t, path, room, at, p, floor, isTest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for r := range floor {
		if !rooms[r] {
			t.Errorf("floors names %q, where there is no code", r)
		}
	}
	if seen < 50 {
		t.Errorf("only %d files were looked at", seen)
	}
}

func check(t *testing.T, path, room string, at int, p string, floor map[string]int, isTest bool) {
	if p == module || strings.HasPrefix(p, module+"/") {
		other := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
		above, known := floor[other]
		if known && above < at || isTest && (other == room || slices.Contains(forTests[room], other)) {
			return
		}
		for _, ok := range sameFloor[room] {
			if ok == other {
				return
			}
		}
		t.Errorf("%s imports %s, which is not on a lower floor", path, p)
		return
	}
	if !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") || strings.HasPrefix(p, "github.com/apache/arrow/go/v15") {
		return
	}
	if isTest && slices.ContainsFunc(testLibraries,
		func(lib string) bool { return p == lib || strings.HasPrefix(p, lib+"/") }) {
		return
	}
	for lib, rooms := range lives {
		if p != lib && !strings.HasPrefix(p, lib+"/") {
			continue
		}
		for _, r := range rooms {
			if r == room {
				return
			}
		}
		t.Errorf("%s imports %s, which lives in %v", path, p, rooms)
		return
	}
	t.Errorf("%s imports %s: a new third party needs a reason in ARCHITECTURE.md and a room in floors_test.go", path, p)
}

// TestDocsNameRooms checks that ARCHITECTURE.md names every package.
func TestDocsNameRooms(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rooms := range floors {
		for _, r := range rooms {
			if _, err := os.Stat(filepath.FromSlash(r)); err != nil || r == "" {
				continue
			}
			if !strings.Contains(string(text), r+"/") {
				t.Errorf("ARCHITECTURE.md does not name %s/", r)
			}
		}
	}
}
