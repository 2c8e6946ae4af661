package engine

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Rows is the result of a query. Batches may be iterated once.
type Rows struct {
	// Columns are the columns of the result. Those with role Key identify a row of a changing result.
	Columns []catalog.Column
	// Changes reports whether rows may be retracted; the weights of a batch then matter. Bounded reports whether the
	// result has an end.
	Changes, Bounded bool

	static *flow.Batch
	run    func(ctx context.Context, emit exec.Emit) error
	ctx    context.Context
	stats  func() Stats
}

// Stats is the progress of a query.
type Stats struct {
	Scanned int64 // rows read so far
	Known   int64 // rows to read in total, -1 if the query has no end
}

// Stats returns the progress of the query. It may be called during the loop over Batches.
func (r *Rows) Stats() Stats {
	if r.stats == nil {
		return Stats{}
	}
	return r.stats()
}

// errLeft ends a query after the loop over its batches has ended.
var errLeft = errors.New("the reader has left")

// Batches yields the batches of the result as they arrive. If the query fails, the last pair has the error: a
// *lang.Error, or the error of the context. Ending the loop stops the query. The query runs on the goroutine of the
// caller, between two batches. A batch stays valid after the loop and need not be released.
func (r *Rows) Batches() iter.Seq2[*flow.Batch, error] {
	return func(yield func(*flow.Batch, error) bool) {
		if r.static != nil {
			yield(r.static, nil)
			return
		}
		// The callback runs on this goroutine, so left needs no lock.
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
		yield(nil, Wrap(err, nil))
	}
}

// StaticRows returns a result of one batch.
func StaticRows(b *flow.Batch) *Rows {
	r := &Rows{static: b, Bounded: true}
	for _, f := range b.Schema.Fields() {
		r.Columns = append(r.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	return r
}

func rowsOf(r *Rows, err error) (*Result, error) { return &Result{Rows: r}, err }

func batchOf(b *flow.Batch, err error) (*Result, error) {
	if err != nil {
		return nil, err
	}
	return &Result{Rows: StaticRows(b)}, nil
}

// scanned counts the rows that a query has read.
// The goroutine of the query adds, and any goroutine may read. known does not change.
type scanned struct {
	rows  atomic.Int64
	known int64
}

func (s *scanned) add(n int64) { s.rows.Add(n) }

func (s *scanned) stats() Stats { return Stats{Scanned: s.rows.Load(), Known: s.known} }

// known returns the number of offsets that a plan reads, -1 if it has no end.
func known(stages []exec.Stage) int64 {
	n := int64(0)
	for _, s := range stages {
		for _, spans := range s.Spans {
			for _, p := range spans {
				if p.To == topic.End {
					return -1
				}
				n += int64(p.To - p.From)
			}
		}
	}
	return n
}
