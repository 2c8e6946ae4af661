// Command api compares the exported declarations of the public packages with those on record, in .ci/api.txt. With -write it puts them on
// record: a change of the API is then a line of the change that makes it.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// public are the packages that programs may import: their declarations change only with the major version. All others may change at any time.
var public = []string{".", "flow", "topic", "format", "udf", "udf/ml", "udf/ml/mltest", "lang", "conformance"}

// onlyOf limits a package to some of its declarations.
var onlyOf = map[string][]string{"lang": {"Error", "Errors", "Stage", "Pos"}}

const record = ".ci/api.txt"

func main() {
	var now []string
	for _, dir := range public {
		lines, err := declarations(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "api:", err)
			os.Exit(1)
		}
		now = append(now, lines...)
	}
	slices.Sort(now)
	if len(os.Args) > 1 && os.Args[1] == "-write" {
		if err := os.WriteFile(record, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "api:", err)
			os.Exit(1)
		}
		fmt.Printf("%d declarations are on record\n", len(now))
		return
	}
	text, err := os.ReadFile(record)
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
	before := strings.Split(strings.TrimSpace(string(text)), "\n")
	changed := 0
	for _, l := range before {
		if _, there := slices.BinarySearch(now, l); !there {
			fmt.Println("-", l)
			changed++
		}
	}
	for _, l := range now {
		if !slices.Contains(before, l) {
			fmt.Println("+", l)
			changed++
		}
	}
	if changed > 0 {
		fmt.Printf("%d lines of the public API have changed: if that is meant, go run ./.ci/api -write\n", changed)
		os.Exit(1)
	}
	fmt.Printf("%d declarations, as on record\n", len(now))
}

// declarations lists what a package exports, a declaration a line.
func declarations(dir string) ([]string, error) {
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	p := printing{fset: token.NewFileSet(), dir: dir}
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(p.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				p.function(d)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					p.spec(d.Tok, s)
				}
			}
		}
	}
	return p.lines, nil
}

type printing struct {
	fset  *token.FileSet
	dir   string
	lines []string
}

func (p *printing) text(n any) string {
	var out bytes.Buffer
	_ = printer.Fprint(&out, p.fset, n)
	return strings.Join(strings.Fields(out.String()), " ")
}

func (p *printing) add(name, format string, args ...any) {
	if only := onlyOf[p.dir]; only == nil || slices.Contains(only, name) {
		p.lines = append(p.lines, strings.TrimSpace(p.dir+": "+fmt.Sprintf(format, args...)))
	}
}

func (p *printing) function(d *ast.FuncDecl) {
	if !d.Name.IsExported() {
		return
	}
	signature := strings.TrimPrefix(p.text(d.Type), "func")
	if d.Recv == nil {
		p.add(d.Name.Name, "func %s%s", d.Name.Name, signature)
		return
	}
	receiver := p.text(d.Recv.List[0].Type)
	name := strings.TrimPrefix(receiver, "*")
	if base, _, generic := strings.Cut(name, "["); generic {
		name = base
	}
	if ast.IsExported(name) {
		p.add(name, "func (%s) %s%s", receiver, d.Name.Name, signature)
	}
}

func (p *printing) spec(tok token.Token, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				p.add(n.Name, "%s %s %s", tok, n.Name, p.text(s.Type))
			}
		}
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		name := s.Name.Name
		switch t := s.Type.(type) {
		case *ast.StructType:
			p.add(name, "type %s struct", name)
			p.members(name, t.Fields)
		case *ast.InterfaceType:
			p.add(name, "type %s interface", name)
			p.members(name, t.Methods)
		default:
			equals := ""
			if s.Assign.IsValid() {
				equals = "= "
			}
			p.add(name, "type %s %s%s", name, equals, p.text(t))
		}
	}
}

func (p *printing) members(name string, list *ast.FieldList) {
	for _, f := range list.List {
		if len(f.Names) == 0 {
			p.add(name, "type %s, embedded %s", name, p.text(f.Type))
		}
		for _, n := range f.Names {
			if n.IsExported() {
				p.add(name, "type %s, %s %s", name, n.Name, p.text(f.Type))
			}
		}
	}
}
