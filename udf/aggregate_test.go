package udf

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
)

// fold adds rows to an aggregate and returns its value as text. Weights default to inserts.
func fold(t interface {
	Helper()
	Fatalf(string, ...any)
}, name string, literals []any, weights []flow.Op, cols ...arrow.Array) string {
	t.Helper()
	f, ok := Builtins().Aggregate(name)
	if !ok {
		t.Fatalf("no aggregate %s", name)
	}
	types := make([]flow.Type, len(cols))
	for i, c := range cols {
		types[i] = c.DataType()
	}
	bound, err := f.Bind(types, append(make([]any, len(cols)-len(literals)), literals...))
	if err != nil {
		return "bind: " + err.Error()
	}
	acc := bound.New()
	state := make([]byte, max(0, acc.Size()))
	for i := range cols[0].Len() {
		w := flow.Insert
		if weights != nil {
			w = weights[i]
		}
		if w < 0 && !bound.Retracts {
			t.Fatalf("%s does not retract", name)
		}
		if state, err = acc.Add(state, cols, i, w); err != nil {
			return "error: " + err.Error()
		}
	}
	b := flow.Builder(bound.Result)
	if err := acc.Value(state, b); err != nil {
		return "error: " + err.Error()
	}
	return spellAny(bound.Result, flow.Value(b.NewArray(), 0))
}

func ints(v ...any) arrow.Array {
	for i, n := range v {
		if n, ok := n.(int); ok {
			v[i] = int32(n)
		}
	}
	return flow.Column(flow.Int, v...)
}

func constants(t flow.Type, v any, n int) arrow.Array { return flow.Repeat(t, v, n) }

func TestAggregates(t *testing.T) {
	words := flow.Column(flow.String, "b", nil, "a", "b")
	four := func(v any) arrow.Array { return constants(flow.Int, v, 4) }
	for _, c := range []struct {
		got, want string
	}{
		{fold(t, "COLLECT_LIST", nil, nil, words), `["b",null,"a","b"]`},
		{fold(t, "COLLECT_SET", nil, nil, words), `["b",null,"a"]`},
		{fold(t, "COLLECT_LIST", nil, []flow.Op{1, 1, 1, -1}, words), `[null,"a"]`},
		{fold(t, "HISTOGRAM", nil, nil, words), `{"b":2,"a":1}`},
		{fold(t, "HISTOGRAM", nil, []flow.Op{1, 1, 1, -1}, words), `{"a":1}`},
		{fold(t, "ATTR", nil, nil, words), "null"},
		{fold(t, "ATTR", nil, []flow.Op{1, 1, -1}, ints(1, 2, 1)), "2"},
		{fold(t, "LATEST_BY_OFFSET", nil, nil, flow.Column(flow.String, "x", nil)), "x"},
		{fold(t, "LATEST_BY_OFFSET", []any{false}, nil, flow.Column(flow.String, "x", nil), constants(flow.Boolean, false, 2)), "null"},
		{fold(t, "LATEST_BY_OFFSET", []any{false}, nil, ints(1, nil), constants(flow.Boolean, false, 2)), "null"},
		{fold(t, "EARLIEST_BY_OFFSET", []any{false}, nil, ints(nil, 1), constants(flow.Boolean, false, 2)), "null"},
		{fold(t, "EARLIEST_BY_OFFSET", nil, nil, ints(nil, 1, 2)), "1"},
		{fold(t, "EARLIEST_BY_OFFSET", []any{int32(2)}, nil, ints(nil, 1, 2, 3), four(int32(2))), "[1,2]"},
		{fold(t, "LATEST_BY_OFFSET", []any{int32(2), false}, nil, ints(1, nil, 2, nil), four(int32(2)), constants(flow.Boolean, false, 4)), "[2,null]"},
		{fold(t, "EARLIEST_BY_OFFSET", []any{nil}, nil, ints(1, 2, 3, 4), four(int32(2))), "bind: argument 2 of EARLIEST_BY_OFFSET must be a literal INTEGER"},
		{fold(t, "EARLIEST_BY_OFFSET", []any{int32(0)}, nil, ints(1, 2, 3, 4), four(int32(0))), "bind: argument 2 of EARLIEST_BY_OFFSET must lie"},
		{fold(t, "TOPK", []any{int32(3)}, nil, ints(5, nil, 7, 5), four(int32(3))), "[7,5,5]"},
		{fold(t, "TOPK", []any{int32(2)}, nil, words, four(int32(2))), `["b","b"]`},
		{fold(t, "TOPKDISTINCT", []any{int32(3)}, nil, ints(5, 7, 5, 9), four(int32(3))), "[9,7,5]"},
		{fold(t, "TOPK", []any{int32(2)}, nil, ints(5, 5, 5, 9), words, four(int32(2))), `[{"sort_col":9,"col0":"b"},{"sort_col":5,"col0":"b"}]`},
		{fold(t, "TOPK", []any{"x"}, nil, ints(1), flow.Column(flow.String, "x")), "bind: function TOPK takes"},
		{fold(t, "COUNT_DISTINCT", nil, nil, words), "2"},
		{fold(t, "SUM_LIST", nil, nil, flow.Column(flow.Array(flow.Bigint), []any{int64(1), nil}, nil, []any{int64(5)})), "6"},
		{fold(t, "SUM_LIST", nil, nil, words), "bind: function SUM_LIST takes"},
		{fold(t, "SUM_LIST", nil, nil, flow.Column(flow.Array(flow.Int), []any{int32(math.MaxInt32), int32(1)})), "error: the sum does not fit"},
		{fold(t, "STDDEV_SAMP", nil, nil, flow.Column(flow.Double, 500.0, nil, 100.0)), "80000.0"},
		{fold(t, "STDDEV_SAMPLE", nil, nil, flow.Column(flow.Double, 7.0)), "0.0"},
		{fold(t, "VARIANCE", nil, nil, flow.Column(flow.Double, 7.0)), "null"},
		{fold(t, "STDDEV_POP", nil, nil, flow.Column(flow.Double, nil)), "null"},
		{fold(t, "CORRELATION", nil, nil, flow.Column(flow.Double, 1.0, 2.0), flow.Column(flow.Double, 3.0, 3.0)), "NaN"},
		{fold(t, "CORRELATION", nil, nil, flow.Column(flow.Double, 1.0, 1.0), flow.Column(flow.Double, 8.0, nil)), "NaN"},
		{fold(t, "BOOL_AND", nil, nil, flow.Column(flow.Boolean, nil, nil)), "null"},
		{fold(t, "BOOL_OR", nil, []flow.Op{1, 1, -1}, flow.Column(flow.Boolean, true, false, true)), "false"},
		{fold(t, "MIN", nil, nil, flow.Column(flow.String, nil, "b", "a")), "a"},
	} {
		if got, want := c.got, c.want; got != want &&
			!(strings.HasPrefix(want, "bind:") || strings.HasPrefix(want, "error:")) ||
			!strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestRetract: inserting and removing rows leaves the aggregate as if they had never been
// inserted.
func TestRetract(t *testing.T) {
	numbers := func(t *rapid.T, label string, n int) arrow.Array {
		b := flow.Builder(flow.Double)
		for range n {
			flow.Append(
				b,
				rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.IntRange(-3, 3), func(n int) any { return float64(n) })).
					Draw(t, label),
			)
		}
		return b.NewArray()
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"COUNT", "SUM", "AVG", "HISTOGRAM", "ATTR", "VARIANCE", "STDDEV_POP", "CORRELATION"}).
			Draw(t, "name")
		keep, gone := rapid.IntRange(1, 6).Draw(t, "keep"), rapid.IntRange(0, 6).Draw(t, "gone")
		columns := 1
		if name == "CORRELATION" {
			columns = 2
		}
		var want, got []arrow.Array
		for range columns {
			stay, leave := numbers(t, "stay", keep), numbers(t, "leave", gone)
			want, got = append(
				want,
				text(name, stay),
			), append(
				got,
				text(name, flow.Concat([]arrow.Array{stay, leave, leave})),
			)
		}
		weights := make([]flow.Op, keep+2*gone)
		for i := range weights {
			weights[i] = flow.Insert
			if i >= keep+gone {
				weights[i] = flow.Retract
			}
		}
		a, b := fold(t, name, nil, nil, want...), fold(t, name, nil, weights, got...)
		if a != b && !close(a, b) {
			t.Fatalf("%s: %s, but %s when rows came and went", name, a, b)
		}
	})
}

// text is the column that HISTOGRAM takes.
func text(name string, a arrow.Array) arrow.Array {
	if name != "HISTOGRAM" {
		return a
	}
	b := flow.Builder(flow.String)
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
		} else {
			flow.Append(b, flow.Spell(flow.Double, flow.Value(a, i)))
		}
	}
	return b.NewArray()
}

func close(a, b string) bool {
	var x, y float64
	if _, err := fmt.Sscan(a, &x); err != nil {
		return false
	}
	_, err := fmt.Sscan(b, &y)
	return err == nil && math.Abs(x-y) < 1e-6
}

func TestCountDistinctIsClose(t *testing.T) {
	for _, n := range []int{10, 256, 257, 1000, 20_000, 300_000} {
		var s, left, right []byte
		x := sketch{}
		for i := range n {
			h := hash(fmt.Appendf(nil, "value %d", i))
			s, _ = x.add(s, h)
			if i%3 == 0 {
				left, _ = x.add(left, h)
			} else {
				right, _ = x.add(right, h)
			}
		}
		merged, err := x.Merge(left, right)
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range [][]byte{s, merged} {
			b := flow.Builder(flow.Bigint)
			if err := x.Value(state, b); err != nil {
				t.Fatal(err)
			}
			got := float64(flow.Value(b.NewArray(), 0).(int64))
			if n <= sparse && got != float64(n) || math.Abs(got-float64(n)) > 0.05*float64(n) {
				t.Errorf("%d values: %v", n, got)
			}
		}
	}
}

func TestQuantileIsClose(t *testing.T) {
	b := flow.Builder(flow.Double)
	for i := range 20_001 {
		flow.Append(b, math.Pow(1.001, float64((i*7919)%20_001-10_000)))
	}
	col := b.NewArray()
	for _, share := range []float64{0, 0.25, 0.5, 0.99, 1} {
		want := math.Pow(1.001, math.Floor(share*20_000)-10_000)
		var got float64
		if _, err := fmt.Sscan(fold(t, "APPROX_QUANTILE", []any{share}, nil, col, flow.Repeat(flow.Double, share, 20_001)), &got); err != nil ||
			math.Abs(got-want) > 0.0101*want {
			t.Errorf("%v: %v, want %v (%v)", share, got, want, err)
		}
	}
	if got := fold(t, "APPROX_QUANTILE", []any{1.5}, nil, col, col); !strings.HasPrefix(got, "bind: argument 2") {
		t.Error(got)
	}
	for _, x := range []float64{1e-300, -1e-30, -7, 3e40, 1e300} {
		if got := bucketValue(bucketOf(x)); math.Abs(got/x-1) > 0.0101 {
			t.Errorf("%v is shown as %v", x, got)
		}
	}
	q, state := quantile{0.5}, []byte(nil)
	for i := range 3 * maxBuckets {
		state = q.put(state, int64(i), 1)
	}
	for i := range 3 * maxBuckets {
		state = q.put(state, int64(i), -1)
	}
	if len(state) != 0 {
		t.Errorf("%d buckets are left", len(state)/16)
	}
}

func TestLimits(t *testing.T) {
	r := Builtins()
	r.SetLimit("collect_set", 1)
	f, _ := r.Aggregate("COLLECT_SET")
	bound, err := f.Bind([]flow.Type{flow.Int}, nil)
	if err != nil {
		t.Fatal(err)
	}
	acc := bound.New()
	col := ints(1, 2)
	var s []byte
	for i := range 2 {
		if s, err = acc.Add(s, []arrow.Array{col}, i, flow.Insert); err != nil {
			t.Fatal(err)
		}
	}
	if listLen(s) != 1 {
		t.Errorf("%d values", listLen(s))
	}
	if got := len(fold(t, "COLLECT_LIST", nil, nil, constants(flow.Int, int32(1), 1500))); got != 2*1000+1 {
		t.Errorf("the default cap leaves %d bytes of JSON", got)
	}
}

var cellType = flow.Struct(
	flow.Field("a", flow.Int),
	flow.Field("b", flow.Array(flow.String)),
	flow.Field("c", flow.Map(flow.String, flow.Double)),
	flow.Field(
		"d",
		flow.Decimal(5, 2),
	),
	flow.Field("e", flow.Timestamp),
	flow.Field("f", flow.Boolean),
	flow.Field("g", flow.Bytes),
)

func TestCells(t *testing.T) {
	v := []any{
		int32(-5),
		[]any{"x", nil, ""},
		[]flow.Entry{{Key: "b", Value: 1.5}, {Key: "a", Value: nil}},
		decimalOf(-123),
		arrow.Timestamp(7),
		true,
		[]byte{0},
	}
	col := flow.Column(cellType, v, nil)
	item := appendCell(appendCell(nil, col, 0), col, 1)
	b := flow.Builder(cellType)
	rest, err := takeCell(b, item)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err = takeCell(b, rest); err != nil || len(rest) != 0 {
		t.Fatal(err, rest)
	}
	swapped := flow.Column(
		cellType,
		append(
			append([]any{}, v[:2]...),
			append([]any{[]flow.Entry{{Key: "a", Value: nil}, {Key: "b", Value: 1.5}}}, v[3:]...)...),
	)
	if !sameCell(b.NewArray(), 0, swapped, 0) || !sameCell(col, 0, swapped, 0) {
		t.Error("the order of a map's entries makes a difference")
	}
}

// FuzzStates feeds aggregates states that are damaged: they answer with a value or an error.
func FuzzStates(f *testing.F) {
	f.Add(appendCell(nil, flow.Column(cellType, nil), 0))
	f.Add(listAdd(listAdd(nil, []byte{1, 2}), []byte{0}))
	f.Add([]byte{255, 255, 255, 255, 1, 1, 2})
	col, texts := ints(3), flow.Column(flow.String, "x")
	accs := []struct {
		Accumulator
		in  []arrow.Array
		out flow.Type
	}{
		{
			collect{true, 10},
			[]arrow.Array{col},
			flow.Array(flow.Int),
		}, {someByOffset{true, true, 1}, []arrow.Array{col}, flow.Array(flow.Int)},
		{
			topK{flow.Int, 1, 2, false},
			[]arrow.Array{col},
			flow.Array(flow.Int),
		}, {histogram{2}, []arrow.Array{texts}, flow.Map(flow.String, flow.Bigint)},
		{
			attr{},
			[]arrow.Array{col},
			flow.Int,
		}, {sketch{}, []arrow.Array{col}, flow.Bigint}, {oneByOffset{true, true}, []arrow.Array{texts}, flow.String}, {quantile{0.5}, []arrow.Array{flow.Column(flow.Double, 1.0)}, flow.Double},
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		_, _, _ = readCell(cellType, s)
		for _, a := range accs {
			_ = a.Value(append([]byte{}, s...), flow.Builder(a.out))
			_, _ = a.Add(append([]byte{}, s...), a.in, 0, flow.Insert)
			_, _ = a.Accumulator.(Merger).Merge(append([]byte{}, s...), append([]byte{}, s...))
		}
	})
}
