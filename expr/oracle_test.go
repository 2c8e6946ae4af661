package expr

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// draw returns a value of a type, NULL one time in six, with frequent extreme values.
func draw(t *rapid.T, of flow.Type) any {
	if of.ID() == arrow.NULL || rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return nil
	}
	switch of := of.(type) {
	case *arrow.BooleanType:
		return rapid.Bool().Draw(t, "v")
	case *arrow.Int32Type:
		return rapid.OneOf(rapid.Int32Range(-3, 3), rapid.SampledFrom([]int32{math.MinInt32, math.MaxInt32, math.MinInt32 + 1, 46341}), rapid.Int32()).Draw(t, "v")
	case *arrow.Int64Type:
		return rapid.OneOf(rapid.Int64Range(-3, 3), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MinInt64 + 1, 3037000500}), rapid.Int64()).Draw(t, "v")
	case *arrow.Float32Type:
		return rapid.OneOf(rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), 1.5, -1, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())}), rapid.Float32()).Draw(t, "v")
	case *arrow.Float64Type:
		return rapid.OneOf(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1.5, -1, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 5e-324}), rapid.Float64()).Draw(t, "v")
	case *arrow.Decimal128Type:
		top := pow10(of.Precision)
		top.Sub(top, big.NewInt(1))
		switch v := rapid.IntRange(0, 6).Draw(t, "kind"); v {
		case 0:
			return decimal128.FromBigInt(top)
		case 1:
			return decimal128.FromBigInt(top.Neg(top))
		case 2:
			return decimal128.FromI64(0)
		default:
			x := big.NewInt(rapid.Int64().Draw(t, "v"))
			return decimal128.FromBigInt(x.Rem(x, top))
		}
	case *arrow.StringType:
		return rapid.SampledFrom([]string{"", "a", "b", "ab", "B", "naïve", "日本"}).Draw(t, "v")
	case *arrow.BinaryType:
		return rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "v")
	case *arrow.Date32Type:
		return arrow.Date32(rapid.Int32Range(-40000, 40000).Draw(t, "v"))
	case *arrow.Time32Type:
		return arrow.Time32(rapid.Int32Range(0, 86399999).Draw(t, "v"))
	case *arrow.TimestampType:
		return arrow.Timestamp(rapid.Int64Range(-1e13, 1e13).Draw(t, "v"))
	case *arrow.MapType:
		out := []flow.Entry{}
		for k := range rapid.IntRange(0, 2).Draw(t, "n") {
			out = append(out, flow.Entry{Key: string(rune('a' + k)), Value: draw(t, of.ItemType())})
		}
		return out
	case *arrow.ListType:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			out = append(out, draw(t, of.Elem()))
		}
		return out
	case *arrow.StructType:
		out := make([]any, len(of.Fields()))
		for i, f := range of.Fields() {
			out[i] = draw(t, f.Type)
		}
		return out
	}
	panic(of)
}

// table is a batch with the Go values of each column. The columns are slices of longer ones.
type table struct {
	*flow.Batch
	values [][]any
}

func drawTable(t *rapid.T, types ...flow.Type) table {
	n, from := rapid.IntRange(0, 12).Draw(t, "rows"), rapid.IntRange(0, 9).Draw(t, "offset")
	return tableOf(n, from, types, func(of flow.Type) any { return draw(t, of) })
}

func tableOf(n, from int, types []flow.Type, value func(flow.Type) any) table {
	var out table
	var fields []arrow.Field
	var cols []arrow.Array
	for i, of := range types {
		values := make([]any, from+n+1)
		for j := range values {
			values[j] = value(of)
		}
		fields = append(fields, flow.Field(fmt.Sprintf("c%d", i), of))
		cols = append(cols, array.NewSlice(flow.Column(of, values...), int64(from), int64(from+n)))
		out.values = append(out.values, values[from:from+n])
	}
	out.Batch = flow.NewBatch(flow.NewSchema(fields), cols, n, nil)
	return out
}

// rowsTable returns a table of given rows.
func rowsTable(types []flow.Type, rows ...[]any) table {
	var out table
	var fields []arrow.Field
	var cols []arrow.Array
	for i, of := range types {
		var values []any
		for _, r := range rows {
			values = append(values, r[i])
		}
		fields = append(fields, flow.Field(fmt.Sprintf("c%d", i), of))
		cols = append(cols, flow.Column(of, values...))
		out.values = append(out.values, values)
	}
	out.Batch = flow.NewBatch(flow.NewSchema(fields), cols, len(rows), nil)
	return out
}

func (t table) col(i int) Expr {
	return &Column{Index: i, Name: fmt.Sprintf("c%d", i), T: t.Schema.Field(i).Type}
}

// failed is the oracle's value for a row that must be reported and NULL.
type failed struct{}

// identical compares values such that NaN equals NaN, and -0 does not equal 0.
func identical(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && (math.Float64bits(x) == math.Float64bits(y) || x != x && y != y)
	case float32:
		y, ok := b.(float32)
		return ok && (math.Float32bits(x) == math.Float32bits(y) || x != x && y != y)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !identical(x[i], y[i]) {
				return false
			}
		}
		return true
	case []flow.Entry:
		y, ok := b.([]flow.Entry)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !identical(x[i].Key, y[i].Key) || !identical(x[i].Value, y[i].Value) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// check evaluates e over a table and compares every row with want. A row must be reported if
// want is failed, and only then.
func check(t fataler, e Expr, in table, want func(row int) any) {
	t.Helper()
	reported := map[int]bool{}
	got := Eval(e, in.Batch, udf.Env{Account: flow.NewAccount(1 << 30), Fail: func(row int, err error) {
		if err == nil || row < 0 || row >= in.Rows() {
			t.Fatalf("%s: row %d reported with error %v", e, row, err)
		}
		reported[row] = true
	}})
	if got.Len() != in.Rows() || !flow.SameType(got.DataType(), e.Type()) {
		t.Fatalf("%s gives %d rows of %s, want %d of %s", e, got.Len(), got.DataType(), in.Rows(), e.Type())
	}
	for i := range in.Rows() {
		w := want(i)
		if _, bad := w.(failed); bad != reported[i] {
			t.Fatalf("%s over %v: reported %v, the oracle says %v", e, row(in, i), reported[i], w)
		} else if bad {
			w = nil
		}
		if v := flow.Value(got, i); !identical(v, w) {
			t.Fatalf("%s over %v gives %v (%T), want %v", e, row(in, i), v, v, w)
		}
	}
}

func row(in table, i int) []any {
	var out []any
	for _, c := range in.values {
		out = append(out, c[i])
	}
	return out
}

// constant returns a literal of a column's value at row 0 and a table with that value in every
// row, to compare a literal operand with a column operand.
func constant(in table, col int) (table, Expr) {
	out := in
	out.values = append([][]any(nil), in.values...)
	of := in.Schema.Field(col).Type
	var v any
	if in.Rows() > 0 {
		v = in.values[col][0]
	}
	same := make([]any, in.Rows())
	for i := range same {
		same[i] = v
	}
	out.values[col] = same
	cols := append([]arrow.Array(nil), in.Columns()...)
	cols[col] = flow.Column(of, same...)
	out.Batch = in.With(in.Schema, cols)
	return out, Lit(of, v)
}

func must(t fataler) func(Expr, error) Expr {
	return func(e Expr, err error) Expr {
		t.Helper()
		if err != nil {
			t.Fatalf("%v", err)
		}
		return e
	}
}

// operands checks an expression of two columns with each operand as a column and as a literal.
func operands(t *rapid.T, in table, make func(l, r Expr) (Expr, error), want func(l, r any) any) {
	check(
		t,
		must(t)(make(in.col(0), in.col(1))),
		in,
		func(i int) any { return want(in.values[0][i], in.values[1][i]) },
	)
	left, ll := constant(in, 0)
	check(
		t,
		must(t)(make(ll, in.col(1))),
		left,
		func(i int) any { return want(left.values[0][i], left.values[1][i]) },
	)
	right, rl := constant(in, 1)
	check(
		t,
		must(t)(make(in.col(0), rl)),
		right,
		func(i int) any { return want(right.values[0][i], right.values[1][i]) },
	)
	both, bl := constant(right, 0)
	check(t, must(t)(make(bl, rl)), both, func(i int) any { return want(both.values[0][i], both.values[1][i]) })
}

func TestTypesHaveOracles(t *testing.T) {
	if !identical(math.NaN(), math.NaN()) || identical(0.0, math.Copysign(0, -1)) ||
		identical([]any{1.0}, []any{2.0}) {
		t.Error("the oracle's equality is not exact")
	}
}
