//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recover builds a large table, kills its process under load in several ways, and measures the time until it
// commits again.
func (r *run) recover() error {
	in, err := r.topic("big")
	if err != nil {
		return err
	}
	one := func(rnd *rand.Rand, i int) (key, value []byte) {
		n := i * 7919 % r.states
		b := append(make([]byte, 0, r.value+40), `{"payload":"`...)
		return fmt.Appendf(nil, "key-%09d", n), append(noise(rnd, b, r.value), `"}`...)
	}
	if err := r.fill(in, r.states, one); err != nil {
		return err
	}
	c := &crash{run: r, app: r.name + "-r", in: in, one: one}
	defer r.sweep("-r")
	defer c.stop()
	if err := c.build(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	paced := make(chan error, 1)
	go func() {
		paced <- r.pace(ctx, in, r.rate, func(rnd *rand.Rand, i int) ([]byte, []byte) {
			return one(rnd, rnd.IntN(r.states))
		})
	}()
	time.Sleep(3 * time.Second)
	cases := map[string]func() error{"build": func() error { return nil }, "restart": c.restart, "busy": c.busy,
		"changelog": c.changelog, "snapshot": c.snapshot, "standby": c.standby}
	for name := range strings.SplitSeq(r.cases, ",") {
		if cases[name] == nil {
			return fmt.Errorf("unknown case %q", name)
		}
		if err := cases[name](); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	cancel()
	return <-paced
}

// crash is the job of a table and the process that runs it.
type crash struct {
	*run
	app, in string
	one     func(rnd *rand.Rand, i int) (key, value []byte)
	p       *process
	with    task
}

func (c *crash) out() string { return c.app + ".out" }

func (c *crash) stop() {
	if c.p != nil {
		c.p.stop()
	}
}

// build builds the table.
func (c *crash) build() error {
	sql := fmt.Sprintf("CREATE STREAM big (k STRING KEY, payload STRING) "+
		"WITH (topic='%s', value_format='json', partitions=%d);", c.in, c.partitions) +
		"SET 'auto.offset.reset'='earliest';" +
		fmt.Sprintf("CREATE TABLE out WITH (topic='%s') AS SELECT k, COUNT(*) AS n, "+
			"LATEST_BY_OFFSET(payload) AS payload FROM big GROUP BY k;", c.out())
	c.with = task{Name: c.app, Dir: c.dir("first"), Memory: c.memory << 20, Session: c.session}
	first := c.with
	first.SQL = sql
	var err error
	if c.p, err = c.start(first); err != nil {
		return err
	}
	all := int64(c.states)
	if err := c.p.until(c.run, func(s sample) bool { return s.Rows >= all }); err != nil {
		return err
	}
	rows, used, wall := c.p.between(all/5, all)
	now, most := c.p.memory()
	heap := float64(c.p.last().Heap) / (1 << 20)
	c.report.add("recover", "build", "keys", float64(c.states), "state-mib", c.logical(), "disk-mib", size(c.with.Dir),
		"rows/s", float64(rows)/wall.Seconds(),
		"rows/cpu-s", float64(rows)/used.Seconds(), "rss-mib", now, "rss-most-mib", most, "heap-mib", heap)
	return nil
}

// logical returns the size of the state in MiB: key and value, as the aggregate's and as the table's row.
func (c *crash) logical() float64 { return float64(c.states) * 2 * float64(c.value+13+8) / (1 << 20) }

// restart kills the process and restarts it in the same directory.
func (c *crash) restart() error {
	for range c.rounds {
		if err := c.again("kill -9, restart", func() error { return nil }, nil); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// busy kills the process at maximum load. State that it has not flushed is replayed.
func (c *crash) busy() error {
	filled := make(chan error, 1)
	n := min(c.states/2, 400_000)
	go func() { filled <- c.fill(c.in, n, c.one) }()
	from := c.p.last().Rows
	if err := c.p.until(c.run, func(s sample) bool { return s.Rows >= from+int64(n)/2 }); err != nil {
		return err
	}
	if err := c.again("kill -9 at full load, restart", func() error { return nil }, nil); err != nil {
		return err
	}
	return <-filled
}

// changelog removes the directory, so that all state is replayed from the changelogs.
func (c *crash) changelog() error {
	return c.again("disk lost, changelog only", c.lose, nil)
}

// snapshot removes the directory after a snapshot.
func (c *crash) snapshot() error {
	c.with.Snapshots, c.with.Every = c.dir("snapshots"), 10*time.Second
	c.p.stop()
	var err error
	if c.p, err = c.start(c.with); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Minute); c.manifests() < c.partitions; time.Sleep(200 * time.Millisecond) {
		if c.ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("no snapshot appears: %d of %d", c.manifests(), c.partitions)
		}
	}
	time.Sleep(5 * time.Second) // a tail of the changelog after the snapshot
	err = c.again("disk lost, snapshot", c.lose, nil)
	c.with.Snapshots, c.with.Every = "", 0
	return err
}

// manifests returns the number of tasks with a snapshot.
func (c *crash) manifests() int {
	n := 0
	entries, _ := os.ReadDir(c.with.Snapshots + "/snapshots/v1")
	for _, cluster := range entries {
		tasks, _ := os.ReadDir(c.with.Snapshots + "/snapshots/v1/" + cluster.Name())
		for _, t := range tasks {
			if list, _ := os.ReadDir(c.with.Snapshots + "/snapshots/v1/" + cluster.Name() + "/" + t.Name() +
				"/m"); len(list) > 0 {
				n++
			}
		}
	}
	return n
}

// lose removes the directory of state, but not the process's name, so that its static membership of the group
// continues.
func (c *crash) lose() error { return os.RemoveAll(c.with.Dir + "/state") }

// standby starts a second process with standbys, and kills the first for good.
func (c *crash) standby() error {
	c.p.stop()
	first, second := c.with, c.with
	first.Standbys, second.Standbys = 1, 1
	second.Dir = c.dir("second")
	var err error
	if c.p, err = c.start(first); err != nil {
		return err
	}
	other, err := c.start(second)
	if err != nil {
		return err
	}
	// The processes share the tasks, and each is the standby of the other. The second is ready when it has as
	// much state on disk as the first.
	deadline := time.Now().Add(10 * time.Minute)
	for ; size(second.Dir) < size(first.Dir)*2/3; time.Sleep(500 * time.Millisecond) {
		if c.ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("the standby does not catch up: %.0f of %.0f MiB", size(second.Dir), size(first.Dir))
		}
	}
	time.Sleep(10 * time.Second)
	return c.again("take-over by a standby", func() error { return nil }, other)
}

// again kills the process, calls between, and restarts the process unless another one runs. It measures the
// time from the kill to the first record of each partition that a later transaction has committed.
func (c *crash) again(what string, between func() error, other *process) error {
	cl, err := c.reader(c.out(), kgo.NewOffset().AtEnd())
	if err != nil {
		return err
	}
	defer cl.Close()
	before := c.p.last()
	killed := time.Now()
	c.p.kill()
	ends, err := c.ends()
	if err != nil {
		return err
	}
	if err := between(); err != nil {
		return err
	}
	c.p = other
	started := time.Now()
	if other == nil {
		if c.p, err = c.start(c.with); err != nil {
			return err
		}
	}
	var first []float64 // of each partition
	seen := map[int32]bool{}
	peak := 0.0
	for len(seen) < c.partitions {
		fetches := cl.PollFetches(c.ctx)
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if rec.Offset >= ends[rec.Partition] && !seen[rec.Partition] {
				seen[rec.Partition] = true
				first = append(first, time.Since(killed).Seconds())
			}
		})
		select {
		case <-c.p.ended:
			return fmt.Errorf("the engine has ended: %s", c.p.warned)
		default:
		}
		now, most := c.p.memory()
		peak = max(peak, now, most)
	}
	slices.Sort(first)
	after := c.p.last()
	c.report.add("recover", what, "first-commit-s", first[0], "all-partitions-s", first[len(first)-1], "start-delay-s",
		started.Sub(killed).Seconds(),
		"cpu-s", after.CPU.Seconds(), "rss-most-mib", peak, "rows-before", float64(before.Rows), "disk-mib",
		size(c.with.Dir), "state-mib", c.logical(),
		"state-mib/s", c.logical()/first[len(first)-1], "entries/s", 2*float64(c.states)/first[len(first)-1])
	return nil
}

// ends returns the end offsets of the partitions, including uncommitted records.
func (c *crash) ends() (map[int32]int64, error) {
	d, err := c.admin.Describe(c.ctx, c.out())
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	for _, p := range d.Partitions {
		out[p.ID] = int64(p.To)
	}
	return out, nil
}
