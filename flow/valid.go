package flow

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Validity records which of n rows are NULL. It has no bitmap until the first Clear.
type Validity struct {
	n, nulls int
	bits     []byte
}

// Valid returns the Validity of n rows that are not NULL.
func Valid(n int) Validity { return Validity{n: n} }

// Both returns the Validity of n rows that are NULL if any of the columns is.
func Both(n int, cols ...arrow.Array) Validity {
	v := Valid(n)
	for _, c := range cols {
		if c.NullN() == 0 {
			continue
		}
		for i := range n {
			if c.IsNull(i) {
				v.Clear(i)
			}
		}
	}
	return v
}

// Clear makes a row NULL.
func (v *Validity) Clear(i int) {
	if v.bits == nil {
		v.bits = make([]byte, bitutil.BytesForBits(int64(v.n)))
		for j := range v.bits {
			v.bits[j] = 0xff
		}
	}
	if bitutil.BitIsSet(v.bits, i) {
		bitutil.ClearBit(v.bits, i)
		v.nulls++
	}
}

// IsNull reports whether a row is NULL.
func (v *Validity) IsNull(i int) bool { return v.bits != nil && !bitutil.BitIsSet(v.bits, i) }

// Nulls returns the number of NULL rows.
func (v *Validity) Nulls() int { return v.nulls }

func (v *Validity) buffer() *memory.Buffer {
	if v.bits == nil {
		return nil
	}
	return memory.NewBufferBytes(v.bits)
}

// Bools returns a BOOLEAN column over a bitmap (least significant bit first), without copying
// it.
func Bools(n int, bits []byte, v Validity) *array.Boolean {
	return array.NewBooleanData(
		array.NewData(Boolean, n, []*memory.Buffer{v.buffer(), memory.NewBufferBytes(bits)}, nil, v.nulls, 0),
	)
}
