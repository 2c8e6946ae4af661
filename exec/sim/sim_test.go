package sim

import (
	"flag"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("seeds", 1000, "how many worlds are run")
	from  = flag.Uint64("from", 1, "the first seed")
)

// TestExact: whatever happens to the workers, no row is lost, duplicated or reordered.
func TestExact(t *testing.T) {
	var next, kills, rows, steps, faults, recoveries, failed atomic.Int64
	var running sync.WaitGroup
	plans := map[string]int{}
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(*seeds) && failed.Load() < 5; i = next.Add(1) - 1 {
				r := run(t, *from+uint64(i), &failed)
				kills.Add(int64(r.Kills))
				rows.Add(int64(r.Rows))
				steps.Add(int64(r.Steps))
				faults.Add(int64(r.Faults))
				recoveries.Add(r.Recoveries)
				mu.Lock()
				plans[r.Plan]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	t.Logf("%d seeds from %d: %d steps, %d kills, %d recoveries without one, %d faults of the client, %d rows; %v", *seeds, *from, steps.Load(), kills.Load(), recoveries.Load(), faults.Load(), rows.Load(), plans)
}

// run runs a seed, and again with a trace if it fails.
func run(t *testing.T, seed uint64, failed *atomic.Int64) Result {
	t.Helper()
	r := Run(seed, false)
	if r.Err != nil {
		failed.Add(1)
		again := Run(seed, true)
		tail := again.Trace[max(0, len(again.Trace)-400):]
		t.Errorf("seed %d (%s): %v\n%s", seed, r.Plan, r.Err, strings.Join(tail, "\n"))
	}
	return r
}

// TestReplay: a seed determines a run: the same events happen at the same times.
func TestReplay(t *testing.T) {
	for seed := range uint64(20) {
		a, b := Run(seed, true), Run(seed, true)
		if !slices.Equal(a.Trace, b.Trace) {
			t.Errorf("seed %d went differently the second time", seed)
		}
	}
}
