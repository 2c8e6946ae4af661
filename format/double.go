package format

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow/decimal128"
)

// AppendDouble appends a DOUBLE as Java spells it: the shortest decimal that reads back as v, with at least one digit on either side
// of the point (100.0), and as 1.0E10 outside 0.001 <= |v| < 10,000,000. Also NaN, Infinity and -Infinity.
func AppendDouble(dst []byte, v float64) []byte { return appendJava(dst, v, 64) }

// AppendFloat appends a FLOAT in the same manner.
func AppendFloat(dst []byte, v float32) []byte { return appendJava(dst, float64(v), 32) }

func appendJava(dst []byte, v float64, size int) []byte {
	abs := math.Abs(v)
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case abs > math.MaxFloat64:
		if v < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	case v == 0:
		if math.Signbit(v) {
			dst = append(dst, '-')
		}
		return append(dst, "0.0"...)
	case abs < 1e7 && v == math.Trunc(v):
		return append(strconv.AppendInt(dst, int64(v), 10), '.', '0')
	case abs >= 1e-3 && abs < 1e7:
		return strconv.AppendFloat(dst, v, 'f', -1, size)
	}
	return appendScientific(dst, v, size)
}

// appendScientific turns Go's 1e-05 into 1.0E-5. Of the subnormal numbers, some need one digit only; Java then gives the nearest of
// those with two (4.9E-324).
func appendScientific(dst []byte, v float64, size int) []byte {
	var room [32]byte
	text := strconv.AppendFloat(room[:0], v, 'e', -1, size)
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	if e <= 2 && math.Abs(v) < 1e-35 { // one digit, and no point
		var more [32]byte
		two := strconv.AppendFloat(more[:0], v, 'e', 1, size)
		if back, err := strconv.ParseFloat(string(two), size); err == nil && back == v {
			text = append(room[:0], two...)
			for e = 0; text[e] != 'e'; e++ {
			}
		}
	}
	exponent, _ := strconv.Atoi(string(text[e+1:]))
	dst = append(dst, text[:e]...)
	if e <= 2 {
		dst = append(dst, '.', '0')
	}
	return strconv.AppendInt(append(dst, 'E'), int64(exponent), 10)
}

// AppendDecimal appends a DECIMAL with all digits of its scale: 1.00 for 100 at scale 2.
func AppendDecimal(dst []byte, v decimal128.Num, scale int32) []byte {
	hi, lo := uint64(v.HighBits()), v.LowBits()
	if v.Sign() < 0 {
		dst = append(dst, '-')
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
	}
	var room [48]byte
	i, places := len(room), int(scale)
	for digit := 0; digit <= places || hi|lo != 0; digit++ {
		if digit == places && places > 0 {
			i--
			room[i] = '.'
		}
		var rem uint64
		hi, rem = hi/10, hi%10
		lo, rem = bits.Div64(rem, lo, 10)
		i--
		room[i] = '0' + byte(rem)
	}
	return append(dst, room[i:]...)
}

// nearest64 is the float64 nearest to mant * 10^exp by Lemire's algorithm ("Number parsing at a gigabyte per second", 2021, in the
// form with a lower bound for every power); false where it cannot decide or has no power.
func nearest64(mant uint64, exp int) (float64, bool) {
	if mant == 0 || exp < -maxPower || exp > maxPower {
		return 0, mant == 0
	}
	power := &powers[exp+maxPower]
	zeros := bits.LeadingZeros64(mant)
	w := mant << zeros
	hi, lo := bits.Mul64(w, power[0])
	if hi&0x1FF == 0x1FF && lo+w < w { // the bits left out could carry into the rounding
		hi2, lo2 := bits.Mul64(w, power[1])
		var carry uint64
		lo, carry = bits.Add64(lo, hi2, 0)
		hi += carry
		if hi&0x1FF == 0x1FF && lo+1 == 0 && lo2+w < w {
			return 0, false
		}
	}
	top := hi >> 63
	m := hi >> (top + 9)
	if lo == 0 && hi&0x1FF == 0 && m&3 == 1 { // half-way between two
		return 0, false
	}
	m = (m + m&1) >> 1
	binary := uint64((217706*exp)>>16+64+1023-zeros) - (1 ^ top)
	if m>>53 != 0 {
		m >>= 1
		binary++
	}
	return math.Float64frombits(binary<<52 | m&(1<<52-1)), true
}

const maxPower = 64

// powers holds 10^-64 .. 10^64, each as the upper 128 bits of its binary digits, rounded down.
var powers = func() (table [2*maxPower + 1][2]uint64) {
	ten, low := big.NewInt(10), new(big.Int).SetUint64(math.MaxUint64)
	for e := -maxPower; e <= maxPower; e++ {
		p := new(big.Int).Exp(ten, big.NewInt(int64(max(e, -e))), nil)
		if e < 0 {
			p = new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), uint(p.BitLen()+192)), p)
		}
		if shift := 128 - p.BitLen(); shift >= 0 {
			p.Lsh(p, uint(shift))
		} else {
			p.Rsh(p, uint(-shift))
		}
		table[e+maxPower] = [2]uint64{new(big.Int).Rsh(p, 64).Uint64(), new(big.Int).And(p, low).Uint64()}
	}
	return table
}()
