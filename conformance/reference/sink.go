package reference

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

// sink writes the records of rows. An update with an unchanged key is one record, a retracted row a
// tombstone.
func (t *task) sink(n *op.Sink, next step) (step, error) {
	var keys format.Codec
	var err error
	if len(n.Key.Fields) > 0 {
		if keys, err = format.New(n.Key); err != nil {
			return nil, err
		}
	}
	values, err := format.New(n.Value)
	if err != nil {
		return nil, err
	}
	s := n.Input.Schema()
	write := func(codec format.Codec, vals []any, cols []int) ([]byte, error) {
		arrays := make([]arrow.Array, len(cols))
		for i, c := range cols {
			arrays[i] = flow.Column(s.Field(c).Type, vals[c])
		}
		out, err := codec.Encode([]byte{}, arrays, 0)
		if err != nil {
			err = fmt.Errorf("topic %q: %w", n.Topic, err)
		}
		return out, err
	}
	// keyOf returns a record's key, and the part of it that selects the partition.
	keyOf := func(r row) (plain, key []byte, err error) {
		if keys == nil || nullKey(n, r) {
			return nil, nil, nil
		}
		if plain, err = write(keys, r.vals, n.KeyCols); err != nil || n.Window == nil {
			return plain, plain, err
		}
		key = append([]byte{}, plain...)
		if n.Session {
			key = binary.BigEndian.AppendUint64(key, uint64(r.vals[n.Window[1]].(int64)))
		}
		return plain, binary.BigEndian.AppendUint64(key, uint64(r.vals[n.Window[0]].(int64))), nil
	}
	return func(rows []row) error {
		for i, r := range rows {
			at, ok := r.vals[s.Time].(int64)
			if !ok || at < 0 && n.From1970 {
				continue
			}
			plain, key, err := keyOf(r)
			if err != nil {
				return err
			}
			if r.op == flow.Before {
				if _, after, err := keyOf(rows[i+1]); err == nil && bytes.Equal(after, key) {
					continue
				}
			}
			rec := topic.Record{Key: key, Time: at}
			if !r.op.Gone() {
				if rec.Value, err = write(values, r.vals, n.ValueCols); err != nil {
					return err
				}
			}
			if n.Headers >= 0 && r.vals[n.Headers] != nil {
				for _, h := range r.vals[n.Headers].([]any) {
					pair := h.([]any)
					v, _ := pair[1].([]byte)
					rec.Headers = append(rec.Headers, topic.Header{Key: pair[0].(string), Value: v})
				}
			}
			p := t.id % max(n.Partitions, 1)
			if plain != nil {
				p = partitionOf(plain, n.Partitions)
			}
			t.out[n.Topic] = append(t.out[n.Topic], Output{p, rec})
		}
		return next(rows)
	}, nil
}

// nullKey reports whether a row has no key: its only column is NULL, or all are NULL and the format cannot
// encode that.
func nullKey(n *op.Sink, r row) bool {
	for _, c := range n.KeyCols {
		if r.vals[c] != nil {
			return false
		}
	}
	return len(n.KeyCols) == 1 || strings.EqualFold(n.Key.Name, "DELIMITED")
}

// partitionOf is Kafka's default partitioner: MurmurHash2 of the key without the sign bit, modulo the number
// of partitions.
func partitionOf(key []byte, partitions int32) int32 {
	if partitions <= 1 {
		return 0
	}
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	rest := key
	for len(rest) >= 4 {
		k := (uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16 | uint32(rest[3])<<24) * m
		h = h*m ^ (k^k>>24)*m
		rest = rest[4:]
	}
	for i := len(rest) - 1; i >= 0; i-- {
		h ^= uint32(rest[i]) << (8 * i)
	}
	if len(rest) > 0 {
		h *= m
	}
	h = (h ^ h>>13) * m
	return int32((h^h>>15)&0x7fffffff) % partitions
}
