package reference

import (
	"math"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// own contains the functions that this package implements. A function that returns false does not support the
// call, which is then passed to package udf.
var own = map[string]func(args []any) (any, bool){
	"UCASE": text(strings.ToUpper), "UPPER": text(strings.ToUpper), "LCASE": text(strings.ToLower),
	"LOWER": text(strings.ToLower),
	"TRIM":  text(func(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }),
	"LEN":   length, "LENGTH": length,
	"SUBSTRING": substring, "REPLACE": replace, "CONCAT": concat, "||": concatenation, "CONCAT_WS": concatWith,
	"COALESCE": coalesce, "IFNULL": coalesce, "NULLIF": nullIf, "AS_VALUE": coalesce,
	"GREATEST": best(+1), "LEAST": best(-1),
	"ABS": absolute, "SIGN": sign, "SQRT": real(math.Sqrt), "FLOOR": real(math.Floor), "CEIL": real(math.Ceil),
	"EXP": real(math.Exp), "LN": real(math.Log),
}

// call applies a function, from own or udf, to one row.
func call(e *expr.Call, args []any) any {
	if f, ok := own[e.Name]; ok {
		if v, ok := f(args); ok {
			return v
		}
	}
	cols := make([]arrow.Array, len(args))
	for i, a := range args {
		cols[i] = flow.Column(e.Args[i].Type(), a)
	}
	return flow.Value(e.Sig.Kernel(cols, 1, udf.Env{Fail: func(int, error) {}}), 0)
}

// text makes a function of one string.
func text(f func(string) string) func([]any) (any, bool) {
	return func(args []any) (any, bool) {
		if args[0] == nil {
			return nil, true
		}
		s, ok := args[0].(string)
		return f(s), ok
	}
}

// real makes a function of one DOUBLE.
func real(f func(float64) float64) func([]any) (any, bool) {
	return func(args []any) (any, bool) {
		if args[0] == nil {
			return nil, true
		}
		x, ok := args[0].(float64)
		return f(x), ok
	}
}

func length(args []any) (any, bool) {
	switch v := args[0].(type) {
	case nil:
		return nil, true
	case string:
		return int32(len([]rune(v))), true
	case []byte:
		return int32(len(v)), true
	}
	return nil, false
}

func substring(args []any) (any, bool) {
	if hasNull(args) {
		return nil, true
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	var out []rune
	runes := []rune(s)
	from := int(args[1].(int32))
	switch {
	case from < 0:
		from = max(len(runes)+from, 0)
	case from > 0:
		from--
	}
	for i := from; i < len(runes); i++ {
		if len(args) == 3 && i-from >= int(args[2].(int32)) {
			break
		}
		out = append(out, runes[i])
	}
	return string(out), true
}

func replace(args []any) (any, bool) {
	if hasNull(args) {
		return nil, true
	}
	if args[1] == "" {
		return args[0], true
	}
	return strings.Join(strings.Split(args[0].(string), args[1].(string)), args[2].(string)), true
}

// concatenation is ||, which is NULL if an operand is.
func concatenation(args []any) (any, bool) {
	if args[0] == nil || args[1] == nil {
		return nil, true
	}
	return concat(args)
}

func concat(args []any) (any, bool) {
	out := ""
	for _, a := range args {
		s, ok := a.(string)
		if a != nil && !ok {
			return nil, false
		}
		out += s
	}
	for _, a := range args {
		if a != nil {
			return out, true
		}
	}
	return nil, false // the type of an empty array is not known here
}

func concatWith(args []any) (any, bool) {
	separator, ok := args[0].(string)
	if !ok {
		return nil, args[0] == nil
	}
	var parts []string
	for _, a := range args[1:] {
		if s, ok := a.(string); ok {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, separator), true
}

func coalesce(args []any) (any, bool) {
	for _, a := range args {
		if a != nil {
			return a, true
		}
	}
	return nil, true
}

func nullIf(args []any) (any, bool) {
	if args[0] != nil && args[1] != nil && identity(args[:1]) == identity(args[1:]) {
		return nil, true
	}
	return args[0], true
}

func best(direction int) func([]any) (any, bool) {
	return func(args []any) (any, bool) {
		var out any
		for _, a := range args {
			if a == nil {
				continue
			}
			if out == nil || order(a, out)*direction > 0 {
				out = a
			}
		}
		return out, true
	}
}

func absolute(args []any) (any, bool) {
	switch v := args[0].(type) {
	case nil:
		return nil, true
	case int32:
		if v == math.MinInt32 {
			return nil, true
		}
		return max(v, -v), true
	case int64:
		if v == math.MinInt64 {
			return nil, true
		}
		return max(v, -v), true
	case float64:
		return math.Abs(v), true
	}
	return nil, false
}

func sign(args []any) (any, bool) {
	x, ok := args[0].(float64)
	switch {
	case !ok:
		return nil, args[0] == nil
	case x > 0:
		return int32(1), true
	case x < 0:
		return int32(-1), true
	}
	return int32(0), true
}
