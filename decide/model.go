package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// ModelTopic returns the name of the topic that stores the versions of a model.
func (d *Decider) ModelTopic(model string) string {
	return d.Prefix + ".model." + topic.SafeName(model)
}

// Model decides CREATE MODEL.
func (d *Decider) Model(st *lang.CreateModel, in *Input) (*Decision, error) {
	name := in.Session.Fold(st.Name)
	if out, err := in.taken(st, name, st.OrReplace, st.IfNotExists); out != nil || err != nil {
		return out, err
	}
	if r, ok := in.Catalog.Relation(name, true); ok {
		return nil, fail(st.Name, len(st.Name.Text), "SQ2002", "%q is a %s", name, strings.ToLower(r.Kind()))
	}
	job := &catalog.Job{Name: jobName("MODEL", name, in.Catalog), Kind: "MODEL", Statement: st.Text(), Fills: name}
	t, err := planner.Model(st, nil, job.Name, d.Options(in))
	if err != nil {
		return nil, err
	}
	if err := d.replaces(st, name, t, in); err != nil {
		return nil, err
	}
	job.Bounded = t.Bounded
	if err := d.job(job, t.Stages, in, st, nil); err != nil {
		return nil, err
	}
	out := d.start(job, t.Stages, "model "+name+" is being trained")
	versions := catalog.Topic{Name: d.ModelTopic(name), Use: catalog.Versions, Partitions: 1, Compact: true,
		RetentionMs: -1}
	out.Make = append([]catalog.Topic{versions}, out.Make...)
	out.Entry.Kind, out.Entry.Name = "MODEL", name
	out.Entry.Change.Model = &catalog.Model{Name: name, Statement: st.Text(), Reading: job.Reading, Job: job.Name,
		Type: t.Type, Topic: versions.Name}
	for _, j := range in.trainings(name) { // the jobs of the model that this one replaces
		out.Entry.Change.End = append(out.Entry.Change.End, j.Name)
		out.Entry.Change.Delete = append(out.Entry.Change.Delete, in.topicsOf(j.Name)...)
	}
	return out, nil
}

// replaces returns an error if a job predicts with the model of the name and could not use versions of
// the new training: their features, type or target are others than those that the job was planned for.
func (d *Decider) replaces(st *lang.CreateModel, name string, t *planner.Training, in *Input) error {
	old, ok := in.Catalog.Model(name, in.Session.Exact())
	if !ok {
		return nil
	}
	user := in.user(old.Name)
	if user == "" {
		return nil
	}
	before, err := d.Training(old)
	if err == nil && before.Source.Known() && before.Source.Equal(t.Source) && before.Type == t.Type &&
		flow.TypeName(before.Target.Type) == flow.TypeName(t.Target.Type) {
		return nil
	}
	return inUse(st.Name, "model", old.Name, user)
}

// user returns a job that predicts with a model, or "" if there is none.
func (in *Input) user(model string) string {
	for _, j := range in.Catalog.Jobs() {
		if slices.Contains(j.Uses, model) {
			return j.Name
		}
	}
	return ""
}

// trainings returns the jobs that train a model.
func (in *Input) trainings(model string) (out []*catalog.Job) {
	for _, j := range in.Catalog.Jobs() {
		if j.Fills == model && (j.Kind == "MODEL" || j.Kind == "RETRAIN") {
			out = append(out, j)
		}
	}
	return out
}

// Retrain decides RETRAIN MODEL, which starts a job that trains the model once more.
func (d *Decider) Retrain(st *lang.RetrainModel, in *Input) (*Decision, error) {
	m, ok := in.Catalog.Model(in.Session.Fold(st.Name), in.Session.Exact())
	if !ok {
		return nil, planner.NoModel(in.Catalog, st.Name)
	}
	statement, err := parse[*lang.CreateModel](m.Statement, &m.Reading)
	if err != nil {
		return nil, err
	}
	job := &catalog.Job{Name: jobName("RETRAIN", m.Name, in.Catalog), Kind: "RETRAIN", Statement: st.Text(),
		Fills: m.Name}
	o, err := d.again(&m.Reading, nil)
	if err != nil {
		return nil, err
	}
	t, err := planner.Model(statement, &st.Scan, job.Name, o)
	if err != nil {
		return nil, err
	}
	job.Bounded = t.Bounded
	if err := d.job(job, t.Stages, in, st, nil); err != nil {
		return nil, err
	}
	return d.start(job, t.Stages, "model "+m.Name+" is being trained"), nil
}

// DropModel decides DROP MODEL for a whole model. Dropping a single version is not a change of the
// catalog, because the model's topic contains the versions.
func (d *Decider) DropModel(st *lang.DropModel, in *Input) (*Decision, error) {
	name := st.Name.Name
	m, ok := in.Catalog.Model(in.Session.Fold(name), in.Session.Exact())
	if !ok {
		if b, broken := in.Catalog.Unavailable(name.Text); broken {
			return d.dropBroken(st, b), nil
		}
		if st.IfExists {
			return done("%s does not exist, nothing was changed", name.Text), nil
		}
		return nil, planner.NoModel(in.Catalog, name)
	}
	if user := in.user(m.Name); user != "" {
		return nil, inUse(st.Name, "model", m.Name, user)
	}
	out := done("model %s dropped", m.Name)
	out.Entry = &catalog.Entry{Kind: "DROP", Name: m.Name, Statement: st.Text(),
		Change: catalog.Change{Drop: []string{m.Name}, Delete: []string{m.Topic}}}
	for _, j := range in.trainings(m.Name) {
		out.Entry.Change.End = append(out.Entry.Change.End, j.Name)
		out.Entry.Change.Delete = append(out.Entry.Change.Delete, in.topicsOf(j.Name)...)
	}
	return out, nil
}

func inUse(at lang.Node, what, name, job string) error {
	err := fail(at, len(name), "SQ3016", "%s%q is used by job %s", map[bool]string{true: what + " "}[what != ""], name,
		job)
	err.Hint = "TERMINATE " + job + " first"
	return err
}

// dropBroken returns the decision to skip a catalog entry that cannot be applied.
func (d *Decider) dropBroken(st lang.Statement, b catalog.Broken) *Decision {
	out := done("%s, which was UNAVAILABLE, is dropped", b.Name)
	out.Entry = &catalog.Entry{Kind: "REPAIR", Name: b.Name, Statement: st.Text(),
		Change: catalog.Change{Skip: []int64{b.Offset}}}
	return out
}

// Drop decides DROP STREAM, DROP TABLE and DROP TYPE.
func (d *Decider) Drop(st *lang.Drop, in *Input) (*Decision, error) {
	name := in.Session.Fold(st.Name)
	if st.Kind == "TYPE" {
		return d.dropType(st, name, in)
	}
	r, ok := in.Catalog.Relation(name, in.Session.Exact())
	if !ok {
		if b, broken := in.Catalog.Unavailable(name); broken {
			return d.dropBroken(st, b), nil
		}
		if st.IfExists {
			return done("%s does not exist, nothing was changed", name), nil
		}
		return nil, fail(st.Name, len(st.Name.Text), "SQ2001", "%q is not a stream or table", name)
	}
	if string(st.Kind) != r.Kind() {
		return nil, fail(st.Name, len(st.Name.Text), "SQ2022", "%q is a %s: use DROP %s", r.Name,
			strings.ToLower(r.Kind()), r.Kind())
	}
	if r.ReadOnly && st.DeleteTopic {
		return nil, fail(st, 1, "SQ3013", "%q is a SOURCE: its topic cannot be deleted", r.Name)
	}
	if err := in.unused(st, r); err != nil {
		return nil, err
	}
	out := done("%s %s dropped", strings.ToLower(r.Kind()), r.Name)
	out.Entry = &catalog.Entry{Kind: "DROP", Name: r.Name, Statement: st.Text(),
		Change: catalog.Change{Drop: []string{r.Name}}}
	if _, ok := in.Catalog.Job(r.Job); ok && r.Job != "" {
		out.Entry.Change.End = []string{r.Job}
		out.Entry.Change.Delete = in.topicsOf(r.Job)
	}
	if st.DeleteTopic && r.AtBroker() {
		out.Entry.Change.Delete = append(out.Entry.Change.Delete, r.Topic)
	}
	return out, nil
}

// unused returns an error if a job reads the relation, or if a job other than its own fills it.
func (in *Input) unused(st *lang.Drop, r *catalog.Relation) error {
	for _, j := range in.Catalog.Jobs() {
		uses := j.Fills == r.Name && j.Name != r.Job && j.Kind == "INSERT"
		for _, name := range j.Reads {
			uses = uses || name == r.Name
		}
		if uses {
			return inUse(st.Name, "", r.Name, j.Name)
		}
	}
	return nil
}

func (d *Decider) dropType(st *lang.Drop, name string, in *Input) (*Decision, error) {
	if _, ok := in.Catalog.Type(name); !ok {
		if st.IfExists {
			return done("type %s does not exist, nothing was changed", name), nil
		}
		return nil, fail(st.Name, len(st.Name.Text), "SQ2011", "type %s does not exist", name)
	}
	out := done("type %s dropped", name)
	out.Entry = &catalog.Entry{Kind: "DROP", Name: name, Statement: st.Text(), Change: catalog.Change{DropType: name}}
	return out, nil
}

// Control decides TERMINATE, PAUSE, RESUME and RESTART of one job or of all jobs.
func (d *Decider) Control(st *lang.Control, in *Input) (*Decision, error) {
	jobs, err := in.controlled(st)
	if err != nil {
		return nil, err
	}
	out := &Decision{}
	entry := &catalog.Entry{Kind: "STATE", Statement: st.Text()}
	var names []string
	for _, j := range jobs {
		if st.Verb == "RESUME" && st.From != "" && j.Runs() {
			err := fail(st, 1, "SQ3018", "job %s is running and continues from its commits", j.Name)
			err.Hint = "RESUME .. FROM is for a job that is PAUSED or FAILED"
			return nil, err
		}
		if !control(st, j, &entry.Change) {
			continue
		}
		names = append(names, j.Name)
		if st.Verb == "TERMINATE" {
			entry.Change.Delete = append(entry.Change.Delete, in.topicsOf(j.Name)...)
		}
	}
	verb := map[lang.Keyword]string{"TERMINATE": "terminated", "PAUSE": "paused", "RESUME": "resumed",
		"RESTART": "restarted"}[st.Verb]
	if len(names) == 0 {
		out.Message = "no job can be " + verb
		return out, nil
	}
	out.Message, out.Entry = fmt.Sprintf("%s %s", verb, strings.Join(names, ", ")), entry
	return out, nil
}

// control adds a verb's effect on a job to a change. It reports whether there is an effect.
func control(st *lang.Control, j *catalog.Job, ch *catalog.Change) bool {
	s := catalog.State{Job: j.Name}
	switch st.Verb {
	case "TERMINATE":
		ch.End = append(ch.End, j.Name)
		return true
	case "PAUSE":
		if j.Paused || j.Done {
			return false
		}
		s.State = catalog.Paused
	case "RESUME":
		if !j.Paused && j.Failure == nil && st.From == "" || j.Done && j.Failure == nil {
			return false
		}
		s.State, s.Resume = catalog.Running, string(st.From)
	case "RESTART":
		if j.Done && j.Failure == nil {
			return false
		}
		s.State = catalog.Running
	}
	ch.States = append(ch.States, s)
	return true
}

func (in *Input) controlled(st *lang.Control) ([]*catalog.Job, error) {
	switch {
	case st.All:
		return in.Catalog.Jobs(), nil
	case st.Training:
		m, ok := in.Catalog.Model(in.Session.Fold(*st.Model), in.Session.Exact())
		if !ok {
			return nil, planner.NoModel(in.Catalog, *st.Model)
		}
		return in.trainings(m.Name), nil
	}
	if j, ok := in.Catalog.Job(st.Job.Text); ok {
		return []*catalog.Job{j}, nil
	}
	return nil, NoJob(in.Catalog, in.Session, *st.Job)
}

// NoJob returns the error for a name that refers to no job. If the name is a relation's or a
// model's, the hint names the jobs that fill it.
func NoJob(c *catalog.Catalog, s *Session, name lang.Name) error {
	var names, filling []string
	target, what := s.Fold(name), "filled"
	if r, ok := c.Relation(target, s.Exact()); ok {
		target = r.Name
	} else if m, ok := c.Model(target, s.Exact()); ok {
		target, what = m.Name, "trained"
	}
	for _, j := range c.Jobs() {
		names = append(names, j.Name)
		if j.Fills == target {
			filling = append(filling, j.Name)
		}
	}
	err := planner.Unknown("SQ2023", "there is no job %q", name, names)
	switch len(filling) {
	case 0:
		return err
	case 1:
		err.Hint = fmt.Sprintf("%s is %s by job %s: use that name", target, what, filling[0])
	default:
		err.Hint = fmt.Sprintf("%s is %s by jobs %s: use one of these names", target, what, strings.Join(filling, ", "))
	}
	err.Label = ""
	return err
}
