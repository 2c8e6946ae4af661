package udf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// A cell is one value of a known type as bytes. Aggregates store values in their states in this
// form: a byte 0 for NULL, else a byte 1 and the value. Integers, dates and times are varints;
// doubles have 8 bytes and decimals 16, little-endian; text and bytes are preceded by their
// length; arrays and maps by their number of elements; structs are their fields in order. Two
// values are equal exactly if their cells are: map entries are sorted, -0.0 is 0.0, and there
// is one NaN.

// appendCell appends the cell of a row of a column.
func appendCell(dst []byte, a arrow.Array, row int) []byte {
	if a.IsNull(row) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	switch a := a.(type) {
	case *array.Boolean:
		if a.Value(row) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case *array.Int32, *array.Int64, *array.Date32, *array.Time32, *array.Timestamp:
		lo, _ := bitsOf(a, row)
		return binary.AppendVarint(dst, int64(lo))
	case *array.Float32:
		return appendDouble(dst, float64(a.Value(row)))
	case *array.Float64:
		return appendDouble(dst, a.Value(row))
	case *array.Decimal128:
		v := a.Value(row)
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, v.LowBits()), uint64(v.HighBits()))
	case *array.String:
		return append(binary.AppendUvarint(dst, uint64(a.ValueLen(row))), a.Value(row)...)
	case *array.Binary:
		return append(binary.AppendUvarint(dst, uint64(a.ValueLen(row))), a.Value(row)...)
	case *array.Map:
		return appendEntries(dst, a, row)
	case *array.List:
		from, to := a.ValueOffsets(row)
		dst = binary.AppendUvarint(dst, uint64(to-from))
		for i := from; i < to; i++ {
			dst = appendCell(dst, a.ListValues(), int(i))
		}
		return dst
	case *array.Struct:
		for i := range a.NumField() {
			dst = appendCell(dst, a.Field(i), row)
		}
		return dst
	}
	// a broken invariant: Bind admits only types that have cells
	panic(fmt.Sprintf("udf: no cells of type %s", a.DataType()))
}

func appendDouble(dst []byte, f float64) []byte {
	switch {
	case f != f:
		f = math.NaN()
	case f == 0:
		f = 0
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendEntries(dst []byte, a *array.Map, row int) []byte {
	from, to := a.ValueOffsets(row)
	entries := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		entries = append(entries, string(appendCell(appendCell(nil, a.Keys(), int(i)), a.Items(), int(i))))
	}
	sort.Strings(entries)
	dst = binary.AppendUvarint(dst, uint64(len(entries)))
	for _, e := range entries {
		dst = append(dst, e...)
	}
	return dst
}

var errCell = errors.New("the state of an aggregate is damaged")

// takeCell appends the value of the cell at the beginning of s to a builder of its type and
// returns the remaining bytes.
func takeCell(b array.Builder, s []byte) ([]byte, error) {
	v, rest, err := readCell(b.Type(), s)
	if err != nil {
		return nil, err
	}
	flow.Append(b, v)
	return rest, nil
}

// readCell decodes the cell at the beginning of s to a Go value and returns the remaining
// bytes.
func readCell(t flow.Type, s []byte) (any, []byte, error) {
	if len(s) == 0 || s[0] > 1 {
		return nil, nil, errCell
	}
	if s[0] == 0 {
		return nil, s[1:], nil
	}
	s = s[1:]
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		if len(s) < 16 {
			return nil, nil, errCell
		}
		return decimal128.New(int64(word(s, 1)), word(s, 0)), s[16:], nil
	case *arrow.StringType:
		v, rest, err := readBytes(s)
		return string(v), rest, err
	case *arrow.BinaryType:
		v, rest, err := readBytes(s)
		return append([]byte{}, v...), rest, err
	case *arrow.MapType:
		return readMap(t, s)
	case *arrow.ListType:
		return readList(t, s)
	case *arrow.StructType:
		out := make([]any, len(t.Fields()))
		var err error
		for i := range out {
			if out[i], s, err = readCell(t.Field(i).Type, s); err != nil {
				return nil, nil, err
			}
		}
		return out, s, nil
	}
	return readFixed(t, s)
}

func readFixed(t flow.Type, s []byte) (any, []byte, error) {
	switch t.ID() {
	case arrow.BOOL:
		if len(s) == 0 {
			return nil, nil, errCell
		}
		return s[0] == 1, s[1:], nil
	case arrow.FLOAT32, arrow.FLOAT64:
		if len(s) < 8 {
			return nil, nil, errCell
		}
		f := math.Float64frombits(word(s, 0))
		if t.ID() == arrow.FLOAT32 {
			return float32(f), s[8:], nil
		}
		return f, s[8:], nil
	}
	n, size := binary.Varint(s)
	if size <= 0 {
		return nil, nil, errCell
	}
	s = s[size:]
	switch t.ID() {
	case arrow.INT32:
		return int32(n), s, nil
	case arrow.INT64:
		return n, s, nil
	case arrow.DATE32:
		return arrow.Date32(n), s, nil
	case arrow.TIME32:
		return arrow.Time32(n), s, nil
	case arrow.TIMESTAMP:
		return arrow.Timestamp(n), s, nil
	}
	return nil, nil, errCell
}

func readBytes(s []byte) (v, rest []byte, err error) {
	n, size := binary.Uvarint(s)
	if size <= 0 || n > uint64(len(s)-size) {
		return nil, nil, errCell
	}
	return s[size : size+int(n)], s[size+int(n):], nil
}

func readCount(s []byte) (int, []byte, error) {
	n, size := binary.Uvarint(s)
	if size <= 0 || n > uint64(len(s)) { // each element takes a byte at least
		return 0, nil, errCell
	}
	return int(n), s[size:], nil
}

func readList(t *arrow.ListType, s []byte) (any, []byte, error) {
	n, s, err := readCount(s)
	if err != nil {
		return nil, nil, err
	}
	out := make([]any, n)
	for i := range out {
		if out[i], s, err = readCell(t.Elem(), s); err != nil {
			return nil, nil, err
		}
	}
	return out, s, nil
}

func readMap(t *arrow.MapType, s []byte) (any, []byte, error) {
	n, s, err := readCount(s)
	if err != nil {
		return nil, nil, err
	}
	out := make([]flow.Entry, n)
	for i := range out {
		if out[i].Key, s, err = readCell(t.KeyType(), s); err != nil {
			return nil, nil, err
		}
		if out[i].Value, s, err = readCell(t.ItemType(), s); err != nil {
			return nil, nil, err
		}
	}
	return out, s, nil
}

// sortable reports whether values of a type are ordered.
func sortable(t flow.Type) bool {
	switch t.ID() {
	case arrow.BOOL, arrow.STRING, arrow.BINARY, arrow.DATE32, arrow.TIME32, arrow.TIMESTAMP:
		return true
	}
	return flow.IsNumber(t)
}

// compareCells compares two values of one sortable type, neither NULL.
func compareCells(a arrow.Array, i int, b arrow.Array, j int) int {
	switch a.DataType().ID() {
	case arrow.STRING, arrow.BINARY:
		switch x, y := raw(a, i), raw(b, j); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	lo, hi := bitsOf(a, i)
	lo2, hi2 := bitsOf(b, j)
	return compareBits(a.DataType(), lo, hi, lo2, hi2)
}

// sameCell reports whether two values of one type are equal; NULL equals NULL.
func sameCell(a arrow.Array, i int, b arrow.Array, j int) bool {
	if sortable(a.DataType()) && a.IsValid(i) && b.IsValid(j) {
		return compareCells(a, i, b, j) == 0
	}
	return string(appendCell(nil, a, i)) == string(appendCell(nil, b, j))
}
