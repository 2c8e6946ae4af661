package sim

import (
	"sync/atomic"
	"testing"
)

// regress are seeds that have failed once, with what they found. A seed means another world when the model changes, so what is found
// becomes a test of its own as well, where it can be said in few lines.
var regress = []uint64{
	55,    // restore overtaken by others and by compaction: ErrMoved where only the place was lost (exec.TestDisagree)
	385,   // a skip in the changelog was not noticed (exec.TestReplayTrustsNobody)
	9370,  // standing still for longer than deletions are kept, the store then counted as new
	20728, // of the model: a skip to the very end of a partition, which nobody can see
}

func TestRegress(t *testing.T) {
	var failed atomic.Int64
	for _, seed := range regress {
		run(t, seed, &failed)
	}
}
