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

var _ = builtin(Format{
	Name: "KAFKA",
	Doc: "One column as Kafka's own serializers write it: INT and FLOAT in 4 bytes, BIGINT and DOUBLE in 8 bytes, " +
		"big-endian; STRING in UTF-8; BYTES unchanged.",
	Open: alone(openKafka),
	Examples: []Example{{
		SQL: `CREATE STREAM counts (id INT KEY, n BIGINT) WITH (topic='counts', format='kafka');
INSERT INTO counts (id, n) VALUES (7, 3000000000);
SELECT id, n FROM counts;`,
		Want: `7,3000000000`,
	}},
})

var _ = builtin(Format{
	Name: "RAW",
	Doc:  "The whole record, unchanged, in one column of type STRING or BYTES.",
	File: &File{},
	Open: alone(openKafka),
	Examples: []Example{{
		SQL: `CREATE STREAM lines (line STRING) WITH (topic='lines', value_format='raw');
INSERT INTO lines (line) VALUES ('{"any": "text"}');
SELECT line FROM lines;`,
		Want: `"{""any"": ""text""}"`,
	}},
})

var _ = builtin(Format{
	Name:  "NONE",
	Doc:   "The key or the value has no columns. The format reads nothing and writes null.",
	Empty: true,
	Open:  alone(openNone),
	Examples: []Example{{
		SQL: `CREATE STREAM events (n INT) WITH (topic='events', key_format='none', value_format='json');
INSERT INTO events (n) VALUES (1);
SELECT n FROM events;`,
		Want: `1`,
	}},
})

// kafkaCodec reads and writes records of the formats KAFKA and RAW.
type kafkaCodec struct{ col *column }

// openKafka returns a codec for one column, or the codec of format NONE if there is no column.
func openKafka(s Request) (Codec, error) {
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
	case (id == arrow.INT32 || id == arrow.INT64 || id == arrow.FLOAT32 || id == arrow.FLOAT64) &&
		!strings.EqualFold(strings.TrimSpace(s.Name), "RAW"):
	default:
		return nil, fmt.Errorf("column %s has type %s, which is %w", f.Name, flow.TypeName(f.Type), ErrUnsupported)
	}
	col, err := newColumn(f, "")
	return &kafkaCodec{col}, err
}

// Decode reads each record as one value: see Codec.
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

// add appends one record to the column.
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
		return fmt.Errorf("column %s is %s, which takes %d bytes, the record has %d",
			col.path, flow.TypeName(col.typ), size, len(record))
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

// Encode appends the value of the only column. NULL is a null record: the result is nil.
func (c *kafkaCodec) Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error) {
	if cols[0].IsNull(row) {
		return nil, nil
	}
	if dst == nil {
		dst = []byte{} // an empty text is not a null record
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

// openNone returns the codec of format NONE.
func openNone(s Request) (Codec, error) {
	if len(s.Fields) > 0 {
		return nil, fmt.Errorf("a record holds no columns, %d are given", len(s.Fields))
	}
	return noneCodec{}, nil
}

// noneCodec has no columns. It reads nothing and writes null records.
type noneCodec struct{}

// Decode returns no columns and no bad rows.
func (noneCodec) Decode(*topic.Bytes, []int) ([]arrow.Array, []Bad, error) { return nil, nil, nil }

// Encode returns a null record.
func (noneCodec) Encode([]byte, []arrow.Array, int) ([]byte, error) { return nil, nil }
