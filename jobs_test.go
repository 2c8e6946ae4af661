package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/server/http"
	"github.com/streamql/streamql/udf"
)

// answerer changes how a process serves HTTP, at the same address.
func (p *process) answer(address string, change func(*http.Handler)) {
	p.t.Helper()
	if err := p.server.Close(); err != nil {
		p.t.Fatal(err)
	}
	h := http.Over(p.Engine)
	change(h)
	var err error
	if p.server, err = http.Listen(http.Options{Address: address}, h); err != nil {
		p.t.Fatal(err)
	}
}

const counted = "SELECT job, status, rows, late, dead_letters FROM streamql.jobs;"

// TestJobsOfAll checks job counters across processes. Three processes share a job. Each of them, and one that
// runs no jobs, shows the counters of all three. If one does not respond, no process shows counters, rather
// than partial ones. A slow process delays only its own counters.
func TestJobsOfAll(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("jobs-%d", time.Now().UnixNano())
	log := newCollected()
	a := startProcess(t, brokers, name, streamql.WithLog(slog.New(log)))
	b, c := startProcess(t, brokers, name), startProcess(t, brokers, name)
	idle := startProcess(t, brokers, name, streamql.WithoutJobs())
	a.exec(fmt.Sprintf(`CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s-in', format='json', partitions=6);
		CREATE STREAM bad (id STRING KEY, line STRING) WITH (topic='%s-in', value_format='kafka', key_format='json', partitions=6);
		CREATE TABLE sums WITH (topic='%s-sums') AS SELECT id, SUM(v) AS total FROM s GROUP BY id;`, name, name, name))
	all := []*process{a, b, c, idle}
	shared := func() bool { // each has two of the six tasks
		for _, p := range []*process{a, b, c} {
			if figures(p.Metrics(t.Context()))[`streamql_job_tasks{job="CTAS_sums_0"}`] != 2 {
				return false
			}
		}
		return true
	}
	for range 400 {
		if shared() {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	var rows strings.Builder
	for k := range 60 {
		fmt.Fprintf(&rows, "INSERT INTO s VALUES ('k%02d', %d);\n", k, k)
	}
	a.exec(rows.String() + "INSERT INTO bad VALUES ('k01', '{{'); INSERT INTO bad VALUES ('k02', '{{');")
	for _, p := range all {
		p.eventually([]string{"CTAS_sums_0 RUNNING 62 0 2"}, counted)
	}
	for _, parts := range [][]string{{"INFO tasks are assigned", "job=CTAS_sums_0", "tasks=["},
		{"INFO job has a new state", "job=CTAS_sums_0", "state=RUNNING"}} {
		if !log.has(parts...) {
			t.Errorf("the log has no line with %q:\n%s", parts, log.text())
		}
	}
	address := strings.TrimPrefix(c.server.URL(), "http://")
	asked := atomic.Int32{}
	slow := make(chan struct{})
	c.answer(address, func(h *http.Handler) {
		h.Query = func(ctx context.Context, _ peer.Request) (*streamql.Rows, error) {
			asked.Add(1)
			select {
			case <-ctx.Done():
			case <-slow:
			}
			return nil, errors.New("too late")
		}
	})
	for _, p := range []*process{a, b, idle} {
		p.eventually([]string{"CTAS_sums_0 RUNNING <nil> <nil> <nil>"}, counted)
	}
	if close(slow); asked.Load() == 0 {
		t.Error("the slow process received no request")
	}
	c.answer(address, func(h *http.Handler) {})
	for _, p := range all {
		p.eventually([]string{"CTAS_sums_0 RUNNING 62 0 2"}, counted)
	}
	lag := func(p *process) (sum float64, n int) {
		for _, m := range p.Metrics(t.Context()) {
			if m.Name == "streamql_job_lag_records" {
				sum, n = sum+m.Value, n+1
			}
		}
		return sum, n
	}
	for range 600 {
		if sum, n := lag(b); sum == 0 && n == 2 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if sum, n := lag(b); sum != 0 || n != 2 {
		t.Errorf("a lag of %v in %d partitions", sum, n)
	}
	if got := figures(a.Metrics(t.Context())); got[fmt.Sprintf("streamql_topic_bytes{topic=%q}", name+".catalog")] <= 0 {
		t.Errorf("the catalog takes %v", got)
	}
	a.exec("PAUSE CTAS_sums_0;")
	for _, p := range all {
		p.eventually([]string{"PAUSED"}, "SELECT status FROM streamql.jobs;")
	}
}

// TestStatesElsewhere checks that a process without jobs shows jobs that wait, restart or have failed in
// other processes.
func TestStatesElsewhere(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("states-%d", time.Now().UnixNano())
	broken := streamql.WithFunction(udf.Func1("broken", "it has a fault", func(v int64) int64 { panic("a fault") }))
	log := newCollected()
	a := startProcess(t, brokers, name, broken, streamql.WithLog(slog.New(log)))
	idle := startProcess(t, brokers, name, broken, streamql.WithoutJobs())
	a.exec(fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
		CREATE STREAM s (id STRING KEY, v BIGINT) WITH (topic='%s-in', format='json', partitions=1);
		CREATE STREAM good WITH (topic='%s-good') AS SELECT id, v FROM s;
		INSERT INTO s VALUES ('a', 1);`, name, name))
	idle.eventually([]string{"RUNNING 1"}, "SELECT status, rows FROM streamql.jobs WHERE job = 'CSAS_good_0';")
	a.exec("CREATE MODEL m TRANSFORM (v) FROM s SINCE LATEST TRAIN EACH EVENT PUBLISH EVERY 1000 ROWS WITH (type='kmeans', k=1);")
	a.exec(fmt.Sprintf("CREATE STREAM waits WITH (topic='%s-waits') AS SELECT id, PREDICT(m, v) AS p FROM s;", name))
	idle.eventually([]string{"WAITING true"},
		"SELECT status, waits_for IS NOT NULL AS w FROM streamql.jobs WHERE job LIKE 'CSAS_waits%';")
	a.exec(fmt.Sprintf("CREATE STREAM fails WITH (topic='%s-fails') AS SELECT id, broken(v) AS x FROM s;", name))
	idle.eventually([]string{"RESTARTING SQ9001"}, "SELECT status, code FROM streamql.jobs WHERE job LIKE 'CSAS_fails%';")
	idle.eventually([]string{"FAILED SQ9001"}, "SELECT status, code FROM streamql.jobs WHERE job LIKE 'CSAS_fails%';")
	if got := figures(a.Metrics(t.Context())); !slices.ContainsFunc(a.Jobs(t.Context()), func(j streamql.JobInfo) bool {
		return strings.HasPrefix(j.Name, "CSAS_fails") &&
			got[fmt.Sprintf("streamql_job_restarts_total{job=%q}", j.Name)] == 3 &&
			got[fmt.Sprintf("streamql_job_state{job=%q,state=\"FAILED\"}", j.Name)] == 1
	}) {
		t.Errorf("the metrics are %v", got)
	}
	for _, parts := range [][]string{{"WARN job is restarted", "attempt=3", "code=SQ9001"},
		{"ERROR job has failed", "code=SQ9001", "cause="}, {"state=WAITING", "waits="}} {
		if !log.has(parts...) {
			t.Errorf("the log has no line with %q:\n%s", parts, log.text())
		}
	}
}
