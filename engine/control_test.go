package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/topic"
)

// until waits until a query returns a number.
func (o *opened) until(text string, want int64) {
	o.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := o.count(text)
		if got == want {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("%s is %d, want %d", text, got, want)
		}
	}
}

const twoJobs = `SET 'auto.offset.reset'='earliest';
	CREATE STREAM a (v INT) WITH (topic='a', format='json', on_error='fail');
	CREATE STREAM b (v INT) WITH (topic='b', format='json');
	CREATE STREAM oa AS SELECT v FROM a;
	CREATE STREAM ob AS SELECT v FROM b;`

// A job that fails does not affect other jobs, stays FAILED across restarts, and is started again by RESTART.
func TestFailsAlone(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(twoJobs + `CREATE STREAM poison (v STRING) WITH (topic='a', format='json'); INSERT INTO poison VALUES ('x');`)
	for round := range 3 {
		f := o.state("CSAS_oa_0", exec.Failed)
		if f.Code == "" || f.Cause == "" || f.Cure == "" {
			t.Errorf("%+v", f)
		}
		o.must(`INSERT INTO b VALUES (1);`)
		o.until(`SELECT COUNT(*) AS n FROM ob;`, int64(round+1))
		if round == 1 {
			o.must(`RESTART CSAS_oa_0;`) // the record still exists
			continue
		}
		if err := o.Engine.Close(); err != nil {
			t.Fatal(err)
		}
		o = openDir(t, dir)
		o.must(`SET 'auto.offset.reset'='earliest';`)
	}
	o.must(`TERMINATE CSAS_oa_0;`)
	if n := o.count(`SELECT COUNT(*) AS n FROM streamql.jobs;`); n != 1 {
		t.Errorf("%d jobs are left", n)
	}
}

// A paused job reads nothing, also after a restart of the engine, and continues where it stopped.
func TestPause(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(twoJobs + `INSERT INTO a VALUES (1);`)
	o.until(`SELECT COUNT(*) AS n FROM oa;`, 1)
	o.must(`PAUSE CSAS_oa_0; INSERT INTO a VALUES (2); INSERT INTO b VALUES (1);`)
	o.until(`SELECT COUNT(*) AS n FROM ob;`, 1)
	o.refused("SQ3018", `RESUME CSAS_ob_1 FROM STATE;`)
	if err := o.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	o = openDir(t, dir)
	o.must(`INSERT INTO b VALUES (2);`)
	o.until(`SELECT COUNT(*) AS n FROM ob;`, 2)
	o.state("CSAS_oa_0", exec.Paused)
	if n := o.count(`SELECT COUNT(*) AS n FROM oa;`); n != 1 {
		t.Errorf("a paused job has written %d rows", n)
	}
	o.must(`RESUME ALL;`)
	o.until(`SELECT COUNT(*) AS n FROM oa;`, 2)
}

// Settings belong to a session: SET and DEFINE of one have no effect in another.
func TestSessions(t *testing.T) {
	o := openDir(t, "")
	other := o.Engine.NewSession()
	o.must(`SET 'auto.offset.reset'='earliest'; DEFINE name = 'x';`)
	if s := other.Settings(); len(s.Properties) != 0 || len(s.Variables) != 0 {
		t.Errorf("another session has %+v", s)
	}
	o.must(`CREATE STREAM s (v INT) WITH (topic='t', format='json'); INSERT INTO s VALUES (1);`)
	if _, err := other.Parse("SELECT ${name};"); err == nil {
		t.Error("another session knows the variable")
	}
}

// A job is planned again with the variables, arguments and properties of its definition.
func TestReadAgain(t *testing.T) {
	dir := t.TempDir()
	o := openDir(t, dir)
	o.must(`SET 'auto.offset.reset'='earliest'; SET 'ksql.persistence.default.format.value'='DELIMITED';
		DEFINE floor = '10';
		CREATE STREAM s (v INT, w INT) WITH (topic='s', value_format='json');`)
	list, err := o.Parse(`CREATE STREAM p AS SELECT v FROM s WHERE v > ${floor} AND w = $1;`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Run(t.Context(), list[0], 7); err != nil {
		t.Fatal(err)
	}
	if err := o.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	o = openDir(t, dir)
	o.state("CSAS_p_0", exec.Running)
	o.must(`INSERT INTO s VALUES (9, 7); INSERT INTO s VALUES (11, 8); INSERT INTO s VALUES (12, 7);`)
	o.until(`SELECT CAST(SUM(v) AS BIGINT) AS n FROM p;`, 12)
}

// Many sessions define concurrently. Each definition takes effect once, and the numbers have no gap.
func TestDefineAtOnce(t *testing.T) {
	o := openDir(t, "")
	o.must(`CREATE STREAM s (v INT) WITH (topic='s', format='json');`)
	const n = 8
	errs := make(chan error, n*n)
	for i := range n {
		go func() {
			s := o.Engine.NewSession()
			for k := range n {
				text := fmt.Sprintf("CREATE STREAM p%d AS SELECT v FROM s;", k) // the same for all
				list, err := s.Parse(text)
				if err == nil {
					_, err = s.Run(t.Context(), list[0])
				}
				if err != nil && !strings.Contains(err.Error(), "SQ2002") {
					err = fmt.Errorf("session %d: %w", i, err)
				} else if err != nil {
					err = nil
				}
				errs <- err
			}
		}()
	}
	for range n * n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, j := range o.Catalog().Jobs() {
		seen[j.Name[strings.LastIndex(j.Name, "_")+1:]] = true
	}
	if len(o.Catalog().Jobs()) != n || len(seen) != n || o.Catalog().Next() != n {
		t.Errorf("jobs %v, next %d", seen, o.Catalog().Next())
	}
}

// A topic that was deleted after the first start of a job is not created again when the job is restarted in the same
// generation, which has the definition from before the first start.
func TestDeletedTopicStaysDeleted(t *testing.T) {
	o := openDir(t, t.TempDir())
	o.must(twoJobs)
	o.state("CSAS_oa_0", exec.Running)
	j, _ := o.Catalog().Job("CSAS_oa_0")
	first := *j
	first.Made = false
	ctx := t.Context()
	if err := o.broker.Delete(ctx, "oa"); err != nil {
		t.Fatal(err)
	}
	if err := o.topicsFor(ctx, &first); err != nil {
		t.Fatal(err)
	}
	if _, err := o.broker.Describe(ctx, "oa"); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("the topic of a restarted job: %v", err)
	}
}
