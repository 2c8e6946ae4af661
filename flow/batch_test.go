package flow

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"pgregory.net/rapid"
)

// every contains one of each type, nested ones over others.
var every = []Type{
	Boolean, Int, Bigint, Float, Double, Decimal(9, 2), Decimal(38, 10), String, Bytes, Date, TimeOfDay, Timestamp, Null,
	Array(Int), Array(String), Array(Array(Boolean)), Map(String, Double), Map(Int, Array(Bytes)),
	Struct(
		Field("a", Int),
		Field("b", Array(String)),
		Field("c", Struct(Field("d", Decimal(4, 1)))),
	), Array(Struct(Field("x", Timestamp))),
}

// drawValue draws a Go value of a type, NULL one time in five.
func drawValue(t *rapid.T, of Type) any {
	if of.ID() == arrow.NULL || rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return nil
	}
	switch of := of.(type) {
	case *arrow.BooleanType:
		return rapid.Bool().Draw(t, "v")
	case *arrow.Int32Type:
		return rapid.Int32().Draw(t, "v")
	case *arrow.Int64Type:
		return rapid.Int64().Draw(t, "v")
	case *arrow.Float32Type:
		return rapid.Float32().Draw(t, "v")
	case *arrow.Float64Type:
		return rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1.5, math.MaxFloat64, math.Inf(1), math.Inf(-1)}).Draw(t, "v")
	case *arrow.Decimal128Type:
		return decimal128.New(rapid.Int64().Draw(t, "high"), rapid.Uint64().Draw(t, "low"))
	case *arrow.StringType:
		return rapid.SampledFrom([]string{"", "a", "naïve", "日本語", "a longer text that fills more than one word"}).Draw(t, "v")
	case *arrow.BinaryType:
		return rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "v")
	case *arrow.Date32Type:
		return arrow.Date32(rapid.Int32().Draw(t, "v"))
	case *arrow.Time32Type:
		return arrow.Time32(rapid.Int32Range(0, 86399999).Draw(t, "v"))
	case *arrow.TimestampType:
		return arrow.Timestamp(rapid.Int64().Draw(t, "v"))
	case *arrow.MapType:
		out := []Entry{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			if k := drawValue(t, of.KeyType()); k != nil { // a MAP key is never NULL
				out = append(out, Entry{k, drawValue(t, of.ItemType())})
			}
		}
		return out
	case *arrow.ListType:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			out = append(out, drawValue(t, of.Elem()))
		}
		return out
	case *arrow.StructType:
		out := make([]any, len(of.Fields()))
		for i, f := range of.Fields() {
			out[i] = drawValue(t, f.Type)
		}
		return out
	}
	panic(of)
}

// drawColumn draws a column of n rows, sometimes a slice of a longer one, and its values.
func drawColumn(t *rapid.T, of Type, n int) (arrow.Array, []any) {
	before, after := 0, 0
	if rapid.Bool().Draw(t, "sliced") {
		before, after = rapid.IntRange(0, 9).Draw(t, "before"), rapid.IntRange(0, 3).Draw(t, "after")
	}
	values := make([]any, before+n+after)
	for i := range values {
		values[i] = drawValue(t, of)
	}
	return array.NewSlice(Column(of, values...), int64(before), int64(before+n)), values[before : before+n]
}

func valuesOf(a arrow.Array) []any {
	out := make([]any, a.Len())
	for i := range out {
		out[i] = Value(a, i)
	}
	return out
}

func same(t interface{ Fatalf(string, ...any) }, what string, got arrow.Array, want []any) {
	if v := valuesOf(got); len(v) != len(want) || len(v) > 0 && !reflect.DeepEqual(v, want) {
		t.Fatalf("%s of %s gave\n%v, want\n%v", what, got.DataType(), v, want)
	}
}

// TestColumns: the values of a column are those that were appended, also in its slices and in
// the results of Take and Concat, for every type.
func TestColumns(t *testing.T) {
	for _, of := range every {
		t.Run(TypeName(of), rapid.MakeCheck(func(t *rapid.T) {
			n := rapid.IntRange(0, 20).Draw(t, "rows")
			col, values := drawColumn(t, of, n)
			same(t, "a round trip", col, values)
			var rows []int32
			var want []any
			if n > 0 {
				rows = rapid.SliceOfN(rapid.Int32Range(0, int32(n-1)), 0, 2*n).Draw(t, "take")
			}
			for _, r := range rows {
				want = append(want, values[r])
			}
			taken := Take(col, rows)
			same(t, "Take", taken, want)
			if !SameType(taken.DataType(), of) {
				t.Fatalf("Take made %s of %s", taken.DataType(), of)
			}
			nulls := 0
			for _, v := range want {
				if v == nil && of.ID() != arrow.NULL {
					nulls++
				}
			}
			if of.ID() != arrow.NULL && taken.NullN() != nulls {
				t.Fatalf("Take counts %d NULLs, there are %d", taken.NullN(), nulls)
			}
			same(
				t,
				"Concat",
				Concat([]arrow.Array{taken, col, taken}),
				append(append(append([]any{}, want...), values...), want...),
			)
		}))
	}
}

// sample returns a batch of a BIGINT, an ARRAY<STRING> and ROWTIME, with weights.
func sample(ops ...Op) *Batch {
	s := NewSchema([]arrow.Field{Field("v", Bigint), Field("a", Array(String)), Field(RowTime, Bigint)})
	cols := []arrow.Array{Repeat(Bigint, nil, len(ops)), Repeat(Array(String), []any{"x", nil}, len(ops)), nil}
	times, values := make([]any, len(ops)), make([]any, len(ops))
	for i := range ops {
		times[i], values[i] = int64(100+i), int64(i)
	}
	cols[0], cols[2] = Column(Bigint, values...), Column(Bigint, times...)
	return NewBatch(s, cols, len(ops), ops)
}

// opsOf returns weights as text: + insert, - retract, b before.
func opsOf(b *Batch) string {
	var out strings.Builder
	for i := range b.Rows() {
		out.WriteString(map[Op]string{Insert: "+", Retract: "-", Before: "b"}[b.Op(i)])
	}
	return out.String()
}

func TestTakeKeepsPairs(t *testing.T) {
	for _, c := range []struct {
		name string
		rows []int32
		want string
	}{
		{"the whole", []int32{0, 1, 2, 3}, "b+-+"},
		{"both halves", []int32{0, 1}, "b+"},
		{"the old row alone goes", []int32{0}, "-"},
		{"the old row without its new one", []int32{0, 2, 3}, "--+"},
		{"the new row alone comes", []int32{1, 2}, "+-"},
		{"halves in the wrong order are no pair", []int32{1, 0}, "+-"},
		{"a row twice: the half beside its new row is the pair's", []int32{0, 0, 1, 1}, "-b++"},
		{"none", []int32{}, ""},
	} {
		if got := opsOf(sample(Before, Insert, Retract, Insert).Take(c.rows)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestWhere: a selection contains the rows for which the condition is true, and every old row
// in it is followed by its new one.
func TestWhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ops []Op
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			ops = append(ops, [][]Op{{Insert}, {Retract}, {Before, Insert}}[rapid.IntRange(0, 2).Draw(t, "kind")]...)
		}
		b := sample(ops...)
		from := rapid.IntRange(0, len(ops)).Draw(t, "from")
		if from > 0 && ops[from-1] == Before {
			from--
		}
		b = b.Slice(from, len(ops))
		col, keep := drawColumn(t, Boolean, b.Rows())
		got := b.Where(col.(*array.Boolean))
		var want []any
		for i, k := range keep {
			if k == true {
				want = append(want, int64(from+i))
			}
		}
		same(t, "Where", got.Column(0), want)
		for i := range got.Rows() {
			if got.Times()[i] != 100+got.Column(0).(*array.Int64).Value(i) {
				t.Fatal("columns of a row came apart")
			}
			old := ops[got.Column(0).(*array.Int64).Value(i)]
			if got.Op(i).Gone() != old.Gone() {
				t.Fatalf("row %d changed its sign", i)
			}
			if got.Op(i) == Before &&
				(i+1 == got.Rows() || got.Op(i+1) != Insert || got.Times()[i+1] != got.Times()[i]+1) {
				t.Fatalf("%s: an old row without its new one", opsOf(got))
			}
		}
	})
}

func TestBatch(t *testing.T) {
	b := sample(Before, Insert, Retract)
	want := "- v=0 a=[x <nil>] ROWTIME=100\n+ v=1 a=[x <nil>] ROWTIME=101\n- v=2 a=[x <nil>] ROWTIME=102\n"
	if got := b.Text(); got != want {
		t.Errorf("Text gave\n%swant\n%s", got, want)
	}
	if got := b.Slice(1, 3).Text(); got != strings.SplitAfterN(want, "\n", 2)[1] {
		t.Errorf("a slice is\n%s", got)
	}
	if b.Slice(0, 3) != b || b.Take([]int32{0, 1, 2}) != b {
		t.Error("the whole of a batch is not the batch")
	}
	plain := sample(Insert, Insert)
	plain.Ops = nil
	joined := ConcatBatches([]*Batch{plain.Slice(1, 2), b})
	if opsOf(joined) != "+b+-" || fmt.Sprint(valuesOf(joined.Column(0))) != "[1 0 1 2]" {
		t.Errorf("joined: %s", joined.Text())
	}
	if only := ConcatBatches([]*Batch{plain, plain}); only.Ops != nil || only.Rows() != 4 {
		t.Error("insertions alone need no weights")
	}
	null := NewBatch(NewSchema([]arrow.Field{Field("x", Double)}), []arrow.Array{Repeat(Double, nil, 1)}, 1, nil)
	if null.Text() != "+ x=NULL\n" || null.Schema.Time != -1 || null.Schema.Clock != -1 || b.Schema.Time != 2 {
		t.Errorf("schema or text of %q", null.Text())
	}
}

func TestValidity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "rows")
		a, av := drawColumn(t, Int, n)
		b, bv := drawColumn(t, Array(Int), n)
		v := Both(n, a, b)
		nulls := 0
		for i := range n {
			want := av[i] == nil || bv[i] == nil
			if v.IsNull(i) != want {
				t.Fatalf("row %d: NULL %v, want %v", i, v.IsNull(i), want)
			}
			if want {
				nulls++
			}
		}
		if v.Nulls() != nulls {
			t.Fatalf("%d NULLs, want %d", v.Nulls(), nulls)
		}
	})
	v := Valid(9)
	v.Clear(8)
	v.Clear(8)
	if got := Bools(9, []byte{0xff, 1}, v); v.Nulls() != 1 || got.NullN() != 1 || !got.IsNull(8) || !got.Value(7) {
		t.Error("a row cleared twice counts twice")
	}
	if got := Text([]int32{0, 1, 1, 3}, []byte("abc"), Valid(3)); fmt.Sprint(valuesOf(got)) != "[a  bc]" {
		t.Errorf("a STRING column of bytes is %v", got)
	}
}

func BenchmarkTake(b *testing.B) {
	rows := make([]int32, 2048)
	for i := range rows {
		rows[i] = int32(2 * i)
	}
	for _, c := range []struct {
		of Type
		v  any
	}{{Double, 1.5}, {String, "twelve bytes"}, {Boolean, true}, {Array(Int), []any{int32(1), int32(2)}}} {
		col := Repeat(c.of, c.v, 4096)
		b.Run(TypeName(c.of), func(b *testing.B) {
			for range b.N {
				Take(col, rows)
			}
			b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
