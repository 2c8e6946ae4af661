package lang

import (
	"errors"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestStatementTypes checks that every type that embeds Origin has a line in forms and a text in testdata.
func TestStatementTypes(t *testing.T) {
	known, texts := map[string]bool{}, map[string]bool{}
	for _, st := range Statements() {
		known[reflect.TypeOf(st).Elem().Name()] = true
	}
	for _, c := range statements(t) {
		list, err := Parse(c[0])
		if err != nil {
			t.Fatal(err)
		}
		texts[reflect.TypeOf(list[0]).Elem().Name()] = true
	}
	found := originTypes(t)
	for _, name := range found {
		if !known[name] {
			t.Errorf("%s is a statement that no line of forms reads", name)
		}
		if !texts[name] {
			t.Errorf("testdata/statements.sql has no %s", name)
		}
	}
	if len(found) != len(known) || len(found) < 30 {
		t.Errorf("%d types embed Origin, forms has %d", len(found), len(known))
	}
}

// originTypes lists the types of the package whose first field embeds Origin.
func originTypes(t *testing.T) (out []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := goparser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok || len(s.Fields.List) == 0 || len(s.Fields.List[0].Names) > 0 {
				return true
			}
			if first, ok := s.Fields.List[0].Type.(*ast.Ident); ok && first.Name == "Origin" {
				out = append(out, spec.Name.Name)
			}
			return true
		})
	}
	return out
}

// TestTraits checks that a statement's name is one of its type's names and agrees with its text.
func TestTraits(t *testing.T) {
	for _, c := range statements(t) {
		list, _ := Parse(c[1])
		st := list[0]
		name := st.Traits().Name
		if !slices.Contains(st.names(), name) {
			t.Errorf("%s: %q is none of its names: %q", c[1], name, st.names())
		}
		first, _, _ := strings.Cut(name, " ")
		if !strings.HasPrefix(c[1], first+" ") && !strings.HasPrefix(c[1], "WITH ") {
			t.Errorf("%s is called %s", c[1], name)
		}
		if tr := st.Traits(); tr.Rows != (tr.Effect == Asks) && !strings.HasPrefix(name, "ASSERT") {
			t.Errorf("%s: effect %d, rows %v", c[1], tr.Effect, tr.Rows)
		}
	}
}

// TestPlanned checks that every name in the table belongs to a statement, and that such a statement is refused by
// its name, alone and in EXPLAIN.
func TestPlanned(t *testing.T) {
	var all []string
	for _, st := range Statements() {
		all = append(all, st.names()...)
	}
	for name := range planned {
		if !slices.Contains(all, name) {
			t.Errorf("no statement is called %q", name)
		}
	}
	refused := 0
	for _, c := range statements(t) {
		for _, text := range []string{c[1], "EXPLAIN " + c[1]} {
			list, err := Parse(text)
			if err != nil {
				continue // EXPLAIN EXPLAIN
			}
			st := list[0]
			if x, ok := st.(*Explain); ok && x.Statement != nil {
				st = x.Statement
			}
			name := st.Traits().Name
			instead, later := planned[name]
			var e *Error
			err = Planned(list[0])
			if later != errors.As(err, &e) {
				t.Errorf("%s: %v", text, err)
			}
			if !later {
				continue
			}
			refused++
			if e.Code != "SQ3001" || e.Pos != st.Position() || e.Len == 0 || !strings.Contains(e.Msg, name) ||
				e.Hint != instead {
				t.Errorf("%s: %+v", text, e)
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d statements were refused", refused)
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		words     string
		want, not []string
	}{
		{"", []string{"SELECT", "CREATE", "INSERT INTO", "RETRAIN MODEL", "WITH", "UNDEFINE"},
			[]string{"ARCHIVE TOPIC", "RUN SCRIPT", "ALTER"}},
		{"SHOW", []string{"STREAMS", "MODELS", "MODEL", "ALL TOPICS", "CREATE"}, []string{"ARCHIVES"}},
		{"CREATE", []string{"STREAM", "MODEL", "OR REPLACE", "SOURCE", "TYPE"}, []string{"SINK CONNECTOR"}},
		{"CREATE OR REPLACE", []string{"STREAM", "TABLE", "MODEL"}, nil},
		{"DROP", []string{"MODEL", "TYPE"}, []string{"CONNECTOR", "ARCHIVE"}},
		{"SELECT", nil, []string{""}},
		{"SELECT a", nil, []string{""}},
	} {
		got := Next(strings.Fields(c.words)...)
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q is continued by %q, without %s", c.words, got, w)
			}
		}
		for _, w := range c.not {
			if slices.Contains(got, w) {
				t.Errorf("%q is continued by %q", c.words, got)
			}
		}
	}
}
