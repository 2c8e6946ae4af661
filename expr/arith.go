package expr

import (
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Arith is + - * / % on numbers. The operands of INT, BIGINT, FLOAT and DOUBLE arithmetic have
// the type of the result; those of DECIMAL arithmetic have their own precision and scale. An
// integer overflow and a division of exact numbers by zero fail the row.
type Arith struct {
	Op   byte
	L, R Expr
	T    flow.Type
}

// NewArith binds an operator to two numeric operands and widens them to their common type.
func NewArith(op byte, l, r Expr) (Expr, error) {
	lt, rt := l.Type(), r.Type()
	if lt.ID() == arrow.NULL {
		lt = rt
	}
	if rt.ID() == arrow.NULL {
		rt = lt
	}
	if !flow.IsNumber(lt) || !flow.IsNumber(rt) {
		return nil, fmt.Errorf(
			"operator %c needs two numbers, not %s and %s",
			op,
			flow.TypeName(lt),
			flow.TypeName(rt),
		)
	}
	t := lt
	switch a, b := flow.AsDecimal(lt), flow.AsDecimal(rt); {
	case a != nil && b != nil && (lt.ID() == arrow.DECIMAL128 || rt.ID() == arrow.DECIMAL128):
		return &Arith{op, Convert(l, a), Convert(r, b), decimalResult(op, a, b)}, nil
	case flow.Widens(lt, rt):
		t = rt
	case !flow.Widens(rt, lt):
		t = flow.Double // FLOAT with DECIMAL
	}
	return &Arith{op, Convert(l, t), Convert(r, t), t}, nil
}

// Type implements Expr.
func (a *Arith) Type() flow.Type { return a.T }

// Inputs implements Expr.
func (a *Arith) Inputs() []Expr { return []Expr{a.L, a.R} }

// With implements Expr.
func (a *Arith) With(in []Expr) Expr { return &Arith{a.Op, in[0], in[1], a.T} }

// String implements Expr.
func (a *Arith) String() string { return fmt.Sprintf("(%s %c %s)", a.L, a.Op, a.R) }

// operand is an evaluated operand. A literal remains a single row: mask 0 maps every index to
// it.
type operand struct {
	col  arrow.Array
	mask int
}

func eval(e Expr, in *flow.Batch, env udf.Env) operand {
	if l, ok := e.(*Literal); ok {
		return operand{flow.Repeat(l.T, l.Value, 1), 0}
	}
	return operand{Eval(e, in, env), -1}
}

func bothNulls(n int, ops ...operand) flow.Validity {
	v := flow.Valid(n)
	for _, o := range ops {
		if o.col.NullN() == 0 {
			continue
		}
		for i := range n {
			if o.col.IsNull(i & o.mask) {
				v.Clear(i)
			}
		}
	}
	return v
}

var errZero = errors.New("division by zero")

// Eval implements Expr.
func (a *Arith) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	l, r := eval(a.L, in, env), eval(a.R, in, env)
	n := in.Rows()
	v := bothNulls(n, l, r)
	report := func(i int, err error) {
		v.Clear(i)
		env.Fail(i, fmt.Errorf("%s: %w", a, err))
	}
	switch lc := l.col.(type) {
	case *array.Int32:
		out := ints(a.Op, lc.Int32Values(), r.col.(*array.Int32).Int32Values(), l.mask, r.mask, n, &v, report)
		return flow.Fixed(a.T, out, arrow.Int32Traits.CastToBytes, v)
	case *array.Int64:
		out := ints(a.Op, lc.Int64Values(), r.col.(*array.Int64).Int64Values(), l.mask, r.mask, n, &v, report)
		return flow.Fixed(a.T, out, arrow.Int64Traits.CastToBytes, v)
	case *array.Float32:
		out := floats(a.Op, lc.Float32Values(), r.col.(*array.Float32).Float32Values(), l.mask, r.mask, n)
		return flow.Fixed(a.T, out, arrow.Float32Traits.CastToBytes, v)
	case *array.Float64:
		out := floats(a.Op, lc.Float64Values(), r.col.(*array.Float64).Float64Values(), l.mask, r.mask, n)
		return flow.Fixed(a.T, out, arrow.Float64Traits.CastToBytes, v)
	}
	return decimals(a, l, r, n, &v, report)
}

func floats[T float32 | float64](op byte, l, r []T, lm, rm, n int) []T {
	out := make([]T, n)
	switch op {
	case '+':
		for i := range out {
			out[i] = l[i&lm] + r[i&rm]
		}
	case '-':
		for i := range out {
			out[i] = l[i&lm] - r[i&rm]
		}
	case '*':
		for i := range out {
			out[i] = l[i&lm] * r[i&rm]
		}
	case '/':
		for i := range out {
			out[i] = l[i&lm] / r[i&rm]
		}
	case '%':
		for i := range out {
			out[i] = T(math.Mod(float64(l[i&lm]), float64(r[i&rm])))
		}
	}
	return out
}

func ints[T int32 | int64](op byte, l, r []T, lm, rm, n int, v *flow.Validity, report udf.Fail) []T {
	out := make([]T, n)
	over := func(i int) {
		if !v.IsNull(i) {
			report(i, errors.New("the result does not fit the type"))
		}
	}
	switch op {
	case '+':
		for i := range out {
			a, b := l[i&lm], r[i&rm]
			if out[i] = a + b; (a^out[i])&(b^out[i]) < 0 {
				over(i)
			}
		}
	case '-':
		for i := range out {
			a, b := l[i&lm], r[i&rm]
			if out[i] = a - b; (a^b)&(a^out[i]) < 0 {
				over(i)
			}
		}
	case '*':
		for i := range out {
			a, b := l[i&lm], r[i&rm]
			if out[i] = a * b; a != 0 && (out[i]/a != b || a == -1 && b < 0 && out[i] == b) {
				over(i)
			}
		}
	default:
		for i := range out {
			b := r[i&rm]
			switch {
			case b == 0:
				if !v.IsNull(i) {
					report(i, errZero)
				}
			case op == '/':
				a := l[i&lm]
				if out[i] = a / b; b == -1 && a < 0 && out[i] == a { // the lowest number has no negation
					over(i)
				}
			default:
				out[i] = l[i&lm] % b
			}
		}
	}
	return out
}

// Negate returns the unary minus of a number.
func Negate(x Expr) (Expr, error) {
	if !flow.IsNumber(x.Type()) {
		return nil, fmt.Errorf("unary - needs a number, not %s", flow.TypeName(x.Type()))
	}
	t := x.Type()
	if d, ok := t.(*arrow.Decimal128Type); ok {
		return &Arith{'-', Lit(flow.Decimal(d.Precision, d.Scale), zeroDecimal), x, t}, nil
	}
	return &Arith{'-', Lit(t, zero(t)), x, t}, nil
}

func zero(t flow.Type) any {
	switch t.ID() {
	case arrow.INT32:
		return int32(0)
	case arrow.INT64:
		return int64(0)
	case arrow.FLOAT32:
		return float32(math.Copysign(0, -1)) // -0 - x is -x, also for x = 0
	}
	return math.Copysign(0, -1)
}
