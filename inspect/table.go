// Package inspect presents the objects of an engine, such as relations, models, jobs, plans and metrics, as Go values
// and as batches of rows. SHOW, DESCRIBE, EXPLAIN, the relations of schema streamql and the HTTP interface use the
// same values.
package inspect

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// Batch builds a batch. Each row has one value per field.
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

// table builds a batch and derives the column types from the rows: INT for int32, BIGINT for int64, else STRING.
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
