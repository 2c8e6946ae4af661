package process

import (
	"math/rand/v2"
	"testing"
	"time"
)

const kills = 60

// TestKills kills one of two processes sixty times at random moments and restarts it, while records arrive.
func TestKills(t *testing.T) {
	s := newSite(t, shared)
	w := s.workload(4)
	procs := []*proc{s.run("a", w.sql), s.run("b", w.sql)}
	dirs := []string{"a", "b"}
	w.begin(500)
	w.ready()
	began := time.Now()
	for range kills {
		time.Sleep(time.Duration(200+rand.IntN(2200)) * time.Millisecond)
		i := rand.IntN(len(procs))
		procs[i].killed()
		procs[i] = s.run(dirs[i], w.sql)
	}
	gap := w.seen.longest()
	in, out := w.judge()
	for _, p := range procs {
		p.stop()
	}
	t.Logf("%d kills in %.0f s: %d rows read, %d written, as the oracle computes; the longest time without a row was %.1f s", kills, time.Since(began).Seconds(), in, out, gap.Seconds())
}
