//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// latency measures the time from producing a record to the visibility of the job's result for a reader of
// committed records.
func (r *run) latency() error {
	in, err := r.topic("paced")
	if err != nil {
		return err
	}
	app := r.name + "-l"
	defer r.sweep(app[len(r.name):])
	p, err := r.start(task{Name: app, Dir: r.dir(app), SQL: r.orders(in) + "SET 'auto.offset.reset'='earliest';" +
		fmt.Sprintf("CREATE STREAM out WITH (topic='%s') AS SELECT account, created FROM orders WHERE price >= 0;",
			app+".out")})
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.until(r, func(s sample) bool { return s.Status == "RUNNING" }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.lasts)
	defer cancel()
	paced := make(chan error, 1)
	go func() {
		paced <- r.pace(ctx, in, r.rate, func(rnd *rand.Rand, i int) ([]byte, []byte) { return order(rnd, i, r.keys) })
	}()
	waited, err := r.await(ctx, app+".out")
	if err != nil {
		return err
	}
	if err := <-paced; err != nil {
		return err
	}
	first := p.last()
	r.report.add("latency", "produce to committed output", "p50-ms", quantile(waited, 0.5), "p99-ms",
		quantile(waited, 0.99), "max-ms", quantile(waited, 1),
		"records", float64(len(waited)), "rate", float64(r.rate), "engine-cpu-s", first.CPU.Seconds())
	return nil
}

// await reads a job's output until ctx ends and returns the latency of each row, in ms. The first two seconds
// do not count.
func (r *run) await(ctx context.Context, out string) ([]float64, error) {
	cl, err := r.reader(out, kgo.NewOffset().AtStart())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var waited []float64
	began := time.Now()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		now := time.Now()
		fetches.EachRecord(func(rec *kgo.Record) {
			_, rest, _ := bytes.Cut(rec.Value, []byte(`"created":`))
			if made, err := strconv.ParseInt(strings.TrimRight(string(rest), "}"), 10, 64); err == nil &&
				now.Sub(began) > 2*time.Second {
				waited = append(waited, float64(now.UnixMicro()-made)/1000)
			}
		})
	}
	return waited, nil
}

// reader returns a client that reads the committed records of all partitions of a topic.
func (r *run) reader(name string, at kgo.Offset) (*kgo.Client, error) {
	from := map[int32]kgo.Offset{}
	for i := range r.partitions {
		from[int32(i)] = at
	}
	return kgo.NewClient(kgo.SeedBrokers(strings.Split(r.brokers, ",")...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.UnknownTopicRetries(-1), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: from}))
}
