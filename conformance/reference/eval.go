package reference

import (
	"math"
	"math/big"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
)

// eval computes an expression over a row according to its definition. A failed expression is NULL.
func eval(e expr.Expr, vals []any) any {
	switch e := e.(type) {
	case *expr.Column:
		return vals[e.Index]
	case *expr.Literal:
		return e.Value
	case *expr.Cast:
		return cast(eval(e.X, vals), e.X.Type(), e.T)
	case *expr.Millis:
		if t, ok := eval(e.X, vals).(arrow.Timestamp); ok {
			return int64(t)
		}
		return nil
	case *expr.Arith:
		return arith(e, eval(e.L, vals), eval(e.R, vals))
	case *expr.Compare:
		return comparison(e, eval(e.L, vals), eval(e.R, vals))
	case *expr.Logic:
		return logic(e, vals)
	case *expr.Not:
		if b, ok := eval(e.X, vals).(bool); ok {
			return !b
		}
		return nil
	case *expr.IsNull:
		return (eval(e.X, vals) == nil) != e.Not
	case *expr.In:
		return in(e, vals)
	case *expr.Like:
		x, ok1 := eval(e.X, vals).(string)
		p, ok2 := eval(e.Pattern, vals).(string)
		if !ok1 || !ok2 {
			return nil
		}
		return like([]rune(x), []rune(p), e.Escape) != e.Not
	case *expr.Case:
		for i, w := range e.When {
			if eval(w, vals) == true {
				return eval(e.Then[i], vals)
			}
		}
		return eval(e.Else, vals)
	case *expr.Call:
		return call(e, evalAll(e.Args, vals))
	}
	return nested(e, vals)
}

func evalAll(list []expr.Expr, vals []any) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = eval(e, vals)
	}
	return out
}

func comparison(e *expr.Compare, l, r any) any {
	if l == nil || r == nil {
		switch {
		case e.Distinct:
			return (l == nil && r == nil) == (e.Op == expr.Equal)
		case e.NullFalse:
			return false
		}
		return nil
	}
	c, ordered := compare(l, r)
	if !ordered {
		return e.Op == expr.NotEqual
	}
	switch e.Op {
	case expr.Less:
		return c < 0
	case expr.LessOrEqual:
		return c <= 0
	case expr.Greater:
		return c > 0
	case expr.GreaterOrEqual:
		return c >= 0
	case expr.Equal:
		return c == 0
	}
	return c != 0
}

func logic(e *expr.Logic, vals []any) any {
	unknown := false
	for _, a := range e.Args {
		switch v := eval(a, vals); {
		case v == nil:
			unknown = true
		case v != e.And: // FALSE decides AND, TRUE decides OR
			return v
		}
	}
	if unknown {
		return nil
	}
	return e.And
}

func in(e *expr.In, vals []any) any {
	x := eval(e.X, vals)
	unknown := false
	for _, item := range evalAll(e.List, vals) {
		if x == nil || item == nil {
			unknown = true
			continue
		}
		if c, ok := compare(x, item); ok && c == 0 {
			return !e.Not
		}
	}
	if unknown {
		return nil
	}
	return e.Not
}

// like implements LIKE by its definition: % matches any text, _ one character, and the character after escape
// matches itself.
func like(s, p []rune, escape rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case escape != 0 && p[0] == escape && len(p) > 1:
		return len(s) > 0 && s[0] == p[1] && like(s[1:], p[2:], escape)
	case p[0] == '%':
		return like(s, p[1:], escape) || len(s) > 0 && like(s[1:], p, escape)
	}
	return len(s) > 0 && (p[0] == '_' || p[0] == s[0]) && like(s[1:], p[1:], escape)
}

// arith is exact for integers and decimals, and NULL if the result does not fit the type. Floating point
// follows IEEE 754.
func arith(e *expr.Arith, l, r any) any {
	if l == nil || r == nil {
		return nil
	}
	switch e.T.ID() {
	case arrow.FLOAT64:
		return floating(e.Op, l.(float64), r.(float64))
	case arrow.FLOAT32:
		return floating(e.Op, l.(float32), r.(float32))
	}
	x, y := rational(l, e.L.Type()), rational(r, e.R.Type())
	if y.Sign() == 0 && (e.Op == '/' || e.Op == '%') {
		return nil
	}
	z := new(big.Rat)
	switch e.Op {
	case '+':
		z.Add(x, y)
	case '-':
		z.Sub(x, y)
	case '*':
		z.Mul(x, y)
	case '/':
		z.Quo(x, y)
	case '%':
		z.Sub(x, y.Mul(y, new(big.Rat).SetInt(whole(new(big.Rat).Quo(x, y)))))
	}
	if t, ok := e.T.(*arrow.Decimal128Type); ok {
		return decimal(z, t)
	}
	if n := whole(z); fits(n, e.T, 0) {
		return fromUnscaled(n, e.T)
	}
	return nil
}

// whole truncates a fraction to an integer.
func whole(r *big.Rat) *big.Int { return new(big.Int).Quo(r.Num(), r.Denom()) }

func floating[T float32 | float64](op byte, x, y T) any {
	switch op {
	case '+':
		return x + y
	case '-':
		return x - y
	case '*':
		return x * y
	case '/':
		return x / y
	}
	return T(math.Mod(float64(x), float64(y)))
}
