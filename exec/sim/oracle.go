package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/topic"
)

// answer is the expected state and output of a task, by the naive computation.
type answer struct {
	kept    map[string]int64
	clock   int64 // maximum event time; 0: there was no row
	written map[int64][]string
	letters []string
	read    int
	dropped int // by the effect
}

// compute processes a task's inputs naively: the oracle.
func (w *world) compute(t *task, gaps []topic.Span) answer {
	a := answer{kept: map[string]int64{}, written: map[int64][]string{}}
	for _, in := range t.inputs {
		part, _ := w.cluster.partition(in)
		for _, e := range part.committed() {
			if e.offset >= w.plan.until || slices.ContainsFunc(gaps, func(s topic.Span) bool { return s.Partition == in && s.From <= e.offset && e.offset < s.To }) {
				continue
			}
			a.read++
			v, err := number(e.rec.Value)
			if err != nil {
				a.letters = append(a.letters, fmt.Sprintf("%s %d", in, e.offset))
				continue
			}
			a.row(t.op, row{string(e.rec.Key), v, int64(in.ID), int64(e.offset), e.rec.Time})
		}
	}
	return a
}

func (a *answer) row(op *apply, r row) {
	a.clock = max(a.clock, r.time)
	keep, ok, key, value := op.effect(r, a.kept[r.key])
	if delete(a.kept, r.key); ok && op.keeps {
		a.kept[r.key] = keep
	}
	if key == "" {
		a.dropped++
		return
	}
	a.written[r.part] = append(a.written[r.part], fmt.Sprintf("%s=%s %d@%d", key, value, r.part, r.place))
}

// check compares everything with the oracle, first as it is, then after the loss of every disk,
// and finally tampers with it.
func (w *world) check() {
	gaps, letters := w.reported()
	rows := 0
	var want []string
	outputs := map[string]map[int64][]string{}
	for i := range w.plan.tasks {
		t := &w.plan.tasks[i]
		a := w.compute(t, gaps)
		want = append(want, a.letters...)
		rows += a.read
		if outputs[t.op.out] == nil {
			outputs[t.op.out] = map[int64][]string{}
		}
		written := 0
		for p, lines := range a.written {
			outputs[t.op.out][p] = lines
			written += len(lines)
		}
		if a.read != written+a.dropped+len(a.letters) {
			w.violation("task %s: %d rows read, %d written, %d dropped, %d dead letters", t.name, a.read, written, a.dropped, len(a.letters))
		}
	}
	w.rows = rows
	for out, lines := range outputs {
		w.checkOutput(out, lines)
	}
	slices.Sort(letters)
	slices.Sort(want)
	if !slices.Equal(letters, want) {
		w.violation("dead letters:\n%v, want\n%v", letters, want)
	}
	w.checkState(gaps, "at the end")
	w.loseDisks()
	w.checkState(gaps, "restored from nothing")
	w.tamper()
}

// checkOutput compares a topic, row by row in the order of each source.
func (w *world) checkOutput(name string, want map[int64][]string) {
	got := map[int64][]string{}
	for _, p := range w.cluster.topics[name].parts {
		for _, e := range p.committed() {
			_, place, _ := strings.Cut(string(e.rec.Value), " ")
			source, _, _ := strings.Cut(place, "@")
			id, _ := strconv.ParseInt(source, 10, 64)
			got[id] = append(got[id], string(e.rec.Key)+"="+string(e.rec.Value))
		}
	}
	if w.plan.ops[0].spread > 0 { // one source is written to several partitions, each of which is in order
		for _, m := range []map[int64][]string{got, want} {
			for id := range m {
				slices.SortStableFunc(m[id], func(a, b string) int { return strings.Compare(a[:strings.Index(a, "=")], b[:strings.Index(b, "=")]) })
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[id], want[id]) {
			w.violation("%s of source %d:\n%v, want\n%v", name, id, got[id], want[id])
		}
		delete(got, id)
	}
	if len(got) > 0 {
		w.violation("%s has unexpected records %v", name, got)
	}
}

// reported returns the origins of the dead letters, and the gaps that the job has reported.
func (w *world) reported() (gaps []topic.Span, letters []string) {
	for _, e := range w.cluster.topics["errors"].parts[0].committed() {
		h := map[string]string{}
		for _, x := range e.rec.Headers {
			h[x.Key] = string(x.Value)
		}
		if h["streamql.code"] != "SQ8001" {
			letters = append(letters, fmt.Sprintf("%s[%s] %s", h["streamql.topic"], h["streamql.partition"], h["streamql.offset"]))
			continue
		}
		s := topic.Span{Partition: topic.Partition{Topic: w.plan.in}}
		format := "offsets %d to %d of " + w.plan.in + "[%d] no longer exist"
		if _, err := fmt.Sscanf(h["streamql.message"], format, &s.From, &s.To, &s.ID); err != nil {
			w.violation("a gap is reported as %q", h["streamql.message"])
		}
		gaps = append(gaps, s)
	}
	return gaps, letters
}

// checkState compares the stored state of every task.
func (w *world) checkState(gaps []topic.Span, when string) {
	for i := range w.plan.tasks {
		t := &w.plan.tasks[i]
		want := w.compute(t, gaps)
		s, err := w.plan.stored(t)
		if err != nil {
			w.violation("%s: %v", when, err)
		}
		view, err := s.View()
		if err != nil {
			w.violation("%s: %v", when, err)
		}
		got := map[string]int64{}
		for e, err := range view.Scan(keptSpace, nil, nil) {
			n, failed := strconv.ParseInt(string(e.Val), 10, 64)
			if got[string(e.Key)] = n; errors.Join(err, failed) != nil {
				w.violation("%s: %v", when, errors.Join(err, failed))
			}
		}
		clock, _, _ := view.Get("clock", []byte{0})
		_ = view.Close()
		if len(clock) < 8 {
			clock = make([]byte, 8)
		}
		if now := int64(binary.BigEndian.Uint64(clock)); !maps.Equal(got, want.kept) || now != want.clock {
			w.violation("state of %s, %s: %v at %d, want %v at %d", t.name, when, got, now, want.kept, want.clock)
		}
	}
}

// loseDisks ends all workers and restores everything in a worker without data.
func (w *world) loseDisks() {
	w.note("all disks are lost")
	w.stop()
	w.workers[0].left = nil
	w.workers = w.workers[:1]
	w.settle()
}

func (w *world) stop() {
	for _, k := range w.workers {
		if k.p != nil {
			w.end(k.p)
		}
	}
}

// settle lets the first worker own all tasks.
func (w *world) settle() {
	for i := 0; w.plan.lag() != ""; i++ {
		if i > 500 {
			w.violation("the tasks have no owner: %s", w.plan.lag())
		}
		w.pass(w.calmStep())
		w.cluster.some()
		w.workers[0].step()
	}
}

// tamper makes a change that a job must detect when it starts again.
func (w *world) tamper() {
	ctx, c, t := context.Background(), w.cluster, &w.plan.tasks[0]
	s, err := w.plan.stored(t)
	if err != nil || s.Seq() == 0 || w.plan.in != "in" {
		return
	}
	w.stop()
	var want error
	switch w.pick(4) {
	case 0:
		want = topic.ErrTopicReplaced
		_ = c.Delete(ctx, "in")
		_ = c.Create(ctx, "in", topic.Config{Partitions: w.plan.parts})
	case 1:
		want = exec.ErrPartitions
		p := topic.Partition{Topic: "in", ID: w.plan.parts}
		c.topics["in"].parts = append(c.topics["in"].parts, &partition{Partition: p})
	case 2:
		want = exec.ErrMoved
		part, _ := c.partition(t.inputs[0])
		c.groups["j"].offsets[t.inputs[0]] = part.next + 1
	case 3:
		want = exec.ErrMoved
		c.groups["j"].offsets[t.changelog] = topic.Offset(s.Seq())
		name := t.changelog.Topic
		n := len(c.topics[name].parts)
		_ = c.Delete(ctx, name)
		_ = c.Create(ctx, name, topic.Config{Partitions: int32(n), Compact: true})
	}
	w.note("tampered: %v", want)
	w.fails(want)
}

// fails steps the first worker until the job ends with an error, which must be want.
func (w *world) fails(want error) {
	k := w.workers[0]
	k.start()
	defer func() { k.p.busy = false }()
	ended, stop := context.WithCancel(context.Background())
	stop()
	for range 500 {
		w.pass(200)
		w.cluster.some()
		k.p.busy = true
		if _, err := k.job.Step(ended, w.pick); errors.Is(err, want) {
			return
		} else if err != nil {
			w.violation("the job ends with %v, want %v", err, want)
		}
	}
	w.violation("the job does not notice: %v", want)
}
