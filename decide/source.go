package decide

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/planner"
)

// Source decides CREATE STREAM and CREATE TABLE.
func (d *Decider) Source(st *lang.CreateSource, in *Input) (*Decision, error) {
	if st.Query != nil {
		return d.createAs(st, in)
	}
	return d.declare(st, in)
}

// declare decides a relation over a topic or a connector. A topic that does not exist is created.
func (d *Decider) declare(st *lang.CreateSource, in *Input) (*Decision, error) {
	if st.OrReplace && st.ReadOnly {
		return nil, fail(st, 6, "SQ3013",
			"CREATE OR REPLACE is not supported on source streams and tables: drop a SOURCE and create it again")
	}
	name := in.Session.Fold(st.Name)
	if out, err := in.taken(st, name, st.OrReplace, st.IfNotExists); out != nil || err != nil {
		return out, err
	}
	r, err := d.relation(st, in)
	if err != nil {
		return nil, err
	}
	old, replaces := in.Catalog.Relation(r.Name, true)
	if replaces && old.ReadOnly {
		return nil, fail(st, 6, "SQ3013",
			"CREATE OR REPLACE is not supported on source streams and tables: %q is a SOURCE", r.Name)
	}
	if r.AtBroker() {
		err = in.place(r)
	} else {
		err = in.Facts.Complete(r)
	}
	if err != nil {
		return nil, err
	}
	r.Variables = in.mentioned(st)
	out := done("%s %s created", strings.ToLower(r.Kind()), r.Name)
	out.Make = made(r)
	out.Entry = &catalog.Entry{Kind: r.Kind(), Name: r.Name, Statement: st.Text(), Change: catalog.Change{Relation: r}}
	// A relation that a job filled is now declared over its topic.
	if replaces && old.Job != "" {
		out.Entry.Change.End = []string{old.Job}
		out.Entry.Change.Delete = in.topicsOf(old.Job)
	}
	return out, nil
}

// relation plans the relation. If the statement names no columns, Facts determines them before the relation is complete.
func (d *Decider) relation(st *lang.CreateSource, in *Input) (*catalog.Relation, error) {
	draft, err := planner.NewDraft(st, d.Options(in))
	if err != nil {
		return nil, err
	}
	var columns []catalog.Column
	if draft.Infers {
		columns, err = in.Facts.Columns(draft.Relation)
	}
	var coded *lang.Error
	switch {
	case errors.As(err, &coded):
		return nil, err
	case err != nil:
		return nil, fail(st, 1, "SQ5003", "the columns of %q could not be determined: %v", draft.Relation.Name, err)
	}
	return draft.Declare(columns)
}

func made(r *catalog.Relation) []catalog.Topic {
	if r.Make == nil {
		return nil
	}
	return []catalog.Topic{*r.Make}
}

// taken handles a name that is in use. With IF NOT EXISTS the statement has no effect, and so has
// an equal statement in a session with Repeats. OR REPLACE replaces a relation or model of the same
// kind. Otherwise the name is an error.
func (in *Input) taken(st lang.Statement, name string, replace, ifNot bool) (*Decision, error) {
	r, isRelation := in.Catalog.Relation(name, true)
	m, isModel := in.Catalog.Model(name, true)
	switch {
	case !isRelation && !isModel:
		if b, ok := in.Catalog.Unavailable(name); ok && !replace {
			return nil, planner.Unavailable(st, b)
		}
		return nil, nil
	case in.Session.Repeats && (isRelation && in.same(r.Statement, r.Variables, st) ||
		isModel && in.same(m.Statement, m.Reading.Variables, st)):
		out := done("%s exists already with this definition", name)
		if isModel {
			out.Job = m.Job
		}
		return out, nil
	case ifNot:
		return done("%s exists, nothing was changed", name), nil
	case replace:
		return nil, in.replaces(st, name, r, m)
	}
	err := fail(st, 1, "SQ2002", "%q exists", name)
	err.Hint = "DROP it first, or use CREATE OR REPLACE"
	return nil, err
}

// same reports whether a statement equals a stored one: the texts and the values of the variables
// in them are equal.
func (in *Input) same(text string, variables map[string]string, st lang.Statement) bool {
	return text == st.Text() && maps.Equal(variables, in.mentioned(st))
}

// mentioned returns the session's variables that occur in a statement's text.
func (in *Input) mentioned(st lang.Statement) map[string]string {
	out := map[string]string{}
	for name, value := range in.Session.Variables {
		if strings.Contains(st.Text(), "${"+name+"}") {
			out[name] = value
		}
	}
	return out
}

// replaces returns an error if OR REPLACE would change the kind of a relation or model, because
// jobs and models that use it depend on its kind.
func (in *Input) replaces(st lang.Statement, name string, r *catalog.Relation, m *catalog.Model) error {
	kind, was := "MODEL", "MODEL"
	if c, ok := st.(*lang.CreateSource); ok {
		kind = string(c.Kind)
	}
	if m == nil {
		was = r.Kind()
	}
	if kind == was {
		return nil
	}
	err := fail(st, 6, "SQ2022", "%q is a %s: OR REPLACE does not make a %s of it", name, strings.ToLower(was),
		strings.ToLower(kind))
	err.Hint = "DROP it first, or use another name"
	return err
}

// place sets the number of a relation's partitions: that of its topic, if the topic exists.
// Otherwise place adds the topic to the topics to create.
func (in *Input) place(r *catalog.Relation) error {
	n, there, err := in.Facts.Partitions(r.Topic)
	if err != nil {
		return err
	}
	if there {
		if r.Partitions != 0 && r.With["partitions"] != "" && r.Partitions != n {
			return &lang.Error{Code: "SQ5008", Stage: lang.StagePlan,
				Msg: fmt.Sprintf("topic %q has %d partitions, not %d", r.Topic, n, r.Partitions)}
		}
		r.Partitions = n
		return nil
	}
	r.Partitions = max(r.Partitions, 1)
	r.Make = &catalog.Topic{Name: r.Topic, Use: catalog.Data, Partitions: r.Partitions,
		Compact: strings.Contains(r.With["cleanup_policy"], "compact")}
	if ms, ok := option.Millis(r.With["retention_ms"]); ok {
		r.Make.RetentionMs = ms
	}
	if n, err := strconv.ParseInt(r.With["replicas"], 10, 16); err == nil {
		r.Make.Replicas = int16(n)
	}
	if r.Table && r.Window == nil && r.With["cleanup_policy"] == "" { // the newest row of each key is the table
		r.Make.Compact = true
	}
	return nil
}

// createAs decides a relation that a job fills.
func (d *Decider) createAs(st *lang.CreateSource, in *Input) (*Decision, error) {
	name := in.Session.Fold(st.Name)
	if out, err := in.taken(st, name, st.OrReplace, st.IfNotExists); out != nil || err != nil {
		return out, err
	}
	kind := map[lang.Keyword]string{"STREAM": "CSAS", "TABLE": "CTAS"}[st.Kind]
	job := &catalog.Job{Name: jobName(kind, name, in.Catalog), Kind: kind, Statement: st.Text()}
	old, replaces := in.Catalog.Relation(name, true)
	if replaces && old.Job != "" {
		job.Name = old.Job // the new query continues from the old query's commits
	}
	plan, err := planner.Fill(st, job.Name, d.Options(in))
	if err != nil {
		return nil, err
	}
	r := plan.Result
	r.Variables = in.mentioned(st)
	if err := in.place(r); err != nil {
		return nil, err
	}
	planner.Spread(plan, r.Partitions)
	job.Fills = r.Name
	if err := d.job(job, plan.Stages, in, st, nil); err != nil {
		return nil, err
	}
	if slices.Contains(job.Reads, r.Name) {
		return nil, fail(st, 6, "SQ3016", "%q would be filled from itself", r.Name)
	}
	if before, ok := in.Catalog.Job(job.Name); ok && before.Shape != job.Shape {
		return nil, reshaped(st, before, job)
	}
	out := d.start(job, plan.Stages, strings.ToLower(r.Kind())+" "+r.Name+" created")
	out.Make = append(made(r), out.Make...)
	out.Entry.Kind, out.Entry.Name, out.Entry.Change.Relation = r.Kind(), r.Name, r
	return out, nil
}

// reshaped returns the error for a query that would continue from state of another shape.
func reshaped(st lang.Node, before, after *catalog.Job) error {
	err := fail(st, 6, "SQ3017",
		"the new query cannot continue from the state of job %s: the job has %s, the query needs %s", before.Name,
		shown(before.Shape), shown(after.Shape))
	err.Hint = "DROP it and CREATE it again, or use another name for the new query"
	return err
}

func shown(shape string) string {
	if shape == "" {
		return "none"
	}
	return "[" + strings.ReplaceAll(shape, "\n", "; ") + "]"
}

// Insert decides INSERT INTO .. SELECT.
func (d *Decider) Insert(st *lang.Insert, in *Input) (*Decision, error) {
	for _, j := range in.Catalog.Jobs() {
		if in.Session.Repeats && j.Kind == "INSERT" && in.same(j.Statement, j.Reading.Variables, st) {
			out := done("job %s already runs this statement", j.Name)
			out.Job = j.Name
			return out, nil
		}
	}
	job := &catalog.Job{Name: jobName("INSERTQUERY", st.Into.Text, in.Catalog), Kind: "INSERT", Statement: st.Text()}
	plan, err := planner.Insert(st, job.Name, d.Options(in))
	if err != nil {
		return nil, err
	}
	job.Fills = plan.Result.Name
	if err := d.job(job, plan.Stages, in, st, plan.Result); err != nil {
		return nil, err
	}
	return d.start(job, plan.Stages, "insert into "+plan.Result.Name), nil
}

// Type decides CREATE TYPE.
func (d *Decider) Type(st *lang.CreateType, in *Input) (*Decision, error) {
	t, err := planner.Type(st.Type, d.Options(in))
	if err != nil {
		return nil, err
	}
	name := st.Name.Text
	if old, ok := in.Catalog.Type(name); ok && !st.IfNotExists {
		if in.Session.Repeats && arrow.TypeEqual(old, t) {
			return done("type %s exists already with this definition", name), nil
		}
		return nil, fail(st.Name, len(name), "SQ2002", "type %s exists", name)
	} else if ok {
		return done("type %s exists, nothing was changed", name), nil
	}
	out := done("type %s is %s", name, flow.TypeName(t))
	out.Entry = &catalog.Entry{Kind: "TYPE", Name: name, Statement: st.Text(),
		Change: catalog.Change{Type: &catalog.NamedType{Name: name, Type: t}}}
	return out, nil
}

func jobName(kind, target string, c *catalog.Catalog) string {
	return fmt.Sprintf("%s_%s_%d", kind, target, c.Next())
}

// topicsOf returns the topics that remain when a job is dropped.
func (in *Input) topicsOf(job string) []string {
	j, ok := in.Catalog.Job(job)
	if !ok {
		return nil
	}
	var out []string
	for _, t := range j.Topics {
		if !slices.Contains(out, t.Name) {
			out = append(out, t.Name)
		}
	}
	return out
}
