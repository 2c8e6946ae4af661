package planner

import (
	"strconv"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// ParseTimestamp parses ISO 8601 text to ms since the epoch.
func ParseTimestamp(s string) (int64, error) { return expr.ParseTimestamp(s) }

// ParseMillis parses a number of ms since the epoch.
func ParseMillis(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

// Duration parses the value of an option that is a duration, such as '30 SECONDS', '100ms', or a
// number of ms, and returns ms. It returns false for any other text.
func Duration(s string) (int64, bool) { return option.Millis(s) }

// Literal returns the text of a literal that is an option's value.
func Literal(e lang.Expr) (string, error) { return literal(e) }

// Type resolves a type expression. The error is SQ2011.
func Type(t *lang.TypeExpr, o Options) (flow.Type, error) {
	b := newBinder(o, "")
	return b.typeOf(t)
}
