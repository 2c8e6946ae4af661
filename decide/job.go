package decide

import (
	"fmt"
	"maps"
	"slices"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// Guarantee is the property that selects a job's delivery guarantee. A job is exactly-once unless
// the property was AtLeastOnce when the job was created.
const (
	Guarantee   = "processing.guarantee"
	AtLeastOnce = "at_least_once"
)

// job completes a new job from its plan. into is the existing relation that the job fills, or nil.
func (d *Decider) job(j *catalog.Job, plan []planner.Stage, in *Input, st lang.Statement,
	into *catalog.Relation) (err error) {
	var relations []*catalog.Relation
	if into != nil {
		relations = append(relations, into)
	}
	for _, s := range plan {
		for _, l := range s.Leaves {
			if l.Relation == nil {
				continue
			}
			if !slices.Contains(j.Reads, l.Relation.Name) {
				j.Reads = append(j.Reads, l.Relation.Name)
			}
			if !slices.Contains(relations, l.Relation) && !slices.Contains(d.Own, l.Relation) {
				relations = append(relations, l.Relation)
			}
		}
	}
	if j.Reading, err = in.reading(st, relations); err != nil {
		return err
	}
	j.Uses = slices.Sorted(maps.Keys(planner.Uses(plan)))
	for _, m := range planner.Awaited(plan) {
		j.Waits = append(j.Waits, catalog.Version{Model: m.Model, Number: m.Version})
	}
	j.Shape = planner.Shape(plan)
	if in.Session.Properties[Guarantee] == AtLeastOnce {
		j.Guarantee = AtLeastOnce
	}
	if d.Late && j.Bounded {
		j.Topics = exchanges(plan)
		return nil
	}
	return d.Resolve(j, plan, in.Facts)
}

// Resolve finds the offsets that a job reads and derives its tasks and topics from them.
func (d *Decider) Resolve(j *catalog.Job, plan []planner.Stage, facts Facts) error {
	j.Spans, j.Topics, j.Tasks = nil, exchanges(plan), nil
	widths := map[string]int32{}
	for _, s := range plan {
		if s.Output != "" {
			widths[s.Output] = s.Partitions
		}
		found := map[string][]topic.Span{} // by topic: leaves of one topic read the same spans
		for _, l := range s.Leaves {
			spans, again := found[l.Topic]
			if !again {
				var err error
				if spans, err = leafSpans(l, widths, facts); err != nil {
					return err
				}
				found[l.Topic] = spans
			}
			j.Spans = append(j.Spans, spans)
		}
	}
	stages := Stages(plan, j.Spans)
	logs := exec.Changelogs(d.Prefix, j.Name, stages)
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		j.Topics = append(j.Topics, catalog.Topic{Name: name, Use: catalog.Changelog, Partitions: logs[name]})
	}
	j.Tasks = exec.Tasks(d.Prefix, j.Name, stages)
	return nil
}

func leafSpans(l planner.Leaf, widths map[string]int32, facts Facts) ([]topic.Span, error) {
	if l.Relation != nil {
		return facts.Spans(l)
	}
	// The job creates the exchange, so it reads it from the beginning.
	var out []topic.Span
	for id := range widths[l.Topic] {
		out = append(out, topic.Span{Partition: topic.Partition{Topic: l.Topic, ID: id}, To: topic.End})
	}
	return out, nil
}

// exchanges returns the topics between the stages of a plan.
func exchanges(plan []planner.Stage) (out []catalog.Topic) {
	for _, s := range plan {
		if s.Output != "" {
			out = append(out, catalog.Topic{Name: s.Output, Use: catalog.Exchange, Partitions: s.Partitions})
		}
	}
	return out
}

// Stages returns the executable stages of a plan. spans has the offsets of each leaf, in the order
// of the leaves.
func Stages(plan []planner.Stage, spans [][]topic.Span) []exec.Stage {
	var out []exec.Stage
	for _, s := range plan {
		st := exec.Stage{Root: s.Root, Gather: s.Gather, Spans: map[exec.Node][]topic.Span{}}
		for _, l := range s.Leaves {
			st.SkipGaps = st.SkipGaps || l.Scan.OnGap == "SKIP"
			st.Spans[l.Node] = spans[0]
			st.Order = append(st.Order, l.Node)
			spans = spans[1:]
		}
		out = append(out, st)
	}
	return out
}

// start returns the decision that starts a job.
func (d *Decider) start(j *catalog.Job, plan []planner.Stage, message string) *Decision {
	return &Decision{Message: message + " by job " + j.Name, Job: j.Name, Bounded: j.Bounded, Plan: plan,
		Entry: &catalog.Entry{Kind: "JOB", Name: j.Name, Statement: j.Statement, Change: catalog.Change{Job: j}}}
}

// Again plans a job's statement in the context in which it was decided. models is the newest
// catalog, which contains the models that the job predicts with. The error is SQ7307 if the new
// plan's state is not of the shape that the job has stored.
func (d *Decider) Again(j *catalog.Job, models *catalog.Catalog) ([]planner.Stage, error) {
	plan, err := d.planAgain(j, models)
	if err != nil {
		return nil, err
	}
	if shape := planner.Shape(plan); shape != j.Shape {
		return nil, &lang.Error{Code: "SQ7307", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("this version cannot continue from the state of job %s: the job has %s, the plan needs %s",
				j.Name, shown(j.Shape), shown(shape)),
			Hint: "run the version that created the job, or TERMINATE the job and create it again"}
	}
	n := 0
	for _, s := range plan {
		n += len(s.Leaves)
	}
	if len(j.Spans) > 0 && n != len(j.Spans) {
		return nil, &lang.Error{Code: "SQ7307", Stage: lang.StagePlan,
			Msg:  fmt.Sprintf("job %s has %d inputs, but this version plans it with %d", j.Name, len(j.Spans), n),
			Hint: "run the version that created the job, or TERMINATE the job and create it again"}
	}
	return plan, nil
}

func (d *Decider) planAgain(j *catalog.Job, models *catalog.Catalog) ([]planner.Stage, error) {
	for _, name := range append(append([]string(nil), j.Reads...), j.Uses...) {
		if b, ok := models.Unavailable(name); ok {
			return nil, &lang.Error{Code: "SQ7306", Stage: lang.StagePlan,
				Msg:  fmt.Sprintf("%q is UNAVAILABLE in this process: %s", name, b.Reason),
				Hint: "run the version that defined it, or see streamql repair"}
		}
	}
	o, err := d.again(&j.Reading, models)
	if err != nil {
		return nil, err
	}
	switch j.Kind {
	case "CSAS", "CTAS":
		st, err := parse[*lang.CreateSource](j.Statement, &j.Reading)
		if err != nil {
			return nil, err
		}
		p, err := planner.Fill(st, j.Name, o)
		if err != nil {
			return nil, err
		}
		if r, ok := models.Relation(j.Fills, true); ok {
			planner.Spread(p, r.Partitions)
		}
		return p.Stages, nil
	case "INSERT":
		st, err := parse[*lang.Insert](j.Statement, &j.Reading)
		if err != nil {
			return nil, err
		}
		p, err := planner.Insert(st, j.Name, o)
		if err != nil {
			return nil, err
		}
		return p.Stages, nil
	}
	return d.trainAgain(j, models, o)
}

// trainAgain plans a training job. A RETRAIN job trains by the model's own statement, but reads its
// own range.
func (d *Decider) trainAgain(j *catalog.Job, models *catalog.Catalog, o planner.Options) ([]planner.Stage, error) {
	var scan *lang.Scan
	text, reading := j.Statement, &j.Reading
	if j.Kind == "RETRAIN" {
		st, err := parse[*lang.RetrainModel](j.Statement, &j.Reading)
		if err != nil {
			return nil, err
		}
		m, ok := models.Model(j.Fills, true)
		if !ok {
			return nil, &lang.Error{Code: "SQ6001", Stage: lang.StagePlan,
				Msg: fmt.Sprintf("model %q does not exist", j.Fills)}
		}
		text, reading, scan = m.Statement, &m.Reading, &st.Scan
		if o, err = d.again(reading, nil); err != nil {
			return nil, err
		}
	}
	st, err := parse[*lang.CreateModel](text, reading)
	if err != nil {
		return nil, err
	}
	t, err := planner.Model(st, scan, j.Name, o)
	if err != nil {
		return nil, err
	}
	return t.Stages, nil
}
