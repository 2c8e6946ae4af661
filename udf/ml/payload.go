package ml

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// The limits of a payload. A payload above them is rejected before memory is allocated for it.
const (
	MaxPayload = 1 << 30 // bytes
	MaxTensors = 10_000
	maxHead    = 64 << 20
	maxRank    = 8
)

// payloadFormat is the newest form of payload that this program writes and reads.
const payloadFormat = 1

// Payload is the encoding of a model or learner: "SQML", the length of a JSON head, the head
// (format, meta, and name, type and shape of each tensor in order), then the tensors flat and
// little-endian. It is data, never code; equal contents have equal bytes.
type Payload struct {
	Meta    json.RawMessage
	tensors []tensor
}

type tensor struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // f64, f32, i64, u8
	Shape []int  `json:"shape"`
	data  []byte
}

type payloadHead struct {
	Format  int             `json:"format"`
	Meta    json.RawMessage `json:"meta,omitempty"`
	Tensors []tensor        `json:"tensors"`
}

var widths = map[string]int{"f64": 8, "f32": 4, "i64": 8, "u8": 1}

// SetMeta stores a JSON value in the head.
func (p *Payload) SetMeta(v any) error {
	b, err := json.Marshal(v)
	p.Meta = b
	return err
}

// GetMeta reads the head's value into v.
func (p *Payload) GetMeta(v any) error {
	if err := json.Unmarshal(p.Meta, v); err != nil {
		return fmt.Errorf("%w: head: %v", ErrShape, err)
	}
	return nil
}

// PutFloats appends a tensor of doubles; no shape: one dimension.
func (p *Payload) PutFloats(name string, v []float64, shape ...int) {
	data := make([]byte, 0, 8*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
	}
	p.put(name, "f64", len(v), data, shape)
}

// PutFloat32s appends a tensor of singles.
func (p *Payload) PutFloat32s(name string, v []float32, shape ...int) {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	p.put(name, "f32", len(v), data, shape)
}

// PutInts appends a tensor of integers.
func (p *Payload) PutInts(name string, v []int64, shape ...int) {
	data := make([]byte, 0, 8*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint64(data, uint64(x))
	}
	p.put(name, "i64", len(v), data, shape)
}

// PutBytes appends bytes.
func (p *Payload) PutBytes(name string, v []byte) { p.put(name, "u8", len(v), v, nil) }

func (p *Payload) put(name, kind string, n int, data []byte, shape []int) {
	if shape == nil {
		shape = []int{n}
	}
	p.tensors = append(p.tensors, tensor{name, kind, shape, data})
}

func (p *Payload) find(name, kind string) (tensor, error) {
	for _, t := range p.tensors {
		if t.Name == name {
			if t.Type != kind {
				return t, fmt.Errorf("%w: tensor %s is of type %s, not %s", ErrShape, name, t.Type, kind)
			}
			return t, nil
		}
	}
	return tensor{}, fmt.Errorf("%w: tensor %s is missing", ErrShape, name)
}

// Floats returns a tensor of want doubles (-1: any number).
func (p *Payload) Floats(name string, want int) ([]float64, error) {
	t, err := p.find(name, "f64")
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(t.data)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.data[8*i:]))
	}
	return v, sized(name, len(v), want)
}

// Float32s returns a tensor of want singles (-1: any number).
func (p *Payload) Float32s(name string, want int) ([]float32, error) {
	t, err := p.find(name, "f32")
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(t.data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.data[4*i:]))
	}
	return v, sized(name, len(v), want)
}

// Ints returns a tensor of want integers (-1: any number).
func (p *Payload) Ints(name string, want int) ([]int64, error) {
	t, err := p.find(name, "i64")
	if err != nil {
		return nil, err
	}
	v := make([]int64, len(t.data)/8)
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(t.data[8*i:]))
	}
	return v, sized(name, len(v), want)
}

// Bytes reads bytes.
func (p *Payload) Bytes(name string) ([]byte, error) {
	t, err := p.find(name, "u8")
	return t.data, err
}

func sized(name string, have, want int) error {
	if want >= 0 && have != want {
		return fmt.Errorf("%w: tensor %s has %d values, not %d", ErrShape, name, have, want)
	}
	return nil
}

// finite refuses weights that no learner could have left.
func finite(name string, values ...float64) error {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: tensor %s holds a value that is not finite", ErrShape, name)
		}
	}
	return nil
}

// MarshalBinary writes the payload.
func (p *Payload) MarshalBinary() ([]byte, error) {
	head, err := json.Marshal(payloadHead{payloadFormat, p.Meta, p.tensors})
	if err != nil {
		return nil, err
	}
	size := 8 + len(head)
	for _, t := range p.tensors {
		size += len(t.data)
	}
	if size > MaxPayload || len(p.tensors) > MaxTensors || len(head) > maxHead {
		return nil, fmt.Errorf(
			"a model of %d bytes in %d tensors is over the limit of %d bytes, %d tensors",
			size,
			len(p.tensors),
			MaxPayload,
			MaxTensors,
		)
	}
	out := make([]byte, 0, size)
	out = append(out, "SQML"...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(head)))
	out = append(out, head...)
	for _, t := range p.tensors {
		out = append(out, t.data...)
	}
	return out, nil
}

// UnmarshalBinary reads a payload; tensors refer to data, which must not change. Errors wrap
// ErrShape or ErrFormat.
func (p *Payload) UnmarshalBinary(data []byte) error {
	if len(data) < 8 || string(data[:4]) != "SQML" {
		return fmt.Errorf("%w: no payload begins here", ErrShape)
	}
	if len(data) > MaxPayload {
		return fmt.Errorf("%w: %d bytes are over the limit of %d", ErrShape, len(data), MaxPayload)
	}
	n := int(binary.LittleEndian.Uint32(data[4:]))
	if n > maxHead || n > len(data)-8 {
		return fmt.Errorf("%w: a head of %d bytes in %d", ErrShape, n, len(data))
	}
	var head payloadHead
	if err := json.Unmarshal(data[8:8+n], &head); err != nil {
		return fmt.Errorf("%w: head: %v", ErrShape, err)
	}
	if head.Format > payloadFormat {
		return fmt.Errorf("%w: payload format %d, this program reads up to %d", ErrFormat, head.Format, payloadFormat)
	}
	if len(head.Tensors) > MaxTensors {
		return fmt.Errorf("%w: %d tensors are over the limit of %d", ErrShape, len(head.Tensors), MaxTensors)
	}
	rest := data[8+n:]
	for i := range head.Tensors {
		t := &head.Tensors[i]
		size, err := t.size(len(rest))
		if err != nil {
			return err
		}
		t.data, rest = rest[:size:size], rest[size:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes after the last tensor", ErrShape, len(rest))
	}
	p.Meta, p.tensors = head.Meta, head.Tensors
	return nil
}

// size is the tensor's length in bytes, at most left.
func (t *tensor) size(left int) (int, error) {
	size, ok := widths[t.Type]
	if !ok {
		return 0, fmt.Errorf("%w: tensor %s has unknown type %q", ErrShape, t.Name, t.Type)
	}
	if len(t.Shape) > maxRank {
		return 0, fmt.Errorf("%w: tensor %s has %d dimensions", ErrShape, t.Name, len(t.Shape))
	}
	for _, d := range t.Shape {
		if d < 0 || d > 0 && size > left/d {
			return 0, fmt.Errorf(
				"%w: tensor %s of shape %v needs more than the %d bytes left",
				ErrShape,
				t.Name,
				t.Shape,
				left,
			)
		}
		size *= d
	}
	if size > left {
		return 0, fmt.Errorf("%w: tensor %s needs more than the %d bytes left", ErrShape, t.Name, left)
	}
	return size, nil
}
