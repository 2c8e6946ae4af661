package sim

import (
	"sync/atomic"
	"testing"
)

// regress are seeds that have failed, with the faults that they found. A change of the model
// changes the meaning of a seed, so a fault also has a test of its own if that is possible in a
// few lines.
var regress = []uint64{
	// a restore overtaken by other members and by compaction: ErrMoved although only the task
	// was lost (exec.TestDisagree)
	55,
	385,   // a skip in the changelog was not detected (exec.TestReplayTrustsNobody)
	9370,  // suspended for longer than deletions are retained, after which the store counted as new
	20728, // of the model: a skip to the end of a partition, which is undetectable
}

func TestRegress(t *testing.T) {
	var failed atomic.Int64
	for _, seed := range regress {
		run(t, seed, &failed)
	}
}
