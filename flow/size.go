package flow

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// Size returns the size of the rows of a column in bytes. For a slice, it counts only the
// slice, so that sizes of slices can be added.
func Size(a arrow.Array) int64 { return sizeOf(a, 0, a.Len()) }

func sizeOf(a arrow.Array, from, to int) int64 {
	n := int64(to - from)
	if n <= 0 {
		return 0
	}
	switch a := a.(type) {
	case *array.Null:
		return 0
	case *array.String:
		return 4*n + int64(a.ValueOffset(to)-a.ValueOffset(from))
	case *array.Binary:
		offsets := a.ValueOffsets()
		return 4*n + int64(offsets[to]-offsets[from])
	case *array.Map:
		first, last := span(a, from, to)
		return 4*n + sizeOf(a.Keys(), first, last) + sizeOf(a.Items(), first, last)
	case *array.List:
		first, last := span(a, from, to)
		return 4*n + sizeOf(a.ListValues(), first, last)
	case *array.Struct:
		size := n / 8
		for i := range a.NumField() {
			size += sizeOf(a.Field(i), from, to)
		}
		return size
	}
	if t, ok := a.DataType().(arrow.FixedWidthDataType); ok {
		return n*int64(t.BitWidth())/8 + n/8
	}
	return 16 * n
}

// span returns the range of the elements of rows [from, to).
func span(a array.ListLike, from, to int) (int, int) {
	first, _ := a.ValueOffsets(from)
	_, last := a.ValueOffsets(to - 1)
	return int(first), int(last)
}

// Size returns the size of the batch in bytes.
func (b *Batch) Size() int64 {
	if b == nil {
		return 0
	}
	size := int64(len(b.Ops))
	for _, c := range b.Columns() {
		size += Size(c)
	}
	return size
}

// RowSize returns the size of one row in bytes.
func (b *Batch) RowSize(row int) int64 { return SizeAt(b.Columns(), row) }

// SizeAt returns the size of a row of columns in bytes.
func SizeAt(cols []arrow.Array, row int) int64 {
	size := int64(0)
	for _, c := range cols {
		size += sizeOf(c, row, row+1)
	}
	return size
}

// TakenSize returns the size that Take of these rows would have, in bytes. Rows may repeat, so
// it can exceed the size of a.
func TakenSize(a arrow.Array, rows []int32) int64 {
	switch a.(type) {
	case *array.String, *array.Binary, *array.Map, *array.List, *array.Struct:
		size := int64(0)
		for _, r := range rows {
			size += sizeOf(a, int(r), int(r)+1)
		}
		return size
	}
	if a.Len() == 0 {
		return 0
	}
	return sizeOf(a, 0, 1) * int64(len(rows))
}

// ValueSize returns the size in a column of a Go value as returned by Value, in bytes. It is
// not for the fast path.
func ValueSize(v any) int64 {
	switch v := v.(type) {
	case string:
		return 4 + int64(len(v))
	case []byte:
		return 4 + int64(len(v))
	case []any:
		size := int64(4)
		for _, e := range v {
			size += ValueSize(e)
		}
		return size
	case []Entry:
		size := int64(4)
		for _, e := range v {
			size += ValueSize(e.Key) + ValueSize(e.Value)
		}
		return size
	}
	return 16
}
