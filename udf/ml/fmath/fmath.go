// Package fmath implements the transcendental functions of learners, with equal bits on every
// machine: Go's own are assembly on some. Products are rounded before they are added (no fused
// operation), so that compilers for machines with FMA produce the same bits.
package fmath

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01 // upper 33 bits of ln 2
	ln2Lo = 1.90821492927058770002e-10
)

// Exp returns e to the x, within about 1 unit in the last place; 0 below -745.2, +Inf above
// 709.79. The argument is reduced to |r| <= ln(2)/2, where e^r = 1 + 2r/(2 - r - r^2 P(r^2)...)
// by Remez' polynomial of fdlibm's description.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.2:
		return 0
	}
	k := int(float64(x*math.Log2E) + math.Copysign(0.5, x))
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	p := 4.13813679705723846039e-08
	p = float64(p*t) - 1.65339022054652515390e-06
	p = float64(p*t) + 6.61375632143793436117e-05
	p = float64(p*t) - 2.77777777770155933842e-03
	p = float64(p*t) + 1.66666666666666019037e-01
	c := r - float64(t*p)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return scale(y, k)
}

// scale is y times 2^k for 0.5 < y < 2.
func scale(y float64, k int) float64 {
	if k > 1023 {
		return float64(y*math.Float64frombits(uint64(2046)<<52)) * math.Float64frombits(uint64(k-1023+1023)<<52)
	}
	if k < -1022 {
		return float64(y*math.Float64frombits(uint64(k+1022+1023)<<52)) * math.Float64frombits(uint64(1)<<52)
	}
	return y * math.Float64frombits(uint64(k+1023)<<52)
}

// Log is the natural logarithm; -Inf at 0, NaN below. With x = 2^k (1+f), s = f/(2+f): log(1+f)
// = 2s + s R(s^2).
func Log(x float64) float64 {
	switch {
	case x != x || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = m*2, k-1
	}
	f := m - 1
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	odd := float64(s4*1.479819860511658591e-01) + 1.818357216161805012e-01
	odd = float64(s4*odd) + 2.857142874366239149e-01
	odd = float64(s4*odd) + 6.666666666666735130e-01
	even := float64(s4*1.531383769920937332e-01) + 2.222219843214978396e-01
	even = float64(s4*even) + 3.999999999940941908e-01
	r := float64(s2*odd) + float64(s4*even)
	half := float64(float64(0.5*f) * f)
	return float64(float64(k)*ln2Hi) - ((half - (float64(s*(half+r)) + float64(float64(k)*ln2Lo))) - f)
}

// Sigmoid is 1/(1+e^-x), within (0, 1) for |x| <= 36 and never NaN for a number.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + Exp(-x))
	}
	e := Exp(x)
	return e / (1 + e)
}
