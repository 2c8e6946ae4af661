package format

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/jsontext"
)

// The limits on the text of a number. They bound the time that a number can take.
const (
	maxDigits   = 1000
	maxExponent = 400 // of the exponent in the text of a DOUBLE or DECIMAL
)

var (
	errNotNumber  = errors.New("is not a number")
	errIntegral   = errors.New("is not a whole number")
	errOutOfRange = errors.New("is out of range")
	errRounding   = errors.New("does not fit without rounding")
	errTooLong    = errors.New("has more than 1000 digits")
	errExponent   = errors.New("has an exponent beyond 400")
)

// number is a scanned decimal number, (-1)^neg * mant * 10^exp. If many is set, the number has more digits than mant
// can hold, and only the text is exact.
type number struct {
	mant      uint64
	exp       int32
	power     int32 // the exponent in the text
	neg, many bool
	whole     bool // the text has neither a fraction nor an exponent
}

// scanNumber scans a number of JSON's grammar at i and returns the index after it. end is negative if there is no
// number or if the number exceeds the limits.
func scanNumber(b []byte, i int) (n number, end int) {
	if i < len(b) && b[i] == '-' {
		n.neg = true
		i++
	}
	start := i
	n.mant, i = scanDigits(b, i, 0)
	digits := i - start
	if digits == 0 || digits > 1 && b[start] == '0' {
		return n, -1
	}
	n.whole = true
	if i < len(b) && b[i] == '.' {
		n.whole = false
		from := i + 1
		n.mant, i = scanDigits(b, from, n.mant)
		if i == from {
			return n, -1
		}
		n.exp = int32(from - i)
		digits += i - from
	}
	if digits > 19 {
		if digits > maxDigits {
			return n, -1
		}
		n.many = !leadingZeros(b[start:i], digits-19)
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		n.whole = false
		i++
		minus := false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			minus = b[i] == '-'
			i++
		}
		from, e := i, int32(0)
		for ; i < len(b) && jsontext.IsDigit(b[i]); i++ {
			e = min(e*10+int32(b[i]-'0'), 1<<20)
		}
		if i == from {
			return n, -1
		}
		if minus {
			e = -e
		}
		n.exp, n.power = n.exp+e, e
	}
	return n, i
}

// leadingZeros reports whether the first n digits of text are zeros. The text may contain one decimal point.
func leadingZeros(text []byte, n int) bool {
	for _, c := range text {
		if n == 0 {
			return true
		}
		if c == '.' {
			continue
		}
		if c != '0' {
			return false
		}
		n--
	}
	return true
}

// scanDigits appends the digits at b[i:] to sum and returns it with the index after them. Eight digits at a time take
// three multiplications (D. Lemire, "Number parsing at a gigabyte per second", 2021). The sum overflows beyond 19
// digits.
func scanDigits(b []byte, i int, sum uint64) (uint64, int) {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:])
		if (v&0xF0F0F0F0F0F0F0F0)|((v+0x0606060606060606)&0xF0F0F0F0F0F0F0F0)>>4 != 0x3333333333333333 {
			break
		}
		v -= 0x3030303030303030
		v = v*10 + v>>8
		v = ((v&0x000000FF000000FF)*(100+1000000<<32) + (v>>16&0x000000FF000000FF)*(1+10000<<32)) >> 32
		sum = sum*100000000 + v
		i += 8
	}
	for i < len(b) {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		sum = sum*10 + uint64(d)
		i++
	}
	return sum, i
}

// integer returns the value of a number with the given text as an integer. 1.0 and 1e3 are integers, 1.5 is an error.
func (n number) integer(text []byte) (int64, error) {
	if !n.whole || n.many {
		return wideInteger(text)
	}
	if n.neg {
		if n.mant > 1<<63 {
			return 0, errOutOfRange
		}
		return -int64(n.mant), nil
	}
	if n.mant > math.MaxInt64 {
		return 0, errOutOfRange
	}
	return int64(n.mant), nil
}

// wideInteger parses an integer that has a fraction, an exponent or many digits.
func wideInteger(text []byte) (int64, error) {
	d, err := parseDecimal(text, 38, 0)
	switch {
	case err == errRounding:
		return 0, errIntegral
	case err != nil:
		return 0, err
	case d.HighBits() != int64(d.LowBits())>>63:
		return 0, errOutOfRange
	}
	return int64(d.LowBits()), nil
}

// double returns the float64 nearest to a number with the given text. A number that overflows is an error, not
// infinite.
func (n number) double(text []byte) (float64, error) {
	if !n.many {
		if n.mant < 1<<53 && n.exp >= -22 && n.exp <= 22 { // both operands are exact, so the result is rounded once
			v := float64(n.mant)
			if n.exp < 0 {
				v /= exact10[-n.exp]
			} else {
				v *= exact10[n.exp]
			}
			if n.neg {
				v = -v
			}
			return v, nil
		}
		if v, ok := nearest64(n.mant, int(n.exp)); ok {
			if n.neg {
				v = -v
			}
			return v, nil
		}
	}
	if n.power > maxExponent || n.power < -maxExponent {
		return 0, errExponent
	}
	v, err := strconv.ParseFloat(view(text), 64)
	if err != nil {
		return 0, errOutOfRange
	}
	return v, nil
}

// exact10 has the powers of ten that a float64 represents exactly.
var exact10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
	1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// view returns a string that shares the bytes of b. They must not change while the string is in use.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parseDecimal parses a decimal number with the given precision and scale. A digit beyond the scale is an error unless
// it is zero: a DECIMAL is exact, so the number is never rounded.
func parseDecimal(text []byte, precision, scale int32) (decimal128.Num, error) {
	i, neg, zero := 0, false, decimal128.Num{}
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		neg = text[i] == '-'
		i++
	}
	from, point, digits := i, -1, 0
	for ; i < len(text); i++ {
		if text[i] == '.' && point < 0 {
			point = i
			continue
		}
		if !jsontext.IsDigit(text[i]) {
			break
		}
		digits++
	}
	end, exp := i, 0
	if digits == 0 {
		return zero, errNotNumber
	}
	if digits > maxDigits {
		return zero, errTooLong
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		v, err := strconv.ParseInt(view(text[i+1:]), 10, 32)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return zero, errNotNumber
		}
		if err != nil || v > maxExponent || v < -maxExponent {
			return zero, errExponent
		}
		exp, i = int(v), len(text)
	}
	if i != len(text) {
		return zero, errNotNumber
	}
	if point >= 0 {
		exp -= end - point - 1
	}
	// The value is the digits times 10^exp. The unscaled result has the digits without the last drop ones, then pad
	// zeros.
	drop, pad := max(0, -(exp+int(scale))), max(0, exp+int(scale))
	keep := max(0, digits-drop)
	var hi, lo uint64
	seen := 0
	for _, c := range text[from:end] {
		if c == '.' {
			continue
		}
		if seen++; seen > keep {
			if c != '0' {
				return zero, errRounding
			}
			continue
		}
		var over bool
		if hi, lo, over = timesTen(hi, lo, uint64(c-'0')); over {
			return zero, errOutOfRange
		}
	}
	for ; pad > 0 && hi|lo != 0; pad-- {
		var over bool
		if hi, lo, over = timesTen(hi, lo, 0); over {
			return zero, errOutOfRange
		}
	}
	if digits10(hi, lo) > int(precision) {
		return zero, errOutOfRange
	}
	d := decimal128.New(int64(hi), lo)
	if neg {
		d = d.Negate()
	}
	return d, nil
}

// timesTen returns 10 times a 128-bit number plus a digit, and whether the result exceeds the 127 bits of a DECIMAL.
func timesTen(hi, lo, digit uint64) (uint64, uint64, bool) {
	carry, low := bits.Mul64(lo, 10)
	low, c := bits.Add64(low, digit, 0)
	top, high := bits.Mul64(hi, 10)
	high, c2 := bits.Add64(high, carry, c)
	return high, low, top != 0 || c2 != 0 || high>>63 != 0
}

// parseInteger parses an integer from a text field. Blanks may surround it.
func parseInteger(text []byte) (int64, error) {
	n, body := textNumber(text)
	if body == nil {
		return 0, errNotNumber
	}
	return n.integer(body)
}

// parseDouble parses a number from a text field. NaN, Infinity and -Infinity, the spellings of Java, are values, too,
// and so are nan, inf and -inf, those of C and Python.
func parseDouble(text []byte) (float64, error) {
	n, body := textNumber(text)
	if body != nil {
		return n.double(body)
	}
	switch string(text) {
	case "NaN", "nan":
		return math.NaN(), nil
	case "Infinity", "inf", "+inf":
		return math.Inf(1), nil
	case "-Infinity", "-inf":
		return math.Inf(-1), nil
	}
	body = trimBlanks(text)
	for _, c := range body { // numbers outside JSON's grammar: .5, 1., +.5
		if !jsontext.IsDigit(c) && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return 0, errNotNumber
		}
	}
	if len(body) > maxDigits {
		return 0, errTooLong
	}
	v, err := strconv.ParseFloat(view(body), 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errOutOfRange
	}
	if err != nil {
		return 0, errNotNumber
	}
	return v, nil
}

// textNumber scans a whole text as a number and returns its body. Surrounding blanks, a leading plus and leading zeros
// are ignored. The body is nil if the text is not such a number.
func textNumber(text []byte) (number, []byte) {
	body := trimBlanks(text)
	if len(body) > 1 && body[0] == '+' && jsontext.IsDigit(body[1]) {
		body = body[1:]
	}
	for len(body) > 1 && len(body) <= maxDigits && body[0] == '0' && jsontext.IsDigit(body[1]) {
		body = body[1:]
	}
	n, end := scanNumber(body, 0)
	if end != len(body) {
		return n, nil
	}
	return n, body
}

// trimBlanks returns b without the blanks at both ends.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && jsontext.IsBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && jsontext.IsBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
