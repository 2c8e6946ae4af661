package process

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readyz returns the response of a process's readiness probe.
func (a *asked) readyz() (status int, why string) {
	resp, err := http.Get(a.url + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	var doc struct{ Why string }
	_ = json.Unmarshal(text, &doc)
	return resp.StatusCode, doc.Why
}

// ready waits until the probe returns a status and its text contains names.
func (a *asked) ready(status int, names string, limit time.Duration) string {
	a.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		got, why := a.readyz()
		if got == status && strings.Contains(why, names) {
			return why
		}
		if time.Now().After(deadline) || !a.alive() {
			a.t.Errorf("%s: readyz is %d %q after %v, not %d with %q\n%s", a.label, got, why, limit, status, names,
				tail(a.said(), 2000))
			return why
		}
	}
}

// fails waits until a process lists a job as FAILED, and returns the error code.
func (a *asked) fails(job string, limit time.Duration, codes ...string) string {
	a.t.Helper()
	text := ""
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		var err error
		text, err = a.post("/v1/query", fmt.Sprintf("SELECT status, code, error FROM streamql.jobs WHERE job = '%s';", job))
		rows, _ := readRows(text)
		if err == nil && len(rows) == 1 && rows[0][0] == "FAILED" {
			code := fmt.Sprint(rows[0][1])
			if !strings.Contains(strings.Join(codes, " "), code) {
				a.t.Errorf("%s: %s is FAILED with %v, want one of %v", a.label, job, rows[0], codes)
			}
			return code
		}
		if time.Now().After(deadline) || !a.alive() {
			a.t.Fatalf("%s: %s is not FAILED after %v: %s %v\n%s", a.label, job, limit, text, err, tail(a.said(), 3000))
		}
	}
}

// jobOf returns the job that fills a relation.
func (a *asked) jobOf(relation string) string {
	a.t.Helper()
	for _, r := range a.rows("SELECT job FROM streamql.jobs;") {
		if job := fmt.Sprint(r[0]); strings.Contains(job, "_"+relation+"_") {
			return job
		}
	}
	a.t.Fatalf("there is no job of %s", relation)
	return ""
}

// put writes one record.
func (s *site) put(name string, partition int32, key, value string) {
	s.t.Helper()
	cl := s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.ProduceSync(s.t.Context(), &kgo.Record{Topic: name, Partition: partition, Key: []byte(key),
		Value: []byte(value)}).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// remove deletes a topic as an administrator does.
func (s *site) remove(name string) {
	s.t.Helper()
	if _, err := kadm.NewClient(s.client()).DeleteTopic(s.t.Context(), name); err != nil {
		s.t.Fatal(err)
	}
}

// unknown is the time limit until a job whose topic is deleted has failed: a minute, plus the restarts.
const unknown = 100 * time.Second

// victim creates a job, deletes its input, waits until it has FAILED at all processes, and terminates it at
// process i.
func (o *ordeal) victim(i int) string {
	o.t.Helper()
	n := o.count[deleted]
	p, what := o.procs[i], fmt.Sprintf("victim%d", n)
	in := o.topic(what+".in", 2)
	o.put(in, 0, "k", `{"v":1}`)
	p.do(fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
CREATE STREAM %[1]s_in (k STRING KEY, v INT) WITH (topic='%[2]s', key_format='kafka', value_format='json');
CREATE STREAM %[1]s WITH (topic='%[3]s.%[1]s') AS SELECT k, v FROM %[1]s_in;`, what, in, o.name))
	seen := o.watch(o.name + "." + what)
	if !seen.await(o.name+"."+what, 1, 30*time.Second) {
		o.t.Errorf("job %s writes nothing", what)
	}
	seen.stop()
	job := p.jobOf(what)
	o.remove(in)
	began, code := time.Now(), ""
	for _, q := range o.procs {
		code = q.fails(job, unknown, "SQ5004", "SQ5006")
	}
	took := time.Since(began)
	for _, q := range o.procs {
		q.ready(http.StatusServiceUnavailable, job, 10*time.Second)
	}
	p.do(fmt.Sprintf("TERMINATE %s; DROP STREAM %s DELETE TOPIC; DROP STREAM %s_in;", job, what, what))
	for _, q := range o.procs {
		q.ready(http.StatusOK, "", 10*time.Second)
	}
	return fmt.Sprintf("%s is FAILED with %s after %.1f s at all processes, and terminated at %s", job, code,
		took.Seconds(), p.label)
}
