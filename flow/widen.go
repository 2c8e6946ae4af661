package flow

import (
	"github.com/apache/arrow/go/v15/arrow"
)

// Widens reports whether a value of type from is accepted as type to without a CAST: NULL for
// every type; numbers in the order INT, BIGINT, DECIMAL, (FLOAT,) DOUBLE; arrays, maps and
// structs if their components are.
func Widens(from, to Type) bool {
	if from.ID() == arrow.NULL || SameType(from, to) {
		return true
	}
	switch from := from.(type) {
	case *arrow.MapType:
		to, ok := to.(*arrow.MapType)
		return ok && Widens(from.KeyType(), to.KeyType()) && Widens(from.ItemType(), to.ItemType())
	case *arrow.ListType:
		to, ok := to.(*arrow.ListType)
		return ok && Widens(from.Elem(), to.Elem())
	case *arrow.StructType:
		to, ok := to.(*arrow.StructType)
		if !ok || len(from.Fields()) != len(to.Fields()) {
			return false
		}
		for i, f := range from.Fields() {
			if f.Name != to.Field(i).Name || !Widens(f.Type, to.Field(i).Type) {
				return false
			}
		}
		return true
	}
	a, b := rank(from), rank(to)
	if a == 0 || b == 0 {
		return false
	}
	if to.ID() == arrow.DECIMAL128 {
		have, want := AsDecimal(from), to.(*arrow.Decimal128Type)
		return have != nil && have.Precision-have.Scale <= want.Precision-want.Scale && have.Scale <= want.Scale
	}
	return a < b
}

func rank(t Type) int {
	switch t.ID() {
	case arrow.INT32:
		return 1
	case arrow.INT64:
		return 2
	case arrow.DECIMAL128:
		return 3
	case arrow.FLOAT32:
		return 4
	case arrow.FLOAT64:
		return 5
	}
	return 0
}

// AsDecimal returns the DECIMAL type that holds every value of an exact number type; nil for
// other types.
func AsDecimal(t Type) *arrow.Decimal128Type {
	switch t := t.(type) {
	case *arrow.Int32Type:
		return &arrow.Decimal128Type{Precision: 10}
	case *arrow.Int64Type:
		return &arrow.Decimal128Type{Precision: 19}
	case *arrow.Decimal128Type:
		return t
	}
	return nil
}

// Common returns the narrowest type to which both types widen; false if there is none.
func Common(a, b Type) (Type, bool) {
	switch {
	case Widens(a, b):
		return b, true
	case Widens(b, a):
		return a, true
	}
	switch x := a.(type) {
	case *arrow.ListType:
		if y, ok := b.(*arrow.ListType); ok {
			if e, ok := Common(x.Elem(), y.Elem()); ok {
				return Array(e), true
			}
		}
		return nil, false
	case *arrow.MapType:
		if y, ok := b.(*arrow.MapType); ok {
			k, ok1 := Common(x.KeyType(), y.KeyType())
			v, ok2 := Common(x.ItemType(), y.ItemType())
			if ok1 && ok2 {
				return Map(k, v), true
			}
		}
		return nil, false
	case *arrow.StructType:
		return commonStruct(x, b)
	}
	x, y := AsDecimal(a), AsDecimal(b)
	if x == nil || y == nil {
		return nil, false
	}
	scale := max(x.Scale, y.Scale)
	return Decimal(min(38, max(x.Precision-x.Scale, y.Precision-y.Scale)+scale), scale), true
}

func commonStruct(a *arrow.StructType, b Type) (Type, bool) {
	y, ok := b.(*arrow.StructType)
	if !ok {
		return nil, false
	}
	fields := append([]arrow.Field(nil), a.Fields()...)
	for _, f := range y.Fields() {
		i, found := a.FieldIdx(f.Name)
		if !found {
			fields = append(fields, f)
			continue
		}
		t, ok := Common(fields[i].Type, f.Type)
		if !ok {
			return nil, false
		}
		fields[i].Type = t
	}
	return Struct(fields...), true
}
