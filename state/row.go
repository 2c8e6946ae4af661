package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
)

// errRow reports bytes that AppendRow cannot have written.
var errRow = errors.New("the row is malformed")

// AppendRow appends the compact encoding of a row: a bitmap of NULLs, then the values that are
// not NULL. Integers take 1 to 10 bytes, strings their length and their bytes. The encoding is
// neither ordered nor self-describing; DecodeRow needs builders of the same types. It panics
// for a type that package flow does not have.
func AppendRow(dst []byte, cols []arrow.Array, row int) []byte {
	at := len(dst)
	for range (len(cols) + 7) / 8 {
		dst = append(dst, 0)
	}
	for i, c := range cols {
		if c.DataType().ID() == arrow.NULL || c.IsNull(row) {
			dst[at+i/8] |= 1 << (i % 8)
		} else {
			dst = appendValue(dst, c, row)
		}
	}
	return dst
}

// appendValue appends one value that is not NULL.
func appendValue(dst []byte, col arrow.Array, row int) []byte {
	switch col := col.(type) {
	case *array.Boolean:
		if col.Value(row) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case *array.Int32:
		return binary.AppendVarint(dst, int64(col.Value(row)))
	case *array.Int64:
		return binary.AppendVarint(dst, col.Value(row))
	case *array.Date32:
		return binary.AppendVarint(dst, int64(col.Value(row)))
	case *array.Time32:
		return binary.AppendVarint(dst, int64(col.Value(row)))
	case *array.Timestamp:
		return binary.AppendVarint(dst, int64(col.Value(row)))
	case *array.Float32:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(col.Value(row)))
	case *array.Float64:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(col.Value(row)))
	case *array.Decimal128:
		v := col.Value(row)
		return binary.AppendUvarint(binary.AppendVarint(dst, v.HighBits()), v.LowBits())
	case *array.String:
		v := col.Value(row)
		return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	case *array.Binary:
		v := col.Value(row)
		return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	case *array.Map:
		from, to := col.ValueOffsets(row)
		return appendElements(appendElements(dst, col.Keys(), from, to), col.Items(), from, to)
	case *array.List:
		from, to := col.ValueOffsets(row)
		return appendElements(dst, col.ListValues(), from, to)
	case *array.Struct:
		fields := make([]arrow.Array, col.NumField())
		for i := range fields {
			fields[i] = col.Field(i)
		}
		return AppendRow(dst, fields, row)
	}
	panic(fmt.Sprintf("state: no rows of type %s", col.DataType()))
}

// appendElements appends a count, a bitmap of NULLs and the values of col[from:to].
func appendElements(dst []byte, col arrow.Array, from, to int64) []byte {
	n := int(to - from)
	dst = binary.AppendUvarint(dst, uint64(n))
	at := len(dst)
	for range (n + 7) / 8 {
		dst = append(dst, 0)
	}
	for i := range n {
		row := int(from) + i
		if col.DataType().ID() == arrow.NULL || col.IsNull(row) {
			dst[at+i/8] |= 1 << (i % 8)
		} else {
			dst = appendValue(dst, col, row)
		}
	}
	return dst
}

// DecodeRow decodes a row that AppendRow has encoded and appends a value to each builder; rest
// is the remaining input. Input that does not fit the builders' types is an error; the builders
// may then contain part of the row and must be discarded.
func DecodeRow(src []byte, builders []array.Builder) (rest []byte, err error) {
	r := reader{b: src}
	r.row(len(builders), func(i int) array.Builder { return builders[i] })
	if r.bad {
		return nil, fmt.Errorf("state: %w", errRow)
	}
	return r.b, nil
}

// row decodes n values with their bitmap.
func (r *reader) row(n int, builder func(int) array.Builder) {
	nulls := r.take(uint64(n+7) / 8)
	if r.bad || n%8 != 0 && nulls[len(nulls)-1]>>(n%8) != 0 {
		r.bad = true
		return
	}
	for i := 0; i < n && !r.bad; i++ {
		if b := builder(i); nulls[i/8]>>(i%8)&1 != 0 {
			b.AppendNull()
		} else {
			r.value(b)
		}
	}
}

// varint returns the next signed varint.
func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// varint32 returns the next signed varint, which must fit into 32 bits.
func (r *reader) varint32() int32 {
	v := r.varint()
	r.bad = r.bad || v != int64(int32(v))
	return int32(v)
}

// value decodes one value into a builder.
func (r *reader) value(b array.Builder) {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		v := r.byte()
		r.bad = r.bad || v > 1
		b.Append(v == 1)
	case *array.Int32Builder:
		b.Append(r.varint32())
	case *array.Int64Builder:
		b.Append(r.varint())
	case *array.Date32Builder:
		b.Append(arrow.Date32(r.varint32()))
	case *array.Time32Builder:
		b.Append(arrow.Time32(r.varint32()))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(r.varint()))
	case *array.Float32Builder:
		b.Append(math.Float32frombits(r.uint32()))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(r.uint64()))
	case *array.Decimal128Builder:
		high := r.varint()
		b.Append(decimal128.New(high, r.uvarint()))
	case *array.StringBuilder:
		b.BinaryBuilder.Append(r.take(r.uvarint()))
	case *array.BinaryBuilder:
		b.Append(nonNil(r.take(r.uvarint())))
	case *array.MapBuilder:
		b.Append(true)
		before := b.KeyBuilder().Len()
		r.elements(b.KeyBuilder())
		keys := b.KeyBuilder().Len() - before
		before = b.ItemBuilder().Len()
		r.elements(b.ItemBuilder())
		r.bad = r.bad || b.ItemBuilder().Len()-before != keys
	case *array.ListBuilder:
		b.Append(true)
		r.elements(b.ValueBuilder())
	case *array.StructBuilder:
		b.Append(true)
		r.row(b.NumField(), b.FieldBuilder)
	default:
		r.bad = true
	}
}

// nonNil returns an empty slice for nil, which builders would take for NULL.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// elements decodes the result of appendElements. The size of the bitmap limits the count by the
// remaining input.
func (r *reader) elements(b array.Builder) {
	n := r.uvarint()
	if n > 8*uint64(len(r.b)) {
		r.bad = true
		return
	}
	r.row(int(n), func(int) array.Builder { return b })
}
