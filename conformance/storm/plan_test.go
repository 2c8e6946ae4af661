//go:build synctests

package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/twmb/franz-go/pkg/kgo"
)

// plan is the workload of a storm: one stream and some jobs.
type plan struct {
	partitions int
	bad, zero  int // one record in bad cannot be decoded, one in zero has a = 0; 0: none
	spread     bool
	declare    string
	jobs       []*task
}

// task is a job of the plan.
type task struct {
	name, text string
	reads      string
	exact      bool // every output record is determined; otherwise only the last of each key
	divides    bool // by a, which may be 0
	late       bool // it is defined during the storm
}

func newPlan(dice *rand.Rand) *plan {
	p := &plan{partitions: 1 + dice.IntN(6), spread: dice.IntN(3) == 0}
	if dice.IntN(2) == 0 {
		p.bad = 10 + dice.IntN(30)
	}
	p.zero = 8
	p.declare = fmt.Sprintf("CREATE STREAM s (k STRING KEY, g STRING, a INT, b BIGINT) WITH (kafka_topic='s', partitions=%d, value_format='json');", p.partitions)
	for range 1 + dice.IntN(3) {
		p.job(dice)
	}
	return p
}

func (p *plan) job(dice *rand.Rand) {
	t := &task{name: fmt.Sprintf("o%d", len(p.jobs)), reads: "s", exact: true, late: len(p.jobs) > 0 && dice.IntN(3) == 0}
	kind, query := "TABLE", ""
	window := fmt.Sprintf("WINDOW TUMBLING (SIZE %d SECONDS, GRACE PERIOD %d SECONDS)", 1+dice.IntN(20), dice.IntN(10))
	emit := " EMIT CHANGES"
	kindOf := dice.IntN(9)
	switch kindOf {
	case 0:
		kind, query = "STREAM", "SELECT k, UCASE(g) AS u, a * 2 AS d, 100 / a AS q FROM s WHERE a % 4 <> 1"
		t.divides = true
	case 1:
		query = "SELECT k, COUNT(*) AS n, SUM(b) AS total, MIN(a) AS lo, MAX(b) AS hi FROM s GROUP BY k"
	case 2:
		query = "SELECT k, COUNT(*) AS n, SUM(a) AS total FROM s GROUP BY k HAVING COUNT(*) % 3 <> 0"
	case 3:
		query, emit = "SELECT k, COUNT(*) AS n, SUM(a) AS total FROM s "+window+" GROUP BY k", " EMIT FINAL"
	case 4:
		query = "SELECT k, COUNT(*) AS n, MAX(b) AS hi FROM s " + window + " GROUP BY k"
	case 5, 6:
		query = "SELECT g, COUNT(*) AS n, SUM(b) AS total FROM s GROUP BY g"
		t.exact = !p.spread || p.partitions == 1
		if p.partitions == 1 && dice.IntN(2) == 0 {
			query, emit = "SELECT g, COUNT(*) AS n, SUM(b) AS total FROM s "+window+" GROUP BY g", " EMIT FINAL"
		}
	case 7:
		kind, query = "STREAM", "SELECT g, k AS c, a, b FROM s PARTITION BY g"
		t.exact = !p.spread || p.partitions == 1
		if !t.exact {
			kind, query = "STREAM", "SELECT k, g, a, b FROM s"
			t.exact = true
		}
	case 8:
		if len(p.jobs) == 0 || p.jobs[0].reads != "s" || !strings.Contains(p.jobs[0].text, "TABLE") ||
			strings.Contains(p.jobs[0].text, "WINDOW") {
			query = "SELECT k, COUNT(*) AS n FROM s GROUP BY k"
			break
		}
		t.reads, t.exact = p.jobs[0].name, false
		query = fmt.Sprintf("SELECT n, COUNT(*) AS keys FROM %s GROUP BY n", t.reads)
	}
	t.text = fmt.Sprintf("CREATE %s %s AS %s%s;", kind, t.name, query, emit)
	p.jobs = append(p.jobs, t)
}

// whole returns the script of all statements.
func (p *plan) whole() string {
	var out strings.Builder
	out.WriteString(p.declare + "\n")
	for _, t := range p.jobs {
		out.WriteString(t.text + "\n")
	}
	return out.String()
}

// define runs the statements in any running process, until they are in effect.
func (w *world) define(statements ...string) error {
	for _, text := range statements {
		var last error
		for n := 0; ; n++ {
			if n > 300 {
				return fmt.Errorf("%s: not in force after 300 attempts: %w", text, last)
			}
			e := w.processes[w.roll(len(w.processes))].open()
			if e == nil {
				time.Sleep(time.Second)
				continue
			}
			ctx, stop := context.WithTimeout(context.Background(), time.Minute)
			last = e.Exec(ctx, "SET 'auto.offset.reset'='earliest'; "+text)
			stop()
			var refused *streamql.Error
			if last == nil || errors.As(last, &refused) && refused.Code == "SQ2002" {
				w.note("defined: %s", text)
				break
			}
			w.note("not defined: %v", last)
			time.Sleep(time.Second)
		}
	}
	return nil
}

// script returns the statements that run before the storm, or during it.
func (p *plan) script(late bool) (out []string) {
	if !late {
		out = append(out, p.declare)
	}
	for _, t := range p.jobs {
		if t.late == late {
			out = append(out, t.text)
		}
	}
	return out
}

// produce writes the stream until ctx ends. A key has one partition; so does a g, unless the plan spreads
// them.
func (w *world) produce(ctx context.Context) error {
	dice := rand.New(rand.NewPCG(w.seed, 11))
	client := func(more ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.fake.ListenAddrs()...), kgo.Dialer(w.fair.dial),
			kgo.ProducerLinger(0),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.SnappyCompression()),
			kgo.RequestTimeoutOverhead(5 * time.Second)}, more...)...)
	}
	cl, err := client()
	if err != nil {
		return err
	}
	defer cl.Close()
	var txn *kgo.Client
	defer func() {
		if txn != nil {
			txn.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		var records []*kgo.Record
		for range 1 + dice.IntN(12) {
			records = append(records, w.plan.record(dice, time.Since(w.start).Milliseconds()))
		}
		if dice.IntN(5) > 0 {
			for _, r := range records {
				cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
					if err != nil {
						w.note("a record is not produced: %v", err)
					}
				})
			}
		} else {
			if txn == nil {
				if txn, err = client(kgo.TransactionalID("producer"), kgo.TransactionTimeout(15*time.Second)); err != nil {
					return err
				}
			}
			// the next client with this id aborts the open transaction
			if err := transact(txn, dice.IntN(3) > 0, records); err != nil {
				w.note("a transaction of the producer fails: %v", err)
				txn.Close()
				txn = nil
			}
		}
		select {
		case <-time.After(time.Duration(200+dice.IntN(2000)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
	flush, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	return cl.Flush(flush)
}

func transact(cl *kgo.Client, commit bool, records []*kgo.Record) error {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return cl.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

func (p *plan) record(dice *rand.Rand, now int64) *kgo.Record {
	part := dice.IntN(p.partitions)
	r := &kgo.Record{Topic: "s", Partition: int32(part), Key: fmt.Appendf(nil, "k%d.%d", part, dice.IntN(5))}
	r.Timestamp = time.UnixMilli(1_000_000 + now - int64(dice.IntN(4))*int64(dice.IntN(6000)))
	g := fmt.Sprintf("g%d.%d", part, dice.IntN(3))
	if p.spread {
		g = fmt.Sprintf("g%d", dice.IntN(4))
	}
	a := 1 + dice.IntN(20)
	if dice.IntN(p.zero) == 0 {
		a = 0
	}
	r.Value = fmt.Appendf(nil, `{"g":%q,"a":%d,"b":%d}`, g, a, dice.IntN(1000)-300)
	if p.bad > 0 && dice.IntN(p.bad) == 0 {
		r.Value = []byte(`{"g": "cut of`)
	}
	return r
}
