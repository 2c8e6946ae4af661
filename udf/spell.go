package udf

import (
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// spell writes a value that is not nested as CAST to STRING does, and NULL as null.
func spell(t flow.Type, v any) string {
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
		return spellDouble(float64(v), 32)
	case float64:
		return spellDouble(v, 64)
	case decimal128.Num:
		return spellDecimal(v.BigInt(), int(t.(*arrow.Decimal128Type).Scale))
	case string:
		return v
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case arrow.Date32:
		return ofDate(v).Format("2006-01-02")
	case arrow.Time32:
		return spellTime(ofTimeOfDay(v))
	}
	return ofTimestamp(v.(arrow.Timestamp)).Format("2006-01-02T15:04:05.000")
}

// spellDouble is Java's Double.toString: 1.0, 1.5E10, NaN, -Infinity.
func spellDouble(f float64, bits int) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0 || abs >= 1e-3 && abs < 1e7:
		s := strconv.FormatFloat(f, 'f', -1, bits)
		if strings.IndexByte(s, '.') < 0 {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, bits), "E")
	if strings.IndexByte(mantissa, '.') < 0 {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}

func spellDecimal(n *big.Int, scale int) string {
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		if len(digits) <= scale {
			digits = strings.Repeat("0", scale-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// spellTime leaves out seconds and their fraction where they are zero.
func spellTime(t time.Time) string {
	switch ms := t.UnixMilli(); {
	case ms%60_000 == 0:
		return t.Format("15:04")
	case ms%1000 == 0:
		return t.Format("15:04:05")
	}
	return t.Format("15:04:05.000")
}
