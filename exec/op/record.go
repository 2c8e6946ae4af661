package op

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

// Encode returns the record of one row of a relation, and the partition of its key. Each column has
// one row. time is the event time in ms, or nil to leave it to the writer. key is nil for a
// relation without a key.
func Encode(
	r *catalog.Relation, columns []arrow.Array, time *int64, key, value format.Codec,
) (topic.Partition, topic.Record, error) {
	var keys, values []arrow.Array
	null := true
	for i, c := range r.Columns {
		switch c.Role {
		case catalog.Key:
			keys = append(keys, columns[i])
			null = null && columns[i].IsNull(0)
		case catalog.Value:
			values = append(values, columns[i])
		}
	}
	p := topic.Partition{Topic: r.Topic}
	var rec topic.Record
	var err error
	if key != nil && !null {
		if rec.Key, err = key.Encode([]byte{}, keys, 0); err != nil {
			return p, rec, err
		}
		p.ID = PartitionOf(rec.Key, r.Partitions)
	}
	if rec.Value, err = value.Encode([]byte{}, values, 0); err != nil {
		return p, rec, err
	}
	if time != nil {
		rec.Time = *time
	}
	return p, rec, nil
}
