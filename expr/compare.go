package expr

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// CompareOp is one of the six comparisons, as the set of outcomes (less 1, equal 2, greater 4)
// for which it is true.
type CompareOp byte

// The comparisons.
const (
	Less, Equal, Greater                  CompareOp = 1, 2, 4
	LessOrEqual, GreaterOrEqual, NotEqual CompareOp = 3, 6, 5
)

var compareNames = map[CompareOp]string{
	Less:           "<",
	Equal:          "=",
	Greater:        ">",
	LessOrEqual:    "<=",
	GreaterOrEqual: ">=",
	NotEqual:       "<>",
}

// Flipped returns the operator for exchanged operands.
func (op CompareOp) Flipped() CompareOp {
	return op&Equal | op&Less<<2 | op&Greater>>2
}

// ParseCompare returns the comparison of an SQL operator.
func ParseCompare(op string) (CompareOp, bool) {
	for k, v := range compareNames {
		if v == op {
			return k, true
		}
	}
	return NotEqual, op == "!="
}

// Compare compares two columns of one type. It is NULL if either side is NULL, unless Distinct
// is set: then it is IS [NOT] DISTINCT FROM, with Op NotEqual or Equal, and never NULL. NaN
// compares as in Java: it is not equal to, less than or greater than any number.
type Compare struct {
	Op       CompareOp
	L, R     Expr
	Distinct bool
	// NullFalse makes a comparison with NULL false instead of NULL, as ksqlDB does.
	NullFalse bool
}

// NewCompare binds a comparison and widens both sides to a common type. A text literal that is
// compared with a DATE, TIME or TIMESTAMP is parsed as one.
func NewCompare(op CompareOp, l, r Expr, distinct bool) (Expr, error) {
	l, r, err := alike(l, r)
	if err != nil {
		return nil, fmt.Errorf("operator %s: %w", compareNames[op], err)
	}
	switch l.Type().ID() {
	case arrow.BOOL, arrow.LIST, arrow.MAP, arrow.STRUCT:
		if op != Equal && op != NotEqual {
			return nil, fmt.Errorf("operator %s is not defined for %s", compareNames[op], flow.TypeName(l.Type()))
		}
	}
	return &Compare{Op: op, L: Typed(l), R: Typed(r), Distinct: distinct}, nil
}

// alike converts two operands of a comparison to one type.
func alike(l, r Expr) (Expr, Expr, error) {
	lt, rt := l.Type(), r.Type()
	if isTime(lt) && rt.ID() == arrow.STRING {
		return l, Convert(r, lt), nil
	}
	if isTime(rt) && lt.ID() == arrow.STRING {
		return Convert(l, rt), r, nil
	}
	if lt.ID() == arrow.DATE32 && rt.ID() == arrow.TIMESTAMP {
		return Convert(l, rt), r, nil
	}
	if lt.ID() == arrow.TIMESTAMP && rt.ID() == arrow.DATE32 {
		return l, Convert(r, lt), nil
	}
	t, ok := flow.Common(lt, rt)
	if !ok {
		return nil, nil, fmt.Errorf("cannot compare %s with %s", flow.TypeName(lt), flow.TypeName(rt))
	}
	return Convert(l, t), Convert(r, t), nil
}

func isTime(t flow.Type) bool {
	return t.ID() == arrow.DATE32 || t.ID() == arrow.TIME32 || t.ID() == arrow.TIMESTAMP
}

// Type implements Expr.
func (c *Compare) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (c *Compare) Inputs() []Expr { return []Expr{c.L, c.R} }

// With implements Expr.
func (c *Compare) With(in []Expr) Expr { return &Compare{c.Op, in[0], in[1], c.Distinct, c.NullFalse} }

// String implements Expr.
func (c *Compare) String() string {
	op := compareNames[c.Op]
	if c.Distinct {
		op = map[CompareOp]string{Equal: "IS NOT DISTINCT FROM", NotEqual: "IS DISTINCT FROM"}[c.Op]
	}
	return fmt.Sprintf("(%s %s %s)", c.L, op, c.R)
}

// Eval implements Expr.
func (c *Compare) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	l, r := eval(c.L, in, env), eval(c.R, in, env)
	n := in.Rows()
	bits := make([]byte, (n+7)/8)
	v := bothNulls(n, l, r)
	compareInto(bits, c.Op, l, r, n)
	if c.NullFalse && v.Nulls() > 0 {
		for i := range n {
			if v.IsNull(i) {
				setBit(bits, i, false)
			}
		}
		return flow.Bools(n, bits, flow.Valid(n))
	}
	if !c.Distinct {
		return flow.Bools(n, bits, v)
	}
	for i := range n {
		if !v.IsNull(i) {
			continue
		}
		same := l.col.IsNull(i&l.mask) && r.col.IsNull(i&r.mask)
		setBit(bits, i, same == (c.Op == Equal))
	}
	return flow.Bools(n, bits, flow.Valid(n))
}

func setBit(bits []byte, i int, on bool) {
	if on {
		bits[i>>3] |= 1 << (i & 7)
	} else {
		bits[i>>3] &^= 1 << (i & 7)
	}
}

func compareInto(bits []byte, op CompareOp, l, r operand, n int) {
	switch lc := l.col.(type) {
	case *array.Int32:
		ordered(bits, op, lc.Int32Values(), r.col.(*array.Int32).Int32Values(), l.mask, r.mask, n)
	case *array.Int64:
		ordered(bits, op, lc.Int64Values(), r.col.(*array.Int64).Int64Values(), l.mask, r.mask, n)
	case *array.Float32:
		ordered(bits, op, lc.Float32Values(), r.col.(*array.Float32).Float32Values(), l.mask, r.mask, n)
	case *array.Float64:
		ordered(bits, op, lc.Float64Values(), r.col.(*array.Float64).Float64Values(), l.mask, r.mask, n)
	case *array.Date32:
		ordered(bits, op, lc.Date32Values(), r.col.(*array.Date32).Date32Values(), l.mask, r.mask, n)
	case *array.Time32:
		ordered(bits, op, lc.Time32Values(), r.col.(*array.Time32).Time32Values(), l.mask, r.mask, n)
	case *array.Timestamp:
		ordered(bits, op, lc.TimestampValues(), r.col.(*array.Timestamp).TimestampValues(), l.mask, r.mask, n)
	case *array.String:
		rc := r.col.(*array.String)
		for i := range n {
			setOutcome(bits, op, i, strings.Compare(lc.Value(i&l.mask), rc.Value(i&r.mask)))
		}
	case *array.Binary:
		rc := r.col.(*array.Binary)
		for i := range n {
			setOutcome(bits, op, i, bytes.Compare(lc.Value(i&l.mask), rc.Value(i&r.mask)))
		}
	case *array.Decimal128:
		decimalCompare(bits, op, l, r, n)
	default:
		for i := range n {
			outcome := 1
			if equalRows(l.col, i&l.mask, r.col, i&r.mask) {
				outcome = 0
			}
			setOutcome(bits, op, i, outcome)
		}
	}
}

// decimalCompare compares operands that alike has converted to one scale.
func decimalCompare(bits []byte, op CompareOp, l, r operand, n int) {
	lc, rc := l.col.(*array.Decimal128), r.col.(*array.Decimal128)
	for i := range n {
		setOutcome(bits, op, i, compareDecimal(lc.Value(i&l.mask), rc.Value(i&r.mask)))
	}
}

func compareDecimal(a, b decimal128.Num) int {
	if c := cmp.Compare(a.HighBits(), b.HighBits()); c != 0 {
		return c
	}
	return cmp.Compare(a.LowBits(), b.LowBits())
}

func equalRows(a arrow.Array, i int, b arrow.Array, j int) bool {
	return equalValues(flow.Value(a, i), flow.Value(b, j))
}

// equalValues compares Go values of one type; the entries of a MAP are unordered, and its keys
// are unique.
func equalValues(a, b any) bool {
	switch a := a.(type) {
	case []flow.Entry:
		other, ok := b.([]flow.Entry)
		if !ok || len(a) != len(other) {
			return false
		}
		for _, e := range a {
			if !slices.ContainsFunc(other, func(o flow.Entry) bool {
				return equalValues(e.Key, o.Key) && equalValues(e.Value, o.Value)
			}) {
				return false
			}
		}
		return true
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equalValues)
	}
	return reflect.DeepEqual(a, b)
}

// setOutcome sets the bit if the operator is true for an outcome (-1, 0, 1).
func setOutcome(bits []byte, op CompareOp, i, outcome int) {
	if op&(1<<(outcome+1)) != 0 {
		bits[i>>3] |= 1 << (i & 7)
	}
}

// ordered has a loop per operator, so that the body of the loop is one comparison.
func ordered[T cmp.Ordered](bits []byte, op CompareOp, l, r []T, lm, rm, n int) {
	switch op {
	case Less:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] < r[i&rm]) << (i & 7)
		}
	case LessOrEqual:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] <= r[i&rm]) << (i & 7)
		}
	case Equal:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] == r[i&rm]) << (i & 7)
		}
	case NotEqual:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] != r[i&rm]) << (i & 7)
		}
	case Greater:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] > r[i&rm]) << (i & 7)
		}
	case GreaterOrEqual:
		for i := range n {
			bits[i>>3] |= b2u(l[i&lm] >= r[i&rm]) << (i & 7)
		}
	}
}

func b2u(b bool) byte {
	if b {
		return 1
	}
	return 0
}
