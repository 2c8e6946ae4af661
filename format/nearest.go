package format

import (
	"math"
	"math/big"
	"math/bits"
)

// nearest64 returns the float64 nearest to mant * 10^exp, by the algorithm of D. Lemire, "Number parsing at a gigabyte
// per second", 2021, in the form with a lower bound for every power. It returns false if the algorithm cannot decide or
// if powers does not contain 10^exp.
func nearest64(mant uint64, exp int) (float64, bool) {
	if mant == 0 || exp < -maxPower || exp > maxPower {
		return 0, mant == 0
	}
	power := &powers[exp+maxPower]
	zeros := bits.LeadingZeros64(mant)
	w := mant << zeros
	hi, lo := bits.Mul64(w, power[0])
	if hi&0x1FF == 0x1FF && lo+w < w { // the omitted bits could carry into the rounding
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
	if lo == 0 && hi&0x1FF == 0 && m&3 == 1 { // halfway between two float64
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

// maxPower is the largest exponent in powers.
const maxPower = 64

// powers has the upper 128 bits of the binary form of 10^-64 to 10^64, rounded down.
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
