package reference

import (
	"encoding/base64"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// cast converts a value. A value that cannot be converted becomes NULL; so does an array, map or struct with
// a part that cannot be converted.
func cast(v any, from, to flow.Type) any {
	out, ok := convert(v, from, to)
	if !ok {
		return nil
	}
	return out
}

func convert(v any, from, to flow.Type) (any, bool) {
	if v == nil || flow.SameType(from, to) {
		return v, true
	}
	switch to := to.(type) {
	case *arrow.StringType:
		return flow.Spell(from, v), true
	case *arrow.ListType:
		return convertEach(v.([]any), func(int) (flow.Type, flow.Type) { return from.(*arrow.ListType).Elem(), to.Elem() })
	case *arrow.MapType:
		return convertMap(v.([]flow.Entry), from.(*arrow.MapType), to)
	case *arrow.StructType:
		f := from.(*arrow.StructType)
		out := make([]any, len(to.Fields()))
		for i, field := range to.Fields() {
			j, there := f.FieldIdx(field.Name)
			if !there {
				continue
			}
			x, ok := convert(v.([]any)[j], f.Field(j).Type, field.Type)
			if !ok {
				return nil, false
			}
			out[i] = x
		}
		return out, true
	}
	var out any
	if s, ok := v.(string); ok {
		out = parse(strings.TrimSpace(s), to)
	} else if flow.IsNumber(from) {
		out = number(v, from, to)
	} else {
		out = moment(v, to)
	}
	return out, out != nil
}

func convertEach(in []any, types func(int) (from, to flow.Type)) (any, bool) {
	out := make([]any, len(in))
	for i, v := range in {
		from, to := types(i)
		x, ok := convert(v, from, to)
		if !ok {
			return nil, false
		}
		out[i] = x
	}
	return out, true
}

func convertMap(in []flow.Entry, from, to *arrow.MapType) (any, bool) {
	out := make([]flow.Entry, len(in))
	for i, e := range in {
		k, ok1 := convert(e.Key, from.KeyType(), to.KeyType())
		x, ok2 := convert(e.Value, from.ItemType(), to.ItemType())
		if !ok1 || !ok2 {
			return nil, false
		}
		out[i] = flow.Entry{Key: k, Value: x}
	}
	return out, true
}

const day = 24 * 3600 * 1000

func moment(v any, to flow.Type) any {
	switch v := v.(type) {
	case arrow.Date32:
		return arrow.Timestamp(int64(v) * day)
	case arrow.Timestamp:
		in := (int64(v)%day + day) % day
		if to.ID() == arrow.TIME32 {
			return arrow.Time32(in)
		}
		return arrow.Date32((int64(v) - in) / day)
	}
	return nil
}

// number converts between numbers: toward zero to integers, to the nearest value otherwise.
func number(v any, from, to flow.Type) any {
	f, isFloat := v.(float64)
	bits := 64
	if narrow, ok := v.(float32); ok {
		f, isFloat, bits = float64(narrow), true, 32
	}
	switch to := to.(type) {
	case *arrow.Decimal128Type:
		if isFloat { // the number in its shortest decimal notation
			return parseDecimal(strconv.FormatFloat(f, 'g', -1, bits), to)
		}
		return decimal(rational(v, from), to)
	case *arrow.Float32Type:
		if n, ok := v.(int32); ok {
			return float32(n)
		}
		if n, ok := v.(int64); ok {
			return float32(n)
		}
		return float32(double(v, f, from))
	case *arrow.Float64Type:
		return double(v, f, from)
	}
	var n *big.Int
	if isFloat {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
		n, _ = big.NewFloat(f).Int(nil)
	} else {
		n = whole(rational(v, from))
	}
	if !fits(n, to, 0) {
		return nil
	}
	return fromUnscaled(n, to)
}

func double(v any, f float64, from flow.Type) float64 {
	switch v.(type) {
	case float32, float64:
		return f
	}
	nearest, _ := rational(v, from).Float64()
	return nearest
}

var decimalText = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?$`)

func parseDecimal(s string, t *arrow.Decimal128Type) any {
	if !decimalText.MatchString(s) || len(s) > 1000 {
		return nil
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(s[i+1:]); err != nil || e < -400 || e > 400 {
			return nil
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return decimal(r, t)
}

// parse parses text as a value; nil if it is not one.
func parse(s string, to flow.Type) any {
	var v any
	var err error
	switch t := to.(type) {
	case *arrow.BooleanType:
		l := strings.ToLower(s)
		switch {
		case l == "":
			return nil
		case strings.HasPrefix("true", l) || strings.HasPrefix("yes", l):
			return true
		case strings.HasPrefix("false", l) || strings.HasPrefix("no", l):
			return false
		}
		return nil
	case *arrow.Int32Type:
		var n int64
		n, err = strconv.ParseInt(s, 10, 32)
		v = int32(n)
	case *arrow.Int64Type:
		v, err = strconv.ParseInt(s, 10, 64)
	case *arrow.Float64Type:
		v, err = strconv.ParseFloat(s, 64)
	case *arrow.Float32Type:
		var f float64
		f, err = strconv.ParseFloat(s, 64)
		v = float32(f)
	case *arrow.Decimal128Type:
		return parseDecimal(s, t)
	case *arrow.BinaryType:
		v, err = base64.StdEncoding.DecodeString(s)
	case *arrow.TimestampType:
		if ms, ok := parseMoment(s); ok {
			return arrow.Timestamp(ms)
		}
		return nil
	case *arrow.Date32Type:
		if ms, ok := parseMoment(s); ok {
			return moment(arrow.Timestamp(ms), to)
		}
		return nil
	case *arrow.Time32Type:
		for _, layout := range []string{"15:04:05.999999999", "15:04", "15"} {
			if t, err := time.Parse(layout, s); err == nil {
				return arrow.Time32(t.Sub(t.Truncate(24 * time.Hour)).Milliseconds())
			}
		}
		return nil
	}
	if err != nil {
		return nil
	}
	return v
}

// parseMoment parses ISO 8601, from a year only to a fraction of a second and a zone, as ms since the epoch.
func parseMoment(s string) (int64, bool) {
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15", "2006-01-02T15:04",
		"2006-01-02T15:04:05.999999999"} {
		for _, zone := range []string{"", "Z07:00", "Z0700"} {
			if zone != "" && len(layout) < len("2006-01-02T15:04") {
				continue
			}
			if t, err := time.Parse(layout+zone, s); err == nil {
				return t.UnixMilli(), true
			}
		}
	}
	return 0, false
}
