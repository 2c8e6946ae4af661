//go:build synctests

package storm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// verdict waits until the jobs have drained their inputs, and returns the first error in their output.
func (w *world) verdict() error {
	wrong := "nothing was looked at"
	right := 0
	for end := time.Now().Add(6 * time.Minute); time.Now().Before(end) && right < 2; {
		time.Sleep(20 * time.Second)
		if err := w.jobs(); err != nil {
			return err
		}
		if wrong = w.compare(); wrong == "" {
			right++
			continue
		}
		right = 0
	}
	if right < 2 {
		w.groups()
	}
	if wrong != "" {
		return fmt.Errorf("%s\n%s", wrong, w.plan.whole())
	}
	return nil
}

// jobs returns an error if a job of a process has failed, because no fault of a storm may fail a job.
func (w *world) jobs() error {
	resumed := 0
	for _, p := range w.processes {
		e := p.open()
		if e == nil {
			continue
		}
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		for _, j := range e.Jobs(here(ctx)) {
			if j.State == exec.Failed {
				return fmt.Errorf("p%d: job %s has failed: %s: %s", p.id, j.Name, j.Failure.Code, j.Failure.Cause)
			}
			resumed += int(j.Counts.Resumed)
			if j.Failure != nil {
				w.note("p%d: job %s, resumed %d times, is %s: %s", p.id, j.Name, j.Counts.Resumed, j.State, j.Failure.Cause)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resumed = resumed
	return nil
}

// groups logs the members and committed offsets of the jobs' groups.
func (w *world) groups() {
	for i, t := range w.plan.jobs {
		for _, kind := range []string{"CTAS", "CSAS"} {
			for n := range len(w.plan.jobs) {
				name := fmt.Sprintf("app.%s_%s_%d", kind, t.name, n)
				if g := w.fake.GroupInfo(name); g != nil {
					w.note("%d: group %s is %s in epoch %d: %d members %+v, %v", i, name, g.State, g.Epoch, len(g.Members),
						g.Members, g.Commits)
				}
			}
		}
	}
	for _, t := range []string{"s", "app.changelog.CTAS_o0_0.0"} {
		for _, p := range w.fake.PartitionInfos(t) {
			w.note("%s[%d] is stable to %d of %d", t, p.Partition, p.LastStableOffset, p.HighWatermark)
		}
	}
}

const errorsTopic = "app.errors"

// compare returns the first difference between the output and the expected output.
func (w *world) compare() string {
	names := []string{"s", errorsTopic}
	for _, t := range w.plan.jobs {
		names = append(names, t.name)
	}
	read, err := w.read(names...)
	if err != nil {
		return err.Error()
	}
	inputs := map[topic.Partition][]reference.Record{}
	bad, zeros := map[string]bool{}, int64(0)
	rows := 0
	for _, r := range read["s"] {
		p := topic.Partition{Topic: "s", ID: r.Partition}
		inputs[p] = append(inputs[p], reference.Record{Offset: topic.Offset(r.Offset), Record: record(r)})
		rows++
		switch {
		case !strings.HasSuffix(string(r.Value), "}"):
			bad[fmt.Sprintf("%d@%d", r.Partition, r.Offset)] = true
		case strings.Contains(string(r.Value), `"a":0,`):
			zeros++
		}
	}
	script, err := reference.Plan(w.plan.whole(), reference.Options{})
	if err != nil {
		return err.Error()
	}
	want, err := script.Evaluate(inputs)
	if err != nil {
		return err.Error()
	}
	w.mu.Lock()
	w.rows, w.letters = rows, len(read[errorsTopic])
	w.mu.Unlock()
	for _, t := range w.plan.jobs {
		got := outputs(read[t.name])
		a, b := map[string][]reference.Output{t.name: want[t.name]}, map[string][]reference.Output{t.name: got}
		if !t.exact {
			a, b = map[string][]reference.Output{t.name: last(want[t.name])}, map[string][]reference.Output{t.name: last(got)}
		}
		if d := reference.Diff(a, b); d != "" {
			return d
		}
	}
	return w.lettersAre(read[errorsTopic], bad, zeros)
}

// last returns the newest record of each key without its timestamp, because the order of rows from several
// partitions is not determined.
func last(list []reference.Output) (out []reference.Output) {
	by := map[string]reference.Output{}
	for _, o := range list {
		o.Time = 0
		by[string(o.Key)] = o
	}
	for _, k := range slices.Sorted(maps.Keys(by)) {
		if by[k].Value != nil {
			out = append(out, by[k])
		}
	}
	return out
}

// lettersAre checks that there is one dead letter for each bad record and job that reads it, and that each
// failed expression is counted once.
func (w *world) lettersAre(letters []*kgo.Record, bad map[string]bool, zeros int64) string {
	seen := map[string]int{}
	failed := map[string]int64{}
	for _, r := range letters {
		h := map[string]string{}
		for _, x := range r.Headers {
			h[x.Key] = string(x.Value)
		}
		if h["streamql.code"] == "SQ4001" {
			n, _ := strconv.ParseInt(h["streamql.count"], 10, 64)
			failed[h["streamql.job"]] += n
			continue
		}
		seen[h["streamql.job"]+" "+h["streamql.partition"]+"@"+h["streamql.offset"]]++
	}
	readers := 0
	for _, t := range w.plan.jobs {
		if t.reads == "s" {
			readers++
		}
	}
	for at, n := range seen {
		if _, place, _ := strings.Cut(at, " "); n != 1 || !bad[place] {
			return fmt.Sprintf("%d dead letters of %s", n, at)
		}
	}
	if len(seen) != readers*len(bad) {
		return fmt.Sprintf("%d dead letters, not %d of each of %d jobs", len(seen), len(bad), readers)
	}
	want := int64(0)
	got := int64(0)
	for _, t := range w.plan.jobs {
		if t.divides {
			want += zeros
		}
	}
	for _, n := range failed {
		got += n
	}
	if got != want {
		return fmt.Sprintf("%d failed expressions were counted, not %d", got, want)
	}
	return ""
}

func record(r *kgo.Record) topic.Record {
	out := topic.Record{Key: r.Key, Value: r.Value, Time: r.Timestamp.UnixMilli()}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, topic.Header{Key: h.Key, Value: h.Value})
	}
	return out
}

func outputs(list []*kgo.Record) (out []reference.Output) {
	for _, r := range list {
		out = append(out, reference.Output{Partition: r.Partition, Record: record(r)})
	}
	return out
}

// read returns the committed records of topics, read by a client that shares nothing with the engine.
func (w *world) read(names ...string) (map[string][]*kgo.Record, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.fake.ListenAddrs()...), kgo.Dialer(w.fair.dial),
		kgo.ConsumeTopics(names...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.MetadataMinAge(time.Second))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	out := map[string][]*kgo.Record{}
	for quiet := 0; quiet < 3; quiet++ {
		ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
		records := cl.PollFetches(ctx).Records()
		stop()
		for _, r := range records {
			out[r.Topic] = append(out[r.Topic], r)
			quiet = -1
		}
	}
	return out, nil
}
