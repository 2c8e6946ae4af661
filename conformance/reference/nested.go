package reference

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// nested evaluates the expressions of ARRAY, MAP and STRUCT.
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

// entries forms pairs of keys and values. Of equal keys the last one counts. A NULL key is left out, or with
// text becomes the string "null".
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

// lambda is TRANSFORM, FILTER or REDUCE. The arguments of a body are the state of REDUCE, the element (or key
// and value), and the captured columns.
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
