package planner

import "github.com/streamql/streamql/lang"

// operands returns the expressions directly below an expression.
func operands(e lang.Expr) []lang.Expr {
	switch e := e.(type) {
	case *lang.Unary:
		return []lang.Expr{e.X}
	case *lang.Binary:
		return []lang.Expr{e.L, e.R}
	case *lang.Between:
		return []lang.Expr{e.X, e.Lo, e.Hi}
	case *lang.In:
		return append([]lang.Expr{e.X}, e.List...)
	case *lang.Like:
		return []lang.Expr{e.X, e.Pattern}
	case *lang.IsNull:
		return []lang.Expr{e.X}
	case *lang.IsDistinct:
		return []lang.Expr{e.L, e.R}
	case *lang.Case:
		var out []lang.Expr
		if e.Operand != nil {
			out = append(out, e.Operand)
		}
		for _, w := range e.Whens {
			out = append(out, w.If, w.Then)
		}
		if e.Else != nil {
			out = append(out, e.Else)
		}
		return out
	case *lang.Cast:
		return []lang.Expr{e.X}
	case *lang.Call:
		return e.Args
	case *lang.Field:
		return []lang.Expr{e.X}
	case *lang.Index:
		return []lang.Expr{e.X, e.I}
	case *lang.ArrayLit:
		return e.Items
	case *lang.MapLit:
		return append(append([]lang.Expr(nil), e.Keys...), e.Values...)
	case *lang.StructLit:
		return e.Values
	case *lang.Lambda:
		return []lang.Expr{e.Body}
	}
	return nil
}
