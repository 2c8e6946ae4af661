package flow

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// Concat concatenates columns of one type.
func Concat(cols []arrow.Array) arrow.Array {
	if len(cols) == 1 {
		return cols[0]
	}
	out, err := array.Concatenate(cols, Mem)
	if err != nil {
		// one schema has one type
		panic(fmt.Sprintf("flow: columns of one schema cannot be concatenated: %v", err))
	}
	return out
}

// ConcatBatches concatenates batches of one schema.
func ConcatBatches(batches []*Batch) *Batch {
	if len(batches) == 1 {
		return batches[0]
	}
	first := batches[0]
	cols := make([]arrow.Array, first.NumCols())
	parts := make([]arrow.Array, len(batches))
	rows, changes := 0, false
	for _, b := range batches {
		rows += b.Rows()
		changes = changes || b.Ops != nil
	}
	for c := range cols {
		for i, b := range batches {
			parts[i] = b.Column(c)
		}
		cols[c] = Concat(parts)
	}
	var ops []Op
	if changes {
		for _, b := range batches {
			for i := range b.Rows() {
				ops = append(ops, b.Op(i))
			}
		}
	}
	return NewBatch(first.Schema, cols, rows, ops)
}
