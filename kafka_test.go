package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/server/http"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
)

// kafkaAt returns the seed brokers of a test's cluster: kfake, or the Kafka that STREAMQL_TEST_KAFKA names.
func kafkaAt(t *testing.T) []string {
	t.Helper()
	if at := os.Getenv("STREAMQL_TEST_KAFKA"); at != "" {
		return []string{at}
	}
	fake, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake.ListenAddrs()
}

// process is one engine of an application, with its HTTP interface.
type process struct {
	*streamql.Engine
	t      *testing.T
	server *http.Server
}

func startProcess(t *testing.T, brokers []string, name string, more ...streamql.Option) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	opts := []streamql.Option{streamql.WithKafka(kafka.Config{Brokers: brokers, Name: name,
		SessionTimeout: 6 * time.Second, Heartbeat: 300 * time.Millisecond,
		TransactionTimeout: 2 * time.Second}),
		streamql.WithAddress(address), streamql.WithWarnings(func(e *streamql.Error) { t.Logf("%s: %v", address, e) })}
	e, err := streamql.Open(t.Context(), append(opts, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Engine: e, t: t}
	if p.server, err = http.Listen(http.Options{Address: address}, http.Over(e)); err != nil {
		t.Fatal(errors.Join(err, e.Close()))
	}
	t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	if p.Engine == nil {
		return
	}
	if err := errors.Join(p.server.Close(), p.Close()); err != nil {
		p.t.Error(err)
	}
	p.Engine = nil
}

func (p *process) exec(text string) {
	p.t.Helper()
	if err := p.Exec(p.t.Context(), text); err != nil {
		p.t.Fatal(err)
	}
}

// rows returns a query's rows as text, sorted.
func (p *process) rows(text string, args ...any) ([]string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	rows, err := p.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	var out []string
	for b, err := range rows.Batches() {
		if err != nil {
			return nil, err
		}
		for i := range b.Rows() {
			var row []string
			for c := range rows.Columns {
				row = append(row, fmt.Sprint(flow.Value(b.Column(c), i)))
			}
			out = append(out, strings.Join(row, " "))
		}
	}
	slices.Sort(out)
	return out, nil
}

// eventually runs a query until it returns these rows.
func (p *process) eventually(want []string, text string, args ...any) {
	p.t.Helper()
	var got []string
	var err error
	for begun := time.Now(); time.Since(begun) < 40*time.Second; time.Sleep(50 * time.Millisecond) {
		if got, err = p.rows(text, args...); err == nil && slices.Equal(got, want) {
			return
		}
	}
	jobs, _ := p.rows("SELECT job, status, error FROM streamql.jobs;")
	p.t.Fatalf("%s\nreturns %v, %v\nwant  %v\njobs  %v", text, got, err, want, jobs)
}

// until waits until a job has failed with a code.
func (p *process) until(code string) {
	p.t.Helper()
	var got []string
	for begun := time.Now(); time.Since(begun) < 40*time.Second; time.Sleep(20 * time.Millisecond) {
		got, _ = p.rows("SELECT status, error FROM streamql.jobs;")
		if slices.ContainsFunc(got, func(s string) bool {
			return strings.Contains(s, "FAILED") &&
				strings.Contains(s, code)
		}) {
			return
		}
	}
	p.t.Fatalf("no job fails with %s: %v", code, got)
}

// TestPresentElsewhere shares a table's tasks among three processes. Each serves pull queries of the whole
// table, by key and without a key, while processes join and leave. All have the same catalog.
func TestPresentElsewhere(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("app-%d", time.Now().UnixNano())
	in, out := name+"-in", name+"-sums"
	a := startProcess(t, brokers, name)
	b := startProcess(t, brokers, name)
	a.exec(fmt.Sprintf("CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s', format='json', partitions=6);", in))
	b.exec(fmt.Sprintf("CREATE TABLE sums WITH (topic='%s') AS SELECT id, SUM(v) AS total, COUNT(*) AS n FROM s GROUP BY id;", out))
	if err := a.Exec(t.Context(),
		"CREATE STREAM s (x INT) WITH (topic='other', format='json', partitions=1);"); err == nil ||
		!strings.Contains(err.Error(), "exists") {
		t.Errorf("a name that another process has: %v", err)
	}
	var want []string
	insert := func(p *process, round int) {
		t.Helper()
		want = nil
		var text strings.Builder
		for k := range 30 {
			fmt.Fprintf(&text, "INSERT INTO s (id, v) VALUES ('k%02d', %d);\n", k, k+round)
			total := 0
			for r := range round + 1 {
				total += k + r
			}
			want = append(want, fmt.Sprintf("k%02d %d %d", k, total, round+1))
		}
		p.exec(text.String())
	}
	insert(a, 0)
	for _, p := range []*process{a, b} {
		p.eventually(want, "SELECT id, total, n FROM sums;")
		p.eventually([]string{want[7]}, "SELECT id, total, n FROM sums WHERE id = $1;", "k07")
		p.eventually([]string{"30"}, "SELECT COUNT(*) AS n FROM sums;")
	}
	idle := startProcess(t, brokers, name, streamql.WithoutJobs())
	idle.eventually(want, "SELECT id, total, n FROM sums;")
	idle.eventually([]string{"RUNNING"}, "SELECT status FROM streamql.jobs;")
	c := startProcess(t, brokers, name)
	insert(c, 1)
	for _, p := range []*process{a, b, c, idle} {
		p.eventually(want, "SELECT id, total, n FROM sums;")
	}
	a.stop()
	insert(b, 2)
	for _, p := range []*process{b, c} {
		p.eventually(want, "SELECT id, total, n FROM sums;")
	}
	c.exec("DROP TABLE sums;")
	b.eventually([]string{}, "SELECT job FROM streamql.jobs;")
	if _, err := b.rows("SELECT * FROM sums;"); err == nil {
		t.Error("a table that another process has dropped is still there")
	}
}

// TestCatalogRace sends definitions to two processes at the same time. Exactly one definition of each name
// succeeds, and both processes end with the same catalog.
func TestCatalogRace(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("race-%d", time.Now().UnixNano())
	ps := []*process{startProcess(t, brokers, name), startProcess(t, brokers, name)}
	var wg sync.WaitGroup
	won := make([][10]bool, len(ps))
	for i, p := range ps {
		wg.Go(func() {
			for k := range 10 {
				err := p.Exec(t.Context(),
					fmt.Sprintf("CREATE STREAM s%d (a INT, p%d INT) WITH (topic='%s-%d', format='json', partitions=1);", k, i, name,
						k))
				if won[i][k] = err == nil; err != nil && !strings.Contains(err.Error(), "exists") {
					t.Errorf("s%d: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
	for k := range 10 {
		if won[0][k] == won[1][k] {
			t.Errorf("s%d was made by %v", k, [2]bool{won[0][k], won[1][k]})
		}
	}
	for i, p := range ps {
		for k := range 10 {
			got, err := p.rows(fmt.Sprintf("DESCRIBE s%d;", k))
			if err != nil || !slices.ContainsFunc(got,
				func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("p%d ", btoi(won[1][k]))) }) {
				t.Errorf("process %d, s%d: %v, %v", i, k, got, err)
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestModelElsewhere trains a model in one process while a job of another process predicts with it. A new
// version takes effect there.
func TestModelElsewhere(t *testing.T) {
	brokers := kafkaAt(t)
	name := fmt.Sprintf("model-%d", time.Now().UnixNano())
	a := startProcess(t, brokers, name)
	a.exec("CREATE STREAM points WITH (connector='generator', kind='moa.sea', rows=2000, seed=1);")
	a.exec("CREATE MODEL m TARGET class FROM (SELECT * FROM points SINCE EARLIEST UNTIL NOW) TRAIN ONCE WITH (type='logistic_regression', seed=1);")
	b := startProcess(t, brokers, name)
	b.eventually([]string{"m 1 READY"}, "SELECT model, version, status FROM streamql.models;")
	b.exec("RETRAIN MODEL m SINCE EARLIEST UNTIL NOW;")
	a.eventually([]string{"m 1 READY", "m 2 READY"}, "SELECT model, version, status FROM streamql.models;")
	if err := a.Exec(t.Context(), "DROP MODEL m;"); err != nil {
		t.Fatal(err)
	}
	b.eventually([]string{}, "SELECT model FROM streamql.models;")
}

// TestUnreachable opens an engine on a cluster that does not respond. The error names the cluster, and
// appears soon.
func TestUnreachable(t *testing.T) {
	_, err := streamql.Open(t.Context(), streamql.WithKafka(kafka.Config{Brokers: []string{"127.0.0.1:1"}}))
	var e *streamql.Error
	if !errors.As(err, &e) || e.Code != "SQ7001" || !strings.Contains(e.Msg, "127.0.0.1:1") ||
		!errors.Is(err, topic.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// TestOldTransactions opens an engine on a cluster with the older transaction protocol. It logs one warning.
// A commit interval longer than the transaction timeout is rejected.
func TestOldTransactions(t *testing.T) {
	for _, old := range []bool{true, false} {
		var opts []kfake.Opt
		if old {
			opts = append(opts, kfake.MaxVersions(kversion.V3_9_0()))
		}
		fake, err := kfake.NewCluster(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer fake.Close()
		var codes []string
		c := kafka.Config{Brokers: fake.ListenAddrs()}
		e, err := streamql.Open(t.Context(), streamql.WithKafka(c),
			streamql.WithWarnings(func(e *streamql.Error) { codes = append(codes, e.Code) }))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(codes, []string{"SQ7303"}) != old || len(codes) > 1 {
			t.Errorf("old %v: %v", old, codes)
		}
		var refused *streamql.Error
		if _, err := streamql.Open(t.Context(), streamql.WithKafka(c),
			streamql.WithCommitInterval(3*time.Second)); !errors.As(err, &refused) || refused.Code != "SQ1101" {
			t.Errorf("a commit interval of 3 s: %v", err)
		}
	}
}

// TestAtLeastOnce creates an at-least-once job. Its description says so, and its rows appear.
func TestAtLeastOnce(t *testing.T) {
	name := fmt.Sprintf("weak-%d", time.Now().UnixNano())
	p := startProcess(t, kafkaAt(t), name)
	p.exec(fmt.Sprintf("SET 'processing.guarantee' = 'at_least_once'; CREATE STREAM s (a INT) WITH (topic='%s-in', format='json', partitions=2);", name))
	p.exec(fmt.Sprintf("CREATE STREAM twice WITH (topic='%s-out') AS SELECT a * 2 AS b FROM s;", name))
	p.exec("UNSET 'processing.guarantee'; INSERT INTO s (a) VALUES (1); INSERT INTO s (a) VALUES (2);")
	p.eventually([]string{"2", "4"}, "SELECT b FROM twice SINCE EARLIEST UNTIL NOW;")
	jobs, err := p.rows("SELECT job FROM streamql.jobs;")
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	plan, err := p.rows("EXPLAIN " + jobs[0] + ";")
	if err != nil || !strings.Contains(plan[0], "at_least_once") {
		t.Errorf("%q, %v", plan, err)
	}
	if plan, err = p.rows("EXPLAIN CREATE STREAM once AS SELECT a FROM s;"); err != nil ||
		strings.Contains(plan[0], "at_least_once") {
		t.Errorf("%q, %v", plan, err)
	}
}

// TestEndIsLost drops the request that ends a transaction. The engine looks for a definition in the catalog
// and repeats it if it is missing. It does not repeat an INSERT, because it cannot determine whether the rows
// exist.
func TestEndIsLost(t *testing.T) {
	fake, err := kfake.NewCluster()
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	p := startProcess(t, fake.ListenAddrs(), "lost")
	lose := func() {
		fake.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil,
				errors.New("lost"), true
		})
	}
	lose()
	p.exec("CREATE STREAM s (a INT) WITH (topic='s', format='json', partitions=1);")
	if err := p.Exec(t.Context(), "CREATE STREAM s (a INT) WITH (topic='s', format='json', partitions=1);"); err == nil ||
		!strings.Contains(err.Error(), "SQ2002") {
		t.Errorf("after the definition was made: %v", err)
	}
	lose()
	if err := p.Exec(t.Context(), "INSERT INTO s (a) VALUES (1);"); !errors.Is(err, topic.ErrLost) {
		t.Errorf("an insert whose end was lost: %v", err)
	}
	p.exec("INSERT INTO s (a) VALUES (2);")
	p.eventually([]string{"2"}, "SELECT a FROM s SINCE EARLIEST UNTIL NOW;")
}
