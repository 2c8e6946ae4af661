// Package inspect shows what an engine knows: its relations, models, jobs and plans, as Go values and as batches of rows. SHOW, DESCRIBE,
// EXPLAIN, the relations of schema streamql and the HTTP interface are made of the same values.
package inspect

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// Batch makes a batch of rows that are known.
func Batch(fields []arrow.Field, rows [][]any) *flow.Batch {
	cols := make([]arrow.Array, len(fields))
	for i, f := range fields {
		b := flow.Builder(f.Type)
		for _, r := range rows {
			flow.Append(b, r[i])
		}
		cols[i] = b.NewArray()
	}
	return flow.NewBatch(flow.NewSchema(fields), cols, len(rows), nil)
}

// table makes a batch whose types follow from its rows: INT and BIGINT where the values are, else STRING.
func table(names []string, rows [][]any) *flow.Batch {
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		t := flow.String
		for _, r := range rows {
			switch r[i].(type) {
			case int32:
				t = flow.Int
			case int64:
				t = flow.Bigint
			}
		}
		fields[i] = flow.Field(name, t)
	}
	return Batch(fields, rows)
}
