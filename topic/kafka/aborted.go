package kafka

import (
	"slices"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// aborted is a transaction whose rows are not to be seen: those of producer in [from, to).
type aborted struct {
	producer int64
	from, to topic.Offset
}

// endAborted finds where the aborted transactions of a response end: at the first abort marker of the producer behind their beginning.
// A node tells only where they begin, in any order; the end of one that goes on behind the response stays open. Every batch is passed
// over once before any is read, so that leaving rows out depends on offsets alone, not on the order in which batches are walked.
func endAborted(r *response, limit topic.Offset) error {
	if len(r.aborted) == 0 {
		return nil
	}
	r.aborted = slices.Clone(r.aborted) // readers at the same place share the response
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

// visible reports whether a batch's rows are to be seen.
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
