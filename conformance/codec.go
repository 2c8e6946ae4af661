package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

// part encodes and decodes the keys or the values of a topic's records, to and from JSON.
type part struct {
	spec  format.Spec
	codec format.Codec // created on first use
}

func (p *part) name() string { return strings.ToUpper(strings.TrimSpace(p.spec.Name)) }

// encode converts JSON to record bytes. A value that the format cannot represent is encoded as its text, for
// tests of bad records.
func (p *part) encode(text json.RawMessage) ([]byte, error) {
	v, err := value(text)
	if v == nil || err != nil {
		return nil, err
	}
	switch p.name() {
	case "JSON":
		var b bytes.Buffer
		err := json.Compact(&b, text)
		return b.Bytes(), err
	case "KAFKA", "RAW":
		if len(p.spec.Fields) == 1 {
			return encodeScalar(v, p.spec.Fields[0].Type, plain(v, text)), nil
		}
		return plain(v, text), nil
	case "", "NONE", "DELIMITED", "CSV":
		return plain(v, text), nil
	}
	return p.throughColumns(text)
}

// plain returns the content of a JSON string, or the JSON text of any other value.
func plain(v any, text json.RawMessage) []byte {
	if s, ok := v.(string); ok {
		return []byte(s)
	}
	return bytes.TrimSpace(text)
}

func encodeScalar(v any, typ arrow.DataType, text []byte) []byte {
	switch typ.ID() {
	case arrow.INT32:
		if n, err := strconv.ParseInt(string(text), 10, 32); err == nil {
			return binary.BigEndian.AppendUint32(nil, uint32(n))
		}
	case arrow.INT64:
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return binary.BigEndian.AppendUint64(nil, uint64(n))
		}
	case arrow.FLOAT32:
		if f, err := strconv.ParseFloat(string(text), 32); err == nil {
			return binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f)))
		}
	case arrow.FLOAT64:
		if f, err := strconv.ParseFloat(string(text), 64); err == nil {
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
		}
	case arrow.BINARY:
		if s, ok := v.(string); ok {
			if b, err := base64.StdEncoding.DecodeString(s); err == nil {
				return b
			}
		}
	}
	return text
}

// throughColumns decodes JSON into columns and encodes these in the format.
func (p *part) throughColumns(text json.RawMessage) ([]byte, error) {
	from, err := format.New(format.Spec{Name: "JSON", Fields: p.spec.Fields, Unwrapped: p.spec.Unwrapped})
	if err != nil {
		return nil, err
	}
	var in topic.Bytes
	in.Append(text)
	cols, bad, err := from.Decode(&in, all(len(p.spec.Fields)))
	if err == nil && len(bad) > 0 {
		err = bad[0].Reason
	}
	if err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	return p.codec.Encode([]byte{}, cols, 0)
}

func (p *part) open() (err error) {
	if p.codec == nil {
		p.codec, err = format.New(p.spec)
	}
	return err
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// decode converts record bytes to a JSON value and its type; nil if the type is not known.
func (p *part) decode(record []byte) (any, arrow.DataType, error) {
	if record == nil {
		return nil, nil, nil
	}
	switch p.name() {
	case "JSON":
		if !json.Valid(record) {
			return nil, nil, fmt.Errorf("the record is not JSON: %q", clip(string(record), 60))
		}
		v, err := value(record)
		return v, p.typ(), err
	case "", "NONE", "DELIMITED", "CSV":
		return string(record), nil, nil
	}
	if len(p.spec.Fields) == 0 {
		return string(record), nil, nil
	}
	if err := p.open(); err != nil {
		return nil, nil, err
	}
	var in topic.Bytes
	in.Append(record)
	cols, bad, err := p.codec.Decode(&in, all(len(p.spec.Fields)))
	if err == nil && len(bad) > 0 {
		err = bad[0].Reason
	}
	if err != nil {
		return nil, nil, err
	}
	name := p.name()
	scalar := p.spec.Unwrapped || name == "KAFKA" || name == "RAW"
	text := []byte{}
	for i, f := range p.spec.Fields {
		if !scalar {
			text = append(text, ",{"[b2i(i == 0)])
			text = append(format.AppendJSONText(text, f.Name), ':')
		}
		text = format.AppendJSON(text, cols[i], 0, 0)
	}
	if !scalar {
		text = append(text, '}')
	}
	v, err := value(text)
	if scalar {
		return v, p.spec.Fields[0].Type, err
	}
	return v, p.typ(), err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// typ returns the type of the whole record.
func (p *part) typ() arrow.DataType {
	if p.spec.Unwrapped && len(p.spec.Fields) == 1 {
		return p.spec.Fields[0].Type
	}
	return arrow.StructOf(p.spec.Fields...)
}
