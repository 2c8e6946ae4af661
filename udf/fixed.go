package udf

import (
	"cmp"
	"encoding/binary"
	"errors"
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

var errOverflow = errors.New("the sum does not fit the type")

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

var _ = builtin(Aggregate{
	Name: "SUM", Doc: "the sum of the values that are not NULL; 0 where there are none",
	Bind: func(args []flow.Type, _ []any) (Bound, error) {
		if len(args) != 1 || !flow.IsNumber(args[0]) {
			return Bound{}, Mismatch("SUM", args, "a number")
		}
		in, out := args[0], args[0]
		switch args[0].(type) {
		case *arrow.Float32Type:
			in, out = flow.Double, flow.Double
		}
		return Bound{
			Args:     []flow.Type{in},
			Result:   out,
			Retracts: true,
			New:      func() Accumulator { return sum{t: out} },
		}, nil
	},
	Examples: []Example{{over("SUM(x)", "ARRAY[1, NULL, 2]"), "3"}},
})

var _ = builtin(Aggregate{
	Name: "SUM_LIST", Doc: "the sum of the elements of all arrays, NULLs passed over; 0 where there are none",
	Bind: func(args []flow.Type, _ []any) (Bound, error) {
		if len(args) == 1 && args[0].ID() == arrow.LIST {
			switch t := args[0].(*arrow.ListType).Elem(); t.ID() {
			case arrow.INT32, arrow.INT64, arrow.FLOAT64, arrow.DECIMAL128:
				return Bound{
					Args:     args,
					Result:   t,
					Retracts: true,
					New:      func() Accumulator { return sumList{sum{t: t}} },
				}, nil
			}
		}
		return Bound{}, Mismatch("SUM_LIST", args, "an ARRAY of numbers")
	},
	Examples: []Example{{over("SUM_LIST(ARRAY[x, 10])", "ARRAY[1, 2]"), "23"}},
})

// sumList is sum over the elements of arrays.
type sumList struct{ sum }

func (x sumList) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	var old [16]byte
	copy(old[:], s)
	list := args[0].(*array.List)
	from, to := list.ValueOffsets(row)
	for i := from; i < to; i++ {
		if _, err := x.sum.Add(s, []arrow.Array{list.ListValues()}, int(i), w); err != nil {
			copy(s, old[:]) // a row counts wholly or not at all
			return s, err
		}
	}
	return s, nil
}

// sum stores 128 bits: the low and high words of an integer or decimal, or a double in the
// first.
type sum struct{ t flow.Type }

func (sum) Size() int { return 16 }
func (x sum) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	switch a := args[0].(type) {
	case *array.Float64:
		setWord(s, 0, math.Float64bits(math.Float64frombits(word(s, 0))+float64(w)*a.Value(row)))
	case *array.Int32:
		setWord(s, 0, word(s, 0)+uint64(int64(w)*int64(a.Value(row))))
		if int64(word(s, 0)) != int64(int32(word(s, 0))) {
			setWord(s, 0, word(s, 0)-uint64(int64(w)*int64(a.Value(row))))
			return s, errOverflow
		}
	case *array.Int64:
		old, v := int64(word(s, 0)), a.Value(row)
		n := old + v
		over := (old^n)&(v^n) < 0
		if w < 0 { // the least number has no negative to add
			n = old - v
			over = (old^v)&(old^n) < 0
		}
		if over {
			return s, errOverflow
		}
		setWord(s, 0, uint64(n))
	case *array.Decimal128:
		v := a.Value(row)
		if w < 0 {
			v = v.Negate()
		}
		n := decimal128.New(int64(word(s, 1)), word(s, 0)).Add(v)
		if !n.FitsInPrecision(38) {
			return s, errOverflow
		}
		setWord(s, 0, n.LowBits())
		setWord(s, 1, uint64(n.HighBits()))
	}
	return s, nil
}
func (x sum) Value(s []byte, b array.Builder) error {
	switch b := b.(type) {
	case *array.Float64Builder:
		b.Append(math.Float64frombits(word(s, 0)))
	case *array.Int32Builder:
		b.Append(int32(word(s, 0)))
	case *array.Int64Builder:
		b.Append(int64(word(s, 0)))
	case *array.Decimal128Builder:
		b.Append(decimal128.New(int64(word(s, 1)), word(s, 0)))
	}
	return nil
}

// Merge adds the sums; a total that does not fit the type is an error.
func (x sum) Merge(into, from []byte) ([]byte, error) {
	switch x.t.ID() {
	case arrow.FLOAT64:
		setNumber(into, 0, number(into, 0)+number(from, 0))
	case arrow.DECIMAL128:
		n := decimal128.New(int64(word(into, 1)), word(into, 0)).
			Add(decimal128.New(int64(word(from, 1)), word(from, 0)))
		if !n.FitsInPrecision(38) {
			return into, errOverflow
		}
		setWord(into, 0, n.LowBits())
		setWord(into, 1, uint64(n.HighBits()))
	default:
		a, b := int64(word(into, 0)), int64(word(from, 0))
		n := a + b
		if (a^n)&(b^n) < 0 || x.t.ID() == arrow.INT32 && n != int64(int32(n)) {
			return into, errOverflow
		}
		setWord(into, 0, uint64(n))
	}
	return into, nil
}

var _ = builtin(Aggregate{
	Name: "AVG", Doc: "the mean of the values that are not NULL, as a DOUBLE; 0 where there are none",
	Bind: func(args []flow.Type, _ []any) (Bound, error) {
		if len(args) != 1 || !flow.IsNumber(args[0]) {
			return Bound{}, Mismatch("AVG", args, "a number")
		}
		return Bound{
			Args:     []flow.Type{flow.Double},
			Result:   flow.Double,
			Retracts: true,
			New:      func() Accumulator { return avg{} },
		}, nil
	},
	Examples: []Example{{over("AVG(x)", "ARRAY[1, NULL, 2]"), "1.5"}},
})

type avg struct{}

func (avg) Size() int { return 16 }
func (avg) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if a := args[0].(*array.Float64); a.IsValid(row) {
		setWord(s, 0, math.Float64bits(math.Float64frombits(word(s, 0))+float64(w)*a.Value(row)))
		setWord(s, 1, word(s, 1)+uint64(int64(w)))
	}
	return s, nil
}
func (avg) Value(s []byte, b array.Builder) error {
	n := int64(word(s, 1))
	if n == 0 {
		b.(*array.Float64Builder).Append(0) // as ksqlDB, whose average of no rows is 0.0
		return nil
	}
	b.(*array.Float64Builder).Append(math.Float64frombits(word(s, 0)) / float64(n))
	return nil
}

func (avg) Merge(into, from []byte) ([]byte, error) {
	setNumber(into, 0, number(into, 0)+number(from, 0))
	setWord(into, 1, word(into, 1)+word(from, 1))
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
