package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
)

// The first byte of an encoded value. List elements are preceded by more and followed by last.
const (
	keyNull  = 0x00
	keyValue = 0x01
	keyLast  = 0x00
	keyMore  = 0x01
)

// errKey reports bytes that AppendKey cannot have written.
var errKey = errors.New("the key is malformed")

// AppendKey appends the order-preserving encoding of a value: bytes.Compare of two keys orders
// them as their values, NULL first. Keys of several columns may be concatenated. Doubles sort
// as numbers with NaN last; -0 is encoded as 0, and all NaNs alike, so that equal values have
// equal keys. Strings and bytes sort by bytes, arrays and structs element by element, and maps
// by their entries, which are encoded in key order. It panics for a type that package flow does
// not have.
func AppendKey(dst []byte, col arrow.Array, row int) []byte {
	if col.IsNull(row) {
		return append(dst, keyNull)
	}
	switch col := col.(type) {
	case *array.Null:
		return append(dst, keyNull)
	case *array.Boolean:
		if col.Value(row) {
			return append(dst, keyValue, 1)
		}
		return append(dst, keyValue, 0)
	case *array.Int32:
		return appendInt32(dst, col.Value(row))
	case *array.Int64:
		return appendInt64(dst, col.Value(row))
	case *array.Date32:
		return appendInt32(dst, int32(col.Value(row)))
	case *array.Time32:
		return appendInt32(dst, int32(col.Value(row)))
	case *array.Timestamp:
		return appendInt64(dst, int64(col.Value(row)))
	case *array.Float32:
		v := col.Value(row)
		if v != v {
			v = float32(math.NaN())
		}
		bits := math.Float32bits(v + 0) // -0 + 0 is 0
		return binary.BigEndian.AppendUint32(append(dst, keyValue), bits^(uint32(int32(bits)>>31)|1<<31))
	case *array.Float64:
		return appendFloat64(dst, col.Value(row))
	case *array.Decimal128:
		v := col.Value(row)
		dst = binary.BigEndian.AppendUint64(append(dst, keyValue), uint64(v.HighBits())^1<<63)
		return binary.BigEndian.AppendUint64(dst, v.LowBits())
	case *array.String:
		return appendString(append(dst, keyValue), col.Value(row))
	case *array.Binary:
		return appendText(append(dst, keyValue), col.Value(row))
	case *array.Map:
		return appendMapKey(append(dst, keyValue), col, row)
	case *array.List:
		dst = append(dst, keyValue)
		from, to := col.ValueOffsets(row)
		for i := from; i < to; i++ {
			dst = AppendKey(append(dst, keyMore), col.ListValues(), int(i))
		}
		return append(dst, keyLast)
	case *array.Struct:
		dst = append(dst, keyValue)
		for i := range col.NumField() {
			dst = AppendKey(dst, col.Field(i), row)
		}
		return dst
	}
	panic(fmt.Sprintf("state: no keys of type %s", col.DataType()))
}

// appendInt32 appends a big-endian integer with the sign bit inverted.
func appendInt32(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, keyValue), uint32(v)^1<<31)
}

// appendInt64 appends a big-endian integer with the sign bit inverted.
func appendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyValue), uint64(v)^1<<63)
}

// appendFloat64 appends the bits in an order that matches the numbers: all bits of negative
// numbers are inverted, only the sign of others.
func appendFloat64(dst []byte, v float64) []byte {
	if v != v {
		v = math.NaN()
	}
	bits := math.Float64bits(v + 0)
	return binary.BigEndian.AppendUint64(append(dst, keyValue), bits^(uint64(int64(bits)>>63)|1<<63))
}

// appendText appends bytes so that no key is a prefix of another: 0x00 becomes 0x00 0xff, and
// the end is 0x00 0x01.
func appendText(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			break
		}
		dst = append(append(dst, b[:i+1]...), 0xff)
		b = b[i+1:]
	}
	return append(append(dst, b...), 0, 1)
}

// appendString is appendText for a string.
func appendString(dst []byte, s string) []byte {
	from := len(dst)
	dst = append(dst, s...)
	if bytes.IndexByte(dst[from:], 0) >= 0 {
		return appendText(dst[:from], []byte(s))
	}
	return append(dst, 0, 1)
}

// appendMapKey appends the entries of a map in key order.
func appendMapKey(dst []byte, col *array.Map, row int) []byte {
	from, to := col.ValueOffsets(row)
	entries := make([][]byte, 0, to-from)
	for i := int(from); i < int(to); i++ {
		entries = append(entries, AppendKey(AppendKey([]byte{keyMore}, col.Keys(), i), col.Items(), i))
	}
	slices.SortFunc(entries, bytes.Compare)
	for _, e := range entries {
		dst = append(dst, e...)
	}
	return append(dst, keyLast)
}

// DecodeKey decodes one value that AppendKey has encoded and appends it to the builder; rest is
// the remaining input. Input that AppendKey cannot have produced for the builder's type is an
// error; the builder may then contain part of the value and must be discarded.
func DecodeKey(src []byte, b array.Builder) (rest []byte, err error) {
	r := reader{b: src}
	r.key(b)
	if r.bad {
		return nil, fmt.Errorf("state: %w", errKey)
	}
	return r.b, nil
}

// key decodes one value into a builder.
func (r *reader) key(b array.Builder) {
	switch r.byte() {
	case keyNull:
		b.AppendNull()
		return
	case keyValue:
	default:
		r.bad = true
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		v := r.byte()
		r.bad = r.bad || v > 1
		b.Append(v == 1)
	case *array.Int32Builder:
		b.Append(int32(r.uint32() ^ 1<<31))
	case *array.Int64Builder:
		b.Append(int64(r.uint64() ^ 1<<63))
	case *array.Date32Builder:
		b.Append(arrow.Date32(r.uint32() ^ 1<<31))
	case *array.Time32Builder:
		b.Append(arrow.Time32(r.uint32() ^ 1<<31))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(r.uint64() ^ 1<<63))
	case *array.Float32Builder:
		v := r.uint32()
		b.Append(math.Float32frombits(v ^ (uint32(^int32(v)>>31) | 1<<31)))
	case *array.Float64Builder:
		v := r.uint64()
		b.Append(math.Float64frombits(v ^ (uint64(^int64(v)>>63) | 1<<63)))
	case *array.Decimal128Builder:
		high := int64(r.uint64() ^ 1<<63)
		b.Append(decimal128.New(high, r.uint64()))
	case *array.StringBuilder:
		b.Append(string(r.text()))
	case *array.BinaryBuilder:
		b.Append(r.text())
	case *array.MapBuilder:
		b.Append(true)
		for r.more() {
			r.key(b.KeyBuilder())
			r.key(b.ItemBuilder())
		}
	case *array.ListBuilder:
		b.Append(true)
		for r.more() {
			r.key(b.ValueBuilder())
		}
	case *array.StructBuilder:
		b.Append(true)
		for i := range b.NumField() {
			r.key(b.FieldBuilder(i))
		}
	default:
		r.bad = true
	}
}

// more reads the byte before an element or at the end of a list.
func (r *reader) more() bool {
	switch r.byte() {
	case keyMore:
		return !r.bad
	case keyLast:
		return false
	}
	r.bad = true
	return false
}

// text decodes escaped bytes.
func (r *reader) text() []byte {
	var out []byte
	for {
		i := bytes.IndexByte(r.b, 0)
		if i < 0 || i+1 >= len(r.b) || r.b[i+1] != 0xff && r.b[i+1] != 1 {
			r.bad = true
			return nil
		}
		end := r.b[i+1] == 1
		if end && out == nil {
			return r.take(uint64(i + 2))[:i]
		}
		out = append(out, r.b[:i]...)
		r.b = r.b[i+2:]
		if end {
			return out
		}
		out = append(out, 0)
	}
}

// reader consumes bytes. After the first missing byte it is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes.
func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// byte returns the next byte.
func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// uint32 returns the next big-endian integer.
func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// uint64 returns the next big-endian integer.
func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// uvarint returns the next unsigned varint.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
