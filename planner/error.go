// Package planner turns statements into plans. It resolves names and types, rewrites the tree of
// operators, and cuts it into stages. A user's mistake is a *lang.Error with a position.
package planner

import (
	"fmt"
	"unicode/utf8"

	"github.com/streamql/streamql/lang"
)

// fail returns a plan error at a node.
func fail(at lang.Node, code, format string, args ...any) *lang.Error {
	e := &lang.Error{Code: code, Stage: lang.StagePlan, Msg: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Pos = at.Position()
		e.Len = length(at)
	}
	return e
}

// length returns the number of characters to underline: those of the name or literal at the node,
// or one for any larger node.
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

// unsupported returns the error for a construct that the grammar admits and the planner does not
// support.
func unsupported(at lang.Node, what string) *lang.Error {
	e := fail(at, "SQ3001", "%s is not supported yet", what)
	e.Hint = lang.Instead(what)
	return e
}
