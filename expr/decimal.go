package expr

import (
	"errors"
	"math/big"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

var zeroDecimal = decimal128.FromI64(0)

// decimalResult returns the result type of DECIMAL arithmetic, by the rules of SQL Server that
// ksqlDB documents, limited to 38 digits.
func decimalResult(op byte, a, b *arrow.Decimal128Type) flow.Type {
	var p, s int32
	switch op {
	case '+', '-':
		s = max(a.Scale, b.Scale)
		p = s + max(a.Precision-a.Scale, b.Precision-b.Scale) + 1
	case '*':
		p, s = a.Precision+b.Precision+1, a.Scale+b.Scale
	case '/':
		s = max(6, a.Scale+b.Precision+1)
		p = a.Precision - a.Scale + b.Scale + s
	default:
		s = max(a.Scale, b.Scale)
		p = s + min(a.Precision-a.Scale, b.Precision-b.Scale)
	}
	if p > 38 { // keep the integer digits and reduce the scale
		s = max(min(s, 6), s-(p-38))
		p = 38
	}
	return flow.Decimal(p, s)
}

// decimals computes in 128 bits, and with big integers where these do not suffice.
func decimals(a *Arith, l, r operand, n int, v *flow.Validity, report udf.Fail) arrow.Array {
	t := a.T.(*arrow.Decimal128Type)
	ls, rs := a.L.Type().(*arrow.Decimal128Type).Scale, a.R.Type().(*arrow.Decimal128Type).Scale
	lc, rc := l.col.(*array.Decimal128), r.col.(*array.Decimal128)
	out := make([]decimal128.Num, n)
	fast, exact := newNarrow(a.Op, ls, rs, t)
	done := 0
	if exact && t.Precision < 38 {
		done = fast.column(out, lc.Values(), rc.Values(), l.mask, r.mask)
	}
	for i := done; i < n; i++ {
		if v.IsNull(i) {
			continue
		}
		if exact {
			if z, ok := fast.apply(lc.Value(i&l.mask), rc.Value(i&r.mask)); ok {
				out[i] = z
				continue
			}
		}
		x, y := lc.Value(i&l.mask).BigInt(), rc.Value(i&r.mask).BigInt()
		z, scale, err := decimalOp(a.Op, x, y, ls, rs, t.Scale)
		if err == nil {
			out[i], err = fitDecimal(z, scale, t)
		}
		if err != nil {
			report(i, err)
		}
	}
	return flow.Fixed(a.T, out, arrow.Decimal128Traits.CastToBytes, *v)
}

func decimalOp(op byte, x, y *big.Int, xs, ys, want int32) (*big.Int, int32, error) {
	switch op {
	case '*':
		return x.Mul(x, y), xs + ys, nil
	case '/':
		if y.Sign() == 0 {
			return nil, 0, errZero
		}
		// x/10^xs / (y/10^ys), with scale want
		x.Mul(x, pow10(max(0, want+ys-xs)))
		return halfUp(x, y), want, nil
	}
	s := max(xs, ys)
	x.Mul(x, pow10(s-xs))
	y.Mul(y, pow10(s-ys))
	switch op {
	case '+':
		return x.Add(x, y), s, nil
	case '-':
		return x.Sub(x, y), s, nil
	}
	if y.Sign() == 0 {
		return nil, 0, errZero
	}
	return x.Rem(x, y), s, nil
}

func pow10(n int32) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// halfUp divides and rounds half away from zero.
func halfUp(x, y *big.Int) *big.Int {
	q, m := new(big.Int).QuoRem(x, y, new(big.Int))
	m.Abs(m).Lsh(m, 1)
	if m.CmpAbs(y) >= 0 {
		q.Add(q, big.NewInt(int64(x.Sign()*y.Sign())))
	}
	return q
}

var errDecimal = errors.New("the number does not fit the DECIMAL")

// fitDecimal converts an unscaled integer with a scale to a DECIMAL type, rounding half up.
func fitDecimal(x *big.Int, scale int32, t *arrow.Decimal128Type) (decimal128.Num, error) {
	switch {
	case scale < t.Scale:
		if int(t.Scale-scale) > 80 {
			return decimal128.Num{}, errDecimal
		}
		x = new(big.Int).Mul(x, pow10(t.Scale-scale))
	case scale > t.Scale:
		if scale-t.Scale > 1400 {
			return decimal128.Num{}, nil // smaller than any digit of the type
		}
		x = halfUp(x, pow10(scale-t.Scale))
	}
	if x.CmpAbs(pow10(t.Precision)) >= 0 {
		return decimal128.Num{}, errDecimal
	}
	return decimal128.FromBigInt(x), nil
}
