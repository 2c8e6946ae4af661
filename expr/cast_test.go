package expr

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

func dec(unscaled int64) decimal128.Num { return decimal128.FromI64(unscaled) }

// TestCast is the matrix: a value, its type, the target type, and the result.
func TestCast(t *testing.T) {
	xy := flow.Struct(flow.Field("x", flow.Int), flow.Field("y", flow.String))
	for _, c := range []struct {
		from flow.Type
		v    any
		to   flow.Type
		want any
	}{
		// text of values
		{flow.Boolean, true, flow.String, "true"}, {flow.Int, int32(-7), flow.String, "-7"}, {flow.Bigint, int64(math.MinInt64), flow.String, "-9223372036854775808"},
		{flow.Double, 1e10, flow.String, "1.0E10"}, {flow.Double, 1.0, flow.String, "1.0"}, {flow.Double, 0.001, flow.String, "0.001"}, {flow.Double, 1e-4, flow.String, "1.0E-4"},
		{flow.Double, 12345678.9, flow.String, "1.23456789E7"}, {flow.Double, 1234567.0, flow.String, "1234567.0"}, {flow.Double, math.Copysign(0, -1), flow.String, "-0.0"},
		{flow.Double, math.NaN(), flow.String, "NaN"}, {flow.Double, math.Inf(-1), flow.String, "-Infinity"}, {flow.Float, float32(0.1), flow.String, "0.1"},
		{flow.Decimal(5, 2), dec(-5), flow.String, "-0.05"}, {flow.Decimal(5, 2), dec(100), flow.String, "1.00"}, {flow.Decimal(3, 0), dec(-12), flow.String, "-12"}, {flow.Decimal(4, 4), dec(0), flow.String, "0.0000"},
		{flow.Date, arrow.Date32(0), flow.String, "1970-01-01"}, {flow.Date, arrow.Date32(-1), flow.String, "1969-12-31"},
		{flow.TimeOfDay, arrow.Time32(45000000), flow.String, "12:30"}, {flow.TimeOfDay, arrow.Time32(45001000), flow.String, "12:30:01"}, {flow.TimeOfDay, arrow.Time32(45001007), flow.String, "12:30:01.007"},
		{flow.Timestamp, arrow.Timestamp(-1), flow.String, "1969-12-31T23:59:59.999"},
		{flow.Array(flow.Double), []any{1.0, nil}, flow.String, "[1.0, null]"}, {flow.Map(flow.String, flow.Int), []flow.Entry{{Key: "a", Value: int32(1)}, {Key: "b"}}, flow.String, "{a=1, b=null}"},
		{xy, []any{nil, "b"}, flow.String, "Struct{y=b}"},
		// text to values
		{flow.String, " 12 ", flow.Int, int32(12)}, {flow.String, "2147483648", flow.Int, failed{}}, {flow.String, "2147483648", flow.Bigint, int64(1 << 31)}, {flow.String, "1.5", flow.Int, failed{}},
		{flow.String, "", flow.Int, failed{}}, {flow.String, "1e3", flow.Double, 1000.0}, {flow.String, "x", flow.Double, failed{}}, {flow.String, "0.1", flow.Float, float32(0.1)},
		{flow.String, "tr", flow.Boolean, true}, {flow.String, "YES", flow.Boolean, true}, {flow.String, "n", flow.Boolean, false}, {flow.String, "", flow.Boolean, failed{}}, {flow.String, "maybe", flow.Boolean, failed{}},
		{flow.String, "1.005", flow.Decimal(5, 2), dec(101)}, {flow.String, "-1.005", flow.Decimal(5, 2), dec(-101)}, {flow.String, "1.5e2", flow.Decimal(5, 2), dec(15000)}, {flow.String, "1e-9", flow.Decimal(5, 2), dec(0)},
		{flow.String, "1000", flow.Decimal(5, 2), failed{}}, {flow.String, "999.995", flow.Decimal(5, 2), failed{}}, {flow.String, ".5", flow.Decimal(5, 2), dec(50)}, {flow.String, "5.", flow.Decimal(5, 2), dec(500)},
		{flow.String, ".", flow.Decimal(5, 2), failed{}}, {flow.String, ".-5", flow.Decimal(5, 2), failed{}}, {flow.String, "1.+5", flow.Decimal(5, 2), failed{}}, {flow.String, "1e", flow.Decimal(5, 2), failed{}},
		{flow.String, "1e9999999", flow.Decimal(5, 2), failed{}}, {flow.String, "1_0", flow.Decimal(5, 2), failed{}}, {flow.String, "NaN", flow.Decimal(5, 2), failed{}}, {flow.String, strings.Repeat("9", 2000), flow.Decimal(38, 0), failed{}},
		{flow.String, "2026-02-28", flow.Date, arrow.Date32(20512)}, {flow.String, "2026-02-30", flow.Date, failed{}}, {flow.String, "12:30", flow.TimeOfDay, arrow.Time32(45000000)},
		{flow.String, "12:30:01.0079", flow.TimeOfDay, arrow.Time32(45001007)}, {flow.String, "25:00", flow.TimeOfDay, failed{}}, {flow.String, "1970", flow.Timestamp, arrow.Timestamp(0)},
		{flow.String, "1970-01-01T01:00:00+01:00", flow.Timestamp, arrow.Timestamp(0)}, {flow.String, "1970-01-01 00:00:01.5", flow.Timestamp, arrow.Timestamp(1500)}, {flow.String, "yesterday", flow.Timestamp, failed{}},
		// numbers
		{flow.Int, int32(3), flow.Double, 3.0}, {flow.Bigint, int64(1<<53 + 1), flow.Double, float64(1 << 53)}, {flow.Bigint, int64(1 << 31), flow.Int, failed{}}, {flow.Bigint, int64(-1), flow.Int, int32(-1)},
		{flow.Double, 2.9, flow.Int, int32(2)}, {flow.Double, -2.9, flow.Int, int32(-2)}, {flow.Double, math.NaN(), flow.Int, failed{}}, {flow.Double, 9.3e18, flow.Bigint, failed{}}, {flow.Double, float64(-1 << 63), flow.Bigint, int64(math.MinInt64)},
		{flow.Double, 1e300, flow.Float, float32(math.Inf(1))}, {flow.Double, 1.005, flow.Decimal(5, 2), dec(101)}, {flow.Double, math.Inf(1), flow.Decimal(5, 2), failed{}}, {flow.Double, 5e-324, flow.Decimal(5, 2), dec(0)},
		{flow.Float, float32(0.1), flow.Double, float64(float32(0.1))}, {flow.Float, float32(0.1), flow.Decimal(5, 2), dec(10)},
		{flow.Decimal(5, 2), dec(199), flow.Int, int32(1)}, {flow.Decimal(5, 2), dec(-199), flow.Bigint, int64(-1)}, {flow.Decimal(5, 2), dec(125), flow.Decimal(5, 1), dec(13)}, {flow.Decimal(5, 2), dec(99999), flow.Decimal(4, 2), failed{}},
		{flow.Decimal(38, 0), decimal128.FromBigInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)), flow.Bigint, failed{}}, {flow.Decimal(5, 2), dec(125), flow.Double, 1.25}, {flow.Int, int32(1000), flow.Decimal(5, 2), failed{}},
		// times
		{flow.Timestamp, arrow.Timestamp(-1), flow.Date, arrow.Date32(-1)}, {flow.Timestamp, arrow.Timestamp(-1), flow.TimeOfDay, arrow.Time32(86399999)}, {flow.Date, arrow.Date32(-1), flow.Timestamp, arrow.Timestamp(-86400000)},
		// nested
		{flow.Array(flow.String), []any{"1", nil}, flow.Array(flow.Int), []any{int32(1), nil}}, {flow.Array(flow.String), []any{"1", "x"}, flow.Array(flow.Int), failed{}},
		{flow.Map(flow.String, flow.Int), []flow.Entry{{Key: "1", Value: int32(2)}}, flow.Map(flow.Bigint, flow.String), []flow.Entry{{Key: int64(1), Value: "2"}}},
		{xy, []any{int32(1), "b"}, flow.Struct(flow.Field("y", flow.String), flow.Field("z", flow.Int), flow.Field("x", flow.Double)), []any{"b", nil, 1.0}},
		{flow.Null, nil, xy, nil},
	} {
		in := rowsTable([]flow.Type{c.from}, []any{nil}, []any{c.v}) // NULL stays NULL, whatever its neighbour
		e := must(t)(NewCast(in.col(0), c.to))
		check(t, e, in, func(i int) any { return []any{nil, c.want}[i] })
		lit := must(t)(NewCast(Lit(c.from, c.v), c.to))
		check(t, lit, in, func(int) any { return c.want })
	}
	for _, c := range [][2]flow.Type{
		{flow.Boolean, flow.Int}, {flow.Int, flow.Boolean}, {flow.Bytes, flow.String}, {flow.String, flow.Bytes}, {flow.Int, flow.Date}, {flow.Date, flow.TimeOfDay}, {flow.TimeOfDay, flow.Timestamp},
		{flow.Int, flow.Array(flow.Int)}, {flow.Array(flow.Int), flow.Map(flow.Int, flow.Int)}, {flow.Array(flow.Int), flow.Array(flow.Date)}, {flow.String, xy}, {xy, flow.Struct(flow.Field("x", flow.Date))},
		{flow.Map(flow.String, flow.Int), flow.Map(flow.String, flow.Bytes)},
	} {
		if e, err := NewCast(&Column{0, "c", c[0]}, c[1]); err == nil ||
			!strings.Contains(err.Error(), "cannot cast") {
			t.Errorf("CAST(%s AS %s) gave %v, %v", flow.TypeName(c[0]), flow.TypeName(c[1]), e, err)
		}
	}
}

// TestCastAnything: every allowed cast of any value returns a value of the type or a report,
// and text is parsed to the value that it was printed from.
func TestCastAnything(t *testing.T) {
	types := append(append([]flow.Type(nil), comparable...), flow.Map(flow.String, flow.Decimal(4, 2)))
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SampledFrom(types).Draw(t, "from"), rapid.SampledFrom(types).Draw(t, "to")
		in := drawTable(t, from)
		e, err := NewCast(in.col(0), to)
		if err != nil {
			t.Skip("no such cast")
		}
		bad := map[int]bool{}
		out := e.Eval(in.Batch, udf.Env{Fail: func(i int, _ error) { bad[i] = true }})
		for i := range in.Rows() {
			if flow.Value(out, i) == nil && in.values[0][i] != nil && !bad[i] {
				t.Fatalf("%s of %v is NULL and not reported", e, in.values[0][i])
			}
			if in.values[0][i] == nil && (bad[i] || !out.IsNull(i)) {
				t.Fatalf("%s of NULL is %v", e, flow.Value(out, i))
			}
		}
		if to.ID() != arrow.STRING || castable(flow.String, from) == false {
			return
		}
		back := must(t)(NewCast(e, from))
		check(t, back, in, func(i int) any { return in.values[0][i] })
	})
}

func TestNested(t *testing.T) {
	xs := flow.Struct(flow.Field("x", flow.Int), flow.Field("X", flow.String), flow.Field("l", flow.Array(flow.Int)))
	rapid.Check(t, func(t *rapid.T) {
		in := drawTable(
			t,
			xs,
			flow.Array(flow.String),
			flow.Map(flow.String, flow.Int),
			flow.Int,
			flow.String,
			flow.Bigint,
		)
		for j, name := range []string{"x", "X", "L"} {
			check(t, must(t)(NewField(in.col(0), name)), in, func(i int) any {
				if s, ok := in.values[0][i].([]any); ok {
					return s[j]
				}
				return nil
			})
		}
		for _, index := range []int{3, 5} {
			check(t, must(t)(NewIndex(in.col(1), in.col(index))), in, func(i int) any {
				list, ok := in.values[1][i].([]any)
				at, ok2 := in.values[index][i].(int64)
				if n, small := in.values[index][i].(int32); small {
					at, ok2 = int64(n), true
				}
				switch n := int64(len(list)); {
				case !ok || !ok2 || at == 0 || at > n || at < -n:
					return nil
				case at > 0:
					return list[at-1]
				default:
					return list[n+at]
				}
			})
		}
		check(t, must(t)(NewIndex(in.col(2), in.col(4))), in, func(i int) any {
			entries, _ := in.values[2][i].([]flow.Entry)
			for _, e := range entries {
				if e.Key == in.values[4][i] {
					return e.Value
				}
			}
			return nil
		})
		check(t, must(t)(NewArray([]Expr{in.col(3), in.col(5), Lit(flow.Null, nil)})), in, func(i int) any {
			wide := in.values[3][i]
			if n, ok := wide.(int32); ok {
				wide = int64(n)
			}
			return []any{wide, in.values[5][i], nil}
		})
		check(
			t,
			must(t)(NewStruct([]string{"a", "b"}, []Expr{in.col(0), in.col(1)})),
			in,
			func(i int) any { return []any{in.values[0][i], in.values[1][i]} },
		)
		check(
			t,
			must(t)(NewMap([]Expr{in.col(4), Lit(flow.String, "a")}, []Expr{in.col(3), Lit(flow.Int, int32(9))})),
			in,
			func(i int) any {
				k := in.values[4][i]
				if k == nil {
					k = "null" // a NULL key as text
				}
				switch k {
				case nil:
					return []flow.Entry{{Key: "a", Value: int32(9)}}
				case "a":
					return []flow.Entry{{Key: "a", Value: int32(9)}} // the last of equal keys counts
				}
				return []flow.Entry{{Key: k, Value: in.values[3][i]}, {Key: "a", Value: int32(9)}}
			},
		)
	})
	one, a := Lit(flow.Int, int32(1)), Lit(flow.String, "a")
	for words, err := range map[string]error{
		"needs a STRUCT, not INTEGER": second(NewField(one, "f")), `no field "f"`: second(NewField(Lit(xs, nil), "f")),
		"[] needs an ARRAY or a MAP": second(NewIndex(one, one)), "index is an INTEGER": second(NewIndex(Lit(flow.Array(flow.Int), nil), a)),
		"a key of MAP<STRING, INTEGER> is not INTEGER": second(NewIndex(Lit(flow.Map(flow.String, flow.Int), nil), one)),
		"the type is unknown":                          second(NewArray([]Expr{Lit(flow.Null, nil)})), "BOOLEAN have no common type": second(NewArray([]Expr{one, Lit(flow.Boolean, true)})),
		`STRUCT(..) names "a" twice`: second(NewStruct([]string{"a", "a"}, []Expr{one, one})), "the values of MAP(..)": second(NewMap([]Expr{a}, []Expr{Lit(flow.Null, nil)})),
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
	bytes := rowsTable([]flow.Type{flow.Bytes}, []any{[]byte("k")})
	twice := must(t)(NewMap([]Expr{bytes.col(0), bytes.col(0)}, []Expr{one, Lit(flow.Int, int32(2))}))
	check(t, twice, bytes, func(int) any { return []flow.Entry{{Key: []byte("k"), Value: int32(2)}} })
}

func TestFold(t *testing.T) {
	call := func(volatile bool) Expr {
		return &Call{
			Name: "F",
			Args: []Expr{Lit(flow.Int, int32(2))},
			Sig: udf.Signature{
				Result:   flow.Int,
				Volatile: volatile,
				Kernel: func(args []arrow.Array, rows int, _ udf.Env) arrow.Array {
					return flow.Repeat(flow.Int, flow.Value(args[0], 0).(int32)*21, rows)
				},
			},
		}
	}
	e := must(t)
	n := func(v int32) Expr { return Lit(flow.Int, v) }
	c := &Column{0, "c", flow.Int}
	for _, test := range []struct {
		e    Expr
		want string
	}{
		{e(NewArith('+', n(1), e(NewArith('*', n(2), n(3))))), "7"}, {e(NewArith('+', c, e(NewArith('*', n(2), n(3))))), "(c + 6)"}, {e(NewArith('/', n(1), n(0))), "(1 / 0)"},
		{e(NewArith('+', n(math.MaxInt32), n(1))), "(2147483647 + 1)"}, {e(NewCast(Lit(flow.String, "x"), flow.Int)), "CAST('x' AS INTEGER)"}, {e(NewCast(Lit(flow.String, "7"), flow.Int)), "7"},
		{call(false), "42"}, {call(true), "F(2)"}, {e(NewArith('+', call(true), e(NewArith('+', n(1), n(1))))), "(F(2) + 2)"},
		{e(NewCase([]Expr{Lit(flow.Boolean, true)}, []Expr{n(1)}, n(2))), "1"}, {e(NewLike(Lit(flow.String, "ab"), Lit(flow.String, "a%"), "", true)), "false"},
		{e(NewIn(n(1), []Expr{n(1), Lit(flow.Null, nil)}, false)), "true"}, {e(NewArray([]Expr{n(1), n(2)})), "[1, 2]"}, {e(NewIndex(e(NewArray([]Expr{n(1), n(2)})), n(-1))), "2"},
		{&IsNull{X: Lit(flow.Null, nil)}, "true"}, {e(NewLogic(true, e(NewCompare(Less, n(1), n(2), false)), e(NewCompare(Equal, c, n(1), false)))), "(true AND (c = 1))"},
		{e(NewCase([]Expr{Lit(flow.Boolean, false)}, []Expr{e(NewArith('/', n(1), n(0)))}, n(2))), "(CASE WHEN false THEN (1 / 0) ELSE 2 END)"},
	} {
		before := test.e.String()
		got := Fold(test.e)
		if got.String() != test.want || !flow.SameType(got.Type(), test.e.Type()) {
			t.Errorf("%s folds to %s, want %s", before, got, test.want)
		}
		if test.e.String() != before {
			t.Errorf("Fold changed %s in place", before)
		}
		if !Same(Fold(got), got) {
			t.Errorf("%s folds twice", got)
		}
	}
	if Same(n(1), Lit(flow.Bigint, int64(1))) {
		t.Error("1 and a BIGINT 1 are two expressions")
	}
}

// TestWith: With(Inputs()) is the identity for every node.
func TestWith(t *testing.T) {
	in := rowsTable(
		[]flow.Type{
			flow.Int,
			flow.Boolean,
			flow.String,
			flow.Array(flow.Int),
			flow.Timestamp,
			flow.Struct(flow.Field("f", flow.Int)),
		},
		[]any{
			int32(3),
			true,
			"ab",
			[]any{int32(5)},
			arrow.Timestamp(9),
			[]any{int32(4)},
		},
		[]any{nil, nil, nil, nil, nil, nil},
	)
	e := must(t)
	seen := map[string]bool{}
	for _, x := range []Expr{
		e(NewArith('-', in.col(0), Lit(flow.Int, int32(1)))), e(NewCompare(Equal, in.col(0), Lit(flow.Int, int32(3)), true)), e(NewLogic(false, in.col(1), in.col(1))), e(NewNot(in.col(1))),
		&IsNull{X: in.col(0), Not: true}, e(NewCase([]Expr{in.col(1)}, []Expr{in.col(0)}, nil)), e(NewIn(in.col(0), []Expr{Lit(flow.Int, int32(3))}, true)), e(NewLike(in.col(2), Lit(flow.String, "a!%"), "!", true)),
		e(NewCast(in.col(0), flow.String)), e(NewField(in.col(5), "F")), e(NewIndex(in.col(3), Lit(flow.Int, int32(1)))), e(NewArray([]Expr{in.col(0)})), &Millis{in.col(4)}, in.col(0), Lit(flow.Int, int32(1)),
	} {
		seen[fmt.Sprintf("%T", x)] = true
		same := x.With(append([]Expr(nil), x.Inputs()...))
		want := x.Eval(in.Batch, udf.Env{})
		if !Same(same, x) {
			t.Errorf("%s became %s", x, same)
		}
		check(t, same, in, func(i int) any { return flow.Value(want, i) })
		nodes := 0
		Walk(x, func(Expr) { nodes++ })
		if nodes < 1+len(x.Inputs()) {
			t.Errorf("%s has %d nodes", x, nodes)
		}
	}
	if len(seen) != 15 {
		t.Errorf("only %s nodes are tried", strconv.Itoa(len(seen)))
	}
	millis := &Millis{in.col(4)}
	check(t, millis, in, func(i int) any { return []any{int64(9), nil}[i] })
}
