package format

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/streamql/streamql/flow"
)

// Style selects how AppendJSON writes values for which JSON has no type. Styles can be combined with |.
type Style uint8

// The zero Style is the style of format JSON. It writes DATE as days, TIME and TIMESTAMP as milliseconds, and a DOUBLE
// or FLOAT that is not finite as the string "NaN", "Infinity" or "-Infinity".
const (
	// ISOTimes writes 2020-01-31, 12:34:56.789 and 2020-01-31T12:34:56.789Z.
	ISOTimes Style = 1 << iota
	// NaNNull writes a DOUBLE or FLOAT that is not finite as null.
	NaNNull
)

// writer writes rows as JSON records.
type writer struct {
	unwrapped bool
	before    []string // by field, the text before its value: brace or comma, key and colon
}

// newWriter returns the writer of a Spec.
func newWriter(s Spec) writer {
	w := writer{unwrapped: s.Unwrapped}
	for i, f := range s.Fields {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		w.before = append(w.before, string(append(AppendJSONText([]byte{open}, f.Name), ':')))
	}
	return w
}

// Encode appends the fields of a row in order and writes NULL as null. An unwrapped NULL is a null record: the result
// is nil.
func (c *jsonCodec) Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error) {
	if c.writer.unwrapped {
		if cols[0].IsNull(row) {
			return nil, nil
		}
		return AppendJSON(dst, cols[0], row, 0), nil
	}
	if len(cols) == 0 {
		return append(dst, "{}"...), nil
	}
	for i, col := range cols {
		dst = append(dst, c.writer.before[i]...)
		dst = AppendJSON(dst, col, row, 0)
	}
	return append(dst, '}'), nil
}

// AppendJSON appends one value of a column as JSON. The column may have any type of package flow. Numbers have all
// their digits, DOUBLE and FLOAT in the spelling of Java. BYTES are in base64. An ARRAY is an array. A MAP, whose keys
// are never NULL, and a STRUCT are objects. NULL is null.
func AppendJSON(dst []byte, a arrow.Array, row int, style Style) []byte {
	if a.IsNull(row) {
		return append(dst, "null"...)
	}
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.AppendBool(dst, a.Value(row))
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(row), 10)
	case *array.Float64:
		return appendJSONDouble(dst, a, row, style)
	case *array.Float32:
		v := a.Value(row)
		return appendFinite(dst, float64(v), style, func(dst []byte) []byte { return flow.AppendFloat(dst, v) })
	case *array.Decimal128:
		return flow.AppendDecimal(dst, a.Value(row), a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.String:
		return AppendJSONText(dst, a.Value(row))
	case *array.Binary:
		dst = append(dst, '"')
		return append(base64.StdEncoding.AppendEncode(dst, a.Value(row)), '"')
	case *array.Date32:
		return appendTime(dst, int64(a.Value(row)), 24*time.Hour, style, "2006-01-02")
	case *array.Time32:
		return appendTime(dst, int64(a.Value(row)), time.Millisecond, style, "15:04:05.000")
	case *array.Timestamp:
		return appendTime(dst, int64(a.Value(row)), time.Millisecond, style, "2006-01-02T15:04:05.000Z")
	}
	return appendNested(dst, a, row, style)
}

// appendNested appends an ARRAY, MAP or STRUCT, or a value of a column without a type.
func appendNested(dst []byte, a arrow.Array, row int, style Style) []byte {
	switch a := a.(type) {
	case *array.Null: // the array has no bitmap, so IsNull returns false
		return append(dst, "null"...)
	case *array.Map:
		return appendMap(dst, a, row, style)
	case *array.List:
		dst = append(dst, '[')
		from, to := a.ValueOffsets(row)
		for i := from; i < to; i++ {
			if i > from {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, a.ListValues(), int(i), style)
		}
		return append(dst, ']')
	case *array.Struct:
		dst = append(dst, '{')
		for i, f := range a.DataType().(*arrow.StructType).Fields() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendJSONText(dst, f.Name), ':')
			dst = AppendJSON(dst, a.Field(i), row, style)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("format: no JSON for type %s", a.DataType()))
}

// appendMap appends a MAP.
func appendMap(dst []byte, a *array.Map, row int, style Style) []byte {
	dst = append(dst, '{')
	from, to := a.ValueOffsets(row)
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		at := len(dst)
		dst = AppendJSON(dst, a.Keys(), int(i), style)
		if dst[at] != '"' { // the key of a JSON object is a string, whatever the type of the MAP's keys
			key := string(dst[at:])
			dst = AppendJSONText(dst[:at], key)
		}
		dst = AppendJSON(append(dst, ':'), a.Items(), int(i), style)
	}
	return append(dst, '}')
}

// appendJSONDouble appends a DOUBLE. A finite value needs no closure.
func appendJSONDouble(dst []byte, a *array.Float64, row int, style Style) []byte {
	if a.IsNull(row) {
		return append(dst, "null"...)
	}
	v := a.Value(row)
	if v-v == 0 {
		return flow.AppendDouble(dst, v)
	}
	return appendFinite(dst, v, style, func(dst []byte) []byte { return flow.AppendDouble(dst, v) })
}

// appendFinite appends a number with write, or NaN or an infinity in the given style.
func appendFinite(dst []byte, v float64, style Style, write func([]byte) []byte) []byte {
	switch {
	case v-v == 0:
		return write(dst)
	case style&NaNNull != 0:
		return append(dst, "null"...)
	}
	return append(write(append(dst, '"')), '"')
}

// appendTime appends a DATE, TIME or TIMESTAMP of v units, as a number or in the layout.
func appendTime(dst []byte, v int64, unit time.Duration, style Style, layout string) []byte {
	if style&ISOTimes == 0 {
		return strconv.AppendInt(dst, v, 10)
	}
	var t time.Time
	if unit == time.Millisecond {
		t = time.UnixMilli(v)
	} else {
		t = time.Unix(v*int64(unit/time.Second), 0)
	}
	return append(t.UTC().AppendFormat(append(dst, '"'), layout), '"')
}

const hexDigits = "0123456789ABCDEF"

// plain marks the bytes that need no escape in a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendJSONText appends s as a JSON string with quotes and escapes. Each byte of s that is not UTF-8 becomes U+FFFD.
func AppendJSONText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}
