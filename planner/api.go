package planner

import (
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// ParseTimestamp reads ISO 8601 text as ms since the epoch.
func ParseTimestamp(s string) (int64, error) { return expr.ParseTimestamp(s) }

// ParseMillis reads a number of ms since the epoch.
func ParseMillis(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

// Duration reads a length of time as an option's value gives it: '30 SECONDS', '100ms', or a number of ms.
func Duration(s string) (int64, bool) { return option.Millis(s) }

// Literal reads a literal as an option's text.
func Literal(e lang.Expr) (string, error) { return literal(e) }

// Type resolves a type as written.
func Type(t *lang.TypeExpr, o Options) (flow.Type, error) {
	b := newBinder(o, "")
	return b.typeOf(t)
}

// Encode makes the record of a row of INSERT VALUES; its time is set only if ROWTIME was given. key is nil for a relation without one.
func Encode(r *catalog.Relation, row Row, key, value format.Codec) (topic.Partition, topic.Record, error) {
	var keys, values []arrow.Array
	null := true
	for i, c := range r.Columns {
		switch c.Role {
		case catalog.Key:
			keys = append(keys, row.Columns[i])
			null = null && row.Columns[i].IsNull(0)
		case catalog.Value:
			values = append(values, row.Columns[i])
		}
	}
	p := topic.Partition{Topic: r.Topic}
	var rec topic.Record
	var err error
	if key != nil && !null {
		if rec.Key, err = key.Encode([]byte{}, keys, 0); err != nil {
			return p, rec, err
		}
		p.ID = op.PartitionOf(rec.Key, r.Partitions)
	}
	if rec.Value, err = value.Encode([]byte{}, values, 0); err != nil {
		return p, rec, err
	}
	if row.Time != nil {
		rec.Time = *row.Time
	}
	return p, rec, nil
}
