package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// two starts two processes with a job of each of two inputs, a and b, which have one row each.
func (c *cluster) two(t *testing.T) (*site, string, []*asked) {
	t.Helper()
	s := c.site(t)
	text := "SET 'auto.offset.reset'='earliest';\n"
	for _, x := range []string{"a", "b"} {
		in := s.topic(x, 2)
		s.put(in, 0, "k0", `{"v":1}`)
		text += fmt.Sprintf("CREATE STREAM %[1]s (k STRING KEY, v INT) WITH (topic='%[2]s', key_format='kafka', value_format='json');\n", x, in)
		text += fmt.Sprintf("CREATE TABLE o%[1]s WITH (topic='%[2]s.o%[1]s') AS SELECT k, COUNT(*) AS n FROM %[1]s GROUP BY k;\n", x, s.name)
	}
	sql := s.file("two.sql", text)
	all := s.launch(2, sql)
	s.settled(all, 2, "", defined)
	seen := s.watch(s.name+".oa", s.name+".ob")
	defer seen.stop()
	for _, name := range []string{s.name + ".oa", s.name + ".ob"} { // a job that has read nothing has no state to lose
		if !seen.await(name, 1, 30*time.Second) {
			t.Fatalf("no row arrives in %s", name)
		}
	}
	return s, sql, all
}

// goesOn writes a row to an input and waits until its job has processed it.
func (s *site) goesOn(x string, limit time.Duration) {
	s.t.Helper()
	name := s.name + ".o" + x
	seen := s.watch(name)
	defer seen.stop()
	seen.await(name, 1, limit)
	n := seen.count(name)
	s.put(s.name+"."+x, 0, "k1", `{"v":2}`)
	if !seen.await(name, n+1, limit) {
		s.t.Errorf("o%s does not continue: no row has arrived within %v", x, limit)
	}
}

// TestThreeDamagedCatalog writes invalid entries into the catalog log while two processes run. They report
// it, accept definitions, and can be restarted.
func TestThreeDamagedCatalog(t *testing.T) {
	c := three(t)
	s, sql, all := c.two(t)
	future, err := json.Marshal(map[string]any{"format": 99, "id": "x", "kind": "STREAM", "name": "tomorrow",
		"statement": "CREATE STREAM tomorrow;", "hologram": true})
	if err != nil {
		t.Fatal(err)
	}
	for n, bad := range []struct{ text, says string }{
		{`{}`, "the entry has no format"},
		{"\x00\xff no JSON", "the entry is not a JSON object"},
		{string(future), "the entry has format 99"},
	} {
		s.put(s.name+".catalog", 0, "", bad.text)
		for _, p := range all {
			p.says(bad.says)
		}
		p := all[n%2]
		p.do(fmt.Sprintf("CREATE STREAM more%[1]d WITH (topic='%[2]s.more%[1]d') AS SELECT k, v FROM b;", n, s.name))
		all[(n+1)%2].until(fmt.Sprintf("SELECT status FROM streamql.jobs WHERE job = '%s';",
			p.jobOf(fmt.Sprintf("more%d", n))), "[[RUNNING]]", 15*time.Second)
		all[0].killed()
		all[0] = s.launched("p0", sql)
		s.settled(all, 3+n, "", defined)
		for _, p := range all {
			p.says(bad.says)
		}
		s.goesOn("a", 30*time.Second)
	}
	for _, p := range all {
		if _, err := p.post("/v1/query", "SELECT * FROM tomorrow;"); err == nil ||
			!strings.Contains(err.Error(), "format 99") {
			t.Errorf("%s: the error does not say why a stream of a future version cannot be read: %v", p.label, err)
		}
	}
	all[0].do("DROP STREAM tomorrow;")
	for _, p := range all {
		p.stop()
	}
}

// failsAlone waits until the job of a has failed with one of the codes at all processes, while b continues.
// TERMINATE at one process removes it.
func (s *site) failsAlone(all []*asked, codes ...string) {
	s.t.Helper()
	began, job, code := time.Now(), "CTAS_oa_0", ""
	for _, p := range all {
		code = p.fails(job, unknown, codes...)
	}
	took := time.Since(began)
	why := ""
	for _, p := range all {
		why = p.ready(http.StatusServiceUnavailable, job, 10*time.Second)
	}
	s.goesOn("b", 15*time.Second)
	all[1].do("TERMINATE " + job + ";")
	for _, p := range all {
		p.ready(http.StatusOK, "", 10*time.Second)
	}
	s.goesOn("b", 15*time.Second)
	for _, p := range all {
		p.stop()
	}
	s.t.Logf("FAILED with %s after %.1f s at all processes (%s), the other job continues, TERMINATE removes it", code,
		took.Seconds(), why)
}

// TestThreeDamagedState damages the changelog of a job. Only this job fails.
func TestThreeDamagedState(t *testing.T) {
	c := three(t)
	t.Run("a record that is none", func(t *testing.T) {
		s, sql, all := c.two(t)
		for partition := range int32(2) {
			s.put(s.name+".changelog.CTAS_oa_0.0", partition, "garbage", "garbage")
		}
		for i, p := range all { // a running job does not read its changelog, but a task that has moved does
			p.killed()
			all[i] = s.launched(fmt.Sprintf("q%d", i), sql)
		}
		s.failsAlone(all, "SQ7302")
	})
	t.Run("the topic is deleted", func(t *testing.T) {
		s, _, all := c.two(t)
		s.remove(s.name + ".changelog.CTAS_oa_0.0")
		s.put(s.name+".a", 0, "k2", `{"v":3}`)
		s.failsAlone(all, "SQ7301", "SQ5004", "SQ5006")
	})
}

// TestThreeFailsAlone deletes the input of one job. A shell that does not run jobs reports it as FAILED.
// RESTART has no effect while the topic is a different one.
func TestThreeFailsAlone(t *testing.T) {
	c := three(t)
	s, _, all := c.two(t)
	s.remove(s.name + ".a")
	for _, p := range all {
		p.fails("CTAS_oa_0", unknown, "SQ5004", "SQ5006")
	}
	s.goesOn("b", 15*time.Second)
	shell := func(sql string) string {
		out, errs, code := s.command(time.Minute, "shell", "-c", sql, "--brokers", s.brokers, "--name", s.name)
		if code != 0 {
			t.Errorf("%s: exit %d: %s", sql, code, errs)
		}
		return out
	}
	if out := shell("SHOW JOBS;"); !strings.Contains(out, "FAILED") || !strings.Contains(out, "SQ500") {
		t.Errorf("an idle shell does not show that oa is FAILED, with its code:\n%s", out)
	} else {
		t.Logf("an idle shell shows\n%s", out)
	}
	s.topic("a", 2)
	shell("RESTART CTAS_oa_0;")
	time.Sleep(time.Second)
	for _, p := range all {
		p.fails("CTAS_oa_0", unknown, "SQ5006")
	}
	t.Logf("after the topic was made again and the job restarted, an idle shell shows\n%s", shell("SHOW JOBS;"))
	s.failsAlone(all, "SQ5006")
}
