package format

import (
	"math"
	"math/big"
	"math/bits"
)

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
