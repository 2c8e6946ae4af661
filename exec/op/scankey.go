package op

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// ops returns the weights of a table's records and drops those without a key. It returns nil for
// streams.
func (s *scan) ops(f *topic.Fetch, drop *flow.Validity) []flow.Op {
	if f.Decoded != nil {
		return nil
	}
	if !s.Table {
		return s.nulls(f, drop)
	}
	ops := make([]flow.Op, f.Rows())
	for i := range ops {
		ops[i] = flow.Insert
		if f.Value.At(i) == nil {
			ops[i] = flow.Retract
		}
		if f.Key.At(i) == nil && !s.keyInValue() && !drop.IsNull(i) {
			drop.Clear(i)
		}
	}
	return ops
}

// keyInValue reports whether the key's columns are fields of the value, as in files.
func (s *scan) keyInValue() bool {
	return slices.ContainsFunc(s.Columns, func(c ScanColumn) bool { return c.Keyed && c.From == FromValue })
}

// nullKeys makes a record of a table whose value has a NULL in the key a dead letter.
func (s *scan) nullKeys(f *topic.Fetch, b *flow.Batch, drop *flow.Validity) error {
	if !s.Table || !s.keyInValue() {
		return nil
	}
	for c, from := range s.Columns {
		for i := range b.Rows() {
			if !from.Keyed || drop.IsNull(i) || b.Column(c).IsValid(i) {
				continue
			}
			err := fmt.Errorf("column %s is NULL, but it is part of the PRIMARY KEY", s.Out.Field(c).Name)
			if err := s.fail(f, i, "value", "SQ5102", err); err != nil {
				return err
			}
			drop.Clear(i)
		}
	}
	return nil
}

// nulls drops or retracts a stream's records without a value.
func (s *scan) nulls(f *topic.Fetch, drop *flow.Validity) []flow.Op {
	var ops []flow.Op
	for i := range f.Rows() {
		if f.Value.Spans[2*i] >= 0 {
			continue
		}
		if s.Nulls == NullsAreDropped {
			drop.Clear(i)
			continue
		}
		if ops == nil {
			ops = make([]flow.Op, f.Rows())
			for k := range ops {
				ops[k] = flow.Insert
			}
		}
		ops[i] = flow.Retract
	}
	return ops
}
