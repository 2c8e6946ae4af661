package process

import (
	"flag"
	"strings"
	"testing"
	"time"
)

var outage = flag.Duration("outage", 15*time.Second, "how long TestOutages pauses the broker")

// TestOutages restarts, kills and pauses the broker while two processes run.
func TestOutages(t *testing.T) {
	dir, at := startKafka(t, "start")
	s := newSite(t, strings.TrimSpace(at))
	w := s.workload(4)
	procs := []*proc{s.run("a", w.sql), s.run("b", w.sql)}
	w.begin(300)
	w.ready()
	goesOn := func(what string, limit time.Duration) {
		t.Helper()
		began, n := time.Now(), w.seen.count(w.exact[0])
		if !w.seen.await(w.exact[0], n+1500, limit) {
			t.Fatalf("after the broker %s only %d rows have arrived within %v", what, w.seen.count(w.exact[0])-n, limit)
		}
		t.Logf("the broker %s: 1,500 rows more %.1f s later", what, time.Since(began).Seconds())
		time.Sleep(5 * time.Second) // the backlog is processed, so that the next fault meets small commits again
	}
	must(t, "restart", dir)
	goesOn("was restarted", time.Minute)
	must(t, "kill", dir)
	time.Sleep(2 * time.Second)
	must(t, "restart", dir)
	goesOn("was killed and started", time.Minute)
	must(t, "pause", dir)
	time.Sleep(*outage)
	must(t, "resume", dir)
	goesOn("was paused for "+outage.String(), time.Minute+*outage)
	in, out := w.judge()
	for _, p := range procs {
		p.stop()
	}
	s.owners()
	commits, _ := s.chains()
	t.Logf("%d rows read, %d written, as the oracle computes; %d commits in an unbroken row per task", in, out, commits)
}
