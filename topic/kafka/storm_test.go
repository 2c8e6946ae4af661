//go:build synctests

// kgo waits on mutexes, which synctest cannot see as blocked unless it is built with this tag.

package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

var (
	stormSeeds = flag.Int("storm.seeds", 20, "how many storms")
	stormLog   = flag.Bool("storm.log", false, "tell what happened, always")
	stormFirst = flag.Uint64("storm.first", 1, "the seed of the first")
)

// storm is a group whose processes start, stop, are partitioned and lose requests and
// responses, while leaders and coordinators move. Each task counts: its next record is its
// position, and the position moves with it.
type storm struct {
	*crew
	rng      *rand.Rand
	mu       sync.Mutex
	reported map[topic.Partition]int // commits that were reported as successful
	lost     int
	logs     []string
}

func (w *storm) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs = append(w.logs, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

func TestStorm(t *testing.T) {
	for i := range *stormSeeds {
		seed := *stormFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { runStorm(t, seed) }) })
	}
}

func runStorm(t *testing.T, seed uint64) {
	net := &kfake.VirtualNetwork{}
	opts := []kfake.Opt{kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.ListenFn(net.Listen)}
	if seed%4 == 0 { // a cluster before KIP-890
		opts = append(opts, kfake.MaxVersions(kversion.V3_5_0()))
	}
	fake, err := kfake.NewCluster(opts...)
	must(t, err)
	defer fake.Close()
	s := &site{t: t, name: "storm", fake: fake, at: fake.ListenAddrs(), dial: net.DialContext}
	defaults := func(c *Config) {
		c.SessionTimeout, c.Heartbeat, c.RebalanceTimeout, c.TransactionTimeout, c.RetryTimeout = 0, 0, 0, 0, 0
	}
	b, _ := s.open("setup", defaults)
	defer b.Close()
	w := &storm{crew: newCrew(s, b), rng: rand.New(rand.NewPCG(seed, 1)), reported: map[topic.Partition]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var lines []*cord
	for i := range 3 {
		p, line := s.open(fmt.Sprint("p", i), defaults)
		lines = append(lines, line)
		rng := rand.New(rand.NewPCG(seed, uint64(10+i)))
		wg.Go(func() {
			defer p.Close()
			w.process(ctx, p, rng)
		})
	}
	for range 25 {
		time.Sleep(time.Duration(w.rng.IntN(20_000)) * time.Millisecond)
		line := lines[w.rng.IntN(len(lines))]
		switch w.rng.IntN(6) {
		case 0:
			fake.ShufflePartitionLeaders()
		case 1:
			fake.RehashCoordinators()
		case 2:
			w.log("cut")
			line.cut()
			time.Sleep(time.Duration(w.rng.IntN(60_000)) * time.Millisecond)
			line.mend()
		case 3, 4:
			key := []int16{int16(kmsg.EndTxn), int16(kmsg.TxnOffsetCommit), int16(kmsg.Produce), int16(kmsg.JoinGroup), int16(kmsg.Heartbeat)}[w.rng.IntN(5)]
			w.log("lose %s", kmsg.NameForKey(key))
			fake.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) {
				fake.DropControl()
				return nil, errCut, true
			})
		case 5: // the response of some EndTxn
			fake.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
				fake.DropControl()
				line.deafen()
				time.AfterFunc(5*time.Second, line.mend)
				return nil, nil, false
			})
		}
	}
	for _, line := range lines {
		line.mend()
	}
	time.Sleep(2 * time.Minute)
	stop()
	wg.Wait()
	time.Sleep(20 * time.Second) // open transactions are aborted
	w.check(t, seed)
}

// process is a process that never stops: it joins, works, and joins again when its membership
// is lost.
func (w *storm) process(ctx context.Context, b *Broker, rng *rand.Rand) {
	for life := 0; ctx.Err() == nil; life++ {
		joinCtx, stop := context.WithTimeout(ctx, time.Minute)
		g := w.group
		g.Address, g.Standbys = fmt.Sprint(b.c.Instance, ":", life), 1
		m, err := b.Join(joinCtx, g)
		stop()
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		err = w.work(ctx, m, rng)
		_, generation := m.(*member).cl.GroupMetadata()
		w.log("%s ends in generation %d: %v", b.c.Instance, generation, err)
		m.Close()
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
}

// work runs the assigned tasks; one transaction is one step of all of them.
func (w *storm) work(ctx context.Context, m topic.Member, rng *rand.Rand) error {
	at := map[topic.Partition]topic.Offset{} // the count of each task
	for end := time.Now().Add(time.Duration(rng.IntN(200_000)) * time.Millisecond); time.Now().Before(end); {
		short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		if len(at) == 0 {
			stop()
			short, stop = context.WithTimeout(ctx, time.Minute)
		}
		a, err := m.Next(short)
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			if err := w.take(ctx, m, a, at); err != nil {
				return err
			}
		} else if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if len(at) == 0 {
			continue
		}
		if err := w.step(ctx, m, at); err != nil {
			return err
		}
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
	}
	return nil
}

// take releases revoked tasks and looks up the positions of new ones.
func (w *storm) take(
	ctx context.Context,
	m topic.Member,
	a topic.Assignment,
	at map[topic.Partition]topic.Offset,
) error {
	maps.DeleteFunc(at, func(p topic.Partition, _ topic.Offset) bool { return !slices.Contains(a.Tasks, p) })
	var fresh, ask []topic.Partition
	for _, p := range a.Tasks {
		if _, ok := at[p]; !ok {
			fresh, ask = append(fresh, p), append(ask, topic.Partition{Topic: w.in, ID: p.ID})
		}
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	got, err := m.Committed(ctx, ask...)
	if err != nil {
		return err
	}
	for i, p := range fresh {
		at[p] = got[ask[i]]
	}
	return nil
}

func (w *storm) step(ctx context.Context, m topic.Member, at map[topic.Partition]topic.Offset) error {
	txn, err := m.Begin(ctx)
	if err != nil {
		return err
	}
	read := map[topic.Partition]topic.Offset{}
	for p, n := range at {
		if err := txn.Write(p, topic.Record{Key: []byte("n"), Value: strconv.AppendInt(nil, int64(n), 10)}); err != nil {
			return errors.Join(err, txn.Abort(ctx))
		}
		read[topic.Partition{Topic: w.in, ID: p.ID}] = n + 1
	}
	if err := txn.Commit(ctx, read); err != nil {
		w.mu.Lock()
		w.lost++
		w.mu.Unlock()
		if !errors.Is(err, topic.ErrLost) {
			w.t.Errorf("not reported as lost: %v", err)
		}
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range at {
		at[p]++
		w.reported[p]++
	}
	return nil
}

// check reads the counts of each task: 0, 1, 2, ..., at least up to the last reported commit.
func (w *storm) check(t *testing.T, seed uint64) {
	total := 0
	w.mu.Lock()
	reported := maps.Clone(w.reported)
	w.mu.Unlock()
	byTask := map[int32][]string{}
	for _, r := range w.committed(w.group.Tasks[0].Topic) {
		byTask[r.Partition] = append(byTask[r.Partition], string(r.Value))
	}
	for _, p := range w.group.Tasks {
		got := byTask[p.ID]
		total += len(got)
		if len(got) < reported[p] {
			t.Errorf("seed %d: %s has %d records, %d were reported", seed, p, len(got), reported[p])
		}
		for i, v := range got {
			if v != strconv.Itoa(i) {
				t.Errorf("seed %d: record %d of %s is %s", seed, i, p, v)
				break
			}
		}
		if reported[p] == 0 {
			t.Errorf("seed %d: %s did nothing", seed, p)
		}
	}
	t.Logf("seed %d: %d records, %d transactions lost", seed, total, w.lost)
	if t.Failed() || *stormLog {
		for _, l := range w.logs {
			t.Log(l)
		}
	}
}
