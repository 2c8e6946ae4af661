package engine

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// opened is an engine over a directory, with the warnings that it has reported.
type opened struct {
	*Engine
	*Session
	t    *testing.T
	mu   sync.Mutex
	warn []string
}

func openDir(t *testing.T, dir string) *opened {
	t.Helper()
	o := &opened{t: t}
	c := Defaults()
	c.Dir = dir
	c.Warn = func(e *lang.Error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.warn = append(o.warn, e.Code+": "+e.Msg)
	}
	e, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	o.Engine, o.Session = e, e.NewSession()
	return o
}

func (o *opened) warned(part string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Contains(strings.Join(o.warn, "\n"), part)
}

func (o *opened) exec(text string) error {
	list, err := o.Parse(text)
	if err != nil {
		return err
	}
	for _, st := range list {
		if _, err := o.Run(context.Background(), st); err != nil {
			return err
		}
	}
	return nil
}

func (o *opened) must(text string) {
	o.t.Helper()
	if err := o.exec(text); err != nil {
		o.t.Fatalf("%s: %v", text, err)
	}
}

func (o *opened) refused(code, text string) {
	o.t.Helper()
	if err := o.exec(text); err == nil || !strings.Contains(err.Error(), code) {
		o.t.Errorf("%s: %v, want %s", text, err, code)
	}
}

// count returns the number that a query returns.
func (o *opened) count(text string) int64 {
	o.t.Helper()
	list, err := o.Parse(text)
	if err != nil {
		o.t.Fatal(err)
	}
	r, err := o.Run(context.Background(), list[0])
	if err != nil {
		o.t.Fatalf("%s: %v", text, err)
	}
	n := int64(-1)
	for b, err := range r.Rows.Batches() {
		if err != nil {
			o.t.Fatalf("%s: %v", text, err)
		}
		n, _ = flow.Value(b.Column(0), 0).(int64)
	}
	return n
}

func (o *opened) state(job string, want exec.State) catalog.Failure {
	o.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for _, j := range o.Jobs(context.Background()) {
			if j.Name == job && j.State == want {
				if j.Failure == nil {
					return catalog.Failure{}
				}
				return *j.Failure
			}
		}
		if time.Now().After(end) {
			o.t.Fatalf("job %s does not become %s: %+v", job, want, o.Jobs(context.Background()))
		}
	}
}

// put appends a record to the catalog topic, as another process would.
func (o *opened) put(value string) {
	o.t.Helper()
	txn, err := o.broker.Begin(context.Background(), "somebody")
	if err == nil {
		err = txn.Write(topic.Partition{Topic: o.own(catalogTopic)}, topic.Record{Value: []byte(value)})
	}
	if err == nil {
		err = txn.Commit(context.Background(), nil)
	}
	if err == nil {
		err = o.log.CatchUp(context.Background())
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// An entry that cannot be applied makes its own object unavailable and affects nothing else, in a running process and
// after a restart.
func TestDamagedCatalog(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(`CREATE STREAM s (id STRING KEY, v INT) WITH (topic='s', format='json');
		CREATE TABLE t AS SELECT id, SUM(v) AS n FROM s GROUP BY id;`)
	for _, record := range []string{`{}`, `no JSON`, `[1]`, ``, `{"statement":"CREATE GRAPH g (FUTURE SYNTAX)","next":1}`,
		`{"format":3,"kind":"STREAM","name":"future","statement":"CREATE STREAM future ..","change":{}}`,
		`{"format":2,"kind":"STREAM","name":"odd","statement":"CREATE STREAM odd ..","change":{"quantum":1}}`,
		`{"format":2,"kind":"TABLE","name":"typed","change":{"relation":{"name":"typed","topic":"x","partitions":1,` +
			`"columns":[{"name":"a","type":{"name":"GEO"}}]}}}`} {
		o.put(record)
	}
	check := func(o *opened, rows int64) {
		t.Helper()
		if n := len(o.Catalog().Broken()); n != 8 {
			t.Errorf("%d entries are broken: %+v", n, o.Catalog().Broken())
		}
		if !o.warned("STREAM future is UNAVAILABLE") || !o.warned(`does not know the type "GEO"`) ||
			!o.warned("the entry has no format") {
			t.Errorf("warned %q", o.warn)
		}
		o.refused("SQ7306", `SELECT * FROM future;`)
		o.refused("SQ7306", `CREATE STREAM odd (a INT) WITH (topic='odd', format='json');`)
		o.must(`INSERT INTO s VALUES ('a', 1);`)
		sum := `SELECT CAST(SUM(n) AS BIGINT) AS n FROM t;`
		for end := time.Now().Add(10 * time.Second); o.count(sum) != rows; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the job makes no progress")
			}
		}
	}
	check(o, 1)
	o.must(`CREATE STREAM later (a INT) WITH (topic='later', format='json');`)
	if err := o.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	o = openDir(t, dir)
	check(o, 2)
	o.must(`DROP STREAM odd; CREATE STREAM odd (a INT) WITH (topic='odd', format='json'); INSERT INTO odd VALUES (1);`)
	if n := len(o.Catalog().Broken()); n != 7 {
		t.Errorf("%d entries are broken after DROP", n)
	}
}

// A job whose entry names another shape than the plan of this version does not touch its state.
func TestOtherShape(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(`CREATE STREAM s (id STRING KEY, v INT) WITH (topic='s', format='json');
		CREATE TABLE t AS SELECT id, SUM(v) AS n FROM s GROUP BY id;
		CREATE TABLE u AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;`)
	j, _ := o.Catalog().Job("CTAS_t_0")
	other := *j
	other.Shape = "0.1 another operator"
	e := catalog.Entry{Kind: "JOB", Name: j.Name, Change: catalog.Change{Job: &other}}
	value, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	o.put(string(value))
	for range 2 {
		f := o.state("CTAS_t_0", exec.Failed)
		if f.Code != "SQ7307" || !strings.Contains(f.Cause, "another operator") || f.Cure == "" {
			t.Errorf("%+v", f)
		}
		o.state("CTAS_u_1", exec.Running)
		if err := o.Engine.Close(); err != nil {
			t.Fatal(err)
		}
		o = openDir(t, dir)
	}
	o.must(`TERMINATE CTAS_t_0;`)
}

// An entry of a job with a statement of another kind fails that job only.
func TestContradiction(t *testing.T) {
	o := openDir(t, "")
	o.must(`CREATE STREAM s (id STRING KEY, v INT) WITH (topic='s', format='json'); CREATE STREAM p AS SELECT * FROM s;`)
	j, _ := o.Catalog().Job("CSAS_p_0")
	other := *j
	other.Statement = "SHOW STREAMS"
	e := catalog.Entry{Kind: "JOB", Name: j.Name, Change: catalog.Change{Job: &other}}
	value, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	o.put(string(value))
	if f := o.state("CSAS_p_0", exec.Failed); f.Code != "SQ7305" {
		t.Errorf("%+v", f)
	}
	o.must(`CREATE STREAM q AS SELECT * FROM s;`)
	o.state("CSAS_q_1", exec.Running)
}

// A repair discards the entries that it names and no others.
func TestRepair(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(`CREATE STREAM s (id STRING KEY, v INT) WITH (topic='s', format='json'); CREATE STREAM p AS SELECT * FROM s;`)
	o.put(`{}`)
	o.put(`{"format":9,"kind":"STREAM","name":"future"}`)
	broken := o.Catalog().Broken()
	ctx := context.Background()
	for _, err := range []error{o.GiveUp(ctx, 0), o.SkipDamaged(ctx, "CSAS_p_0"), o.SkipDamaged(ctx, "nobody")} {
		if e := lang.AsErrors(err); len(e) == 0 || e[0].Code != "SQ7308" && e[0].Code != "SQ2023" {
			t.Errorf("%v", err)
		}
	}
	if err := o.GiveUp(ctx, broken[0].Offset, broken[1].Offset); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n := len(o.Catalog().Broken()); n != 0 {
			t.Errorf("%d entries are broken", n)
		}
		if err := o.Engine.Close(); err != nil {
			t.Fatal(err)
		}
		o = openDir(t, dir)
	}
	o.must(`CREATE STREAM future (a INT) WITH (topic='future', format='json');`)
}
