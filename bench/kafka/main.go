//go:build linux

// Command kafka measures the engine on a Kafka cluster and prints the results: a JSON line per
// result, then a table. It has no pass criteria: on a shared machine only ratios of interleaved
// runs are meaningful, and only CPU times.
//
//	go run ./bench/kafka --brokers 127.0.0.1:9092 all
//
//	eo       exactly-once against at-least-once
//	consume  a query that projects JSON against a bare poll loop
//	recover  kill -9 under load with much state: restart, lost disk with and without a snapshot, standby
//	latency  from produce to committed output
//
// Each engine is a separate process. Topics begin with bench- and are removed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/streamql/streamql/topic/kafka"
)

// run is the common state of all measurements.
type run struct {
	ctx      context.Context
	admin    *kafka.Broker
	name     string // prefix of all names of this run
	scratch  string
	profiles string
	made     []string // topics
	started  int      // number of processes
	report   report

	brokers    string
	interval   time.Duration
	rounds     int
	rows       int
	partitions int
	keys       int // number of accounts of the orders
	states     int // number of keys of the state to be recovered
	value      int // size of each of its values in bytes
	memory     int64
	session    time.Duration
	rate       int
	lasts      time.Duration
	cases      string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == childMode {
		os.Exit(child())
	}
	r := run{}
	flag.StringVar(&r.brokers, "brokers", "127.0.0.1:9092", "the cluster")
	flag.StringVar(&r.scratch, "scratch", "", "a directory for state; default: a temporary one")
	flag.StringVar(&r.profiles, "profiles", "", "a directory for CPU profiles of the engines")
	flag.DurationVar(&r.interval, "interval", 100*time.Millisecond, "between commits")
	flag.IntVar(&r.rounds, "rounds", 3, "pairs of runs: A B A B A B")
	flag.IntVar(&r.rows, "rows", 2_000_000, "orders in the topic, of about 300 bytes")
	flag.IntVar(&r.partitions, "partitions", 4, "of each topic")
	flag.IntVar(&r.keys, "keys", 10_000, "accounts of the orders")
	flag.IntVar(&r.states, "state-keys", 2_400_000, "recover: keys of the table")
	flag.IntVar(&r.value, "state-value", 200,
		"recover: bytes of each value; it is stored twice, by the aggregate and as the table's row")
	flag.Int64Var(&r.memory, "state-memory", 64, "recover: MiB of state in memory, per task")
	flag.DurationVar(&r.session, "session", 0, "recover: the session timeout, default 30s")
	flag.IntVar(&r.rate, "rate", 1000, "recover, latency: records per second")
	flag.DurationVar(&r.lasts, "lasts", 20*time.Second, "latency: duration")
	flag.StringVar(&r.cases, "cases", "restart,busy,changelog,snapshot,standby", "recover: cases to run, without build")
	flag.Parse()
	what := flag.Args()
	if len(what) == 1 && what[0] == "all" {
		what = []string{"eo", "consume", "latency", "recover"}
	}
	if err := r.all(what); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (r *run) all(what []string) (err error) {
	parts := map[string]func() error{"eo": r.guarantees, "consume": r.consume, "recover": r.recover,
		"latency": r.latency}
	for _, w := range what {
		if parts[w] == nil {
			return fmt.Errorf("unknown measurement %q; the measurements are eo, consume, recover, latency, all", w)
		}
	}
	if len(what) == 0 {
		return fmt.Errorf("name a measurement: eo, consume, recover, latency, all")
	}
	var stop context.CancelFunc
	r.ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r.name = fmt.Sprintf("bench-%x", time.Now().UnixMilli())
	if r.scratch, err = os.MkdirTemp(r.scratch, "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(r.scratch)
	if r.admin, err = kafka.Open(r.ctx, kafka.Config{Brokers: strings.Split(r.brokers, ","), Name: r.name,
		Instance: "admin"}); err != nil {
		return err
	}
	defer r.admin.Close()
	defer r.sweep("")
	r.report.machine(runtime.NumCPU())
	for _, w := range what {
		if err := parts[w](); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	r.report.table()
	return nil
}

// sweep removes the topics of this run whose names continue with this prefix.
func (r *run) sweep(rest string) {
	ctx := context.WithoutCancel(r.ctx)
	topics, err := r.admin.Topics(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: topics were not removed:", err)
		return
	}
	for _, t := range topics {
		if strings.HasPrefix(t.Name, r.name+rest) {
			_ = r.admin.Delete(ctx, t.Name)
		}
	}
}

// dir returns a new directory below the scratch directory.
func (r *run) dir(name string) string { return filepath.Join(r.scratch, name) }
