// Command measure prints the measures of the code, and the limits that they are to keep. It fails where one has become worse than what is
// held: the limit once it is reached, until then the best so far. Tests and generated code do not count, but for
// the depth of imports nothing does: it is over the packages of this module that can be imported, so a command adds
// nothing to it.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

const module = "github.com/streamql/streamql"

const (
	maxFunction  = 80  // lines
	maxFile      = 400 // lines
	maxLine      = 120 // columns, a tab is four
	showExamples = 12
)

// measure is a measure's limit and what is held meanwhile; all are better when they are smaller.
type measure struct {
	name        string
	limit, held float64
	kind        string // of the places that are shown
	unit        string
}

var (
	depth     = measure{"import depth of the library", 8, 8, "", ""}
	bare      = measure{"exported names without a comment", 0, 0, "doc", " %"}
	functions = measure{"functions over 80 lines", 0, 0, "function", ""}
	files     = measure{"files over 400 lines", 1, 1, "file", " %"}
	columns   = measure{"lines over 120 columns", 0.5, 0.5, "line", " %"}
)

type measures struct {
	files, longFiles         int
	lines, longLines         int
	functions, longFunctions int
	exported, documented     int
	comments                 int
	imports                  map[string]map[string]bool
	examples                 map[string][]string
}

func (m *measures) note(kind, format string, args ...any) {
	m.examples[kind] = append(m.examples[kind], fmt.Sprintf(format, args...))
}

func main() {
	m := &measures{imports: map[string]map[string]bool{}, examples: map[string][]string{}}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			return m.file(path)
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	percent := func(a, b int) float64 { return 100 * float64(a) / float64(max(b, 1)) }
	worse := 0
	for _, x := range []struct {
		measure
		got float64
	}{
		{depth, float64(m.depth())}, {bare, percent(m.exported-m.documented, m.exported)}, {functions, float64(m.longFunctions)},
		{files, percent(m.longFiles, m.files)}, {columns, percent(m.longLines, m.lines)},
	} {
		mark := ""
		switch {
		case x.got > x.held:
			mark, worse = fmt.Sprintf("  <- worse than the %g%s that is held", x.held, x.unit), worse+1
		case x.got > x.limit:
			mark = "  not reached yet"
		}
		fmt.Printf("%-34s %6.3g%-2s limit %g%s%s\n", x.name, x.got, x.unit, x.limit, x.unit, mark)
		if x.got <= x.held && len(os.Args) < 2 { // any argument: the places of all
			continue
		}
		for i, e := range m.examples[x.kind] {
			if i == showExamples {
				fmt.Printf("    and %d more\n", len(m.examples[x.kind])-i)
				break
			}
			fmt.Println("   ", e)
		}
	}
	fmt.Printf("%d files, %d lines, %d functions, %.1f %% comments\n", m.files, m.lines, m.functions, percent(m.comments, m.lines))
	if worse > 0 {
		os.Exit(1)
	}
}

func (m *measures) file(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m.files++
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	m.lines += len(lines)
	if len(lines) > maxFile {
		m.longFiles++
		m.note("file", "%s has %d lines", path, len(lines))
	}
	for i, l := range lines {
		if n := utf8.RuneCount(l) + 3*bytes.Count(l, []byte("\t")); n > maxLine {
			m.longLines++
			m.note("line", "%s:%d has %d columns", path, i+1, n)
		}
		if bytes.HasPrefix(bytes.TrimSpace(l), []byte("//")) {
			m.comments++
		}
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	room := filepath.ToSlash(filepath.Dir(path))
	if f.Name.Name != "main" && m.imports[room] == nil {
		m.imports[room] = map[string]bool{}
	}
	for _, im := range f.Imports {
		if f.Name.Name == "main" {
			break
		}
		p, _ := strconv.Unquote(im.Path.Value)
		if p == module {
			m.imports[room]["."] = true
		} else if rest, ours := strings.CutPrefix(p, module+"/"); ours {
			m.imports[room][rest] = true
		}
	}
	for _, d := range f.Decls {
		m.declaration(fset, path, f.Name.Name == "main", d)
	}
	return nil
}

func (m *measures) declaration(fset *token.FileSet, path string, program bool, d ast.Decl) {
	name := func(n *ast.Ident, doc bool) {
		if !n.IsExported() || program {
			return
		}
		m.exported++
		if doc {
			m.documented++
		} else {
			m.note("doc", "%s: %s", fset.Position(n.Pos()), n.Name)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		m.functions++
		if n := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1; n > maxFunction {
			m.longFunctions++
			m.note("function", "%s: %s has %d lines", path, d.Name.Name, n)
		}
		if d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type)) {
			name(d.Name, d.Doc != nil)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				name(s.Name, s.Doc != nil || d.Doc != nil || s.Comment != nil)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					name(n, s.Doc != nil || d.Doc != nil || s.Comment != nil)
				}
			}
		}
	}
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// depth is the number of imports on the longest chain of them.
func (m *measures) depth() int {
	known := map[string]int{}
	var of func(string) int
	of = func(p string) int {
		if d, ok := known[p]; ok {
			return d
		}
		deepest := 0
		for q := range m.imports[p] {
			deepest = max(deepest, of(q))
		}
		known[p] = deepest + 1
		return deepest + 1
	}
	out := 0
	for p := range m.imports {
		out = max(out, of(p)-1)
	}
	return out
}
