package planner

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// show says who sees a column.
type show int8

const (
	shown    show = iota // SELECT * and names
	byName               // names alone: ROWTIME, ROWPARTITION, ..
	internal             // nobody: the planner carries it along
)

// role is a meaning that a column has for operators, whatever its name.
type role int8

const (
	ordinary role = iota
	eventTime
	streamTime
	windowStart
	windowEnd
	rawHeaders
)

// carried are the roles that a projection passes on although no item names them, in the order of its hidden columns.
var carried = []role{windowStart, windowEnd, rawHeaders, eventTime, streamTime}

// column is a column of a node's output: its identity, and what names mean it.
type column struct {
	id     int
	source string // the relation's alias
	name   string
	t      flow.Type
	key    bool
	show   show
	role   role
}

// ref is an expression that reads the column.
func (c column) ref() *expr.Column { return &expr.Column{Index: c.id, Name: c.name, T: c.t} }

// scope is what names mean over the output of a node. It is a value: binding an expression over it changes nothing in it, but for
// the columns that a lambda captures, which are the lambda's own.
type scope struct {
	cols  []column
	exact bool // names match by case

	// replace gives what an expression means as a whole, before its parts are looked at; nil: nothing. Above an aggregate its calls and
	// the group's keys are columns.
	replace func(lang.Expr) (expr.Expr, bool, error)
	// calls are the columns that hold the results of calls, by the call's text: of model functions, of table functions.
	calls map[string]column

	parent   *scope // of a lambda: the row around it, whose columns are captured as they are used
	captured *[]expr.Expr
}

// with returns the scope with more columns.
func (s *scope) with(more ...column) *scope {
	out := *s
	out.cols = append(slices.Clip(s.cols), more...)
	return &out
}

// calling returns the scope with a call's result among its columns.
func (s *scope) calling(text string, c column) *scope {
	out := s.with(c)
	out.calls = map[string]column{text: c}
	for k, v := range s.calls {
		out.calls[k] = v
	}
	out.calls[text] = c
	return out
}

// find resolves a name. The error says which column does not exist and which is meant.
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
		return s.cols[i].ref(), nil
	}
	e := fail(id, "SQ2003", "column %q does not exist", name)
	var legal []string
	for _, c := range s.cols {
		if c.show != internal {
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

// index finds a column by name, -1 if there is none: by exact name first, then without case.
func (s *scope) index(source, name string) int {
	find := func(same func(string) bool) int {
		return slices.IndexFunc(s.cols, func(c column) bool {
			return c.show != internal && same(c.name) && (source == "" || s.same(c.source, source))
		})
	}
	if i := find(func(n string) bool { return n == name }); i >= 0 || s.exact {
		return i
	}
	return find(func(n string) bool { return strings.EqualFold(n, name) })
}

func (s *scope) same(a, b string) bool {
	return a == b || !s.exact && strings.EqualFold(a, b)
}

// role returns the column with a role, which has its place after all ordinary ones of the same name.
func (s *scope) role(r role) (column, bool) {
	for i := len(s.cols) - 1; i >= 0; i-- {
		if s.cols[i].role == r {
			return s.cols[i], true
		}
	}
	return column{}, false
}

// column returns the column with an identity.
func (s *scope) column(id int) (column, bool) {
	i := slices.IndexFunc(s.cols, func(c column) bool { return c.id == id })
	if i < 0 {
		return column{}, false
	}
	return s.cols[i], true
}

// schemaOf returns the schema of columns.
func schemaOf(cols []column) *flow.Schema {
	fields := make([]arrow.Field, len(cols))
	out := &flow.Schema{Time: -1, Clock: -1, IDs: make([]int, len(cols))}
	for i, c := range cols {
		fields[i], out.IDs[i] = flow.Field(c.name, c.t), c.id
		switch c.role {
		case eventTime:
			out.Time = i
		case streamTime:
			out.Clock = i
		}
	}
	out.Schema = arrow.NewSchema(fields, nil)
	return out
}
