package conformance

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
)

// defaultTolerance is the maximum difference of doubles, relative to the expected one, or absolute below 1.
const defaultTolerance = 1e-6

// value decodes a JSON value; numbers keep their digits. An absent value and null are nil.
func value(text json.RawMessage) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// comparer compares actual with expected values.
type comparer struct {
	tolerance float64
}

// same compares JSON values. typ is the type of got, or nil if it is not known. A DECIMAL is exact, including
// its scale, in either spelling. Without a type, numbers with a point or an exponent are compared as doubles.
func (c comparer) same(got, want any, typ arrow.DataType) bool {
	switch want := want.(type) {
	case nil:
		return got == nil
	case bool:
		b, ok := got.(bool)
		return ok && b == want
	case json.Number:
		n, ok := got.(json.Number)
		return ok && c.sameNumber(string(n), string(want), typ)
	case string:
		if n, ok := got.(json.Number); ok { // the expected DECIMAL is a string
			return sameDecimal(string(n), want)
		}
		s, ok := got.(string)
		return ok && s == want
	case []any:
		return c.sameList(got, want, typ)
	case map[string]any:
		return c.sameObject(got, want, typ)
	}
	return false
}

func (c comparer) sameList(got any, want []any, typ arrow.DataType) bool {
	list, ok := got.([]any)
	if !ok || len(list) != len(want) {
		return false
	}
	var elem arrow.DataType
	if l, ok := typ.(*arrow.ListType); ok {
		elem = l.Elem()
	}
	for i := range want {
		if !c.same(list[i], want[i], elem) {
			return false
		}
	}
	return true
}

// sameObject matches members by name, exactly first and then case-insensitively. The numbers of members,
// including null ones, must be equal. Otherwise a null member equals a missing one, for names that the engine
// generated.
func (c comparer) sameObject(got any, want map[string]any, typ arrow.DataType) bool {
	object, ok := got.(map[string]any)
	if !ok || len(object) != len(want) {
		return false
	}
	for name, w := range want {
		own := name
		if _, ok := object[name]; !ok {
			for k := range object {
				if strings.EqualFold(k, name) {
					own = k
				}
			}
		}
		if !c.same(object[own], w, memberType(typ, own)) {
			return false
		}
	}
	return true
}

func memberType(typ arrow.DataType, name string) arrow.DataType {
	switch t := typ.(type) {
	case *arrow.MapType:
		return t.ItemType()
	case *arrow.StructType:
		if i, ok := t.FieldIdx(name); ok {
			return t.Field(i).Type
		}
	}
	return nil
}

func (c comparer) sameNumber(got, want string, typ arrow.DataType) bool {
	if _, ok := typ.(*arrow.Decimal128Type); ok {
		x, okx := rational(got)
		y, oky := rational(want)
		return okx && oky && x.Cmp(y) == 0
	}
	x, okx := rational(got)
	y, oky := rational(want)
	if !okx || !oky {
		return false
	}
	if x.Cmp(y) == 0 {
		return true
	}
	if !strings.ContainsAny(got+want, ".eE") {
		return false
	}
	tolerance := c.tolerance
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	limit := new(big.Rat).Abs(y)
	if one := big.NewRat(1, 1); limit.Cmp(one) < 0 {
		limit = one
	}
	limit.Mul(limit, new(big.Rat).SetFloat64(tolerance))
	return new(big.Rat).Abs(new(big.Rat).Sub(x, y)).Cmp(limit) <= 0
}

// maxDigits bounds the exponents that are compared exactly, so that 1e999999999 is cheap.
const maxDigits = 400

func rational(s string) (*big.Rat, bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 5 || len(s) > 4*maxDigits {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// sameDecimal compares exactly, including the scale.
func sameDecimal(got, want string) bool {
	x, okx := rational(got)
	y, oky := rational(want)
	return okx && oky && x.Cmp(y) == 0 && scale(got) == scale(want)
}

func scale(s string) int {
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return len(s) - i - 1
	}
	return 0
}
