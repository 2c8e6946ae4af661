package expr

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Text is how CAST(x AS STRING) spells a value: doubles as Java's shortest double, DECIMAL with its digits, dates and times in
// ISO 8601, arrays as [a, b], maps as {k=v}, structs as Struct{F=v}.
func Text(t flow.Type, v any) string {
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
		return string(format.AppendFloat(nil, v))
	case float64:
		return string(format.AppendDouble(nil, v))
	case decimal128.Num:
		return DecimalText(v, t.(*arrow.Decimal128Type).Scale)
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

func nestedText(t flow.Type, v any) string {
	var out strings.Builder
	switch t := t.(type) {
	case *arrow.MapType:
		out.WriteByte('{')
		for i, e := range v.([]flow.Entry) {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(Text(t.KeyType(), e.Key) + "=" + Text(t.ItemType(), e.Value))
		}
		out.WriteByte('}')
	case *arrow.ListType:
		out.WriteByte('[')
		for i, e := range v.([]any) {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(Text(t.Elem(), e))
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
			out.WriteString(t.Field(i).Name + "=" + Text(t.Field(i).Type, e))
		}
		out.WriteByte('}')
	default:
		fmt.Fprint(&out, v)
	}
	return out.String()
}

// DecimalText spells a DECIMAL with all digits of its scale.
func DecimalText(n decimal128.Num, scale int32) string {
	s := n.BigInt().String()
	if scale == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if len(s) <= int(scale) {
		s = strings.Repeat("0", int(scale)-len(s)+1) + s
	}
	return sign + s[:len(s)-int(scale)] + "." + s[len(s)-int(scale):]
}

// timeText leaves out the seconds or the fraction when they are zero, as Java's LocalTime does.
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

var timestampLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02", "2006-01", "2006",
}

// ParseTimestamp reads ISO 8601 text, from a year alone to milliseconds and a zone, as ms since the epoch; a blank may stand for T.
// Without a zone the time is UTC.
func ParseTimestamp(s string) (int64, error) {
	iso := s
	if len(iso) > 10 && iso[10] == ' ' {
		iso = iso[:10] + "T" + iso[11:]
	}
	for _, layout := range timestampLayouts {
		if t, err := time.Parse(layout, iso); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a timestamp like '2026-01-31T12:00:00.000'", s)
}

func parseTime(s string, to flow.Type) (any, error) {
	switch to.ID() {
	case arrow.TIMESTAMP:
		ms, err := ParseTimestamp(s)
		if err != nil {
			return nil, err
		}
		return arrow.Timestamp(ms), nil
	case arrow.DATE32:
		ms, err := ParseTimestamp(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a date like '2026-01-31'", s)
		}
		return arrow.Date32(floorDiv(ms, dayMs)), nil
	case arrow.TIME32:
		for _, layout := range []string{"15:04:05.999999999", "15:04", "15"} {
			if t, err := time.Parse(layout, s); err == nil {
				return arrow.Time32(t.Hour()*3600000 + t.Minute()*60000 + t.Second()*1000 + t.Nanosecond()/1e6), nil
			}
		}
		return nil, fmt.Errorf("%q is not a time like '12:30:00.000'", s)
	}
	return nil, fmt.Errorf("text cannot be cast to %s", flow.TypeName(to))
}
