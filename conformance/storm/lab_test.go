//go:build synctests

package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamql/streamql"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lab is a world with one process, one job and one fault. The job's table o counts the rows of s by key.
type lab struct {
	*world
	t   *testing.T
	cl  *kgo.Client
	adm *kadm.Client
	put map[string]int // number of rows written, by key
}

const counting = "CREATE STREAM s (k STRING KEY, a INT) WITH (kafka_topic='s', partitions=2, value_format='json'); CREATE TABLE o AS SELECT k, COUNT(*) AS n FROM s%s GROUP BY k EMIT CHANGES;"

func inLab(t *testing.T, clause string, test func(*lab)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{dice: rand.New(rand.NewPCG(1, 7)), lines: map[*cord]bool{}, down: map[string]bool{},
			calm: make(chan struct{}), ended: make(chan struct{}),
			members: map[string]time.Time{}, names: map[string]bool{}, barriers: map[string]*barrier{}, start: time.Now(),
			poll: 100, flush: time.Second,
			session: 10 * time.Second, rebalance: 12 * time.Second}
		w.fair = &cord{w: w, conns: map[*wire]bool{}}
		w.lines[w.fair] = true
		var err error
		if w.fake, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094),
			kfake.ListenFn(w.net.Listen)); err != nil {
			t.Fatal(err)
		}
		if w.temp, err = os.MkdirTemp("", "storm"); err != nil {
			t.Fatal(err)
		}
		w.fake.Control(w.spring)
		go w.expire()
		w.processes = []*process{w.process(0, true)}
		defer w.close()
		l := &lab{world: w, t: t, put: map[string]int{}}
		l.cl, err = kgo.NewClient(kgo.SeedBrokers(w.fake.ListenAddrs()...), kgo.Dialer(w.fair.dial),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchMaxBytes(16<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			t.Fatal(err)
		}
		defer l.cl.Close()
		l.adm = kadm.NewClient(l.cl)
		w.processes[0].start()
		for _, text := range strings.SplitAfter(fmt.Sprintf(counting, clause), "; ") {
			if err := w.define(text); err != nil {
				t.Fatal(err)
			}
		}
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(w.trace, "\n"))
			}
		}()
		test(l)
	})
}

// write writes n rows of a key, whose partition is 0 for "a".
func (l *lab) write(key string, n int) {
	l.t.Helper()
	for range n {
		r := &kgo.Record{Topic: "s", Key: []byte(key), Value: []byte(`{"a":1}`)}
		if key != "a" {
			r.Partition = 1
		}
		if err := l.cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
		l.put[key]++
	}
}

// status returns the job's status, its error and the number of offsets that it skipped.
func (l *lab) status() (status, why string, gaps int64) {
	l.t.Helper()
	e := l.processes[0].open()
	if e == nil {
		return "", "", 0
	}
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	for _, j := range e.Jobs(here(ctx)) {
		status, why, gaps = string(j.State), "<nil>", j.Counts.Gaps
		if j.Failure != nil {
			why = j.Failure.Code + ": " + j.Failure.Cause
		}
	}
	return status, why, gaps
}

// here returns a context for the process's own rows only, because the processes of a storm have no HTTP.
func here(ctx context.Context) context.Context { return streamql.Local(ctx, []int32{}) }

// counted waits until o has counted each written row exactly once, and fails after a time limit.
func (l *lab) counted(within time.Duration) {
	l.t.Helper()
	var got map[string][]string
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Second) {
		if status, why, _ := l.status(); status == "FAILED" {
			l.t.Fatalf("the job has failed: %s", why)
		}
		read, err := l.read("o")
		if err != nil {
			l.t.Fatal(err)
		}
		got = map[string][]string{}
		for _, r := range read["o"] {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
		}
		right := true
		for key, n := range l.put {
			right = right && len(got[key]) == n
			for i, v := range got[key] {
				right = right && v == fmt.Sprintf(`{"n":%d}`, i+1)
			}
		}
		if right {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("within %s: written %v, counted %v", within, l.put, got)
		}
	}
}

// fails waits until the job has failed with a code and words.
func (l *lab) fails(words ...string) {
	l.t.Helper()
	var status, why string
	for range 60 {
		if status, why, _ = l.status(); status == "FAILED" {
			break
		}
		time.Sleep(2 * time.Second)
	}
	for _, x := range words {
		if status != "FAILED" || !strings.Contains(why, x) {
			l.t.Fatalf("the job is %s: %s; want %q", status, why, words)
		}
	}
}

// stop stops the process in order, and waits until its membership has ended.
func (l *lab) stop() {
	p := l.processes[0]
	l.mu.Lock()
	life := p.life
	p.life = nil
	l.mu.Unlock()
	life.cancel()
	<-life.ended
	time.Sleep(30 * time.Second)
}

// letters counts the dead letters by code.
func (l *lab) letters() map[string]int {
	l.t.Helper()
	read, err := l.read(errorsTopic)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range read[errorsTopic] {
		for _, h := range r.Headers {
			if h.Key == "streamql.code" {
				out[string(h.Value)]++
			}
		}
	}
	return out
}
