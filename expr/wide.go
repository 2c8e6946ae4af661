package expr

import (
	"math/bits"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
)

// wide is an unsigned integer of 128 bits: the magnitude of a DECIMAL. Decimals of up to 38 digits
// have fewer than 127 bits.
type wide struct{ hi, lo uint64 }

// split returns the magnitude of a number and reports whether it is negative.
func split(n decimal128.Num) (wide, bool) {
	w := wide{uint64(n.HighBits()), n.LowBits()}
	if n.HighBits() >= 0 {
		return w, false
	}
	return w.negated(), true
}

func (w wide) negated() wide {
	lo, borrow := bits.Sub64(0, w.lo, 0)
	hi, _ := bits.Sub64(0, w.hi, borrow)
	return wide{hi, lo}
}

func (w wide) num(negative bool) decimal128.Num {
	if negative {
		w = w.negated()
	}
	return decimal128.New(int64(w.hi), w.lo)
}

func (w wide) less(v wide) bool { return w.hi < v.hi || w.hi == v.hi && w.lo < v.lo }

// times returns the product; ok is false if it has more than 127 bits.
func (w wide) times(v wide) (product wide, ok bool) {
	if w.hi != 0 && v.hi != 0 {
		return wide{}, false
	}
	hi, lo := bits.Mul64(w.lo, v.lo)
	over, cross := bits.Mul64(w.hi|v.hi, w.lo)
	if w.hi != 0 {
		over, cross = bits.Mul64(w.hi, v.lo)
	}
	sum, carry := bits.Add64(hi, cross, 0)
	return wide{sum, lo}, over == 0 && carry == 0 && sum>>63 == 0
}

// over returns the quotient and the remainder of a division by a number that is not 0.
func (w wide) over(by uint64) (quotient wide, rest uint64) {
	hi, rest := w.hi/by, w.hi%by
	lo, rest := bits.Div64(rest, w.lo, by)
	return wide{hi, lo}, rest
}

// limits has 10^p by precision p.
var limits = func() (out [39]wide) {
	out[0] = wide{0, 1}
	for i := 1; i < len(out); i++ {
		out[i], _ = out[i-1].times(wide{0, 10})
	}
	return out
}()

// narrow computes DECIMAL arithmetic in 128 bits. It covers the operands and results that fit;
// decimalOp computes the others.
type narrow struct {
	op     byte
	ml, mr wide // the factors that give the operands their common scale, or the dividend that of the result
	limit  wide // of the result
}

// newNarrow returns the computation for operands with scales ls and rs; ok is false if the result
// has fewer digits after the point than an exact one would have.
func newNarrow(op byte, ls, rs int32, t *arrow.Decimal128Type) (f narrow, ok bool) {
	f = narrow{op: op, ml: wide{0, 1}, mr: wide{0, 1}, limit: limits[t.Precision]}
	scale := max(ls, rs)
	left, right := scale-ls, scale-rs
	switch op {
	case '*':
		return f, t.Scale == ls+rs
	case '/':
		left, right = t.Scale+rs-ls, 0
	default:
		if t.Scale != scale {
			return f, false
		}
	}
	if left < 0 || left > 38 || right > 38 {
		return f, false
	}
	f.ml, f.mr = limits[left], limits[right]
	return f, true
}

// apply returns the result; ok is false if it does not fit, or an intermediate value does not.
func (f *narrow) apply(x, y decimal128.Num) (z decimal128.Num, ok bool) {
	a, an := split(x)
	b, bn := split(y)
	var c wide
	negative := an
	switch f.op {
	case '*':
		c, ok = a.times(b)
		return c.num(an != bn), ok && c.less(f.limit)
	case '/':
		if a, ok = a.times(f.ml); !ok || b.hi != 0 || b.lo == 0 {
			return z, false
		}
		c, rest := a.over(b.lo)
		if rest >= b.lo-rest { // half or more: away from zero
			var carry uint64
			c.lo, carry = bits.Add64(c.lo, 1, 0)
			c.hi += carry
		}
		return c.num(an != bn), c.less(f.limit)
	}
	if f.ml.lo != 1 {
		if a, ok = a.times(f.ml); !ok {
			return z, false
		}
	}
	if f.mr.lo != 1 {
		if b, ok = b.times(f.mr); !ok {
			return z, false
		}
	}
	switch f.op {
	case '%':
		if b.hi != 0 || b.lo == 0 {
			return z, false
		}
		_, rest := a.over(b.lo)
		c = wide{0, rest}
	case '-':
		bn = !bn
		fallthrough
	default:
		var carry uint64
		switch {
		case an == bn:
			c.lo, carry = bits.Add64(a.lo, b.lo, 0)
			c.hi, _ = bits.Add64(a.hi, b.hi, carry) // both have 127 bits at most
		case a.less(b):
			negative = bn
			c.lo, carry = bits.Sub64(b.lo, a.lo, 0)
			c.hi, _ = bits.Sub64(b.hi, a.hi, carry)
		default:
			c.lo, carry = bits.Sub64(a.lo, b.lo, 0)
			c.hi, _ = bits.Sub64(a.hi, b.hi, carry)
		}
	}
	return c.num(negative), c.less(f.limit)
}

// column computes the rows of a batch for which that needs no scaling, and returns the number of
// leading rows that are done. A type of the result that is not cut to 38 digits holds every sum and
// product, so there is nothing to check.
func (f *narrow) column(out, l, r []decimal128.Num, lm, rm int) int {
	if f.ml.lo != 1 || f.mr.lo != 1 {
		return 0
	}
	switch f.op {
	case '+':
		for i := range out {
			x, y := &l[i&lm], &r[i&rm]
			lo, carry := bits.Add64(x.LowBits(), y.LowBits(), 0)
			out[i] = decimal128.New(x.HighBits()+y.HighBits()+int64(carry), lo)
		}
		return len(out)
	case '-':
		for i := range out {
			x, y := &l[i&lm], &r[i&rm]
			lo, borrow := bits.Sub64(x.LowBits(), y.LowBits(), 0)
			out[i] = decimal128.New(x.HighBits()-y.HighBits()-int64(borrow), lo)
		}
		return len(out)
	case '*':
		for i := range out {
			x, y := &l[i&lm], &r[i&rm]
			a, b := int64(x.LowBits()), int64(y.LowBits())
			if x.HighBits() != a>>63 || y.HighBits() != b>>63 {
				return i
			}
			hi, lo := bits.Mul64(uint64(a), uint64(b))
			out[i] = decimal128.New(int64(hi)-(a>>63&b)-(b>>63&a), lo)
		}
		return len(out)
	}
	return 0
}
