package streamql

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// Rows is the result of a query. Iterate over Batches once.
type Rows struct {
	// Columns are the result's columns; those with role Key identify a row of a changing result.
	Columns []catalog.Column
	// Changes says that rows come and go: a batch's weights count. Bounded says that the result ends by itself.
	Changes, Bounded bool

	static *flow.Batch
	run    func(ctx context.Context, emit exec.Emit) error
	ctx    context.Context
	stats  func() Stats
}

// Stats is what a query has read so far.
type Stats struct {
	Scanned int64 // rows
	Known   int64 // rows to be scanned in all, -1 when the query has no end
}

// Stats is what has been read so far. It may be called beside the loop over Batches.
func (r *Rows) Stats() Stats {
	if r.stats == nil {
		return Stats{}
	}
	return r.stats()
}

var errLeft = errors.New("the reader has left")

// Batches yields the result as it comes. The last pair has the error that ended it, if one did: an *Error. Ending the loop stops the
// query. The query runs on the caller's goroutine, between two batches. A batch stays valid; nothing is to be released.
func (r *Rows) Batches() iter.Seq2[*flow.Batch, error] {
	return func(yield func(*flow.Batch, error) bool) {
		if r.static != nil {
			yield(r.static, nil)
			return
		}
		left := false
		err := r.run(r.ctx, func(b *flow.Batch) error {
			if b.Rows() == 0 {
				return nil
			}
			if left = !yield(b, nil); left {
				return errLeft
			}
			return nil
		})
		if left || err == nil || errors.Is(err, exec.ErrDone) {
			return
		}
		if r.ctx.Err() != nil {
			yield(nil, r.ctx.Err())
			return
		}
		yield(nil, wrap(err, nil))
	}
}

func staticBatch(names []string, types []flow.Type, rows [][]any) *flow.Batch {
	fields := make([]arrow.Field, len(names))
	cols := make([]arrow.Array, len(names))
	for i, n := range names {
		fields[i] = flow.Field(n, types[i])
		b := flow.Builder(types[i])
		for _, r := range rows {
			flow.Append(b, r[i])
		}
		cols[i] = b.NewArray()
	}
	return flow.NewBatch(flow.NewSchema(fields), cols, len(rows), nil)
}

func staticRows(b *flow.Batch) *Rows {
	r := &Rows{static: b, Bounded: true}
	for _, f := range b.Schema.Fields() {
		r.Columns = append(r.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	return r
}
