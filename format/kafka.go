package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// KAFKA is one value as Kafka's own serializers write it. RAW is the record as it is, as STRING or BYTES. NONE looks at nothing.
var (
	_ = builtin("KAFKA", openKafka)
	_ = builtin("RAW", openKafka)
	_ = builtin("NONE", openNone)
)

type kafkaCodec struct{ col *column }

func openKafka(s Spec) (Codec, error) {
	switch len(s.Fields) {
	case 0:
		return noneCodec{}, nil
	case 1:
	default:
		return nil, fmt.Errorf("a record is a single column, %d are given, which is %w", len(s.Fields), ErrUnsupported)
	}
	f := s.Fields[0]
	switch id := f.Type.ID(); {
	case id == arrow.STRING || id == arrow.BINARY:
	case (id == arrow.INT32 || id == arrow.INT64 || id == arrow.FLOAT32 || id == arrow.FLOAT64) && !strings.EqualFold(strings.TrimSpace(s.Name), "RAW"):
	default:
		return nil, fmt.Errorf("column %s has type %s, which is %w", f.Name, flow.TypeName(f.Type), ErrUnsupported)
	}
	col, err := newColumn(f, "")
	return &kafkaCodec{col}, err
}

func (c *kafkaCodec) Decode(in *topic.Bytes, want []int) ([]arrow.Array, []Bad, error) {
	col := c.col
	col.start(in.Len())
	var bad []Bad
	for row := range in.Len() {
		record, ok := recordAt(in, row)
		if !ok {
			col.addNull()
			continue
		}
		if err := c.add(record); err != nil {
			bad = append(bad, Bad{row, err})
			col.addNull()
		}
	}
	return finish([]*column{col}, want, bad)
}

func (c *kafkaCodec) add(record []byte) error {
	if len(record) > maxRecord {
		return fmt.Errorf("the record has %d bytes, the limit is 16 MiB", len(record))
	}
	col, size := c.col, len(record)
	switch col.kind {
	case arrow.INT32, arrow.FLOAT32:
		size = 4
	case arrow.INT64, arrow.FLOAT64:
		size = 8
	}
	if len(record) != size {
		return fmt.Errorf("column %s is %s, which takes %d bytes, the record has %d", col.path, flow.TypeName(col.typ), size, len(record))
	}
	switch col.kind {
	case arrow.INT32:
		col.addInt(int64(int32(binary.BigEndian.Uint32(record))))
	case arrow.INT64:
		col.addInt(int64(binary.BigEndian.Uint64(record)))
	case arrow.FLOAT32:
		col.addDouble(float64(math.Float32frombits(binary.BigEndian.Uint32(record))))
	case arrow.FLOAT64:
		col.addDouble(math.Float64frombits(binary.BigEndian.Uint64(record)))
	case arrow.STRING:
		if !utf8.Valid(record) {
			return fmt.Errorf("column %s: %w", col.path, errUTF8)
		}
		col.addText(record)
	default:
		col.addText(record)
	}
	return nil
}

// Encode writes the one column. NULL is a null record: the result is nil.
func (c *kafkaCodec) Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error) {
	if cols[0].IsNull(row) {
		return nil, nil
	}
	if dst == nil {
		dst = []byte{} // an empty text is no null
	}
	switch a := cols[0].(type) {
	case *array.Int32:
		return binary.BigEndian.AppendUint32(dst, uint32(a.Value(row))), nil
	case *array.Int64:
		return binary.BigEndian.AppendUint64(dst, uint64(a.Value(row))), nil
	case *array.Float32:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(a.Value(row))), nil
	case *array.Float64:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(a.Value(row))), nil
	case *array.String:
		return append(dst, a.Value(row)...), nil
	case *array.Binary:
		return append(dst, a.Value(row)...), nil
	}
	return nil, fmt.Errorf("format KAFKA: type %s is %w", flow.TypeName(cols[0].DataType()), ErrUnsupported)
}

func openNone(s Spec) (Codec, error) {
	if len(s.Fields) > 0 {
		return nil, fmt.Errorf("a record holds no columns, %d are given", len(s.Fields))
	}
	return noneCodec{}, nil
}

// noneCodec has no columns: it reads nothing and writes null records.
type noneCodec struct{}

func (noneCodec) Decode(*topic.Bytes, []int) ([]arrow.Array, []Bad, error) { return nil, nil, nil }
func (noneCodec) Encode([]byte, []arrow.Array, int) ([]byte, error)        { return nil, nil }
