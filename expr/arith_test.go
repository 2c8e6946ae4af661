package expr

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// arithmetic is the oracle: one row, with big integers or floats.
func arithmetic(op byte, t flow.Type, l, r any) any {
	if l == nil || r == nil {
		return nil
	}
	switch x := l.(type) {
	case int32:
		if v, ok := exact(op, big.NewInt(int64(x)), big.NewInt(int64(r.(int32)))); ok && v.IsInt64() && v.Int64() == int64(int32(v.Int64())) {
			return int32(v.Int64())
		}
		return failed{}
	case int64:
		if v, ok := exact(op, big.NewInt(x), big.NewInt(r.(int64))); ok && v.IsInt64() {
			return v.Int64()
		}
		return failed{}
	case float32:
		y := r.(float32)
		return map[byte]float32{'+': x + y, '-': x - y, '*': x * y, '/': x / y, '%': float32(math.Mod(float64(x), float64(y)))}[op]
	}
	x, y := l.(float64), r.(float64)
	return map[byte]float64{'+': x + y, '-': x - y, '*': x * y, '/': x / y, '%': math.Mod(x, y)}[op]
}

func exact(op byte, x, y *big.Int) (*big.Int, bool) {
	out := new(big.Int)
	switch op {
	case '+':
		return out.Add(x, y), true
	case '-':
		return out.Sub(x, y), true
	case '*':
		return out.Mul(x, y), true
	}
	if y.Sign() == 0 {
		return nil, false
	}
	if op == '/' {
		return out.Quo(x, y), true
	}
	return out.Rem(x, y), true
}

func TestArith(t *testing.T) {
	for _, of := range []flow.Type{flow.Int, flow.Bigint, flow.Float, flow.Double} {
		for _, op := range []byte("+-*/%") {
			t.Run(fmt.Sprintf("%s %c", flow.TypeName(of), op), rapid.MakeCheck(func(t *rapid.T) {
				operands(t, drawTable(t, of, of), func(l, r Expr) (Expr, error) { return NewArith(op, l, r) },
					func(l, r any) any { return arithmetic(op, of, l, r) })
			}))
		}
	}
}

// rational returns the value of a DECIMAL.
func rational(v decimal128.Num, scale int32) *big.Rat {
	return new(big.Rat).SetFrac(v.BigInt(), pow10(scale))
}

// rounded returns a rational as a DECIMAL, rounded half away from zero; failed if it does not
// fit.
func rounded(x *big.Rat, to *arrow.Decimal128Type) any {
	n := new(big.Int).Mul(x.Num(), pow10(to.Scale))
	q, m := new(big.Int).QuoRem(new(big.Int).Abs(n), x.Denom(), new(big.Int))
	if m.Lsh(m, 1).Cmp(x.Denom()) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	if x.Sign() < 0 {
		q.Neg(q)
	}
	if len(new(big.Int).Abs(q).String()) > int(to.Precision) && q.Sign() != 0 {
		return failed{}
	}
	return decimal128.FromBigInt(q)
}

// TestDecimalArith: DECIMAL arithmetic is exact, rounded half up to the scale of the result.
func TestDecimalArith(t *testing.T) {
	types := []flow.Type{
		flow.Decimal(5, 2),
		flow.Decimal(10, 0),
		flow.Decimal(18, 9),
		flow.Decimal(38, 6),
		flow.Decimal(38, 38),
		flow.Decimal(1, 1),
	}
	rapid.Check(t, func(t *rapid.T) {
		lt, rt := rapid.SampledFrom(types).Draw(t, "left"), rapid.SampledFrom(types).Draw(t, "right")
		op := rapid.SampledFrom([]byte("+-*/%")).Draw(t, "op")
		ls, rs := lt.(*arrow.Decimal128Type).Scale, rt.(*arrow.Decimal128Type).Scale
		var to *arrow.Decimal128Type
		operands(t, drawTable(t, lt, rt), func(l, r Expr) (Expr, error) {
			e, err := NewArith(op, l, r)
			if err == nil {
				to = e.Type().(*arrow.Decimal128Type)
			}
			return e, err
		}, func(l, r any) any {
			if l == nil || r == nil {
				return nil
			}
			x, y := rational(l.(decimal128.Num), ls), rational(r.(decimal128.Num), rs)
			out := new(big.Rat)
			switch op {
			case '+':
				out.Add(x, y)
			case '-':
				out.Sub(x, y)
			case '*':
				out.Mul(x, y)
			default:
				if y.Sign() == 0 {
					return failed{}
				}
				out.Quo(x, y)
				if op == '%' { // x - y * trunc(x / y)
					whole := new(big.Rat).SetInt(new(big.Int).Quo(out.Num(), out.Denom()))
					out.Sub(x, whole.Mul(whole, y))
				}
			}
			return rounded(out, to)
		})
	})
}

// TestDecimalTypes: the type of the result follows the rules that ksqlDB documents (SQL
// Server's).
func TestDecimalTypes(t *testing.T) {
	for _, c := range []struct {
		l    flow.Type
		op   byte
		r    flow.Type
		want string
	}{
		{flow.Decimal(4, 2), '+', flow.Decimal(4, 2), "DECIMAL(5,2)"}, {flow.Decimal(4, 2), '-', flow.Decimal(6, 4), "DECIMAL(7,4)"},
		{flow.Decimal(4, 2), '*', flow.Decimal(4, 2), "DECIMAL(9,4)"}, {flow.Decimal(4, 2), '/', flow.Decimal(4, 2), "DECIMAL(11,7)"},
		{flow.Decimal(4, 2), '%', flow.Decimal(4, 2), "DECIMAL(4,2)"}, {flow.Decimal(4, 2), '+', flow.Int, "DECIMAL(13,2)"},
		{flow.Bigint, '+', flow.Decimal(4, 2), "DECIMAL(22,2)"}, {flow.Decimal(38, 10), '*', flow.Decimal(38, 10), "DECIMAL(38,6)"},
		{flow.Decimal(38, 38), '+', flow.Decimal(38, 38), "DECIMAL(38,37)"}, {flow.Decimal(38, 0), '+', flow.Decimal(38, 0), "DECIMAL(38,0)"},
		{flow.Decimal(4, 2), '+', flow.Double, "DOUBLE"}, {flow.Int, '+', flow.Bigint, "BIGINT"}, {flow.Int, '/', flow.Int, "INTEGER"},
		{flow.Int, '*', flow.Float, "FLOAT"}, {flow.Float, '+', flow.Double, "DOUBLE"}, {flow.Null, '+', flow.Int, "INTEGER"},
	} {
		e, err := NewArith(c.op, &Column{0, "l", c.l}, &Column{1, "r", c.r})
		if err != nil || flow.TypeName(e.Type()) != c.want {
			t.Errorf("%s %c %s: %v %v, want %s", flow.TypeName(c.l), c.op, flow.TypeName(c.r), e, err, c.want)
		}
	}
	for _, c := range [][2]flow.Type{{flow.String, flow.Int}, {flow.Boolean, flow.Boolean}, {flow.Null, flow.Null}, {flow.Date, flow.Int}, {flow.Array(flow.Int), flow.Int}} {
		if e, err := NewArith('+', &Column{0, "l", c[0]}, &Column{1, "r", c[1]}); err == nil ||
			!strings.Contains(err.Error(), "two numbers") {
			t.Errorf("%v + %v gave %v, %v", c[0], c[1], e, err)
		}
	}
}

func TestNegate(t *testing.T) {
	for _, of := range []flow.Type{flow.Int, flow.Bigint, flow.Float, flow.Double, flow.Decimal(5, 2)} {
		t.Run(flow.TypeName(of), rapid.MakeCheck(func(t *rapid.T) {
			in := drawTable(t, of)
			check(t, must(t)(Negate(in.col(0))), in, func(i int) any {
				switch v := in.values[0][i].(type) {
				case int32:
					if v == math.MinInt32 {
						return failed{}
					}
					return -v
				case int64:
					if v == math.MinInt64 {
						return failed{}
					}
					return -v
				case float32:
					return -v
				case float64:
					return -v
				case decimal128.Num:
					return v.Negate()
				}
				return nil
			})
		}))
	}
	if _, err := Negate(Lit(flow.String, "x")); err == nil {
		t.Error("a text has no negative")
	}
}

// kernel evaluates e over a batch of 4,096 rows and reports rows per second.
func kernel(b *testing.B, e Expr, in *flow.Batch) {
	b.ReportAllocs()
	env := udf.Env{Account: flow.NewAccount(1 << 30), Fail: func(int, error) { b.Fatal("a row failed") }}
	for range b.N {
		Eval(e, in, env)
		env.Account.Settle(0, 0)
	}
	b.ReportMetric(float64(in.Rows())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkKernels measures every kernel of filters and projections over columns of 4,096 rows.
func BenchmarkKernels(b *testing.B) {
	n := 4096
	types := []flow.Type{flow.Int, flow.Bigint, flow.Double, flow.String, flow.Decimal(10, 2)}
	k := 0
	in := tableOf(n, 0, types, func(of flow.Type) any {
		k++
		switch of.ID() {
		case arrow.INT32:
			return int32(k%1000 + 1)
		case arrow.INT64:
			return int64(k % 5000)
		case arrow.FLOAT64:
			return float64(k%777) / 8
		case arrow.STRING:
			return fmt.Sprintf("car-%04d", k%3000)
		}
		return decimal128.FromI64(int64(k % 99999))
	})
	i, l, d, s, m := in.col(0), in.col(1), in.col(2), in.col(3), in.col(4)
	e := must(b)
	filter := e(NewCompare(Greater, d, Lit(flow.Double, 50.0), false))
	scaled := e(NewArith('/', d, Lit(flow.Double, 100.0)))
	both := e(NewLogic(true, filter, e(NewCompare(Less, i, Lit(flow.Int, int32(500)), false))))
	for _, c := range []struct {
		name string
		e    Expr
	}{
		{"add BIGINT", e(NewArith('+', l, l))}, {"divide DOUBLE by literal", scaled}, {"add DECIMAL", e(NewArith('+', m, m))},
		{"multiply BIGINT", e(NewArith('*', l, l))}, {"multiply DECIMAL", e(NewArith('*', m, m))},
		{"divide DECIMAL", e(NewArith('/', m, Lit(flow.Decimal(10, 2), decimal128.FromI64(300))))},
		{"compare DOUBLE", filter}, {"compare STRING", e(NewCompare(Equal, s, Lit(flow.String, "car-0042"), false))}, {"and", both},
		{"case", e(NewCase([]Expr{filter}, []Expr{scaled}, d))}, {"like", e(NewLike(s, Lit(flow.String, "car-%"), "", false))},
		{"like inner", e(NewLike(s, Lit(flow.String, "%r-0_4%"), "", false))}, {"in", e(NewIn(i, []Expr{Lit(flow.Int, int32(1)), Lit(flow.Int, int32(7))}, false))},
		{"cast INT to DOUBLE", e(NewCast(i, flow.Double))}, {"cast BIGINT to STRING", e(NewCast(l, flow.String))},
	} {
		b.Run(c.name, func(b *testing.B) { kernel(b, c.e, in.Batch) })
	}
	b.Run("filter and project", func(b *testing.B) {
		for range b.N {
			env := udf.Env{Account: flow.NewAccount(1 << 30)}
			keep := Eval(both, in.Batch, env)
			Eval(scaled, in.Batch.Where(boolean(keep)), env)
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
