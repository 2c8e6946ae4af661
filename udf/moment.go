package udf

import (
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// The variance state is count, mean and sum of squared differences (Welford 1962), which does
// not suffer from cancellation like the sum of squares. Rows are removed by the inverse steps,
// and states are merged by Chan, Golub and LeVeque 1979.

func init() {
	zero := func(b *array.Float64Builder) { b.Append(0) }
	null := func(b *array.Float64Builder) { b.AppendNull() }
	x := func(call string) string { return over(call, "ARRAY[1, 3, 5]") }
	for _, s := range []struct {
		name, doc string
		spread
		want string
	}{
		{"STDDEV_SAMPLE", "the sample standard deviation; 0 of fewer than two values", spread{1, true, zero}, "2.0"},
		{"STDDEV_SAMP", "the sample variance, like ksqlDB's function of this name; STDDEV_SAMPLE is the deviation", spread{1, false, zero}, "4.0"},
		{"STDDEV_POP", "the standard deviation of the whole population; NULL without values", spread{0, true, null}, "1.632993161855452"},
		{"STDDEV", "the sample standard deviation; NULL of fewer than two values", spread{1, true, null}, "2.0"},
		{"VARIANCE", "the sample variance; NULL of fewer than two values", spread{1, false, null}, "4.0"},
		{"VAR_SAMP", "the sample variance; NULL of fewer than two values", spread{1, false, null}, "4.0"},
		{"VAR_POP", "the variance of the whole population; NULL without values", spread{0, false, null}, "2.6666666666666665"},
	} {
		builtin(
			Aggregate{
				Name:     s.name,
				Doc:      s.doc,
				Examples: []Example{{x(s.name + "(x)"), s.want}},
				Bind: func(args []flow.Type, _ []any) (Bound, error) {
					return Bound{
							Args:     []flow.Type{flow.Double},
							Result:   flow.Double,
							Retracts: true,
							New:      func() Accumulator { return s.spread },
						}, Accept(
							s.name,
							args,
							flow.Double,
						)
				},
			},
		)
	}
}

func number(s []byte, i int) float64       { return math.Float64frombits(word(s, i)) }
func setNumber(s []byte, i int, f float64) { setWord(s, i, math.Float64bits(f)) }

// squares updates a sum of squared differences. After the removal of a row, the remainder may
// be a rounding error; it is then set to 0, because otherwise equal values would have a
// deviation.
func squares(sum, by float64) float64 {
	if next := sum + by; by > 0 || next > -by*1e-12 || next != next {
		return next
	}
	return 0
}

// spread stores count, mean and squares. Its result needs at least fewer + 1 values.
type spread struct {
	fewer float64 // degrees of freedom that the mean took
	root  bool
	none  func(*array.Float64Builder)
}

func (spread) Size() int { return 24 }
func (spread) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	a := args[0].(*array.Float64)
	if a.IsNull(row) {
		return s, nil
	}
	x, n := a.Value(row), number(s, 0)+float64(w)
	if n <= 0 {
		clear(s)
		return s, nil
	}
	mean := number(s, 1)
	next := mean + float64(w)*(x-mean)/n
	setNumber(s, 0, n)
	setNumber(s, 1, next)
	setNumber(s, 2, squares(number(s, 2), float64(w)*(x-mean)*(x-next)))
	return s, nil
}
func (x spread) Value(s []byte, to array.Builder) error {
	b, n := to.(*array.Float64Builder), number(s, 0)
	switch v := number(s, 2) / (n - x.fewer); {
	case n <= x.fewer:
		x.none(b)
	case x.root:
		b.Append(math.Sqrt(v))
	default:
		b.Append(v)
	}
	return nil
}
func (spread) Merge(into, from []byte) ([]byte, error) {
	a, b := number(into, 0), number(from, 0)
	if b == 0 {
		return into, nil
	}
	n, d := a+b, number(from, 1)-number(into, 1)
	setNumber(into, 0, n)
	setNumber(into, 1, number(into, 1)+d*b/n)
	setNumber(into, 2, number(into, 2)+number(from, 2)+d*d*a*b/n)
	return into, nil
}

var _ = builtin(
	Aggregate{
		Name: "CORRELATION",
		Doc: "the Pearson correlation of two columns, over the rows in which neither is NULL; NaN where one " +
			"does not vary",
		Bind: func(args []flow.Type, _ []any) (Bound, error) {
			return Bound{
					Args:     repeat(flow.Double, 2),
					Result:   flow.Double,
					Retracts: true,
					New:      func() Accumulator { return correlation{} },
				}, Accept(
					"CORRELATION",
					args,
					flow.Double,
					flow.Double,
				)
		},
		Examples: []Example{{over("CORRELATION(x, 2 * x)", "ARRAY[1, 2, 3]"), "1.0"}},
	},
)

// correlation stores count, means, and the sums of squares and products.
type correlation struct{}

func (correlation) Size() int { return 48 }
func (correlation) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	ax, ay := args[0].(*array.Float64), args[1].(*array.Float64)
	if ax.IsNull(row) || ay.IsNull(row) {
		return s, nil
	}
	n, sign := number(s, 0)+float64(w), float64(w)
	if n <= 0 {
		clear(s)
		return s, nil
	}
	dx, dy := ax.Value(row)-number(s, 1), ay.Value(row)-number(s, 2)
	setNumber(s, 0, n)
	setNumber(s, 1, number(s, 1)+sign*dx/n)
	setNumber(s, 2, number(s, 2)+sign*dy/n)
	ex, ey := ax.Value(row)-number(s, 1), ay.Value(row)-number(s, 2)
	setNumber(s, 3, squares(number(s, 3), sign*dx*ex))
	setNumber(s, 4, squares(number(s, 4), sign*dy*ey))
	setNumber(s, 5, number(s, 5)+sign*dx*ey)
	if number(s, 3) == 0 || number(s, 4) == 0 {
		setNumber(s, 5, 0)
	}
	return s, nil
}
func (correlation) Value(s []byte, to array.Builder) error {
	r := number(s, 5) / math.Sqrt(number(s, 3)*number(s, 4))
	if math.IsNaN(r) || r == 0 { // perhaps the product is too great or too small for a DOUBLE
		r = number(s, 5) / math.Sqrt(number(s, 3)) / math.Sqrt(number(s, 4))
	}
	if number(s, 0) < 2 || math.IsInf(r, 0) {
		r = math.NaN()
	}
	to.(*array.Float64Builder).Append(r)
	return nil
}
func (correlation) Merge(into, from []byte) ([]byte, error) {
	a, b := number(into, 0), number(from, 0)
	if b == 0 {
		return into, nil
	}
	n, dx, dy := a+b, number(from, 1)-number(into, 1), number(from, 2)-number(into, 2)
	setNumber(into, 0, n)
	setNumber(into, 1, number(into, 1)+dx*b/n)
	setNumber(into, 2, number(into, 2)+dy*b/n)
	setNumber(into, 3, number(into, 3)+number(from, 3)+dx*dx*a*b/n)
	setNumber(into, 4, number(into, 4)+number(from, 4)+dy*dy*a*b/n)
	setNumber(into, 5, number(into, 5)+number(from, 5)+dx*dy*a*b/n)
	return into, nil
}
