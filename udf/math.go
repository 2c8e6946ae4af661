package udf

import (
	"errors"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// Functions of DOUBLE accept any number, because all widen to it. Outside their domain the
// result is NaN or an infinity, not an error.
var (
	_ = builtin(Func1("SQRT", "the square root; NaN of a negative number", math.Sqrt, Example{"SQRT(2.25)", "1.5"}))
	_ = builtin(Func1("CBRT", "the cube root", math.Cbrt, Example{"CBRT(27)", "3.0"}))
	_ = builtin(Func1("EXP", "e raised to the power of x", math.Exp, Example{"EXP(0)", "1.0"}))
	_ = builtin(
		Func1(
			"LN",
			"the natural logarithm; -Infinity of 0, NaN of a negative number",
			math.Log,
			Example{"LN(1)", "0.0"},
		),
	)
	_ = builtin(
		Func2(
			"POWER",
			"the base raised to the exponent; Infinity where a DOUBLE does not hold it",
			math.Pow,
			Example{"POWER(2, 10)", "1024.0"},
		),
	)
	_ = builtin(Func1("SIN", "the sine of an angle in radians", math.Sin, Example{"SIN(0)", "0.0"}))
	_ = builtin(Func1("COS", "the cosine of an angle in radians", math.Cos, Example{"COS(0)", "1.0"}))
	_ = builtin(Func1("TAN", "the tangent of an angle in radians", math.Tan, Example{"TAN(0)", "0.0"}))
	_ = builtin(
		Func1(
			"COT",
			"the cotangent of an angle in radians; Infinity of 0",
			func(x float64) float64 { return 1 / math.Tan(x) },
			Example{"COT(0)", "Infinity"},
		),
	)
	_ = builtin(
		Func1("ASIN", "the inverse sine, in radians; NaN outside [-1, 1]", math.Asin, Example{"ASIN(0)", "0.0"}),
	)
	_ = builtin(
		Func1("ACOS", "the inverse cosine, in radians; NaN outside [-1, 1]", math.Acos, Example{"ACOS(1)", "0.0"}),
	)
	_ = builtin(Func1("ATAN", "the inverse tangent, in radians", math.Atan, Example{"ATAN(0)", "0.0"}))
	_ = builtin(
		Func2(
			"ATAN2",
			"the angle of the point (x, y) given as ATAN2(y, x), in radians",
			math.Atan2,
			Example{"ATAN2(0, 1)", "0.0"},
		),
	)
	_ = builtin(Func1("SINH", "the hyperbolic sine", math.Sinh, Example{"SINH(0)", "0.0"}))
	_ = builtin(Func1("COSH", "the hyperbolic cosine", math.Cosh, Example{"COSH(0)", "1.0"}))
	_ = builtin(Func1("TANH", "the hyperbolic tangent", math.Tanh, Example{"TANH(0)", "0.0"}))
	_ = builtin(
		Func1(
			"DEGREES",
			"an angle in radians as degrees",
			func(x float64) float64 { return x * 180 / math.Pi },
			Example{"DEGREES(0)", "0.0"},
		),
	)
	_ = builtin(
		Func1(
			"RADIANS",
			"an angle in degrees as radians",
			func(x float64) float64 { return x / 180 * math.Pi },
			Example{"RADIANS(0)", "0.0"},
		),
	)
	_ = builtin(
		constant(
			"PI",
			"the ratio of a circle's circumference to its diameter",
			flow.Double,
			math.Pi,
			Example{"PI()", "3.141592653589793"},
		),
	)
)

var _ = builtin(
	overload(
		"LOG",
		"the logarithm of a value to base 10, or LOG(base, value) to any base; NaN for a base that is not "+
			"positive or is 1",
		[]Example{{"LOG(100)", "2.0"}, {"LOG(2, 8)", "3.0"}},
		Func1("LOG", "", math.Log10),
		Func2("LOG", "", logBase),
	),
)

func logBase(base, x float64) float64 {
	if base <= 0 || base == 1 {
		return math.NaN()
	}
	switch base {
	case 2:
		return math.Log2(x)
	case 10:
		return math.Log10(x)
	}
	return math.Log(x) / math.Log(base)
}

var _ = builtin(Func1("SIGN", "-1, 0 or 1: the sign of a number, as an INTEGER", func(x float64) int32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}, Example{"SIGN(-2.5)", "-1"}))

var errWide = errors.New("the result does not fit the type")

var _ = builtin(
	overload(
		"ABS",
		"the absolute value, in the argument's type",
		[]Example{{"ABS(-3)", "3"}, {"ABS(CAST(-1.5 AS DOUBLE))", "1.5"}},
		Try1("ABS", "", absolute[int32]),
		Try1("ABS", "", absolute[int64]),
		ofDecimal(
			"ABS",
			keepType,
			func(x decimal128.Num, _, _ *arrow.Decimal128Type) (decimal128.Num, error) { return x.Abs(), nil },
		),
		Func1("ABS", "", math.Abs),
	),
)

func absolute[T int32 | int64](x T) (T, error) {
	if x >= 0 {
		return x, nil
	}
	if -x < 0 {
		return 0, errWide
	}
	return -x, nil
}

// carrying marks a function that rounds.
func carrying(f Scalar) Scalar {
	f.Carries = true
	return f
}

func same[T any](x T) T { return x }

var _ = builtin(carrying(
	overload(
		"CEIL",
		"the least whole number that is not less, in the argument's type",
		[]Example{{"CEIL(CAST(1.2 AS DOUBLE))", "2.0"}, {"CEIL(-1.5)", "-1.0"}},
		Func1(
			"CEIL",
			"",
			same[int32],
		),
		Func1("CEIL", "", same[int64]),
		ofDecimal("CEIL", keepType, toward(ceiling)),
		Func1("CEIL", "", math.Ceil),
	),
))

var _ = builtin(carrying(
	overload(
		"FLOOR",
		"the greatest whole number that is not greater, in the argument's type",
		[]Example{{"FLOOR(CAST(1.8 AS DOUBLE))", "1.0"}, {"FLOOR(-1.5)", "-2.0"}},
		Func1(
			"FLOOR",
			"",
			same[int32],
		),
		Func1("FLOOR", "", same[int64]),
		ofDecimal("FLOOR", keepType, toward(floor)),
		Func1("FLOOR", "", math.Floor),
	),
))

var _ = builtin(carrying(
	overload(
		"ROUND",
		"the nearest whole number (a DOUBLE becomes a BIGINT), or ROUND(x, d) with d digits after the point "+
			"(before it, if d < 0); halves go up",
		[]Example{
			{"ROUND(CAST(2.5 AS DOUBLE))", "3"},
			{"ROUND(CAST(-2.5 AS DOUBLE))", "-2"},
			{"ROUND(CAST(1.005 AS DOUBLE), 2)", "1.01"},
			{"ROUND(12.345, 2)", "12.350"},
		},
		rounding("ROUND", nearest)...),
))

var _ = builtin(
	overload(
		"TRUNC",
		"the number without its fraction (a DOUBLE becomes a BIGINT), or TRUNC(x, d) with d digits after the "+
			"point (before it, if d < 0)",
		[]Example{
			{"TRUNC(CAST(-2.7 AS DOUBLE))", "-2"},
			{"TRUNC(CAST(1.239 AS DOUBLE), 2)", "1.23"},
			{"TRUNC(12.345, 1)", "12.300"},
		},
		rounding("TRUNC", truncate)...),
)

var _ = builtin(
	overload(
		"GEO_DISTANCE",
		"the great-circle distance between two points, GEO_DISTANCE(lat1, lon1, lat2, lon2[, unit]), in degrees; "+
			"the unit is KM (also when NULL) or MILES",
		[]Example{{"ROUND(GEO_DISTANCE(37.4, -122.1, 51.5, -0.1))", "8638"}},
		Try4("GEO_DISTANCE", "", func(a, b, c, d float64) (float64, error) { return distance(a, b, c, d, earthKM) }),
		bound("GEO_DISTANCE", "", func(have []flow.Type) (Signature, error) {
			args := []flow.Type{flow.Double, flow.Double, flow.Double, flow.Double, flow.String}
			return Signature{
					Args:   args,
					Result: flow.Double,
					Kernel: Each(flow.Double, true, distanceIn),
				}, Accept(
					"GEO_DISTANCE",
					have,
					args...)
		}),
	),
)

const earthKM, earthMiles = 6371.0, 3959.0

func distanceIn(args []any) (any, error) {
	for _, a := range args[:4] {
		if a == nil {
			return nil, nil
		}
	}
	radius := earthKM
	if unit, ok := args[4].(string); ok {
		switch upper(unit) {
		case "KM", "KILOMETER", "KILOMETERS", "KILOMETRE", "KILOMETRES":
		case "MI", "MILE", "MILES":
			radius = earthMiles
		default:
			return nil, errors.New("the unit of a distance is KM or MILES, not " + quote(unit))
		}
	}
	d, err := distance(args[0].(float64), args[1].(float64), args[2].(float64), args[3].(float64), radius)
	return d, err
}

// distance is the haversine formula.
func distance(lat1, lon1, lat2, lon2, radius float64) (float64, error) {
	if !(math.Abs(lat1) <= 90 && math.Abs(lat2) <= 90 && math.Abs(lon1) <= 180 && math.Abs(lon2) <= 180) {
		return 0, errors.New("a latitude lies in [-90, 90] and a longitude in [-180, 180]")
	}
	const degree = math.Pi / 180
	dLat, dLon := (lat2-lat1)*degree, (lon2-lon1)*degree
	a := math.Pow(math.Sin(dLat/2), 2) + math.Pow(math.Sin(dLon/2), 2)*math.Cos(lat1*degree)*math.Cos(lat2*degree)
	return 2 * radius * math.Asin(math.Sqrt(min(1, a))), nil
}
