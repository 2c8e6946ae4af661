package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// SET.
var _ = declare(statement[*lang.Set]{
	role:   Reader,
	answer: func(_ context.Context, s *Session, st *lang.Set, _ []any) (*Result, error) { return s.set(st) },
})

// UNSET.
var _ = declare(statement[*lang.Unset]{
	role: Reader,
	answer: func(_ context.Context, s *Session, st *lang.Unset, _ []any) (*Result, error) {
		s.change(func(d *decide.Session) { delete(d.Properties, property(st.Key.Value)) })
		return &Result{Message: "unset " + st.Key.Value}, nil
	},
})

// DEFINE.
var _ = declare(statement[*lang.Define]{
	role: Reader,
	answer: func(_ context.Context, s *Session, st *lang.Define, _ []any) (*Result, error) {
		s.change(func(d *decide.Session) { d.Variables[st.Name.Text] = st.Value.Value })
		return &Result{Message: "defined " + st.Name.Text}, nil
	},
})

// UNDEFINE.
var _ = declare(statement[*lang.Undefine]{
	role: Reader,
	answer: func(_ context.Context, s *Session, st *lang.Undefine, _ []any) (*Result, error) {
		s.change(func(d *decide.Session) { delete(d.Variables, st.Name.Text) })
		return &Result{Message: "undefined " + st.Name.Text}, nil
	},
})

// properties lists the properties of SET other than ksqlDB's own. SET accepts and stores those (ksql.*), most of which
// have no effect.
var properties = []string{"auto.offset.reset", "sql.identifiers", "emit.changes", decide.Guarantee, waitProperty}

// property returns the name of a property. ksqlDB also accepts 'ksql.streams.auto.offset.reset' for
// 'auto.offset.reset'.
func property(key string) string {
	name := strings.ToLower(key)
	if short, ok := strings.CutPrefix(name, "ksql.streams."); ok && slices.Contains(properties, short) {
		return short
	}
	return name
}

// set sets a property. The error is a *lang.Error.
func (s *Session) set(st *lang.Set) (*Result, error) {
	name := property(st.Key.Value)
	value, err := planner.Literal(st.Value)
	if err != nil {
		return nil, err
	}
	legal := strings.HasPrefix(name, "ksql.") || strings.Contains(name, ".streams.")
	for _, k := range properties {
		legal = legal || k == name
	}
	if !legal {
		err := &lang.Error{Code: "SQ1102", Stage: lang.StagePlan, Pos: st.Key.Position(), Len: len(name) + 2,
			Msg: fmt.Sprintf("there is no property %q", name)}
		if near := lang.Suggest(name, properties); near != "" {
			err.Label = "did you mean '" + near + "'?"
		}
		return nil, err
	}
	bad := func(code, format string, args ...any) error {
		return &lang.Error{Code: code, Stage: lang.StagePlan, Pos: st.Value.Position(), Len: 1,
			Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case name == "auto.offset.reset" && value != "earliest" && value != "latest":
		return nil, bad("SQ1103", "auto.offset.reset is 'earliest' or 'latest'")
	case name == decide.Guarantee && value != decide.AtLeastOnce && !strings.HasPrefix(value, "exactly_once"):
		return nil, bad("SQ1103", "%s is 'exactly_once' or '%s'", decide.Guarantee, decide.AtLeastOnce)
	case name == waitProperty && !isWait(value):
		return nil, bad("SQ1103", "%s is a duration such as '5s', or '0' for no wait", waitProperty)
	case name == "emit.changes" && value != "row":
		return nil, bad("SQ3001", "%s = %q is not supported yet", name, value)
	}
	s.change(func(d *decide.Session) { d.Properties[name] = value })
	return &Result{Message: name + " = " + value}, nil
}

// Set sets a property like the statement SET. The error is a *lang.Error with code SQ1102 or SQ1103 if the property or
// its value is unknown.
func (s *Session) Set(name, value string) error {
	_, err := s.set(&lang.Set{Key: &lang.Text{Value: name}, Value: &lang.Text{Value: value}})
	return Wrap(err, nil)
}
