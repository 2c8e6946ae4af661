package format

import (
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/jsontext"
	"pgregory.net/rapid"
)

func rapidDecimal(t *rapid.T) decimal128.Num {
	return decimal128.FromI64(rapid.Int64().Draw(t, "decimal"))
}

func TestAppendDouble(t *testing.T) {
	cases := []struct {
		v    float64
		want string
	}{
		{0, "0.0"}, {math.Copysign(0, -1), "-0.0"}, {1, "1.0"}, {-100, "-100.0"}, {0.1, "0.1"}, {1e10, "1.0E10"}, {1234567, "1234567.0"},
		{9999999, "9999999.0"}, {1e7, "1.0E7"}, {12345678.9, "1.23456789E7"}, {0.001, "0.001"}, {0.00099, "9.9E-4"}, {-1e-5, "-1.0E-5"},
		{1e23, "1.0E23"}, {2e-323, "2.0E-323"}, {5e-324, "4.9E-324"}, {math.MaxFloat64, "1.7976931348623157E308"}, {9007199254740992, "9.007199254740992E15"},
		{math.NaN(), "NaN"}, {math.Inf(1), "Infinity"}, {math.Inf(-1), "-Infinity"}, {1.0 / 3, "0.3333333333333333"}, {9999999.5, "9999999.5"},
	}
	for _, c := range cases {
		if got := string(flow.AppendDouble([]byte("<"), c.v)); got != "<"+c.want {
			t.Errorf("%v: %s, want %s", c.v, got, c.want)
		}
	}
	for v, want := range map[float32]string{0.1: "0.1", 16777216: "1.6777216E7", 1e10: "1.0E10", 3.4028235e38: "3.4028235E38", 1e-45: "1.4E-45"} {
		if got := string(flow.AppendFloat(nil, v)); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		if back, err := strconv.ParseFloat(string(flow.AppendDouble(nil, v)), 64); err != nil || back != v {
			t.Fatalf("%v reads back as %v", v, back)
		}
	})
}

// TestNumbersAgreeWithStrconv compares the value of each number that scanNumber accepts with strconv's.
func TestNumbersAgreeWithStrconv(t *testing.T) {
	check := func(t rapid.TB, text string) {
		n, end := scanNumber([]byte(text), 0)
		if end != len(text) {
			t.Fatalf("%s is read up to %d", text, end)
		}
		got, err := n.double([]byte(text))
		want, wantErr := strconv.ParseFloat(text, 64)
		if (err != nil) != (wantErr != nil) || err == nil && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s: %v %v, strconv %v %v", text, got, err, want, wantErr)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "text"))
		v := rapid.Float64().Draw(t, "v")
		check(t, strconv.FormatFloat(v, 'g', rapid.IntRange(1, 19).Draw(t, "digits"), 64))
		check(t, strconv.FormatFloat(v, 'e', -1, 64))
		half := math.Float64frombits(math.Float64bits(math.Abs(v)) &^ 3) // the midpoint to the next number is the hardest to round
		mid := new(big.Float).Add(big.NewFloat(half), big.NewFloat(math.Nextafter(half, math.Inf(1))))
		check(t, mid.Quo(mid, big.NewFloat(2)).Text('e', 18))
	})
	for _, text := range []string{"9007199254740993", "9007199254740995", "18446744073709551615", "18446744073709551616", "1e22", "1e23", "0.000001",
		"123456789.123456789e-64", "99999999999999999999e64", "0.00000000000000000000000000000000000000000000000001"} {
		check(t, text)
	}
}

func TestDecimalAgainstBigNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.Int32Range(1, 38).Draw(t, "precision")
		scale := rapid.Int32Range(0, precision).Draw(t, "scale")
		text := rapid.StringMatching(`-?[0-9]{1,30}(\.[0-9]{1,12})?(e-?[0-9])?`).Draw(t, "text")
		exact, _ := new(big.Rat).SetString(text)
		scaled := new(big.Rat).Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
		fits := scaled.IsInt() && new(big.Int).Abs(scaled.Num()).Cmp(limit) < 0
		got, err := parseDecimal([]byte(text), precision, scale)
		if (err == nil) != fits || fits && got.BigInt().Cmp(scaled.Num()) != 0 {
			t.Fatalf("%s as DECIMAL(%d, %d): %v %v, want %v %v", text, precision, scale, got.BigInt(), err, scaled, fits)
		}
		if fits {
			back, ok := new(big.Rat).SetString(string(flow.AppendDecimal(nil, got, scale)))
			if !ok || back.Cmp(exact) != 0 {
				t.Fatalf("%s is written %s", text, flow.AppendDecimal(nil, got, scale))
			}
		}
	})
}

func TestSkipNumberEndsWhereScanNumberDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.StringMatching(`-?[0-9]{0,20}(\.[0-9]{0,10})?([eE][+-]?[0-9]{0,3})?[x,:/ ]?.?`).Draw(t, "text"))
		if _, end := scanNumber(text, 0); end != jsontext.SkipNumber(text, 0, maxDigits) {
			t.Fatalf("%s: %d and %d", text, end, jsontext.SkipNumber(text, 0, maxDigits))
		}
	})
}
