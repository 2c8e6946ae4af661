package planner

import (
	"strings"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// column is a column that names can mean.
type column struct {
	source string // the relation's alias
	name   string
	t      flow.Type
	key    bool
	hidden bool // a pseudo-column: found by name, not by *
}

// scope is what names mean over the output of a node: column i of the scope is column i of the node.
type scope struct {
	cols  []column
	exact bool // names match by case

	parent   *scope // of a lambda: the row around it, whose columns are captured as they are used
	captured *[]expr.Expr
}

// find resolves a name; an error says which column does not exist and what was meant.
func (s *scope) find(b *binder, id *lang.Ident) (*expr.Column, error) {
	name := b.fold(id.Name)
	source := ""
	if s.parent != nil && (id.Source != nil || s.index("", name) < 0) {
		return s.capture(b, id)
	}
	if id.Source != nil {
		source = b.fold(*id.Source)
		known := false
		for _, c := range s.cols {
			known = known || s.same(c.source, source)
		}
		if !known {
			return nil, fail(id, "SQ2004", "%q is not a source of this query", source)
		}
	}
	if i := s.index(source, name); i >= 0 {
		return &expr.Column{Index: i, Name: s.cols[i].name, T: s.cols[i].t}, nil
	}
	e := fail(id, "SQ2003", "column %q does not exist", name)
	var legal []string
	for _, c := range s.cols {
		if !strings.HasPrefix(c.name, "$") {
			legal = append(legal, c.name)
		}
	}
	if near := lang.Suggest(name, legal); near != "" {
		e.Label = "did you mean \"" + near + "\"?"
		if i := s.index("", near); i >= 0 {
			e.Label = "did you mean \"" + near + "\" (" + flow.TypeName(s.cols[i].t) + ")?"
		}
	}
	return nil, e
}

// index finds a column: by exact name first, then without case.
func (s *scope) index(source, name string) int {
	for i, c := range s.cols {
		if c.name == name && (source == "" || s.same(c.source, source)) {
			return i
		}
	}
	if s.exact {
		return -1
	}
	for i, c := range s.cols {
		if strings.EqualFold(c.name, name) && (source == "" || s.same(c.source, source)) {
			return i
		}
	}
	return -1
}

func (s *scope) same(a, b string) bool {
	return a == b || !s.exact && strings.EqualFold(a, b)
}

func (s *scope) column(i int) *expr.Column {
	return &expr.Column{Index: i, Name: s.cols[i].name, T: s.cols[i].t}
}
