package state

import (
	"bytes"
	"cmp"
	"math"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/streamql/streamql/flow"
	"pgregory.net/rapid"
)

// anyType draws a type, nested up to depth.
func anyType(t *rapid.T, depth int) flow.Type {
	kinds := []flow.Type{
		flow.Boolean,
		flow.Int,
		flow.Bigint,
		flow.Float,
		flow.Double,
		flow.String,
		flow.Bytes,
		flow.Date,
		flow.TimeOfDay,
		flow.Timestamp,
		flow.Decimal(38, 4),
		flow.Null,
	}
	n := len(kinds)
	if depth > 0 {
		n += 3
	}
	switch i := rapid.IntRange(0, n-1).Draw(t, "type"); i - len(kinds) {
	case 0:
		return flow.Array(anyType(t, depth-1))
	case 1:
		return flow.Map(flow.String, anyType(t, depth-1))
	case 2:
		return flow.Struct(flow.Field("A", anyType(t, depth-1)), flow.Field("B", anyType(t, depth-1)))
	default:
		return kinds[i]
	}
}

// anyValue draws a value of a type, sometimes NULL, and mostly from small ranges so that equal
// values are frequent.
func anyValue(t *rapid.T, typ flow.Type, null bool) any {
	if null && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return nil
	}
	i64 := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2), rapid.Just[int64](math.MinInt64))
	i32 := func() int32 { return int32(i64.Draw(t, "int")) }
	switch typ := typ.(type) {
	case *arrow.BooleanType:
		return rapid.Bool().Draw(t, "bool")
	case *arrow.Int32Type:
		return i32()
	case *arrow.Int64Type:
		return i64.Draw(t, "long")
	case *arrow.Float32Type:
		return rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), -1})).Draw(t, "float")
	case *arrow.Float64Type:
		return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), -1})).Draw(t, "double")
	case *arrow.StringType:
		return rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a'}), 0, 4, -1)).Draw(t, "string")
	case *arrow.BinaryType:
		return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xfe, 0xff}), 0, 4).Draw(t, "bytes")
	case *arrow.Date32Type:
		return arrow.Date32(i32())
	case *arrow.Time32Type:
		return arrow.Time32(i32())
	case *arrow.TimestampType:
		return arrow.Timestamp(i64.Draw(t, "timestamp"))
	case *arrow.Decimal128Type:
		return decimal128.New(i64.Draw(t, "high"), uint64(i64.Draw(t, "low")))
	case *arrow.MapType:
		var out []flow.Entry
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			out = append(out, flow.Entry{Key: anyValue(t, typ.KeyType(), false), Value: anyValue(t, typ.ItemType(), true)})
		}
		return out
	case *arrow.ListType:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			out = append(out, anyValue(t, typ.Elem(), true))
		}
		return out
	case *arrow.StructType:
		var out []any
		for _, f := range typ.Fields() {
			out = append(out, anyValue(t, f.Type, true))
		}
		return out
	}
	return nil // NULL
}

// compare orders two values as SQL does: NULL first, NaN last. Maps are not ordered.
func compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a == nil], map[bool]int{true: 0, false: 1}[b == nil])
	}
	switch a := a.(type) {
	case bool:
		return cmp.Compare(map[bool]int{true: 1}[a], map[bool]int{true: 1}[b.(bool)])
	case int32:
		return cmp.Compare(a, b.(int32))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float32:
		return compareFloats(float64(a), float64(b.(float32)))
	case float64:
		return compareFloats(a, b.(float64))
	case string:
		return cmp.Compare(a, b.(string))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case arrow.Date32:
		return cmp.Compare(a, b.(arrow.Date32))
	case arrow.Time32:
		return cmp.Compare(a, b.(arrow.Time32))
	case arrow.Timestamp:
		return cmp.Compare(a, b.(arrow.Timestamp))
	case decimal128.Num:
		return a.Cmp(b.(decimal128.Num))
	case []any:
		for i := range min(len(a), len(b.([]any))) {
			if c := compare(a[i], b.([]any)[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a), len(b.([]any)))
	}
	panic("no order")
}

func compareFloats(a, b float64) int {
	if a != a || b != b {
		return cmp.Compare(map[bool]int{true: 1}[a != a], map[bool]int{true: 1}[b != b])
	}
	return cmp.Compare(a, b)
}

// hasMap reports whether a type contains maps, which have no order, or NULLs, which have no
// value.
func hasMap(t flow.Type) bool {
	switch t := t.(type) {
	case *arrow.MapType, *arrow.NullType:
		return true
	case *arrow.ListType:
		return hasMap(t.Elem())
	case *arrow.StructType:
		return hasMap(t.Field(0).Type) || hasMap(t.Field(1).Type)
	}
	return false
}

func TestKeysKeepTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyType(t, 2)
		a, b := anyValue(t, typ, true), anyValue(t, typ, true)
		if rapid.IntRange(0, 3).Draw(t, "equal") == 0 {
			b = a
		}
		pad := flow.Column(flow.Int, int32(1)) // the following column must not matter
		col := flow.Column(typ, a, b)
		ka, kb := AppendKey(AppendKey(nil, col, 0), pad, 0), AppendKey(AppendKey(nil, col, 1), pad, 0)
		if !hasMap(typ) {
			if got, want := bytes.Compare(ka, kb), compare(a, b); got != want {
				t.Fatalf("%v and %v: %x and %x order %d, want %d", a, b, ka, kb, got, want)
			}
		}
		if bytes.HasPrefix(ka, kb) && len(ka) != len(kb) {
			t.Fatalf("%x is a prefix of %x", kb, ka)
		}
		builder := flow.Builder(typ)
		rest, err := DecodeKey(ka, builder)
		if err != nil || len(rest) != 5 {
			t.Fatalf("%x: %d bytes are left, %v", ka, len(rest), err)
		}
		back := builder.NewArray()
		if again := AppendKey(nil, back, 0); !bytes.Equal(again, ka[:len(ka)-5]) {
			t.Fatalf("%v comes back as %v", a, back)
		}
		if !hasMap(typ) && compare(flow.Value(back, 0), a) != 0 {
			t.Fatalf("%v comes back as %v", a, flow.Value(back, 0))
		}
	})
}

func TestEqualValuesHaveEqualKeys(t *testing.T) {
	zero := flow.Column(flow.Double, 0.0, math.Copysign(0, -1), math.NaN(), math.Float64frombits(0x7ff8000000000123))
	if !bytes.Equal(AppendKey(nil, zero, 0), AppendKey(nil, zero, 1)) ||
		!bytes.Equal(AppendKey(nil, zero, 2), AppendKey(nil, zero, 3)) {
		t.Error("-0 and 0, or two NaN, differ")
	}
	m := flow.Column(
		flow.Map(flow.String, flow.Int),
		[]flow.Entry{{Key: "a", Value: int32(1)}, {Key: "b", Value: nil}},
		[]flow.Entry{{Key: "b", Value: nil}, {Key: "a", Value: int32(1)}},
	)
	if !bytes.Equal(AppendKey(nil, m, 0), AppendKey(nil, m, 1)) {
		t.Error("the order of entries counts")
	}
}

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 18).Draw(t, "columns")
		var cols []arrow.Array
		var builders []array.Builder
		for range n {
			typ := anyType(t, 2)
			col := flow.Column(typ, anyValue(t, typ, true), anyValue(t, typ, true), anyValue(t, typ, true))
			if rapid.Bool().Draw(t, "sliced") {
				col = array.NewSlice(col, 1, 3)
			} else {
				col = array.NewSlice(col, 0, 2)
			}
			cols, builders = append(cols, col), append(builders, flow.Builder(typ))
		}
		raw := AppendRow(AppendRow([]byte{}, cols, 0), cols, 1)
		rest := raw
		var err error
		for range 2 {
			if rest, err = DecodeRow(rest, builders); err != nil {
				t.Fatal(err)
			}
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes are left", len(rest))
		}
		for i, b := range builders {
			got := b.NewArray()
			for row := range 2 {
				// Rows are exact: encoding the decoded row again produces the same bytes.
				want, again := AppendRow(nil, cols[i:i+1], row), AppendRow(nil, []arrow.Array{got}, row)
				if !bytes.Equal(want, again) || got.IsNull(row) != cols[i].IsNull(row) {
					t.Fatalf("row %d of %v comes back as %v", row, cols[i], got)
				}
			}
		}
	})
}

// FuzzDecode: input that AppendRow or AppendKey has not written is an error or some row. It
// never causes a panic or a large allocation.
func FuzzDecode(f *testing.F) {
	typ := flow.Struct(
		flow.Field("A", flow.Array(flow.Map(flow.String, flow.Null))),
		flow.Field("B", flow.Decimal(10, 2)),
		flow.Field("C", flow.Boolean),
	)
	col := flow.Column(typ, []any{[]any{[]flow.Entry{{Key: "k"}}, nil}, decimal128.FromI64(7), true}, nil)
	f.Add(AppendRow(nil, []arrow.Array{col}, 0))
	f.Add(AppendKey(nil, col, 0))
	f.Add(AppendKey(nil, col, 1))
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := flow.Builder(typ)
		if rest, err := DecodeRow(raw, []array.Builder{b}); err == nil {
			if len(rest) > len(raw) || b.NewArray().Len() != 1 {
				t.Fatal("not one row")
			}
		}
		b = flow.Builder(typ)
		if rest, err := DecodeKey(raw, b); err == nil {
			if len(rest) > len(raw) || b.NewArray().Len() != 1 {
				t.Fatal("not one value")
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		typ flow.Type
		row []byte
	}{
		{flow.Int, nil},
		{flow.Int, []byte{2}}, // a NULL of a missing column
		{flow.Int, []byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}}, // too large
		{flow.Boolean, []byte{0, 2}},
		{flow.String, []byte{0, 5, 'a'}},
		{flow.Double, []byte{0, 1, 2, 3}},
		{flow.Array(flow.Null), []byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{flow.Map(flow.String, flow.Int), []byte{0, 0, 1, 0, 2}}, // one value, no key
	} {
		if _, err := DecodeRow(c.row, []array.Builder{flow.Builder(c.typ)}); err == nil {
			t.Errorf("%s from %x: no error", flow.TypeName(c.typ), c.row)
		}
	}
	for _, c := range []struct {
		typ flow.Type
		key []byte
	}{
		{flow.Int, nil}, {flow.Int, []byte{1, 0}}, {flow.Int, []byte{2}}, {flow.String, []byte{1, 'a'}}, {flow.String, []byte{1, 'a', 0, 7}},
		{flow.Boolean, []byte{1, 9}}, {flow.Array(flow.Int), []byte{1, 1}}, {flow.Array(flow.Int), []byte{1, 7}},
	} {
		if _, err := DecodeKey(c.key, flow.Builder(c.typ)); err == nil {
			t.Errorf("%s from key %x: no error", flow.TypeName(c.typ), c.key)
		}
	}
}
