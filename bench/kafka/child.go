//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic/kafka"
)

// childMode is the argument that starts the program as a child. It reads its task from the first line of
// stdin, and ends when stdin is closed.
const childMode = "-child"

// task is the work of a child: run the jobs that SQL defines, run Query, or poll Rows records of Topic
// without decoding them.
type task struct {
	Brokers, Name, Dir string
	Interval           time.Duration
	SQL                string
	Query              string
	Topic              string
	Partitions         int
	Rows               int64
	Memory             int64
	Snapshots          string
	Every              time.Duration
	Standbys           int
	Session            time.Duration
	Profile            string
}

func child() int {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	var t task
	if err = errors.Join(err, json.Unmarshal(line, &t)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	if t.Profile != "" {
		if f, err := os.Create(t.Profile); err == nil && pprof.StartCPUProfile(f) == nil {
			end := sync.OnceFunc(func() { pprof.StopCPUProfile(); f.Close() })
			defer end()
			if t.SQL == "" { // the child may be killed
				time.AfterFunc(10*time.Second, end)
			}
		}
	}
	switch {
	case t.Query != "":
		err = t.query(ctx)
	case t.Topic != "":
		err = t.poll(ctx)
	default:
		err = t.jobs(ctx)
	}
	if err != nil && ctx.Err() == nil {
		say(sample{Warning: err.Error()})
		return 1
	}
	return 0
}

var saying sync.Mutex

func say(s sample) {
	saying.Lock()
	defer saying.Unlock()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	s.At, s.CPU, s.Heap = time.Now(), cpu(), int64(heap[0].Value.Uint64())
	_ = json.NewEncoder(os.Stdout).Encode(s)
}

func (t *task) open(ctx context.Context, more ...streamql.Option) (*streamql.Engine, error) {
	opts := []streamql.Option{
		streamql.WithKafka(kafka.Config{Brokers: strings.Split(t.Brokers, ","), Name: t.Name,
			SessionTimeout: t.Session}),
		streamql.WithCommitInterval(t.Interval), streamql.WithStandbys(t.Standbys),
		streamql.WithWarnings(func(err *streamql.Error) { say(sample{Warning: err.Error()}) }),
	}
	if t.Dir != "" {
		opts = append(opts, streamql.WithDir(t.Dir))
	}
	if t.Memory > 0 {
		opts = append(opts, streamql.WithStateMemory(t.Memory))
	}
	if t.Snapshots != "" {
		place, err := state.Directory(t.Snapshots)
		if err != nil {
			return nil, err
		}
		opts = append(opts, streamql.WithSnapshots(place, t.Every))
	}
	return streamql.Open(ctx, append(opts, more...)...)
}

// jobs runs an engine until stdin is closed. Without SQL it continues the jobs of its name on the cluster.
func (t *task) jobs(ctx context.Context) error {
	e, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	if t.SQL != "" {
		if err := e.Exec(ctx, t.SQL); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		s, err := status(ctx, e)
		if err != nil {
			return err
		}
		say(s)
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func status(ctx context.Context, e *streamql.Engine) (s sample, err error) {
	rows, err := e.Query(ctx, "SHOW JOBS;")
	if err != nil {
		return s, err
	}
	for b, err := range rows.Batches() {
		if err != nil {
			return s, err
		}
		for i := range b.Rows() {
			s.Status, _ = flow.Value(b.Column(3), i).(string)
			n, _ := flow.Value(b.Column(4), i).(int64)
			s.Rows += n
			if failed, _ := flow.Value(b.Column(7), i).(string); failed != "" && s.Status != "RECOVERING" {
				return s, errors.New(failed)
			}
		}
	}
	return s, nil
}

// query reads a query's rows and discards them, until the scan has read Rows records.
func (t *task) query(ctx context.Context) error {
	e, err := t.open(ctx, streamql.WithoutJobs())
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.Exec(ctx, t.SQL); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	say(sample{})
	rows, err := e.Query(ctx, t.Query)
	if err != nil {
		return err
	}
	go func() { // WHERE may filter all of the last rows
		for ctx.Err() == nil && rows.Stats().Scanned < t.Rows {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	for _, err := range rows.Batches() {
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	if n := rows.Stats().Scanned; n != t.Rows {
		return fmt.Errorf("%d of %d rows were read", n, t.Rows)
	}
	say(sample{Rows: t.Rows, Done: true})
	return nil
}

// poll reads the same records with the client library.
func (t *task) poll(ctx context.Context) error {
	from := map[int32]kgo.Offset{}
	for i := range t.Partitions {
		from[int32(i)] = kgo.NewOffset().AtStart()
	}
	say(sample{})
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(t.Brokers, ",")...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(8<<20), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.Topic: from}))
	if err != nil {
		return err
	}
	defer cl.Close()
	n, bytes := int64(0), 0
	for n < t.Rows {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			bytes += len(r.Value)
		})
	}
	say(sample{Rows: n, Done: true})
	return nil
}
