package format

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// column builds an Arrow column. Values are appended one at a time. Unlike Arrow's builders, a column can remove its
// last values. A codec does so when a record turns out bad after some of its values were appended, and when a JSON
// object repeats a key. The buffers are slices of concrete types, so an append needs no interface call.
type column struct {
	name string
	path string // the name in messages; A.B for field B of struct A
	typ  arrow.DataType
	kind arrow.Type

	n     int
	valid []byte // validity bitmap; nil if no value is null; bits from n on are 1
	nulls int

	i32     []int32 // INTEGER, DATE, TIME
	i64     []int64 // BIGINT, TIMESTAMP
	f32     []float32
	f64     []float64
	dec     []decimal128.Num
	bits    []byte  // BOOLEAN; bits from n on are 0
	offsets []int32 // STRING, BYTES, ARRAY, MAP: n+1 offsets into data or the children
	data    []byte
	kids    []*column // ARRAY: element; MAP: key, value; STRUCT: fields
	object  *object   // STRUCT, for the JSON scanner

	checked bool // the column only checks values; its buffers never leave it and are reused

	size int // bytes or children of the last batch; start allocates the next buffers by it
}

// newColumn returns an empty column for a field. A type that no declared column can have is ErrUnsupported.
func newColumn(f arrow.Field, prefix string) (*column, error) {
	t := f.Type
	c := &column{name: f.Name, path: prefix + f.Name, typ: t, kind: t.ID()}
	var parts []arrow.Field
	switch t := t.(type) {
	case *arrow.MapType:
		parts = []arrow.Field{flow.Field("key", t.KeyType()), flow.Field("value", t.ItemType())}
	case *arrow.ListType:
		parts = []arrow.Field{flow.Field("element", t.Elem())}
	case *arrow.StructType:
		parts = t.Fields()
	case *arrow.TimestampType:
		if t.Unit != arrow.Millisecond {
			return nil, fmt.Errorf("column %s has type %s, which is %w", c.path, t, ErrUnsupported)
		}
	default:
		switch c.kind {
		case arrow.BOOL, arrow.INT32, arrow.INT64, arrow.FLOAT32, arrow.FLOAT64, arrow.DECIMAL128,
			arrow.STRING, arrow.BINARY, arrow.DATE32, arrow.TIME32:
		default:
			return nil, fmt.Errorf("column %s has type %s, which is %w", c.path, flow.TypeName(t), ErrUnsupported)
		}
	}
	for _, part := range parts {
		kid, err := newColumn(part, c.path+".")
		if err != nil {
			return nil, err
		}
		c.kids = append(c.kids, kid)
	}
	return c, nil
}

// recordAt returns a record of in, or false if the record is null. An empty record is not null.
func recordAt(in *topic.Bytes, row int) ([]byte, bool) {
	from, to := in.Spans[2*row], in.Spans[2*row+1]
	if from < 0 {
		return nil, false
	}
	return in.Data[from:to:to], true
}

// start allocates new buffers for a number of values. The reader of the previous batch owns the old buffers.
func (c *column) start(rows int) {
	c.n, c.valid, c.nulls, c.checked = 0, nil, 0, false
	switch c.kind {
	case arrow.BOOL:
		c.bits = make([]byte, bitutil.BytesForBits(int64(rows)))
	case arrow.INT32, arrow.DATE32, arrow.TIME32:
		c.i32 = make([]int32, 0, rows)
	case arrow.INT64, arrow.TIMESTAMP:
		c.i64 = make([]int64, 0, rows)
	case arrow.FLOAT32:
		c.f32 = make([]float32, 0, rows)
	case arrow.FLOAT64:
		c.f64 = make([]float64, 0, rows)
	case arrow.DECIMAL128:
		c.dec = make([]decimal128.Num, 0, rows)
	case arrow.STRING, arrow.BINARY:
		c.offsets = append(make([]int32, 0, rows+1), 0)
		c.data = make([]byte, 0, c.size+c.size/8)
	case arrow.LIST, arrow.MAP:
		c.offsets = append(make([]int32, 0, rows+1), 0)
		for _, kid := range c.kids {
			kid.start(c.size + c.size/8)
		}
	case arrow.STRUCT:
		for _, kid := range c.kids {
			kid.start(rows)
		}
	}
}

// addBool appends a BOOLEAN value.
func (c *column) addBool(v bool) {
	if c.n>>3 >= len(c.bits) {
		c.bits = append(c.bits, 0)
	}
	if v {
		c.bits[c.n>>3] |= 1 << (c.n & 7)
	}
	c.grown()
}

// addInt appends a value of an integer, date or time type. The caller has checked the range.
func (c *column) addInt(v int64) {
	if c.kind == arrow.INT64 || c.kind == arrow.TIMESTAMP {
		c.i64 = append(c.i64, v)
	} else {
		c.i32 = append(c.i32, int32(v))
	}
	c.grown()
}

// addDouble appends a DOUBLE or FLOAT value.
func (c *column) addDouble(v float64) {
	if c.kind == arrow.FLOAT64 {
		c.f64 = append(c.f64, v)
	} else {
		c.f32 = append(c.f32, float32(v))
	}
	c.grown()
}

// addDecimal appends a DECIMAL value. The caller has checked the precision.
func (c *column) addDecimal(v decimal128.Num) {
	c.dec = append(c.dec, v)
	c.grown()
}

// addText appends a copy of a STRING or BYTES value.
func (c *column) addText(v []byte) {
	c.data = append(c.data, v...)
	c.addedText()
}

// addedText completes a STRING or BYTES value after the caller has appended its bytes to data.
func (c *column) addedText() {
	c.offsets = append(c.offsets, int32(len(c.data)))
	c.grown()
}

// addedItems completes an ARRAY or MAP value after the caller has appended its elements to the children.
func (c *column) addedItems() {
	c.offsets = append(c.offsets, int32(c.kids[0].n))
	c.grown()
}

// grown counts a value that has been appended and extends the validity bitmap.
func (c *column) grown() {
	c.n++
	if c.valid != nil && c.n > len(c.valid)*8 {
		c.valid = append(c.valid, 0xff)
	}
}

// addNull appends NULL. The validity bitmap is allocated at the first one.
func (c *column) addNull() {
	if c.valid == nil {
		c.valid = make([]byte, max(int(bitutil.BytesForBits(int64(c.capacity()))), c.n>>3+1))
		for i := range c.valid {
			c.valid[i] = 0xff
		}
	}
	at := c.n
	switch c.kind {
	case arrow.BOOL:
		c.addBool(false)
	case arrow.INT32, arrow.DATE32, arrow.TIME32, arrow.INT64, arrow.TIMESTAMP:
		c.addInt(0)
	case arrow.FLOAT32, arrow.FLOAT64:
		c.addDouble(0)
	case arrow.DECIMAL128:
		c.addDecimal(decimal128.Num{})
	case arrow.STRING, arrow.BINARY:
		c.addedText()
	case arrow.LIST, arrow.MAP:
		c.addedItems()
	case arrow.STRUCT:
		for _, kid := range c.kids {
			kid.addNull()
		}
		c.grown()
	}
	bitutil.ClearBit(c.valid, at)
	c.nulls++
}

// capacity returns the number of values for which the buffers have space.
func (c *column) capacity() int {
	return max(cap(c.i32), cap(c.i64), cap(c.f32), cap(c.f64), cap(c.dec), len(c.bits)*8, cap(c.offsets)-1)
}

// cut removes the values from index n on, and the bytes or children of an incomplete value.
func (c *column) cut(n int) {
	for i := n; c.valid != nil && i < c.n; i++ {
		if !bitutil.BitIsSet(c.valid, i) {
			bitutil.SetBit(c.valid, i)
			c.nulls--
		}
	}
	switch c.kind {
	case arrow.BOOL:
		for i := n; i < c.n; i++ {
			bitutil.ClearBit(c.bits, i)
		}
	case arrow.INT32, arrow.DATE32, arrow.TIME32:
		c.i32 = c.i32[:n]
	case arrow.INT64, arrow.TIMESTAMP:
		c.i64 = c.i64[:n]
	case arrow.FLOAT32:
		c.f32 = c.f32[:n]
	case arrow.FLOAT64:
		c.f64 = c.f64[:n]
	case arrow.DECIMAL128:
		c.dec = c.dec[:n]
	case arrow.STRING, arrow.BINARY:
		c.offsets = c.offsets[:n+1]
		c.data = c.data[:c.offsets[n]]
	case arrow.LIST, arrow.MAP:
		c.offsets = c.offsets[:n+1]
		for _, kid := range c.kids {
			kid.cut(int(c.offsets[n]))
		}
	case arrow.STRUCT:
		for _, kid := range c.kids {
			kid.cut(n)
		}
	}
	c.n = n
}

// finish returns the values as an Arrow array, which owns the buffers from then on.
func (c *column) finish() (arrow.Array, error) {
	data, err := c.finishData()
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

func (c *column) finishData() (*array.Data, error) {
	var valid *memory.Buffer
	if c.nulls > 0 {
		valid = memory.NewBufferBytes(c.valid)
	}
	buffers, kids := []*memory.Buffer{valid, nil}, []arrow.ArrayData(nil)
	switch c.kind {
	case arrow.BOOL:
		buffers[1] = memory.NewBufferBytes(c.bits)
	case arrow.INT32, arrow.DATE32, arrow.TIME32:
		buffers[1] = memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.i32))
	case arrow.INT64, arrow.TIMESTAMP:
		buffers[1] = memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(c.i64))
	case arrow.FLOAT32:
		buffers[1] = memory.NewBufferBytes(arrow.Float32Traits.CastToBytes(c.f32))
	case arrow.FLOAT64:
		buffers[1] = memory.NewBufferBytes(arrow.Float64Traits.CastToBytes(c.f64))
	case arrow.DECIMAL128:
		buffers[1] = memory.NewBufferBytes(arrow.Decimal128Traits.CastToBytes(c.dec))
	case arrow.STRING, arrow.BINARY:
		if len(c.data) > math.MaxInt32 {
			return nil, fmt.Errorf("column %s has %d bytes in one batch, but the limit is 2 GiB", c.path, len(c.data))
		}
		c.size = len(c.data)
		buffers[1] = memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offsets))
		buffers = append(buffers, memory.NewBufferBytes(c.data))
	case arrow.LIST, arrow.MAP:
		c.size = c.kids[0].n
		buffers[1] = memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offsets))
	case arrow.STRUCT:
		buffers = buffers[:1]
	}
	for _, kid := range c.kids {
		data, err := kid.finishData()
		if err != nil {
			return nil, err
		}
		kids = append(kids, data)
	}
	if c.kind == arrow.MAP { // in Arrow's layout, a map is a list of pairs
		pair := array.NewData(c.typ.(*arrow.MapType).Elem(), c.kids[0].n, []*memory.Buffer{nil}, kids, 0, 0)
		kids = []arrow.ArrayData{pair}
	}
	return array.NewData(c.typ, c.n, buffers, kids, c.nulls, 0), nil
}

// inRange reports whether v is a value of the column's integer, date or time type. TIME is a time of day in ms.
func (c *column) inRange(v int64) bool {
	switch c.kind {
	case arrow.INT32, arrow.DATE32:
		return v == int64(int32(v))
	case arrow.TIME32:
		return v >= 0 && v < 24*60*60*1000
	}
	return true
}

// digits10 returns the number of decimal digits of an unsigned 128-bit number.
func digits10(hi, lo uint64) int {
	n := 0
	for hi != 0 {
		var rem uint64
		hi, rem = hi/pow19, hi%pow19
		lo, _ = bits.Div64(rem, lo, pow19)
		n += 19
	}
	for ; lo != 0; lo /= 10 {
		n++
	}
	return n
}

const pow19 = 10_000_000_000_000_000_000
