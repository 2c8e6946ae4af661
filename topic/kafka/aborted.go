package kafka

import (
	"slices"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// aborted is an aborted transaction: rows of producer in [from, to) are invisible.
type aborted struct {
	producer int64
	from, to topic.Offset
}

// endAborted finds the ends of the aborted transactions of a response: the producer's first
// abort marker after the transaction's beginning. A node reports only the beginnings, in any
// order. The end of a transaction that extends past the response stays open. All headers are
// scanned before any batch is read, so the visibility of a row depends on offsets alone and not
// on the order in which batches are walked.
func endAborted(r *response, limit topic.Offset) error {
	if len(r.aborted) == 0 {
		return nil
	}
	r.aborted = slices.Clone(r.aborted) // readers at the same position share the response
	for i := range r.aborted {
		r.aborted[i].to = topic.End
	}
	var f topic.Fetch
	_, err := batch.Walk(&f, r.raw, batch.Window{From: r.from, To: limit, Visit: func(h *batch.Header) bool {
		if h.Marker && !h.Commit {
			for i := range r.aborted {
				if a := &r.aborted[i]; a.producer == h.ProducerID && a.from <= h.Base && a.to == topic.End {
					a.to = h.Base
				}
			}
		}
		return false
	}})
	return err
}

// visible reports whether the rows of a batch are committed.
func (r *response) visible(h *batch.Header) bool {
	if h.Transactional() {
		for i := range r.aborted {
			if a := &r.aborted[i]; a.producer == h.ProducerID && h.Base >= a.from && h.Base < a.to {
				return false
			}
		}
	}
	return true
}
