// Package planner turns statements into plans: it resolves names and types, rewrites, and cuts the tree of operators into stages.
// What a user wrote wrong is a *lang.Error with a place.
package planner

import (
	"fmt"
	"unicode/utf8"

	"github.com/streamql/streamql/lang"
)

// fail is a plan error at a node.
func fail(at lang.Node, code, format string, args ...any) *lang.Error {
	e := &lang.Error{Code: code, Stage: lang.StagePlan, Msg: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Pos = at.Position()
		e.Len = length(at)
	}
	return e
}

// length is how much of the source to underline: the name or literal at the place, one rune for anything larger.
func length(at lang.Node) int {
	switch n := at.(type) {
	case lang.Name:
		return utf8.RuneCountInString(n.Text)
	case *lang.Ident:
		l := utf8.RuneCountInString(n.Name.Text)
		if n.Source != nil {
			l += utf8.RuneCountInString(n.Source.Text) + 1
		}
		return l
	case *lang.Call:
		return utf8.RuneCountInString(n.Name.Text)
	case *lang.Number:
		return len(n.Text)
	}
	return 1
}

// unsupported refuses what the grammar admits and the planner cannot do yet.
func unsupported(at lang.Node, what string) *lang.Error {
	return fail(at, "SQ3001", "%s is not supported yet", what)
}
