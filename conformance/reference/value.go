package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"sort"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// compare compares two values of one type that are not NULL; false if they have no order, as NaN with any
// number.
func compare(a, b any) (int, bool) {
	switch a := a.(type) {
	case int32:
		return cmp.Compare(a, b.(int32)), true
	case int64:
		return cmp.Compare(a, b.(int64)), true
	case float32:
		return compareFloats(float64(a), float64(b.(float32)))
	case float64:
		return compareFloats(a, b.(float64))
	case string:
		return strings.Compare(a, b.(string)), true
	case []byte:
		return bytes.Compare(a, b.([]byte)), true
	case decimal128.Num:
		return a.BigInt().Cmp(b.(decimal128.Num).BigInt()), true
	case arrow.Date32:
		return cmp.Compare(a, b.(arrow.Date32)), true
	case arrow.Time32:
		return cmp.Compare(a, b.(arrow.Time32)), true
	case arrow.Timestamp:
		return cmp.Compare(a, b.(arrow.Timestamp)), true
	}
	if identity([]any{a}) == identity([]any{b}) {
		return 0, true
	}
	return 1, true
}

func compareFloats(a, b float64) (int, bool) {
	if a != a || b != b {
		return 0, false
	}
	return cmp.Compare(a, b), true
}

// order is compare for functions that order all values: NaN is greater than every number.
func order(a, b any) int {
	c, ok := compare(a, b)
	if ok {
		return c
	}
	_, aNumber := compare(a, a)
	_, bNumber := compare(b, b)
	switch {
	case aNumber:
		return -1
	case bNumber:
		return 1
	}
	return 0
}

// identity returns a text that is equal for two lists of values if and only if they are equal: -0 equals 0,
// all NaN are equal, and the order of a map does not count.
func identity(vals []any) string {
	var out strings.Builder
	for _, v := range vals {
		switch v := v.(type) {
		case string:
			fmt.Fprintf(&out, "%q,", v)
		case []byte:
			fmt.Fprintf(&out, "x%x,", v)
		case float32:
			fmt.Fprintf(&out, "%v,", v+0)
		case float64:
			fmt.Fprintf(&out, "%v,", v+0)
		case decimal128.Num:
			fmt.Fprintf(&out, "%s,", v.BigInt())
		case []any:
			fmt.Fprintf(&out, "[%s],", identity(v))
		case []flow.Entry:
			var entries []string
			for _, e := range v {
				entries = append(entries, identity([]any{e.Key, e.Value}))
			}
			sort.Strings(entries)
			fmt.Fprintf(&out, "{%s},", strings.Join(entries, ";"))
		case arrow.Timestamp:
			fmt.Fprintf(&out, "%d,", int64(v))
		default:
			fmt.Fprintf(&out, "%v,", v)
		}
	}
	return out.String()
}

func tenTo(n int32) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// unscaled returns the unscaled integer of an INT, a BIGINT or a DECIMAL.
func unscaled(v any) *big.Int {
	switch v := v.(type) {
	case int32:
		return big.NewInt(int64(v))
	case int64:
		return big.NewInt(v)
	}
	return v.(decimal128.Num).BigInt()
}

// fits reports whether an unscaled integer fits a type; digits is the precision of a DECIMAL.
func fits(n *big.Int, t flow.Type, digits int32) bool {
	switch t.ID() {
	case arrow.INT32:
		return n.IsInt64() && n.Int64() == int64(int32(n.Int64()))
	case arrow.INT64:
		return n.IsInt64()
	}
	return n.CmpAbs(tenTo(digits)) < 0
}

func fromUnscaled(n *big.Int, t flow.Type) any {
	switch t.ID() {
	case arrow.INT32:
		return int32(n.Int64())
	case arrow.INT64:
		return n.Int64()
	}
	return decimal128.FromBigInt(n)
}

// rational returns an exact number as a fraction.
func rational(v any, t flow.Type) *big.Rat {
	r := new(big.Rat).SetInt(unscaled(v))
	if d, ok := t.(*arrow.Decimal128Type); ok {
		r.Quo(r, new(big.Rat).SetInt(tenTo(d.Scale)))
	}
	return r
}

// decimal rounds a fraction to a DECIMAL, halves away from zero; NULL if it has too many digits.
func decimal(r *big.Rat, t *arrow.Decimal128Type) any {
	r = new(big.Rat).Mul(r, new(big.Rat).SetInt(tenTo(t.Scale)))
	half := big.NewRat(int64(r.Sign()), 2)
	r.Add(r, half)
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !fits(n, t, t.Precision) {
		return nil
	}
	return decimal128.FromBigInt(n)
}
