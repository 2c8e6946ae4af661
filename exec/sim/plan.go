package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// plan is the job of a run with its topics.
type plan struct {
	w      *world
	name   string
	parts  int32
	in     string // "file..": a topic without committed positions in the group
	zeros  int    // one of so many numbers is 0
	gaps   bool   // retention removes unread records, and the job must continue
	gather bool
	until  topic.Offset // the job ends at this offset of its input; topic.End: it does not end
	ops    []*apply
	stages []exec.Stage
	tasks  []task
}

// task is a task of the plan, for the oracle.
type task struct {
	name      string
	changelog topic.Partition
	inputs    []topic.Partition
	op        *apply
}

func makePlan(w *world) *plan {
	p := &plan{w: w, parts: int32(1 + w.pick(3)), in: "in", zeros: 8, until: topic.End}
	sums := &apply{effect: sum, keeps: true, out: "out"}
	switch p.ops = []*apply{sums}; w.pick(7) {
	case 0:
		p.name = "running sums"
	case 1:
		p.name, p.zeros = "running sums that are forgotten", 2
	case 2:
		p.name, p.ops = "filter", []*apply{{effect: even, out: "out"}}
	case 3:
		p.name, p.ops = "two stages", []*apply{{effect: rekey, out: "exchange", spread: int64(p.parts)}, sums}
	case 4:
		p.name, p.in = "running sums of a file", "file"
	case 5:
		p.name, p.gather = "running sums in one task", true
	case 6:
		p.name, p.gaps = "running sums with a short retention", true
	}
	if len(p.ops) == 1 && w.one(4) {
		p.name, p.until = p.name+" up to an end", topic.Offset(1+w.pick(20))
		if p.gather {
			// it holds rows back and commits only at its end, which must be before the
			// transaction timeout
			p.until = min(p.until, 3)
		}
	}
	ctx, in := context.Background(), p.in
	for i, op := range p.ops {
		p.stage(i, op, in)
		in = op.out
	}
	for _, name := range []string{p.in, "exchange", "out"} {
		_ = w.cluster.Create(ctx, name, topic.Config{Partitions: p.parts})
	}
	_ = w.cluster.Create(ctx, "errors", topic.Config{Partitions: 1})
	for name, n := range exec.Changelogs("streamql", "j", p.stages) {
		_ = w.cluster.Create(ctx, name, topic.Config{Partitions: n, Compact: true})
	}
	return p
}

// stage adds a stage, and its tasks for the oracle.
func (p *plan) stage(i int, op *apply, in string) {
	leaf := &scan{}
	op.in = leaf
	st := exec.Stage{Root: op, Order: []exec.Node{leaf}, Spans: map[exec.Node][]topic.Span{}, Gather: p.gather, SkipGaps: p.gaps}
	for id := range p.parts {
		from := topic.Partition{Topic: in, ID: id}
		st.Spans[leaf] = append(st.Spans[leaf], topic.Span{Partition: from, To: p.until})
		if p.gather && id > 0 {
			p.tasks[0].inputs = append(p.tasks[0].inputs, from)
			continue
		}
		p.tasks = append(p.tasks, task{name: fmt.Sprintf("j.%d.%d", i, id), op: op, inputs: []topic.Partition{from},
			changelog: topic.Partition{Topic: exec.ChangelogTopic("streamql", "j", i), ID: id}})
	}
	p.stages = append(p.stages, st)
}

// feed writes numbers to the job's input, some in transactions, of which some come to nothing.
// A key has one partition.
func (p *plan) feed(n int) {
	w, c := p.w, p.w.cluster
	var t *txn
	if w.one(3) {
		t = c.begin(c.fence("feeder"))
	}
	for range n {
		part, _ := c.partition(topic.Partition{Topic: p.in, ID: int32(w.pick(int(p.parts)))})
		value := fmt.Sprint(1 + w.pick(9))
		switch {
		case w.one(12):
			value = "bad"
		case w.one(p.zeros):
			value = "0"
		}
		at := part.write(t, topic.Record{Key: fmt.Appendf(nil, "k%d.%d", part.ID, w.pick(4)), Value: []byte(value), Time: w.now})
		w.note("feed %s@%d %s", part.Partition, at, value)
	}
	if t != nil && !w.one(8) { // else its writer has died
		c.decide(t, []int{committed, committed, aborted}[w.pick(3)])
	}
}

// fill writes the records that a bounded job still waits for.
func (p *plan) fill() {
	for id := range p.parts {
		part, _ := p.w.cluster.partition(topic.Partition{Topic: p.in, ID: id})
		for p.until != topic.End && part.next < p.until {
			part.write(nil, topic.Record{Key: fmt.Appendf(nil, "k%d.0", id), Value: []byte("1"), Time: p.w.now})
		}
	}
}

// retain removes the beginning of some input.
func (p *plan) retain() {
	part, _ := p.w.cluster.partition(topic.Partition{Topic: p.in, ID: int32(p.w.pick(int(p.parts)))})
	if n := int(part.stable() - part.start); n > 0 {
		below := part.start + topic.Offset(1+p.w.pick(n))
		part.drop(below)
		p.w.note("%s is gone below %d", part.Partition, below)
	}
}

// owner is the process that works on a task now, or nil.
func (p *plan) owner(t *task) *process {
	for _, g := range p.w.cluster.groups {
		for _, m := range g.members {
			if !m.p.dead && (slices.Contains(m.told.Tasks, t.changelog) || p.until != topic.End && len(m.told.Tasks) > 0) {
				// the job moves as a whole
				return m.p
			}
		}
	}
	return nil
}

// stored opens the stored state of a task, while its owner may be running.
func (p *plan) stored(t *task) (state.Store, error) {
	o := p.owner(t)
	if o == nil {
		return nil, fmt.Errorf("task %s has no owner", t.name)
	}
	return state.Open(o.disk.db.DB, t.name)
}

// lag describes the unfinished work; "": none.
func (p *plan) lag() string {
	for i := range p.tasks {
		t := &p.tasks[i]
		s, err := p.stored(t)
		if err != nil {
			return err.Error()
		}
		at := s.Position()
		for _, in := range t.inputs {
			part, _ := p.w.cluster.partition(in)
			if goal := min(part.next, p.until); at[in] < goal {
				return fmt.Sprintf("task %s is at %d of %s, which goes to %d", t.name, at[in], in, goal)
			}
		}
	}
	return ""
}
