// Package flow defines the data that moves through the engine: types, schemas, weights, event
// time and batches.
package flow

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
)

// Type is the type of a column. The engine uses Arrow's type system; the names below are the
// SQL names of the types in use.
type Type = arrow.DataType

// The types without parameters.
var (
	Boolean   Type = arrow.FixedWidthTypes.Boolean
	Int       Type = arrow.PrimitiveTypes.Int32
	Bigint    Type = arrow.PrimitiveTypes.Int64
	Float     Type = arrow.PrimitiveTypes.Float32
	Double    Type = arrow.PrimitiveTypes.Float64
	String    Type = arrow.BinaryTypes.String
	Bytes     Type = arrow.BinaryTypes.Binary
	Date      Type = arrow.FixedWidthTypes.Date32
	TimeOfDay Type = arrow.FixedWidthTypes.Time32ms
	Timestamp Type = &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}
	Null      Type = arrow.Null
)

// Decimal returns DECIMAL(precision, scale), 1 <= precision <= 38, 0 <= scale <= precision,
// stored in 128 bits.
func Decimal(precision, scale int32) Type {
	return &arrow.Decimal128Type{Precision: precision, Scale: scale}
}

// Array returns ARRAY<elem>.
func Array(elem Type) Type { return arrow.ListOf(elem) }

// Map returns MAP<key, value>.
func Map(key, value Type) Type { return arrow.MapOf(key, value) }

// Struct returns STRUCT<..> with the fields in order.
func Struct(fields ...arrow.Field) Type { return arrow.StructOf(fields...) }

// Field returns a nullable column or struct field.
func Field(name string, t Type) arrow.Field { return arrow.Field{Name: name, Type: t, Nullable: true} }

// SameType reports whether a and b are the same type. Names of struct fields matter,
// nullability does not.
func SameType(a, b Type) bool { return TypeName(a) == TypeName(b) }

// TypeName returns a type in SQL notation: "BIGINT", "ARRAY<DECIMAL(4,2)>", "STRUCT<`A`
// INTEGER>".
func TypeName(t Type) string {
	switch t := t.(type) {
	case nil:
		return "NULL"
	case *arrow.Decimal128Type:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case *arrow.MapType:
		return "MAP<" + TypeName(t.KeyType()) + ", " + TypeName(t.ItemType()) + ">"
	case *arrow.ListType:
		return "ARRAY<" + TypeName(t.Elem()) + ">"
	case *arrow.StructType:
		parts := make([]string, len(t.Fields()))
		for i, f := range t.Fields() {
			parts[i] = "`" + f.Name + "` " + TypeName(f.Type)
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	if name, ok := typeNames[t.ID()]; ok {
		return name
	}
	return strings.ToUpper(t.Name())
}

var typeNames = map[arrow.Type]string{
	arrow.BOOL: "BOOLEAN", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT", arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
	arrow.STRING: "STRING", arrow.BINARY: "BYTES", arrow.DATE32: "DATE", arrow.TIME32: "TIME", arrow.TIMESTAMP: "TIMESTAMP",
	arrow.NULL: "NULL",
}

// IsNumber reports whether t is INT, BIGINT, FLOAT, DOUBLE or DECIMAL.
func IsNumber(t Type) bool {
	switch t.ID() {
	case arrow.INT32, arrow.INT64, arrow.FLOAT32, arrow.FLOAT64, arrow.DECIMAL128:
		return true
	}
	return false
}
