package flow

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
)

// Spell returns a value as CAST(x AS STRING) does: doubles as Java's shortest representation,
// DECIMAL with all its digits, dates and times in ISO 8601, arrays as [a, b], maps as {k=v},
// structs as Struct{F=v}.
func Spell(t Type, v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		return strconv.FormatInt(v, 10)
	case float32:
		return string(AppendFloat(nil, v))
	case float64:
		return string(AppendDouble(nil, v))
	case decimal128.Num:
		return string(AppendDecimal(nil, v, t.(*arrow.Decimal128Type).Scale))
	case string:
		return v
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case arrow.Date32:
		return time.Unix(int64(v)*86400, 0).UTC().Format("2006-01-02")
	case arrow.Time32:
		return timeText(int64(v))
	case arrow.Timestamp:
		return time.UnixMilli(int64(v)).UTC().Format("2006-01-02T15:04:05.000")
	}
	return nestedText(t, v)
}

func nestedText(t Type, v any) string {
	var out strings.Builder
	switch t := t.(type) {
	case *arrow.MapType:
		out.WriteByte('{')
		for i, e := range v.([]Entry) {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(Spell(t.KeyType(), e.Key) + "=" + Spell(t.ItemType(), e.Value))
		}
		out.WriteByte('}')
	case *arrow.ListType:
		out.WriteByte('[')
		for i, e := range v.([]any) {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(Spell(t.Elem(), e))
		}
		out.WriteByte(']')
	case *arrow.StructType:
		out.WriteString("Struct{")
		first := true
		for i, e := range v.([]any) {
			if e == nil {
				continue
			}
			if !first {
				out.WriteByte(',')
			}
			first = false
			out.WriteString(t.Field(i).Name + "=" + Spell(t.Field(i).Type, e))
		}
		out.WriteByte('}')
	default:
		fmt.Fprint(&out, v)
	}
	return out.String()
}

// timeText omits the seconds or the fraction if they are zero, like Java's LocalTime.
func timeText(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	switch {
	case ms%60000 == 0:
		return t.Format("15:04")
	case ms%1000 == 0:
		return t.Format("15:04:05")
	}
	return t.Format("15:04:05.000")
}

// AppendDouble appends a DOUBLE in Java's notation: the shortest decimal that parses to v, with
// at least one digit on either side of the point (100.0), and as 1.0E10 outside 0.001 <= |v| <
// 10,000,000. Also NaN, Infinity and -Infinity.
func AppendDouble(dst []byte, v float64) []byte { return appendJava(dst, v, 64) }

// AppendFloat appends a FLOAT in the same notation.
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

// appendScientific converts Go's 1e-05 to 1.0E-5. Some subnormal numbers need only one digit;
// Java then prints the nearest number with two digits (4.9E-324).
func appendScientific(dst []byte, v float64, size int) []byte {
	var room [32]byte
	text := strconv.AppendFloat(room[:0], v, 'e', -1, size)
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	if e <= 2 && math.Abs(v) < 1e-35 { // one digit and no point
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
