package flow

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Outside the fast path, a single value is represented as a Go value:
//
//	BOOLEAN bool · INT int32 · BIGINT int64 · FLOAT float32 · DOUBLE float64 · DECIMAL decimal128.Num (scale: the type's) ·
//	STRING string · BYTES []byte · DATE arrow.Date32 · TIME arrow.Time32 · TIMESTAMP arrow.Timestamp ·
//	ARRAY []any · MAP []Entry (ordered) · STRUCT []any (a value per field) · NULL nil

// Entry is one pair of a MAP value.
type Entry struct{ Key, Value any }

// Mem is the allocator of all batches: Go's heap, so that nothing must be released.
var Mem memory.Allocator = memory.NewGoAllocator()

// Builder returns a builder for t.
func Builder(t Type) array.Builder { return array.NewBuilder(Mem, t) }

// Value returns a row of a column as a Go value.
func Value(a arrow.Array, row int) any {
	if a.IsNull(row) {
		return nil
	}
	switch a := a.(type) {
	case *array.Null:
		return nil
	case *array.Boolean:
		return a.Value(row)
	case *array.Int32:
		return a.Value(row)
	case *array.Int64:
		return a.Value(row)
	case *array.Float32:
		return a.Value(row)
	case *array.Float64:
		return a.Value(row)
	case *array.Decimal128:
		return a.Value(row)
	case *array.String:
		return a.Value(row)
	case *array.Binary:
		if v := a.Value(row); v != nil {
			return v
		}
		return []byte{} // of a column without bytes: empty is not NULL
	case *array.Date32:
		return a.Value(row)
	case *array.Time32:
		return a.Value(row)
	case *array.Timestamp:
		return a.Value(row)
	case *array.Map:
		from, to := a.ValueOffsets(row)
		out := make([]Entry, 0, to-from)
		for i := int(from); i < int(to); i++ {
			out = append(out, Entry{Value(a.Keys(), i), Value(a.Items(), i)})
		}
		return out
	case *array.List:
		from, to := a.ValueOffsets(row)
		out := make([]any, 0, to-from)
		for i := int(from); i < int(to); i++ {
			out = append(out, Value(a.ListValues(), i))
		}
		return out
	case *array.Struct:
		out := make([]any, a.NumField())
		for i := range out {
			out[i] = Value(a.Field(i), row)
		}
		return out
	}
	panic(fmt.Sprintf("flow: no values of type %s", a.DataType()))
}

// Append appends a Go value, as returned by Value, to a builder.
func Append(b array.Builder, v any) {
	if v == nil {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.Int32Builder:
		b.Append(v.(int32))
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.Float32Builder:
		b.Append(v.(float32))
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.Decimal128Builder:
		b.Append(v.(decimal128.Num))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append(v.([]byte))
	case *array.Date32Builder:
		b.Append(v.(arrow.Date32))
	case *array.Time32Builder:
		b.Append(v.(arrow.Time32))
	case *array.TimestampBuilder:
		b.Append(v.(arrow.Timestamp))
	case *array.MapBuilder:
		b.Append(true)
		for _, e := range v.([]Entry) {
			Append(b.KeyBuilder(), e.Key)
			Append(b.ItemBuilder(), e.Value)
		}
	case *array.ListBuilder:
		b.Append(true)
		for _, e := range v.([]any) {
			Append(b.ValueBuilder(), e)
		}
	case *array.StructBuilder:
		b.Append(true)
		for i, e := range v.([]any) {
			Append(b.FieldBuilder(i), e)
		}
	case *array.NullBuilder:
		b.AppendNull()
	default:
		panic(fmt.Sprintf("flow: no values of type %s", b.Type()))
	}
}

// Repeat returns a column that contains the same value n times.
func Repeat(t Type, v any, n int) arrow.Array {
	b := Builder(t)
	b.Reserve(n)
	for range n {
		Append(b, v)
	}
	return b.NewArray()
}

// Column returns a column of Go values.
func Column(t Type, values ...any) arrow.Array {
	b := Builder(t)
	for _, v := range values {
		Append(b, v)
	}
	return b.NewArray()
}
