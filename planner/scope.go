package planner

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// show is the visibility of a column.
type show int8

const (
	shown    show = iota // by SELECT * and by name
	byName               // by name only: ROWTIME, ROWPARTITION, ..
	internal             // not visible: the planner passes it along
)

// role is the meaning of a column for operators, independent of its name.
type role int8

const (
	ordinary role = iota
	eventTime
	streamTime
	windowStart
	windowEnd
	rawHeaders
	rowPartition
	rowOffset
)

// carried has the roles that a projection passes although no item names them, in the order of its
// hidden columns.
var carried = []role{windowStart, windowEnd, rawHeaders, eventTime, streamTime}

// column is a column of a node's output: its identity, and the names that refer to it.
type column struct {
	id     int
	source string // the relation's alias
	name   string
	t      flow.Type
	key    bool
	show   show
	role   role
}

// ref returns an expression that reads the column.
func (c column) ref() *expr.Column { return &expr.Column{Index: c.id, Name: c.name, T: c.t} }

// scope resolves names over the output of a node. It is a value: binding an expression does not
// change it, except for the columns that a lambda captures, which belong to the lambda.
type scope struct {
	cols  []column
	exact bool // the case of names is significant

	// replace returns the meaning of an expression as a whole, before its parts are bound. Above an
	// aggregate the aggregate's calls and the group's keys are columns. It may be nil.
	replace func(lang.Expr) (expr.Expr, bool, error)
	// calls has the columns of the results of model functions and table functions, by the text of
	// the call.
	calls map[string]column

	parent   *scope // for a lambda: the enclosing scope, whose columns are captured when they are used
	captured *[]expr.Expr
}

// with returns the scope with more columns.
func (s *scope) with(more ...column) *scope {
	out := *s
	out.cols = append(slices.Clip(s.cols), more...)
	return &out
}

// calling returns the scope with a column for the result of a call.
func (s *scope) calling(text string, c column) *scope {
	out := s.with(c)
	out.calls = map[string]column{text: c}
	for k, v := range s.calls {
		out.calls[k] = v
	}
	out.calls[text] = c
	return out
}

// find resolves a name. The error of a column that does not exist suggests the most similar one.
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

// index returns the position of a column by name, or -1. It matches the exact name first, then the
// name without case.
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

// role returns the column with a role. It follows all ordinary columns of the same name.
func (s *scope) role(r role) (column, bool) {
	for i := len(s.cols) - 1; i >= 0; i-- {
		if s.cols[i].role == r {
			return s.cols[i], true
		}
	}
	return column{}, false
}

// bound returns windowStart or windowEnd if the column with an identity is that, else ordinary.
func (s *scope) bound(id int) role {
	for _, r := range []role{windowStart, windowEnd} {
		if c, ok := s.role(r); ok && c.id == id {
			return r
		}
	}
	return ordinary
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
