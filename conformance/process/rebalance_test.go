package process

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// longestGap is the longest permitted interval without a row while processes are killed, added and paused.
const longestGap = 10 * time.Second

// TestRebalance runs three processes over twelve partitions. In each round one process is killed, one is
// added, and one is paused for longer than its session timeout.
func TestRebalance(t *testing.T) {
	s := newSite(t, shared)
	w := s.workload(12)
	var procs []*proc
	dirs := []string{"a", "b", "c"}
	for _, d := range dirs {
		procs = append(procs, s.run(d, w.sql))
	}
	w.begin(500)
	w.ready()
	began := time.Now()
	longest := time.Duration(0)
	for round := range *rounds {
		i := rand.IntN(3)
		j := (i + 1 + rand.IntN(2)) % 3
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		procs[i].killed()
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		if round%2 == 0 { // with a new directory, and therefore as a new member of the group
			dirs[i] = fmt.Sprintf("d%d", round)
		}
		procs[i] = s.run(dirs[i], w.sql)
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		procs[j].pause()
		time.Sleep(3 * time.Second) // its session timeout is two
		procs[j].resume()
		gap := w.seen.longest()
		if longest = max(longest, gap); gap > longestGap {
			t.Errorf("round %d: %.1f s without a row", round+1, gap.Seconds())
		}
	}
	took := time.Since(began)
	in, out := w.judge()
	for _, p := range procs {
		p.stop()
	}
	told := s.owners()
	commits, handovers := s.chains()
	t.Logf("%d rounds in %.0f s: %d rows read, %d written, as the oracle computes; %d assignments, no task at two processes in one epoch; %d commits in an unbroken row per task, %d of them by another process than the one before; the longest time without a row was %.1f s",
		*rounds, took.Seconds(), in, out, told, commits, handovers, longest.Seconds())
	if told < 3**rounds || handovers < *rounds {
		t.Errorf("only %d assignments and %d handovers: nothing was tried", told, handovers)
	}
}
