package streamql_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	nethttp "net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/server/http"
)

// collected is a log handler that stores its lines as text: level, message and attributes.
type collected struct {
	mu    *sync.Mutex
	lines *[]string
	with  string
}

func newCollected() collected { return collected{&sync.Mutex{}, &[]string{}, ""} }

func (c collected) Enabled(context.Context, slog.Level) bool { return true }

func (c collected) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message + c.with
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.lines = append(*c.lines, line)
	return nil
}

func (c collected) WithAttrs(list []slog.Attr) slog.Handler {
	for _, a := range list {
		c.with += " " + a.String()
	}
	return c
}

func (c collected) WithGroup(string) slog.Handler { return c }

// has reports whether a line contains all the parts.
func (c collected) has(parts ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(*c.lines, func(line string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

func (c collected) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(*c.lines, "\n")
}

// figures returns metrics by name and labels, in the notation of Prometheus.
func figures(list []streamql.Metric) map[string]float64 {
	out := map[string]float64{}
	for _, m := range list {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
		slices.Sort(labels)
		key := m.Name
		if labels != nil {
			key += "{" + strings.Join(labels, ",") + "}"
		}
		out[key] = m.Value
	}
	return out
}

// scraped returns the metrics of /metrics.
func scraped(t *testing.T, url string) map[string]float64 {
	t.Helper()
	answer, err := nethttp.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%v %v %s", answer.Status, err, text)
	}
	out := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if at := strings.LastIndex(line, " "); !strings.HasPrefix(line, "#") {
			if out[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	return out
}

// TestMetrics runs jobs over known rows, of which one is late and one cannot be decoded. It compares the
// metrics with them: as Go values, as rows and in Prometheus' format.
func TestMetrics(t *testing.T) {
	log := newCollected()
	e, err := streamql.Open(t.Context(), streamql.WithDir(t.TempDir()), streamql.WithLog(slog.New(log)))
	if err != nil {
		t.Fatal(err)
	}
	server, err := http.Listen(http.Options{Address: "127.0.0.1:0"}, http.Over(e))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		nethttp.DefaultClient.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if e.Metrics(context.Background()) == nil {
			t.Error("no metrics after the end")
		}
	}()
	exec := func(text string) {
		t.Helper()
		if err := e.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	exec(`SET 'auto.offset.reset'='earliest';
		CREATE STREAM s (id STRING KEY, v DOUBLE, at TIMESTAMP) WITH (topic='s', format='json', partitions=1, timestamp='at');
		CREATE STREAM raw (line STRING) WITH (topic='s', value_format='kafka', partitions=1);
		CREATE TABLE sums AS SELECT id, SUM(v) AS total, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 0 SECONDS) GROUP BY id;`)
	exec(`INSERT INTO s VALUES ('a', 1, '2024-01-01T00:00:01Z'), ('b', 2, '2024-01-01T00:00:02Z'), ('a', 3, '2024-01-01T00:05:00Z'), ('c', 4, '2024-01-01T00:00:03Z');
		INSERT INTO raw VALUES ('{{');`)
	exec("CREATE MODEL m TRANSFORM (v) FROM s SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='kmeans', k=1, seed=5);")
	job := e.Jobs(t.Context())[0].Name
	of := func(name, more string) string { return fmt.Sprintf("%s{job=%q%s}", name, job, more) }
	want := map[string]float64{of("streamql_job_rows_total", ""): 5, of("streamql_job_late_rows_total", ""): 1,
		of("streamql_job_dead_letters_total", ""): 1,
		of("streamql_job_gap_offsets_total", ""):  0, of("streamql_job_state", `,state="RUNNING"`): 1,
		of("streamql_job_state", `,state="FAILED"`):                0,
		of("streamql_job_lag_records", `,partition="0",topic="s"`): 0, of("streamql_job_tasks", ""): 1,
		of("streamql_job_restarts_total", ""): 0,
		`streamql_model_versions{model="m"}`:  1, `streamql_model_serving_version{model="m"}`: 1,
		"streamql_broker_trouble": 0, "streamql_catalog_broken": 0,
		"streamql_query_active": 0}
	above := []string{of("streamql_job_commits_total", ""), of("streamql_job_commit_seconds_total", ""),
		of("streamql_job_written_records_total", ""),
		of("streamql_job_written_bytes_total", ""), of("streamql_job_state_bytes", `,where="memory"`),
		`streamql_topic_bytes{topic="streamql.errors"}`,
		"streamql_catalog_entries_total", "streamql_goroutines", "streamql_heap_bytes"}
	compare := func(got map[string]float64) (wrong []string) {
		for name, value := range want {
			if has, ok := got[name]; !ok || has != value {
				wrong = append(wrong, fmt.Sprintf("%s is %v, %v, not %v", name, has, ok, value))
			}
		}
		for _, name := range above {
			if got[name] <= 0 {
				wrong = append(wrong, fmt.Sprintf("%s is %v", name, got[name]))
			}
		}
		return wrong
	}
	var wrong []string
	for range 400 {
		if wrong = compare(figures(e.Metrics(t.Context()))); wrong == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if wrong != nil {
		t.Fatalf("the metrics:\n%s\n%s", strings.Join(wrong, "\n"), log.text())
	}
	page := scraped(t, server.URL())
	if wrong := compare(page); wrong != nil || page["go_goroutines"] <= 0 || page["process_cpu_seconds_total"] <= 0 {
		t.Errorf("/metrics: %v", wrong)
	}
	rows := &process{Engine: e, t: t}
	for _, q := range []struct{ text, want string }{
		{"SELECT value, kind FROM streamql.metrics WHERE name = 'streamql_job_rows_total' AND labels['job'] = '" + job +
			"';", "5 counter"},
		{"SELECT value FROM streamql.metrics WHERE name = 'streamql_job_late_rows_total' AND labels['job'] = '" + job +
			"';", "1"},
		{"SELECT value FROM streamql.metrics WHERE name = 'streamql_query_active';", "1"},
	} {
		if got, err := rows.rows(q.text); err != nil || len(got) != 1 || got[0] != q.want {
			t.Errorf("%s: %v, %v", q.text, got, err)
		}
	}
	for _, parts := range [][]string{{"INFO job has a new state", "job=" + job, "state=RUNNING"},
		{"INFO version of a model is there", "model=m", "version=1", "state=READY"},
		{"DEBUG catalog entry applied", "name=sums"}} {
		if !log.has(parts...) {
			t.Errorf("the log has no line with %q:\n%s", parts, log.text())
		}
	}
	exec("DROP MODEL m$1;")
	rows.eventually([]string{"0"}, "SELECT value FROM streamql.metrics WHERE name = 'streamql_model_serving_version';")
	if !log.has("INFO version of a model was dropped", "model=m", "version=1", "state=DROPPED") {
		t.Errorf("the log:\n%s", log.text())
	}
}

// TestManualOfMetrics checks that the manual lists each metric.
func TestManualOfMetrics(t *testing.T) {
	text, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inspect.Measures {
		if !strings.Contains(string(text), "`"+m.Name+"`") {
			t.Errorf("docs/operations.md does not name %s", m.Name)
		}
	}
}

// TestRestoreIsSeen checks that a process without its disk replays the changelogs of a job, and that the
// metrics show how many records it replayed.
func TestRestoreIsSeen(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("restore-%d", time.Now().UnixNano())
	a := startProcess(t, brokers, name)
	a.exec(fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
		CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s-in', format='json', partitions=1);
		CREATE TABLE sums WITH (topic='%s-sums') AS SELECT id, SUM(v) AS total FROM s GROUP BY id;
		INSERT INTO s VALUES ('a', 1), ('b', 2), ('c', 3);`, name, name))
	a.eventually([]string{"3"}, "SELECT COUNT(*) AS n FROM sums;")
	a.stop()
	log := newCollected()
	b := startProcess(t, brokers, name, streamql.WithLog(slog.New(log)))
	b.eventually([]string{"3"}, "SELECT COUNT(*) AS n FROM sums;")
	got := figures(b.Metrics(t.Context()))
	of := func(metric string) float64 { return got[metric+`{job="CTAS_sums_0",task="CTAS_sums_0.0.0"}`] }
	// three keys and a position
	if n, left := of("streamql_job_restore_records"), of("streamql_job_restore_left"); n < 4 || left != 0 {
		t.Errorf("%v records are restored, %v left: %v", n, left, got)
	}
	if !log.has("INFO restore of state begins", "job=CTAS_sums_0") ||
		!log.has("INFO restore of state has ended", "took=", "records=") {
		t.Errorf("the log:\n%s", log.text())
	}
}
