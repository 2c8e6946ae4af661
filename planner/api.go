package planner

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// Literal returns the text of a literal that is an option's value.
func Literal(e lang.Expr) (string, error) { return literal(e) }

// Type resolves a type expression. The error is SQ2011.
func Type(t *lang.TypeExpr, o Options) (flow.Type, error) {
	b := newBinder(o, "")
	return b.typeOf(t)
}
