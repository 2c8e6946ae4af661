package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Cast converts a value to a type. A value that cannot be converted fails the row.
type Cast struct {
	X Expr
	T flow.Type
}

// NewCast binds CAST(x AS t); it fails if no value of the one type can be converted to the
// other.
func NewCast(x Expr, t flow.Type) (Expr, error) {
	if !castable(x.Type(), t) {
		return nil, fmt.Errorf("cannot cast %s to %s", flow.TypeName(x.Type()), flow.TypeName(t))
	}
	return Convert(x, t), nil
}

// Convert returns the cast without a check, for types that are known to be convertible.
func Convert(x Expr, t flow.Type) Expr {
	if flow.SameType(x.Type(), t) {
		return x
	}
	if l, ok := x.(*Literal); ok && l.Value == nil {
		return Lit(t, nil)
	}
	return &Cast{x, t}
}

func castable(from, to flow.Type) bool {
	if from.ID() == arrow.NULL || flow.SameType(from, to) {
		return true
	}
	switch f := from.(type) {
	case *arrow.MapType:
		if t, ok := to.(*arrow.MapType); ok {
			return castable(f.KeyType(), t.KeyType()) && castable(f.ItemType(), t.ItemType())
		}
		return to.ID() == arrow.STRING
	case *arrow.ListType:
		if t, ok := to.(*arrow.ListType); ok {
			return castable(f.Elem(), t.Elem())
		}
		return to.ID() == arrow.STRING
	case *arrow.StructType:
		t, ok := to.(*arrow.StructType)
		if !ok {
			return to.ID() == arrow.STRING
		}
		for _, field := range t.Fields() {
			if i, found := f.FieldIdx(field.Name); found && !castable(f.Field(i).Type, field.Type) {
				return false
			}
		}
		return true
	}
	switch {
	case to.ID() == arrow.STRING:
		return from.ID() != arrow.BINARY
	case from.ID() == arrow.STRING:
		return flow.IsNumber(to) || to.ID() == arrow.BOOL || isTime(to)
	case flow.IsNumber(from):
		return flow.IsNumber(to)
	case from.ID() == arrow.TIMESTAMP:
		return to.ID() == arrow.DATE32 || to.ID() == arrow.TIME32
	case from.ID() == arrow.DATE32:
		return to.ID() == arrow.TIMESTAMP
	}
	return false
}

// Type implements Expr.
func (c *Cast) Type() flow.Type { return c.T }

// Inputs implements Expr.
func (c *Cast) Inputs() []Expr { return []Expr{c.X} }

// With implements Expr.
func (c *Cast) With(in []Expr) Expr { return &Cast{in[0], c.T} }

// String implements Expr.
func (c *Cast) String() string { return "CAST(" + c.X.String() + " AS " + flow.TypeName(c.T) + ")" }

// Eval implements Expr.
func (c *Cast) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	return CastColumn(Eval(c.X, in, env), c.T, env)
}

// CastColumn casts a column.
func CastColumn(col arrow.Array, t flow.Type, env udf.Env) arrow.Array {
	if flow.SameType(col.DataType(), t) {
		return col
	}
	n := col.Len()
	v := flow.Both(n, col)
	switch a := col.(type) {
	case *array.Int32:
		switch t.ID() {
		case arrow.INT64:
			return flow.Fixed(t, convert[int64](a.Int32Values()), arrow.Int64Traits.CastToBytes, v)
		case arrow.FLOAT64:
			return flow.Fixed(t, convert[float64](a.Int32Values()), arrow.Float64Traits.CastToBytes, v)
		case arrow.FLOAT32:
			return flow.Fixed(t, convert[float32](a.Int32Values()), arrow.Float32Traits.CastToBytes, v)
		}
	case *array.Int64:
		switch t.ID() {
		case arrow.FLOAT64:
			return flow.Fixed(t, convert[float64](a.Int64Values()), arrow.Float64Traits.CastToBytes, v)
		case arrow.FLOAT32:
			return flow.Fixed(t, convert[float32](a.Int64Values()), arrow.Float32Traits.CastToBytes, v)
		case arrow.INT32:
			return flow.Fixed(t, truncate[int32](a.Int64Values(), math.MinInt32-1, math.MaxInt32+1, &v, env),
				arrow.Int32Traits.CastToBytes, v)
		}
	case *array.Float32:
		if t.ID() == arrow.FLOAT64 {
			return flow.Fixed(t, convert[float64](a.Float32Values()), arrow.Float64Traits.CastToBytes, v)
		}
	case *array.Float64:
		switch t.ID() {
		case arrow.FLOAT32:
			return flow.Fixed(t, convert[float32](a.Float64Values()), arrow.Float32Traits.CastToBytes, v)
		case arrow.INT32:
			return flow.Fixed(t, truncate[int32](a.Float64Values(), math.MinInt32-1, math.MaxInt32+1, &v, env),
				arrow.Int32Traits.CastToBytes, v)
		case arrow.INT64: // the lower bound is the next double below -2^63
			return flow.Fixed(t, truncate[int64](a.Float64Values(), -1<<63-2048, 1<<63, &v, env),
				arrow.Int64Traits.CastToBytes, v)
		}
	}
	b := flow.Builder(t)
	b.Reserve(n)
	for i := range n {
		x, err := CastValue(flow.Value(col, i), col.DataType(), t)
		if err != nil {
			env.Fail(i, err)
			x = nil
		}
		flow.Append(b, x)
		if !env.Account.Grow(flow.ValueSize(x)) {
			return flow.Repeat(t, nil, n) // the query has been stopped
		}
	}
	return b.NewArray()
}

func convert[T, F int32 | int64 | float32 | float64](in []F) []T {
	out := make([]T, len(in))
	for i, x := range in {
		out[i] = T(x)
	}
	return out
}

// truncate drops fractions. Values that are not between the bounds, and NaN, fail their row.
func truncate[T int32 | int64, F int64 | float64](in []F, above, below F, v *flow.Validity, env udf.Env) []T {
	out := make([]T, len(in))
	for i, x := range in {
		if x > above && x < below {
			out[i] = T(x)
		} else if !v.IsNull(i) {
			v.Clear(i)
			env.Fail(i, errRange)
		}
	}
	return out
}

// CastValue casts one Go value.
func CastValue(v any, from, to flow.Type) (any, error) {
	if v == nil || flow.SameType(from, to) {
		return v, nil
	}
	switch to := to.(type) {
	case *arrow.StringType:
		return flow.Spell(from, v), nil
	case *arrow.Decimal128Type:
		return castDecimal(v, from, to)
	case *arrow.MapType:
		return castMap(v, from.(*arrow.MapType), to)
	case *arrow.ListType:
		elem := from.(*arrow.ListType).Elem()
		return castEach(v.([]any), func(int) (flow.Type, flow.Type) { return elem, to.Elem() })
	case *arrow.StructType:
		return castStruct(v.([]any), from.(*arrow.StructType), to)
	}
	if s, ok := v.(string); ok {
		return parse(strings.TrimSpace(s), to)
	}
	switch to.ID() {
	case arrow.INT32, arrow.INT64:
		return castInteger(v, from, to)
	case arrow.FLOAT64:
		return Float64(v, from), nil
	case arrow.FLOAT32:
		return float32(Float64(v, from)), nil
	case arrow.DATE32:
		return arrow.Date32(floorDiv(int64(v.(arrow.Timestamp)), dayMs)), nil
	case arrow.TIME32:
		t := int64(v.(arrow.Timestamp))
		return arrow.Time32(t - floorDiv(t, dayMs)*dayMs), nil
	case arrow.TIMESTAMP:
		return arrow.Timestamp(int64(v.(arrow.Date32)) * dayMs), nil
	}
	return nil, fmt.Errorf("cannot cast %s to %s", flow.TypeName(from), flow.TypeName(to))
}

const dayMs = 24 * 60 * 60 * 1000

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func castMap(v any, from, to *arrow.MapType) (any, error) {
	in := v.([]flow.Entry)
	out := make([]flow.Entry, len(in))
	for i, e := range in {
		k, err := CastValue(e.Key, from.KeyType(), to.KeyType())
		if err != nil {
			return nil, err
		}
		x, err := CastValue(e.Value, from.ItemType(), to.ItemType())
		if err != nil {
			return nil, err
		}
		out[i] = flow.Entry{Key: k, Value: x}
	}
	return out, nil
}

func castEach(in []any, types func(int) (from, to flow.Type)) (any, error) {
	out := make([]any, len(in))
	for i, x := range in {
		from, to := types(i)
		y, err := CastValue(x, from, to)
		if err != nil {
			return nil, err
		}
		out[i] = y
	}
	return out, nil
}

// castStruct matches fields by name; a field that the source lacks is NULL.
func castStruct(in []any, from, to *arrow.StructType) (any, error) {
	out := make([]any, len(to.Fields()))
	for i, f := range to.Fields() {
		j, ok := from.FieldIdx(f.Name)
		if !ok {
			continue
		}
		x, err := CastValue(in[j], from.Field(j).Type, f.Type)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

var errRange = errors.New("the number does not fit the type")

func castInteger(v any, from, to flow.Type) (any, error) {
	var n int64
	switch v := v.(type) {
	case int32:
		n = int64(v)
	case int64:
		n = v
	case decimal128.Num:
		q := new(big.Int).Quo(v.BigInt(), pow10(from.(*arrow.Decimal128Type).Scale))
		if !q.IsInt64() {
			return nil, errRange
		}
		n = q.Int64()
	default:
		f := Float64(v, from)
		if math.IsNaN(f) || f >= 1<<63 || f < -1<<63 {
			return nil, errRange
		}
		n = int64(f)
	}
	if to.ID() == arrow.INT64 {
		return n, nil
	}
	if n != int64(int32(n)) {
		return nil, errRange
	}
	return int32(n), nil
}

// Float64 returns a number as a DOUBLE; NaN for other values.
func Float64(v any, from flow.Type) float64 {
	switch v := v.(type) {
	case int32:
		return float64(v)
	case int64:
		return float64(v)
	case float32:
		return float64(v)
	case float64:
		return v
	case decimal128.Num:
		f, _ := strconv.ParseFloat(v.ToString(from.(*arrow.Decimal128Type).Scale), 64)
		return f
	}
	return math.NaN()
}

func castDecimal(v any, from flow.Type, to *arrow.Decimal128Type) (any, error) {
	switch v := v.(type) {
	case int32:
		return anyErr(fitDecimal(big.NewInt(int64(v)), 0, to))
	case int64:
		return anyErr(fitDecimal(big.NewInt(v), 0, to))
	case decimal128.Num:
		return anyErr(fitDecimal(v.BigInt(), from.(*arrow.Decimal128Type).Scale, to))
	case float32:
		return ParseDecimal(strconv.FormatFloat(float64(v), 'g', -1, 32), to)
	case float64:
		return ParseDecimal(strconv.FormatFloat(v, 'g', -1, 64), to)
	case string:
		return ParseDecimal(strings.TrimSpace(v), to)
	}
	return nil, fmt.Errorf("cannot cast %s to %s", flow.TypeName(from), flow.TypeName(to))
}

func anyErr(n decimal128.Num, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ParseDecimal parses a decimal number, with an optional exponent, and rounds half up to the
// scale of the type.
func ParseDecimal(s string, to *arrow.Decimal128Type) (any, error) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e < -400 || e > 400 {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		mantissa, exponent = s[:i], e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if len(digits) == 0 || len(digits) > 1000 || strings.ContainsAny(digits[1:]+fraction, "+-_") {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	x, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	scale := len(fraction) - exponent
	if scale < 0 {
		x.Mul(x, pow10(int32(-scale)))
		scale = 0
	}
	return anyErr(fitDecimal(x, int32(scale), to))
}

// parse converts text to a value of a scalar type.
func parse(s string, to flow.Type) (any, error) {
	switch to.ID() {
	case arrow.BOOL:
		switch l := strings.ToLower(s); {
		case l != "" && strings.HasPrefix("true", l), l != "" && strings.HasPrefix("yes", l):
			return true, nil
		case l != "" && strings.HasPrefix("false", l), l != "" && strings.HasPrefix("no", l):
			return false, nil
		}
		return nil, fmt.Errorf("%q is not a BOOLEAN", s)
	case arrow.INT32:
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not an INTEGER", s)
		}
		return int32(n), nil
	case arrow.INT64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a BIGINT", s)
		}
		return n, nil
	case arrow.FLOAT32, arrow.FLOAT64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		if to.ID() == arrow.FLOAT32 {
			return float32(f), nil
		}
		return f, nil
	case arrow.BINARY:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not base64", s)
		}
		return b, nil
	}
	return parseTime(s, to)
}
