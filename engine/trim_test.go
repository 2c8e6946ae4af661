package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/streamql/streamql/lang"
)

// An exchange is trimmed after its reader has committed, and the result is correct across a restart.
func TestExchangeIsTrimmed(t *testing.T) {
	dir := t.TempDir()
	open := func() *opened {
		o := &opened{t: t}
		c := Defaults()
		c.Dir, c.TrimEvery, c.Warn = dir, 20*time.Millisecond, func(e *lang.Error) { t.Log(e) }
		e, err := Open(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		o.Engine, o.Session = e, e.NewSession()
		return o
	}
	o := open()
	o.must(`CREATE STREAM s (id STRING KEY, v INT, g STRING) WITH (topic='s', format='json', partitions=2);
		CREATE TABLE t AS SELECT g, COUNT(*) AS n FROM s GROUP BY g;`)
	j, _ := o.Catalog().Job("CTAS_t_0")
	exchange := j.Topics[0].Name
	rows := 0
	begin := func() int64 {
		d, err := o.broker.Describe(context.Background(), exchange)
		if err != nil {
			t.Fatal(err)
		}
		return int64(d.Partitions[0].From)
	}
	more := func(until int64) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); begin() < until; {
			if time.Now().After(end) {
				t.Fatalf("the exchange %s begins at %d after %d rows, want %d", exchange, begin(), rows, until)
			}
			o.must(fmt.Sprintf(`INSERT INTO s VALUES ('a', %d, 'x');`, rows))
			rows++
			time.Sleep(time.Millisecond)
		}
	}
	more(5)
	if err := o.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	o = open()
	defer o.Engine.Close()
	more(begin() + 5)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n := o.count(`SELECT n FROM t;`); n == int64(rows) {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d of %d rows are counted", n, rows)
		}
	}
}
