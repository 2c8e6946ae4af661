package process

import (
	"context"
	"flag"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

var starts = flag.Int("starts", 3, "how often TestThreeStarts starts five processes at once")

const (
	together = 5                // processes that start at the same instant
	defined  = 30 * time.Second // the time limit until all of them have all jobs
)

// definitions writes a file with four jobs and a model, as a user would.
func (s *site) definitions() string {
	in := s.topic("in", 4)
	text := `SET 'auto.offset.reset'='earliest';
CREATE STREAM s (k STRING KEY, n BIGINT, v BIGINT, c STRING) WITH (topic='%[1]s', key_format='kafka', value_format='json');
CREATE STREAM copied WITH (topic='%[2]s.copied') AS SELECT k, n, v * 2 AS twice FROM s WHERE v >= 100;
CREATE TABLE sums WITH (topic='%[2]s.sums') AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;
CREATE TABLE windows WITH (topic='%[2]s.windows') AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;
CREATE TABLE colors WITH (topic='%[2]s.colors') AS SELECT c, COUNT(*) AS n FROM s GROUP BY c;
CREATE STREAM paid WITH (connector='generator', kind='fraud', rows=300, seed=7);
CREATE MODEL fraud TRANSFORM (LN(amount) AS amount, hour) TARGET is_fraud FROM paid SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='logistic_regression', seed=7);
`
	return s.file("jobs.sql", fmt.Sprintf(text, in, s.name))
}

// launched starts a process that serves HTTP once it has reached its brokers. It does not wait for that.
func (s *site) launched(dir, sql string, more ...string) *asked {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	l.Close()
	return &asked{s.run(dir, sql, append([]string{"--http", l.Addr().String()}, more...)...), "http://" +
		l.Addr().String()}
}

// launch starts several processes at once.
func (s *site) launch(n int, sql string) (all []*asked) {
	for i := range n {
		all = append(all, s.launched(fmt.Sprintf("p%d", i), sql))
	}
	return all
}

// inventory returns the names of the jobs that a process lists; empty if there is no list, or if a job
// neither runs nor has ended.
func (a *asked) inventory() string {
	text, err := a.post("/v1/query", "SELECT job, status FROM streamql.jobs;")
	if err != nil {
		return ""
	}
	rows, _ := readRows(text)
	var names []string
	for _, r := range rows {
		if r[1] != "RUNNING" && r[1] != "DEGRADED" && r[1] != "DONE" { // DEGRADED: a broker is not reachable
			return ""
		}
		names = append(names, fmt.Sprint(r[0]))
	}
	return strings.Join(names, " ")
}

// names returns the site's topics without the site's name.
func (s *site) names() (out []string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for _, name := range s.topics(ctx) {
		out = append(out, strings.TrimPrefix(name, s.name+"."))
	}
	slices.Sort(out)
	return out
}

// settled waits until all processes list these jobs. If want is empty, it is the list of the first process.
func (s *site) settled(all []*asked, jobs int, want string, limit time.Duration) string {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for _, p := range all {
		for got := ""; ; time.Sleep(50 * time.Millisecond) {
			if got = p.inventory(); want == "" && len(strings.Fields(got)) == jobs {
				want = got
			}
			if want != "" && got == want {
				break
			}
			if !p.alive() {
				s.t.Fatalf("%s has ended: %s", p.label, tail(p.said(), 2000))
			}
			if time.Now().After(deadline) {
				text, err := p.post("/v1/query", "SELECT job, status, error FROM streamql.jobs;")
				s.t.Fatalf("%s does not have all jobs after %v: %s %v, want %s", p.label, limit, text, err, want)
			}
		}
	}
	return want
}

// one is the result of a single process with the same file, computed on first use.
var one struct {
	jobs   string
	topics []string
}

// alone returns the jobs and topics that a single process creates from the file.
func (c *cluster) alone(t *testing.T) (jobs string, topics []string) {
	t.Helper()
	if one.jobs != "" {
		return one.jobs, one.topics
	}
	s := c.site(t)
	p := s.launch(1, s.definitions())
	jobs = s.settled(p, 5, "", time.Minute)
	topics = s.names()
	p[0].stop()
	if len(topics) < 10 {
		t.Fatalf("a process alone makes only %v", topics)
	}
	t.Logf("a process alone makes %s and topics %v", jobs, topics)
	one.jobs, one.topics = jobs, topics
	return jobs, topics
}

// same stops the processes and compares the topics they created with those of a single process.
func (s *site) same(all []*asked, topics []string) {
	s.t.Helper()
	for _, p := range all {
		p.stop()
	}
	if got := s.names(); !slices.Equal(got, topics) {
		s.t.Errorf("%d processes have made topics\n%v, one alone makes\n%v", len(all), got, topics)
	}
}

// TestThreeStarts starts five processes with one file at the same instant. They create exactly the jobs and
// topics that a single one creates.
func TestThreeStarts(t *testing.T) {
	c := three(t)
	jobs, topics := c.alone(t)
	var took []time.Duration
	for n := range *starts {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			s := c.site(t)
			sql, began := s.definitions(), time.Now()
			all := s.launch(together, sql)
			s.settled(all, 5, jobs, defined)
			took = append(took, time.Since(began).Round(100*time.Millisecond))
			s.same(all, topics)
		})
	}
	t.Logf("%d times %d processes at once: all jobs at all of them after %v; names, numbers and topics as of one alone",
		*starts, together, took)
}

// TestThreeStartsWithTwo starts processes while one broker of three is stopped. While the cluster has the
// broker's registration, topics of three replicas can be created. Without the registration they cannot: the
// processes wait, log that once per interval, and continue when the broker is back.
func TestThreeStartsWithTwo(t *testing.T) {
	c := three(t)
	jobs, topics := c.alone(t)
	away := func(t *testing.T, meanwhile func(s *site, n int, sql string) []*asked) (*site, []*asked) {
		s := c.site(t)
		sql, n := s.definitions(), c.some()
		must(t, "kill", c.broker(n))
		return s, meanwhile(s, n, sql)
	}
	t.Run("dead", func(t *testing.T) {
		s, all := away(t, func(s *site, n int, sql string) []*asked {
			began := time.Now()
			all := s.launch(together, sql)
			s.settled(all, 5, jobs, defined)
			t.Logf("with broker %d of three dead: all jobs at %d processes after %.1f s", n, together,
				time.Since(began).Seconds())
			must(t, "restart", c.broker(n))
			return all
		})
		c.whole(time.Minute)
		s.same(all, topics)
	})
	t.Run("unknown", func(t *testing.T) {
		s, all := away(t, func(s *site, n int, sql string) []*asked {
			c.unregister(s, n)
			all := s.launch(together, sql)
			const alone = 15 * time.Second
			time.Sleep(alone)
			for _, p := range all {
				p.waits("INVALID_REPLICATION_FACTOR", 1+int(alone/(10*time.Second)))
			}
			must(t, "restart", c.broker(n))
			began := time.Now()
			s.settled(all, 5, jobs, defined)
			t.Logf("broker %d of three was not registered: all jobs at %d processes %.1f s after it was back", n, together,
				time.Since(began).Seconds())
			return all
		})
		c.whole(time.Minute)
		s.same(all, topics)
	})
}

// waits checks that a process runs, and that it has logged the reason for its wait at least once and at most
// a number of times.
func (p *asked) waits(text string, most int) {
	p.t.Helper()
	if !p.alive() {
		p.t.Fatalf("%s has ended: %s", p.label, tail(p.said(), 2000))
	}
	n := 0
	for line := range strings.Lines(p.said()) {
		if strings.HasPrefix(line, "warning[") && strings.Contains(line, text) {
			n++
		}
	}
	if n < 1 || n > most {
		p.t.Errorf("%s logs %d times %s, not 1 to %d times:\n%s", p.label, n, text, most, p.said())
	}
}

// TestThreeStartsFirst starts processes before their brokers.
func TestThreeStartsFirst(t *testing.T) {
	c := three(t)
	jobs, topics := c.alone(t)
	s := c.site(t)
	sql := s.definitions()
	must(t, "stop", c.dir)
	all := s.launch(together, sql)
	const early = 20 * time.Second
	time.Sleep(early)
	for _, p := range all {
		if !p.alive() {
			t.Fatalf("%s has ended: %s", p.label, tail(p.said(), 2000))
		}
	}
	must(t, "restart", c.dir)
	c.whole(time.Minute)
	began := time.Now()
	s.settled(all, 5, jobs, defined)
	took := time.Since(began)
	s.same(all, topics)
	t.Logf("%d processes were there %v before the brokers: all jobs %.1f s after those were whole", together, early,
		took.Seconds())
}
