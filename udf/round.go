package udf

import (
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// mode decides the direction of rounding: up means away from zero, given the sign and how the
// dropped part compares with a half (-1, 0, 1) and whether there is one at all.
type mode func(negative bool, half int, any bool) (up bool)

func nearest(negative bool, half int, _ bool) bool { return half > 0 || half == 0 && !negative }
func truncate(bool, int, bool) bool                { return false }
func ceiling(negative bool, _ int, any bool) bool  { return any && !negative }
func floor(negative bool, _ int, any bool) bool    { return any && negative }

func rounding(name string, m mode) []Scalar {
	return []Scalar{
		Func1(name, "", same[int32]),
		Func1(name, "", same[int64]),
		ofDecimal(name, wholeType, toward(m)),
		Try1(name, "", func(x float64) (int64, error) { return wholeDouble(x, m) }),
		Try2(name, "", func(x, digits int32) (int32, error) {
			n, err := roundInteger(int64(x), digits, m)
			if err == nil && n != int64(int32(n)) {
				err = errWide
			}
			return int32(n), err
		}),
		Try2(name, "", func(x int64, digits int32) (int64, error) { return roundInteger(x, digits, m) }),
		decimalDigits(name, m),
		Func2(name, "", func(x float64, digits int32) float64 { return roundDouble(x, int(digits), m) }),
	}
}

func keepType(t *arrow.Decimal128Type) flow.Type { return t }

func wholeType(t *arrow.Decimal128Type) flow.Type {
	return flow.Decimal(max(1, t.Precision-t.Scale), 0)
}

// ofDecimal lifts a function of one DECIMAL.
func ofDecimal(
	name string,
	result func(*arrow.Decimal128Type) flow.Type,
	f func(x decimal128.Num, from, to *arrow.Decimal128Type) (decimal128.Num, error),
) Scalar {
	return bound(name, "", func(have []flow.Type) (Signature, error) {
		if len(have) != 1 || have[0].ID() != arrow.DECIMAL128 {
			return Signature{}, Mismatch(name, have, "DECIMAL")
		}
		from := have[0].(*arrow.Decimal128Type)
		to := result(from).(*arrow.Decimal128Type)
		return Signature{Args: have, Result: to, Kernel: func(args []arrow.Array, rows int, env Env) arrow.Array {
			return decimals(
				args,
				rows,
				env,
				to,
				func(x decimal128.Num, _ int) (decimal128.Num, error) { return f(x, from, to) },
			)
		}}, nil
	})
}

func decimals(
	args []arrow.Array,
	rows int,
	env Env,
	to *arrow.Decimal128Type,
	f func(decimal128.Num, int) (decimal128.Num, error),
) arrow.Array {
	x, v := args[0].(*array.Decimal128), flow.Both(rows, args...)
	out := make([]decimal128.Num, rows)
	for i := range out {
		if v.IsNull(i) {
			continue
		}
		n, err := f(x.Value(i), i)
		if err == nil && !n.FitsInPrecision(to.Precision) {
			err = errWide
		}
		if err != nil {
			env.Fail(i, err)
			v.Clear(i)
			continue
		}
		out[i] = n
	}
	return flow.Fixed(to, out, arrow.Decimal128Traits.CastToBytes, v)
}

// toward rounds to a whole number, keeping the type's scale or dropping it.
func toward(m mode) func(x decimal128.Num, from, to *arrow.Decimal128Type) (decimal128.Num, error) {
	return func(x decimal128.Num, from, to *arrow.Decimal128Type) (decimal128.Num, error) {
		return roundDecimal(x, from.Scale, 0, to.Scale, m)
	}
}

// decimalDigits is ROUND(DECIMAL, d), which keeps the type.
func decimalDigits(name string, m mode) Scalar {
	return bound(name, "", func(have []flow.Type) (Signature, error) {
		if len(have) != 2 || have[0].ID() != arrow.DECIMAL128 || !flow.Widens(have[1], flow.Int) {
			return Signature{}, Mismatch(name, have, "DECIMAL, INTEGER")
		}
		t := have[0].(*arrow.Decimal128Type)
		return Signature{
			Args:   []flow.Type{t, flow.Int},
			Result: t,
			Kernel: func(args []arrow.Array, rows int, env Env) arrow.Array {
				digits := args[1].(*array.Int32)
				return decimals(args, rows, env, t, func(x decimal128.Num, i int) (decimal128.Num, error) {
					return roundDecimal(x, t.Scale, max(-100, min(100, digits.Value(i))), t.Scale, m)
				})
			},
		}, nil
	})
}

var ten = big.NewInt(10)

func pow10(n int32) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

// roundDecimal rounds x, of scale from, to some digits after the point and returns it with
// scale to.
func roundDecimal(x decimal128.Num, from, digits, to int32, m mode) (decimal128.Num, error) {
	n := x.BigInt()
	if digits < from {
		n = roundBig(n, pow10(from-digits), m)
		n.Mul(n, pow10(from-digits))
	}
	if to < from {
		n = new(big.Int).Quo(n, pow10(from-to)) // exact: the dropped digits are zeros
	}
	if n.BitLen() > 127 {
		return decimal128.Num{}, errWide
	}
	return decimal128.FromBigInt(n), nil
}

// roundBig is x / by, rounded.
func roundBig(x, by *big.Int, m mode) *big.Int {
	q, r := new(big.Int).QuoRem(x, by, new(big.Int))
	twice := new(big.Int).Abs(r)
	twice.Lsh(twice, 1)
	if m(x.Sign() < 0, twice.Cmp(by), r.Sign() != 0) {
		if x.Sign() < 0 {
			return q.Sub(q, big.NewInt(1))
		}
		q.Add(q, big.NewInt(1))
	}
	return q
}

func roundInteger(x int64, digits int32, m mode) (int64, error) {
	switch {
	case digits >= 0:
		return x, nil
	case digits < -19:
		return 0, nil
	}
	by := pow10(-digits)
	n := roundBig(big.NewInt(x), by, m)
	if n.Mul(n, by); !n.IsInt64() {
		return 0, errWide
	}
	return n.Int64(), nil
}

func wholeDouble(x float64, m mode) (int64, error) {
	whole, fraction := math.Modf(x)
	half := 0
	switch f := math.Abs(fraction); {
	case f > 0.5:
		half = 1
	case f < 0.5:
		half = -1
	}
	if m(x < 0, half, fraction != 0) {
		whole += math.Copysign(1, x)
	}
	if !(whole >= -1<<63 && whole < 1<<63) {
		return 0, errWide
	}
	return int64(whole), nil
}

// roundDouble rounds the decimal number that a DOUBLE prints as, so that 1.005 is the half it
// looks like.
func roundDouble(x float64, digits int, m mode) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) || digits > 400 {
		return x
	}
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], math.Abs(x), 'f', -1, 64)
	point := len(text)
	for i, c := range text {
		if c == '.' {
			point = i
		}
	}
	whole, fraction := text[:point], text[min(len(text), point+1):]
	if digits >= len(fraction) {
		return x
	}
	if digits < -len(whole) {
		digits = -len(whole) - 1
	}
	all := append(append([]byte("00"), whole...), fraction...)
	keep := 2 + len(whole) + digits
	up := m(x < 0, compareHalf(all[keep:]), anyDigit(all[keep:]))
	for i := keep; i < len(all); i++ {
		all[i] = '0'
	}
	for i := keep - 1; up && i >= 0; i-- {
		if all[i] == '9' {
			all[i] = '0'
			continue
		}
		all[i]++
		break
	}
	at := 2 + len(whole)
	y, _ := strconv.ParseFloat(string(all[:at])+"."+string(all[at:]), 64)
	return math.Copysign(y, x)
}

func compareHalf(dropped []byte) int {
	switch {
	case dropped[0] > '5', dropped[0] == '5' && anyDigit(dropped[1:]):
		return 1
	case dropped[0] == '5':
		return 0
	}
	return -1
}

func anyDigit(digits []byte) bool {
	for _, d := range digits {
		if d != '0' {
			return true
		}
	}
	return false
}
