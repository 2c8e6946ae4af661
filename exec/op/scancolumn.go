package op

import (
	"encoding/binary"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

func (s *scan) pseudo(f *topic.Fetch, cols []arrow.Array) {
	n := f.Rows()
	for i, c := range s.Columns {
		switch c.From {
		case FromTime, FromClock:
			cols[i] = flow.Fixed(flow.Bigint, f.Times, arrow.Int64Traits.CastToBytes, flow.Valid(n))
		case FromPartition:
			cols[i] = flow.Repeat(flow.Int, f.ID, n)
		case FromOffset:
			offsets := make([]int64, n)
			for j, o := range f.Offsets {
				offsets[j] = int64(o)
			}
			cols[i] = flow.Fixed(flow.Bigint, offsets, arrow.Int64Traits.CastToBytes, flow.Valid(n))
		case FromHeaders:
			cols[i] = headers(f, []any{})
		case FromRawHeaders:
			cols[i] = headers(f, nil)
		case FromHeader:
			cols[i] = header(f, c.Header, s.Out.Field(i).Type)
		}
	}
}

// cutWindows removes the window from the end of each key.
func (s *scan) cutWindows(f *topic.Fetch, cols []arrow.Array) *topic.Bytes {
	tail := 8
	if s.WindowSize < 0 {
		tail = 16
	}
	n := f.Rows()
	inner := &topic.Bytes{Data: f.Key.Data, Spans: append([]int32(nil), f.Key.Spans...)}
	start, end := make([]int64, n), make([]int64, n)
	valid := flow.Valid(n)
	for i := range n {
		k := f.Key.At(i)
		if len(k) < tail {
			valid.Clear(i)
			continue
		}
		inner.Spans[2*i+1] -= int32(tail)
		if s.WindowSize < 0 {
			end[i] = int64(binary.BigEndian.Uint64(k[len(k)-16:]))
			start[i] = int64(binary.BigEndian.Uint64(k[len(k)-8:]))
		} else {
			start[i] = int64(binary.BigEndian.Uint64(k[len(k)-8:]))
			end[i] = start[i] + s.WindowSize
		}
	}
	for i, c := range s.Columns {
		switch c.From {
		case FromWindowStart:
			cols[i] = flow.Fixed(flow.Bigint, start, arrow.Int64Traits.CastToBytes, valid)
		case FromWindowEnd:
			cols[i] = flow.Fixed(flow.Bigint, end, arrow.Int64Traits.CastToBytes, valid)
		}
	}
	return inner
}

// HeadersType is the type of HEADERS columns.
var HeadersType = flow.Array(flow.Struct(flow.Field("KEY", flow.String), flow.Field("VALUE", flow.Bytes)))

// headers returns the list of each row's headers. none is the value of rows without headers.
func headers(f *topic.Fetch, none any) arrow.Array {
	if f.Headers == nil {
		return flow.Repeat(HeadersType, none, f.Rows())
	}
	b := flow.Builder(HeadersType)
	for i := range f.Rows() {
		if len(f.Headers[i]) == 0 {
			flow.Append(b, none)
			continue
		}
		list := []any{}
		{
			for _, h := range f.Headers[i] {
				var v any
				if h.Value != nil {
					v = h.Value
				}
				list = append(list, []any{h.Key, v})
			}
		}
		flow.Append(b, list)
	}
	return b.NewArray()
}

// header returns the last header with a name, as in ksqlDB. STRING and BIGINT columns parse it as
// text.
func header(f *topic.Fetch, name string, t flow.Type) arrow.Array {
	b := flow.Builder(t)
	for i := range f.Rows() {
		var v any
		if f.Headers != nil {
			for _, h := range f.Headers[i] {
				if h.Key == name && h.Value != nil {
					v = h.Value
				}
			}
		}
		if raw, ok := v.([]byte); ok && t.ID() != arrow.BINARY {
			text, err := expr.CastValue(string(raw), flow.String, t)
			if v = text; err != nil {
				v = nil
			}
		}
		flow.Append(b, v)
	}
	return b.NewArray()
}
