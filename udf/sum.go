package udf

import (
	"errors"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

var errOverflow = errors.New("the sum does not fit the type")

var _ = builtin(summing("SUM", "the sum of the values that are not NULL; NULL if there are none",
	Example{over("SUM(x)", "ARRAY[1, NULL, 2]"), "3"},
	func(args []flow.Type) (in, out flow.Type) {
		if len(args) != 1 || !flow.IsNumber(args[0]) {
			return nil, nil
		}
		return exactly(args[0]), exactly(args[0])
	}, "a number", func(t total) Accumulator { return t }))

var _ = builtin(summing("SUM_LIST", "the sum of the elements of all arrays that are not NULL; NULL if there are none",
	Example{over("SUM_LIST(ARRAY[x, 10])", "ARRAY[1, 2]"), "23"},
	func(args []flow.Type) (in, out flow.Type) {
		if len(args) != 1 || args[0].ID() != arrow.LIST {
			return nil, nil
		}
		t := args[0].(*arrow.ListType).Elem()
		switch t.ID() {
		case arrow.INT32, arrow.INT64, arrow.FLOAT64, arrow.DECIMAL128:
			return args[0], t
		}
		return nil, nil
	}, "an ARRAY of numbers", func(t total) Accumulator { return totalList{t} }))

var _ = builtin(summing("AVG", "the mean of the values that are not NULL, as a DOUBLE; NULL if there are none",
	Example{over("AVG(x)", "ARRAY[1, NULL, 2]"), "1.5"},
	func(args []flow.Type) (in, out flow.Type) {
		if len(args) != 1 || !flow.IsNumber(args[0]) {
			return nil, nil
		}
		return exactly(args[0]), flow.Double
	}, "a number", func(t total) Accumulator { t.mean = true; return t }))

// exactly returns the type in which values are added up: FLOAT as DOUBLE, any other as it is.
func exactly(t flow.Type) flow.Type {
	if t.ID() == arrow.FLOAT32 {
		return flow.Double
	}
	return t
}

// summing declares an aggregate over a total. types returns the type of the argument and that of
// the result, or nil for arguments that it does not take. A DECIMAL total has 38 digits. In
// ksqlDB it has those of the argument, and the total of no value is 0.
func summing(name, doc string, example Example, types func([]flow.Type) (in, out flow.Type), takes string,
	accumulator func(total) Accumulator) Aggregate {
	bind := func(ksql bool) func([]flow.Type, []any) (Bound, error) {
		return func(args []flow.Type, _ []any) (Bound, error) {
			in, out := types(args)
			if in == nil {
				return Bound{}, Mismatch(name, args, takes)
			}
			if d, ok := out.(*arrow.Decimal128Type); ok && !ksql {
				out = &arrow.Decimal128Type{Precision: 38, Scale: d.Scale}
			}
			t := total{of: in, t: out, zero: ksql}
			if list, ok := in.(*arrow.ListType); ok {
				t.of = list.Elem()
			}
			return Bound{Args: []flow.Type{in}, Result: out, Retracts: true,
				New: func() Accumulator { return accumulator(t) }}, nil
		}
	}
	return Aggregate{Name: name, Doc: doc, Bind: bind(false), KSQL: bind(true), Examples: []Example{example}}
}

// total is the number of values that are not NULL and their sum. The state is the number in the
// first word, followed by the sum: a DOUBLE, or an integer in two's complement of 128 bits, 192
// for a DECIMAL. No sum of fewer than 2^63 values overflows these, so whether the sum fits its
// type is decided when it is read, and the order of the values does not matter.
type total struct {
	of, t flow.Type // of a value and of the result
	mean  bool      // the result is the mean
	zero  bool      // no value: 0 instead of NULL
}

// Size implements Accumulator.
func (x total) Size() int {
	switch x.of.ID() {
	case arrow.FLOAT64:
		return 16
	case arrow.DECIMAL128:
		return 32
	}
	return 24
}

// Add implements Accumulator.
func (x total) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	x.add(s, args[0], row, w)
	return s, nil
}

func (x total) add(s []byte, a arrow.Array, row int, w flow.Op) {
	if a.IsNull(row) {
		return
	}
	setWord(s, 0, word(s, 0)+uint64(int64(w)))
	var lo uint64
	var hi int64
	switch a := a.(type) {
	case *array.Float64:
		setNumber(s, 1, number(s, 1)+float64(w)*a.Value(row))
		return
	case *array.Int32:
		lo = uint64(int64(a.Value(row)))
		hi = int64(lo) >> 63
	case *array.Int64:
		lo = uint64(a.Value(row))
		hi = int64(lo) >> 63
	case *array.Decimal128:
		v := a.Value(row)
		lo, hi = v.LowBits(), v.HighBits()
	}
	addWide(s[8:], lo, hi, w < 0)
}

// addWide adds a number of 128 bits to an integer of two or more words, or takes it out.
func addWide(s []byte, lo uint64, hi int64, out bool) {
	step := bits.Add64
	if out {
		step = bits.Sub64
	}
	carry := uint64(0)
	for i := range len(s) / 8 {
		part := uint64(hi >> 63)
		switch i {
		case 0:
			part = lo
		case 1:
			part = uint64(hi)
		}
		var n uint64
		n, carry = step(word(s, i), part, carry)
		setWord(s, i, n)
	}
}

// Value implements Accumulator. A sum that does not fit the type is an error.
func (x total) Value(s []byte, b array.Builder) error {
	n := int64(word(s, 0))
	if n == 0 && !x.zero {
		b.AppendNull()
		return nil
	}
	if x.mean {
		b.(*array.Float64Builder).Append(x.double(s) / float64(max(n, 1)))
		return nil
	}
	switch b := b.(type) {
	case *array.Float64Builder:
		b.Append(x.double(s))
	case *array.Int32Builder:
		lo := int64(word(s, 1))
		if int64(word(s, 2)) != lo>>63 || lo != int64(int32(lo)) {
			return errOverflow
		}
		b.Append(int32(lo))
	case *array.Int64Builder:
		lo := int64(word(s, 1))
		if int64(word(s, 2)) != lo>>63 {
			return errOverflow
		}
		b.Append(lo)
	case *array.Decimal128Builder:
		v := decimal128.New(int64(word(s, 2)), word(s, 1))
		if int64(word(s, 3)) != v.HighBits()>>63 || !v.FitsInPrecision(x.t.(*arrow.Decimal128Type).Precision) {
			return errOverflow
		}
		b.Append(v)
	}
	return nil
}

// double returns the sum as a DOUBLE; without values it is 0, although a
// rounding error may remain in the state.
func (x total) double(s []byte) float64 {
	switch {
	case word(s, 0) == 0:
		return 0
	case x.of.ID() == arrow.FLOAT64:
		return number(s, 1)
	}
	last := len(s)/8 - 1
	var words [3]uint64
	for i := 1; i <= last; i++ {
		words[i-1] = word(s, i)
	}
	sign := 1.0
	if int64(words[last-1]) < 0 {
		sign = -1
		carry := uint64(1)
		for i := range last {
			words[i], carry = bits.Add64(^words[i], 0, carry)
		}
	}
	f := 0.0
	for i := last - 1; i >= 0; i-- {
		f = f*(1<<64) + float64(words[i])
	}
	if d, ok := x.of.(*arrow.Decimal128Type); ok {
		f /= math.Pow10(int(d.Scale))
	}
	return sign * f
}

// Merge implements Merger.
func (x total) Merge(into, from []byte) ([]byte, error) {
	setWord(into, 0, word(into, 0)+word(from, 0))
	if x.of.ID() == arrow.FLOAT64 {
		setNumber(into, 1, number(into, 1)+number(from, 1))
		return into, nil
	}
	carry := uint64(0)
	for i := 1; i < len(into)/8; i++ {
		var n uint64
		n, carry = bits.Add64(word(into, i), word(from, i), carry)
		setWord(into, i, n)
	}
	return into, nil
}

// totalList is total over the elements of arrays.
type totalList struct{ total }

// Add implements Accumulator.
func (x totalList) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	list := args[0].(*array.List)
	from, to := list.ValueOffsets(row)
	for i := from; i < to; i++ {
		x.add(s, list.ListValues(), int(i), w)
	}
	return s, nil
}
