package reference

import (
	"math"
	"math/big"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// eval computes an expression over a row, by its definition. What fails is NULL.
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

// like is written as LIKE is defined: % stands for any text, _ for a character, escape makes the next one stand for itself.
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

// arith is exact in integers and decimals, and what does not fit the type is NULL; floating point is IEEE's.
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

// whole cuts off a fraction.
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

// nested computes what has to do with ARRAY, MAP and STRUCT.
func nested(e expr.Expr, vals []any) any {
	switch e := e.(type) {
	case *expr.Field:
		if s, ok := eval(e.X, vals).([]any); ok {
			return s[e.Index]
		}
	case *expr.Index:
		at := eval(e.I, vals)
		if at == nil {
			return nil
		}
		switch x := eval(e.X, vals).(type) {
		case []flow.Entry:
			for _, entry := range x {
				if c, ok := compare(entry.Key, at); ok && c == 0 {
					return entry.Value
				}
			}
		case []any:
			i := at.(int64)
			if i < 0 {
				i += int64(len(x)) + 1
			}
			if i >= 1 && i <= int64(len(x)) {
				return x[i-1]
			}
		}
	case *expr.Make:
		parts := evalAll(e.Parts, vals)
		if t, ok := e.T.(*arrow.MapType); ok {
			return entries(parts, t.KeyType().ID() == arrow.STRING)
		}
		return parts
	case *expr.Lambda:
		return lambda(e, vals)
	}
	return nil
}

// entries pairs keys and values up: of equal keys the last wins, a NULL key is left out, or the text null.
func entries(parts []any, text bool) []flow.Entry {
	out := []flow.Entry{}
next:
	for i := 0; i < len(parts); i += 2 {
		key := parts[i]
		if key == nil && text {
			key = "null"
		}
		if key == nil {
			continue
		}
		for k := range out {
			if identity([]any{out[k].Key}) == identity([]any{key}) {
				out[k].Value = parts[i+1]
				continue next
			}
		}
		out = append(out, flow.Entry{Key: key, Value: parts[i+1]})
	}
	return out
}

// lambda is TRANSFORM, FILTER or REDUCE. A body sees REDUCE's state, the element (or key and value), and the captured columns.
func lambda(e *expr.Lambda, vals []any) any {
	var elements [][]any
	isMap := false
	switch x := eval(e.X, vals).(type) {
	case []flow.Entry:
		isMap = true
		for _, entry := range x {
			elements = append(elements, []any{entry.Key, entry.Value})
		}
	case []any:
		for _, v := range x {
			elements = append(elements, []any{v})
		}
	default:
		if e.Fn == "REDUCE" {
			return eval(e.Init, vals)
		}
		return nil
	}
	captured := evalAll(e.Captured, vals)
	if e.Fn == "REDUCE" {
		state := eval(e.Init, vals)
		for _, el := range elements {
			state = eval(e.Bodies[0], append(append([]any{state}, el...), captured...))
		}
		return state
	}
	list := []any{}
	for _, el := range elements {
		results := evalAll(e.Bodies, append(append([]any(nil), el...), captured...))
		switch {
		case e.Fn == "TRANSFORM":
			list = append(list, results...)
		case results[0] == true:
			list = append(list, el...)
		}
	}
	if isMap {
		return entries(list, false)
	}
	return list
}
