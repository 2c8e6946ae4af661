package udf

import (
	"cmp"
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

// The states of the simple aggregates are rows of eight-byte words, little-endian: no pointers,
// changed in place.

func word(s []byte, i int) uint64       { return binary.LittleEndian.Uint64(s[8*i:]) }
func setWord(s []byte, i int, v uint64) { binary.LittleEndian.PutUint64(s[8*i:], v) }

var _ = builtin(Aggregate{
	Name: "COUNT", Doc: "the number of rows, or of rows in which the argument is not NULL",
	Bind: func(args []flow.Type, _ []any) (Bound, error) {
		if len(args) > 1 {
			return Bound{}, Mismatch("COUNT", args, "* or one argument")
		}
		return Bound{Args: args, Result: flow.Bigint, Retracts: true, New: func() Accumulator { return count{} }}, nil
	},
	Examples: []Example{{over("COUNT(x)", "ARRAY[7, NULL, 7]"), "2"}, {over("COUNT(*)", "ARRAY[7, NULL, 7]"), "3"}},
})

type count struct{}

func (count) Size() int { return 8 }
func (count) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if len(args) == 0 || args[0].IsValid(row) {
		setWord(s, 0, word(s, 0)+uint64(int64(w)))
	}
	return s, nil
}
func (count) Value(s []byte, b array.Builder) error {
	b.(*array.Int64Builder).Append(int64(word(s, 0)))
	return nil
}
func (count) Merge(into, from []byte) ([]byte, error) {
	setWord(into, 0, word(into, 0)+word(from, 0))
	return into, nil
}

var _ = builtin(
	extreme("MIN", "the least value that is not NULL", -1, Example{over("MIN(x)", "ARRAY[3, 1, 2]"), "1"}),
)

var _ = builtin(
	extreme("MAX", "the greatest value that is not NULL", +1, Example{over("MAX(x)", "ARRAY['a', 'c', 'b']"), "c"}),
)

// extreme is MIN (sign -1) or MAX (+1).
func extreme(name, doc string, sign int, example Example) Aggregate {
	return Aggregate{
		Name:     name,
		Doc:      doc,
		Examples: []Example{example},
		Bind: func(args []flow.Type, _ []any) (Bound, error) {
			if len(args) != 1 {
				return Bound{}, Mismatch(name, args, "one argument")
			}
			t := args[0]
			b := Bound{Args: args, Result: t}
			switch t.ID() {
			case arrow.INT32,
				arrow.INT64,
				arrow.FLOAT32,
				arrow.FLOAT64,
				arrow.DATE32,
				arrow.TIME32,
				arrow.TIMESTAMP,
				arrow.DECIMAL128:
				b.New = func() Accumulator { return extremeFixed{t, sign} }
			case arrow.STRING, arrow.BINARY:
				b.New = func() Accumulator { return extremeText{sign} }
			default:
				return Bound{}, Mismatch(name, args, "a number, text, bytes, date or time")
			}
			return b, nil
		},
	}
}

// extremeFixed stores a flag and the 128 bits of the value.
type extremeFixed struct {
	t    flow.Type
	sign int
}

func (extremeFixed) Size() int { return 24 }
func (x extremeFixed) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	lo, hi := bitsOf(args[0], row)
	x.put(s, lo, hi)
	return s, nil
}
func (x extremeFixed) put(s []byte, lo, hi uint64) {
	if word(s, 0) == 0 || x.sign*compareBits(x.t, lo, hi, word(s, 1), word(s, 2)) > 0 {
		setWord(s, 0, 1)
		setWord(s, 1, lo)
		setWord(s, 2, hi)
	}
}
func (x extremeFixed) Merge(into, from []byte) ([]byte, error) {
	if word(from, 0) != 0 {
		x.put(into, word(from, 1), word(from, 2))
	}
	return into, nil
}
func (x extremeFixed) Value(s []byte, b array.Builder) error {
	if word(s, 0) == 0 {
		b.AppendNull()
		return nil
	}
	appendBits(b, word(s, 1), word(s, 2))
	return nil
}
func bitsOf(a arrow.Array, row int) (lo, hi uint64) {
	switch a := a.(type) {
	case *array.Int32:
		return uint64(int64(a.Value(row))), 0
	case *array.Int64:
		return uint64(a.Value(row)), 0
	case *array.Float32:
		return math.Float64bits(float64(a.Value(row))), 0
	case *array.Float64:
		return math.Float64bits(a.Value(row)), 0
	case *array.Date32:
		return uint64(int64(a.Value(row))), 0
	case *array.Time32:
		return uint64(int64(a.Value(row))), 0
	case *array.Timestamp:
		return uint64(int64(a.Value(row))), 0
	case *array.Boolean:
		if a.Value(row) {
			return 1, 0
		}
	case *array.Decimal128:
		return a.Value(row).LowBits(), uint64(a.Value(row).HighBits())
	}
	return 0, 0
}

// compareBits orders values of a fixed width. NaN is greater than every number and equals
// itself, so that no order of rows matters.
func compareBits(t flow.Type, lo, hi, lo2, hi2 uint64) int {
	switch t.ID() {
	case arrow.FLOAT32, arrow.FLOAT64:
		return -cmp.Compare(-math.Float64frombits(lo), -math.Float64frombits(lo2)) // cmp has NaN first
	case arrow.DECIMAL128:
		return decimal128.New(int64(hi), lo).Cmp(decimal128.New(int64(hi2), lo2))
	}
	switch a, b := int64(lo), int64(lo2); {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func appendBits(b array.Builder, lo, hi uint64) {
	switch b := b.(type) {
	case *array.Int32Builder:
		b.Append(int32(lo))
	case *array.Int64Builder:
		b.Append(int64(lo))
	case *array.Float32Builder:
		b.Append(float32(math.Float64frombits(lo)))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(lo))
	case *array.Date32Builder:
		b.Append(arrow.Date32(lo))
	case *array.Time32Builder:
		b.Append(arrow.Time32(lo))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(lo))
	case *array.BooleanBuilder:
		b.Append(lo == 1)
	case *array.Decimal128Builder:
		b.Append(decimal128.New(int64(hi), lo))
	}
}

// extremeText stores a flag byte and the value.
type extremeText struct{ sign int }

func (extremeText) Size() int { return -1 }
func (x extremeText) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	return x.put(s, raw(args[0], row)), nil
}
func (x extremeText) put(s []byte, v string) []byte {
	if len(s) > 0 {
		c := 0
		switch old := string(s[1:]); {
		case v < old:
			c = -1
		case v > old:
			c = 1
		}
		if x.sign*c <= 0 {
			return s
		}
	}
	return append(append(s[:0], 1), v...)
}
func (x extremeText) Merge(into, from []byte) ([]byte, error) {
	if len(from) == 0 {
		return into, nil
	}
	return x.put(into, string(from[1:])), nil
}
func (extremeText) Value(s []byte, b array.Builder) error {
	if len(s) == 0 {
		b.AppendNull()
		return nil
	}
	appendRaw(b, s[1:])
	return nil
}

func raw(a arrow.Array, row int) string {
	if s, ok := a.(*array.String); ok {
		return s.Value(row)
	}
	return string(a.(*array.Binary).Value(row))
}

func appendRaw(b array.Builder, v []byte) {
	if s, ok := b.(*array.StringBuilder); ok {
		s.Append(string(v))
		return
	}
	b.(*array.BinaryBuilder).Append(v)
}
