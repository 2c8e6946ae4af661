package sim

import (
	"sync/atomic"
	"testing"
)

// regress are seeds that have failed once, with what they found. A seed means another world when the model changes, so what is found
// becomes a test of its own as well, where it can be said in few lines.
var regress = []uint64{}

func TestRegress(t *testing.T) {
	var failed atomic.Int64
	for _, seed := range regress {
		run(t, seed, &failed)
	}
}
