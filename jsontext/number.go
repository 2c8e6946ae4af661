package jsontext

import (
	"encoding/binary"
	"math/bits"
)

// IsDigit reports whether a byte is a decimal digit.
func IsDigit(c byte) bool { return c-'0' < 10 }

// IsBlank reports whether a byte is a blank of JSON's grammar.
func IsBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// SkipNumber is where the number that begins at i ends; -1: there is none, or it has more than most digits, its
// exponent left out.
func SkipNumber(b []byte, i, most int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	i = digitsEnd(b, i)
	digits := i - start
	if digits == 0 || digits > 1 && b[start] == '0' {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digitsEnd(b, from); i == from {
			return -1
		}
		digits += i - from
	}
	if digits > most {
		return -1
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = digitsEnd(b, i); i == from {
			return -1
		}
	}
	return i
}

// digitsEnd is where the digits from i on end.
func digitsEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:]) ^ 0x3030303030303030
		if other := ((v & 0x7F7F7F7F7F7F7F7F) + 0x7676767676767676 | v) & 0x8080808080808080; other != 0 {
			return i + bits.TrailingZeros64(other)>>3
		}
		i += 8
	}
	for i < len(b) && IsDigit(b[i]) {
		i++
	}
	return i
}
