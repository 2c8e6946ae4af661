package process

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/topic"
)

// workload contains the jobs of a test: a filter, a table, a table with another key, a windowed table. Their
// topics are not compacted before they are read.
type workload struct {
	s          *site
	in         string
	partitions int32
	text       string
	exact      []string // topics whose records have one order per key
	settles    string   // a topic of rows that have passed an exchange: only the last row of a key is determined
	sql        string   // the file
	traffic    *traffic
	seen       *audience
}

func (s *site) workload(partitions int32) *workload {
	s.t.Helper()
	w := &workload{s: s, partitions: partitions, in: s.topic("in", partitions)}
	named := func(what string) string { return s.name + "." + what }
	w.text = fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
CREATE STREAM IF NOT EXISTS s (k STRING KEY, n BIGINT, v BIGINT, c STRING) WITH (topic='%s', key_format='kafka', value_format='json');
CREATE STREAM IF NOT EXISTS copied WITH (topic='%s', retention_ms='-1') AS SELECT k, n, v * 2 AS twice, UCASE(c) AS c FROM s WHERE v >= 100;
CREATE TABLE IF NOT EXISTS sums WITH (topic='%s', cleanup_policy='delete', retention_ms='-1') AS SELECT k, COUNT(*) AS n, SUM(v) AS total, MAX(v) AS highest FROM s GROUP BY k;
CREATE TABLE IF NOT EXISTS windows WITH (topic='%s', retention_ms='-1') AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY k;
CREATE TABLE IF NOT EXISTS colors WITH (topic='%s', cleanup_policy='delete', retention_ms='-1') AS SELECT c, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY c;
`, w.in, named("copied"), named("sums"), named("windows"), named("colors"))
	w.exact, w.settles = []string{named("copied"), named("sums"), named("windows")}, named("colors")
	w.sql = s.file("jobs.sql", w.text)
	w.seen = s.watch(append(w.topics(), s.name+".errors")...)
	return w
}

func (w *workload) topics() []string { return append(slices.Clone(w.exact), w.settles) }

// begin starts the traffic.
func (w *workload) begin(rate int) { w.traffic = w.s.feed(w.in, w.partitions, rate) }

// ready waits until every job has written a row.
func (w *workload) ready() {
	w.s.t.Helper()
	for _, name := range w.topics() {
		if !w.seen.await(name, 1, time.Minute) {
			w.s.t.Fatalf("no row has arrived in %s within a minute", name)
		}
	}
}

// judge ends the traffic, waits until the jobs have drained their inputs and compares the outputs with the
// oracle's. It returns the number of rows in and out.
func (w *workload) judge() (in, out int) {
	t := w.s.t
	t.Helper()
	w.traffic.end()
	w.traffic.reread(w.s)
	script, err := reference.Plan(w.text, reference.Options{Topics: map[string]int32{w.in: w.partitions}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := script.Evaluate(w.traffic.inputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range w.topics() {
		n := len(want[name])
		if n == 0 {
			t.Fatalf("the oracle expects nothing of %s", name)
		}
		if !w.seen.await(name, n, time.Minute) {
			t.Errorf("%s has %d records after a minute, not %d", name, w.seen.count(name), n)
		}
		in, out = w.traffic.rows(), out+n
	}
	jobs := script.Jobs()
	if !w.seen.await(w.s.name+".errors", jobs*len(w.traffic.poison), time.Minute) {
		t.Errorf("%d dead letters after a minute, not %d", w.seen.count(w.s.name+".errors"), jobs*len(w.traffic.poison))
	}
	time.Sleep(2 * time.Second) // for duplicates, which would arrive in this time
	only := func(m map[string][]reference.Output, names ...string) map[string][]reference.Output {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(name string, _ []reference.Output) bool { return !slices.Contains(names, name) })
		return m
	}
	if d := reference.Diff(only(want, w.exact...), w.seen.outputs(w.exact...)); d != "" {
		t.Error(d)
	}
	if d := reference.Diff(final(only(want, w.settles)), final(w.seen.outputs(w.settles))); d != "" {
		t.Error(d)
	}
	if n := w.seen.count(w.settles); n != len(want[w.settles]) {
		t.Errorf("%s has %d records, not %d", w.settles, n, len(want[w.settles]))
	}
	w.letters(jobs)
	return in, out
}

// letters checks the dead letters: one for each job and record that cannot be decoded.
func (w *workload) letters(jobs int) {
	t := w.s.t
	t.Helper()
	got := map[place]map[string]int{}
	for _, o := range w.seen.outputs(w.s.name + ".errors")[w.s.name+".errors"] {
		h := map[string]string{}
		for _, x := range o.Headers {
			if name, ok := strings.CutPrefix(x.Key, "streamql."); ok {
				h[name] = string(x.Value)
			}
		}
		id, _ := strconv.Atoi(h["partition"])
		offset, _ := strconv.ParseInt(h["offset"], 10, 64)
		at := place{topic.Partition{Topic: h["topic"], ID: int32(id)}, topic.Offset(offset)}
		if got[at] == nil {
			got[at] = map[string]int{}
		}
		got[at][h["job"]]++
		if !w.traffic.poison[at] {
			t.Errorf("a dead letter of %s offset %d, which can be decoded: %s %s", at.Partition, at.offset, h["code"],
				h["message"])
			return
		}
	}
	for at := range w.traffic.poison {
		if len(got[at]) != jobs {
			t.Errorf("%s offset %d has dead letters of %d jobs, not %d: %v", at.Partition, at.offset, len(got[at]), jobs,
				got[at])
			return
		}
		for job, n := range got[at] {
			if n != 1 {
				t.Errorf("%s offset %d has %d dead letters of %s", at.Partition, at.offset, n, job)
				return
			}
		}
	}
}
