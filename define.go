package streamql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// declare makes a relation over a topic, and the topic if it is not there.
func (e *Engine) declare(ctx context.Context, st *lang.CreateSource) (*Result, error) {
	if st.OrReplace && st.ReadOnly {
		return nil, &Error{Code: "SQ3013", Stage: lang.StagePlan, Pos: st.Position(), Len: 6, Msg: "CREATE OR REPLACE is not supported on source streams and tables: a SOURCE is not replaced"}
	}
	r, err := planner.Declare(st, e.options(nil))
	if err != nil {
		return nil, err
	}
	if old, ok := e.catalog.Relation(r.Name, true); ok && old.ReadOnly && st.OrReplace {
		return nil, &Error{Code: "SQ3013", Stage: lang.StagePlan, Pos: st.Position(), Len: 6, Msg: fmt.Sprintf("CREATE OR REPLACE is not supported on source streams and tables: %q is a SOURCE", r.Name)}
	}
	if done, err := e.taken(ctx, st, r.Name, st.OrReplace, st.IfNotExists); done != nil || err != nil {
		return done, err
	}
	if r.Connector != "" {
		err = e.connect(ctx, r)
	} else {
		err = e.ensureTopic(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if err := e.remember(ctx, record{Statement: st.Text()}); err != nil {
		return nil, err
	}
	e.catalog.Put(r)
	return &Result{Message: strings.ToLower(r.Kind()) + " " + r.Name + " created"}, nil
}

// taken handles a name that is in use: IF NOT EXISTS leaves it, OR REPLACE goes on, else it is an error.
func (e *Engine) taken(ctx context.Context, st lang.Statement, name string, replace, ifNot bool) (*Result, error) {
	r, isRelation := e.catalog.Relation(name, true)
	m, isModel := e.catalog.Model(name, true)
	if !isRelation && !isModel {
		return nil, nil
	}
	if e.repeats && (isRelation && r.Statement == st.Text() || isModel && m.Statement == st.Text()) {
		return &Result{Message: name + " is there already, as it is defined here"}, nil
	}
	if ifNot {
		return &Result{Message: name + " exists, nothing is done"}, nil
	}
	if replace {
		return nil, nil
	}
	return nil, &Error{Code: "SQ2002", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: fmt.Sprintf("%q exists", name),
		Hint: "DROP it first, or use CREATE OR REPLACE"}
}

// ensureTopic makes a relation's topic, or takes the number of partitions from the one that is there. That one has got more since a
// definition was made is no reason for it not to be in force any more: the jobs that keys have moved for say so.
func (e *Engine) ensureTopic(ctx context.Context, r *catalog.Relation) error {
	d, err := e.broker.Describe(ctx, r.Topic)
	if err == nil {
		if n := int32(len(d.Partitions)); !e.replaying && r.Partitions != 0 && r.With["partitions"] != "" && r.Partitions != n {
			return &Error{Code: "SQ5008", Stage: lang.StagePlan, Msg: fmt.Sprintf("topic %q has %d partitions, not %d", r.Topic, n, r.Partitions)}
		}
		r.Partitions = int32(len(d.Partitions))
		return nil
	}
	if !errors.Is(err, topic.ErrUnknownTopic) {
		return err
	}
	r.Partitions = max(r.Partitions, 1)
	c := topic.Config{Partitions: r.Partitions, RetentionMs: -1, Compact: strings.Contains(r.With["cleanup_policy"], "compact")}
	if ms, ok := planner.Duration(r.With["retention_ms"]); ok {
		c.RetentionMs = ms
	}
	err = e.broker.Create(ctx, r.Topic, c)
	if errors.Is(err, topic.ErrTopicExists) { // another process was faster; whose statement counts is decided later
		d, err = e.broker.Describe(ctx, r.Topic)
		r.Partitions = int32(len(d.Partitions))
	}
	return err
}

func (e *Engine) createAs(ctx context.Context, st *lang.CreateSource, args []any) (*Result, error) {
	opts := e.options(args)
	name := st.Name.Fold(opts.Upper)
	old, _ := e.catalog.Relation(name, true)
	if done, err := e.taken(ctx, st, name, st.OrReplace, st.IfNotExists); done != nil || err != nil {
		return done, err
	}
	kind := map[lang.Keyword]string{"STREAM": "CSAS", "TABLE": "CTAS"}[st.Kind]
	jobName := e.jobName(kind, name)
	if old != nil && old.Job != "" {
		jobName = old.Job // the new query goes on where the old one stands
	}
	plan, err := planner.Fill(st, jobName, opts)
	if err != nil {
		return nil, err
	}
	r := plan.Result
	if err := e.ensureTopic(ctx, r); err != nil {
		return nil, err
	}
	if sink, ok := plan.Stages[len(plan.Stages)-1].Root.(*op.Sink); ok { // the topic may have been there
		sink.Partitions = r.Partitions
	}
	replace := func() error {
		if old != nil && e.jobs[old.Job] != nil {
			if err := e.jobs[old.Job].end(); err != nil {
				return err
			}
		}
		e.catalog.Put(r)
		return nil
	}
	return e.launch(ctx, &job{name: jobName, kind: kind, statement: st.Text(), fills: r.Name}, plan.Stages, replace, strings.ToLower(r.Kind())+" "+r.Name+" created")
}

// launch writes a new job into the catalog with the offsets it begins at, makes room for it, and starts it.
func (e *Engine) launch(ctx context.Context, j *job, plan []planner.Stage, replace func() error, message string) (*Result, error) {
	j.ended = make(chan struct{})
	for _, s := range plan {
		for _, l := range s.Leaves {
			if l.Relation != nil {
				j.reads = append(j.reads, l.Relation.Name)
			}
		}
	}
	if err := e.exchanges(ctx, plan); err != nil {
		return nil, err
	}
	j.uses = planner.Uses(plan)
	if e.manual && j.bounded {
		if err := e.remember(ctx, record{Statement: j.statement, Job: j.name}); err != nil {
			return nil, err
		}
		j.plan = plan
		e.jobs[j.name] = j
		e.order = append(e.order, j.name)
		return &Result{Message: message, Job: j.name}, replace()
	}
	var given [][]topic.Span
	if e.replaying {
		given = e.replayed.Spans
	}
	stages, err := e.stages(ctx, plan, given)
	if err != nil {
		return nil, err
	}
	var spans [][]topic.Span
	for _, s := range stages {
		for _, n := range s.Order {
			spans = append(spans, s.Spans[n])
		}
	}
	rec := record{Statement: j.statement, Job: j.name, Spans: spans}
	if !e.replaying && e.properties[guarantee] == atLeastOnce {
		rec.Guarantee = atLeastOnce
		e.guarantees[j.name] = atLeastOnce
	}
	if err := e.changelogs(ctx, j.name, stages); err != nil {
		return nil, err
	}
	if j.run, err = exec.New(ctx, j.name, stages, e.env(j.name, plan)); err != nil {
		return nil, err
	}
	if err := e.remember(ctx, rec); err != nil {
		return nil, err
	}
	if err := replace(); err != nil {
		return nil, err
	}
	if err := e.enlist(ctx, j, !e.replaying); err != nil {
		return nil, err
	}
	message += " by job " + j.name
	if e.idle {
		message += ", which a process that runs jobs takes up"
	}
	return &Result{Message: message, Job: j.name}, nil
}

// largestState is the most bytes of one key's state: a learner's may be large.
const largestState = 16 << 20

// changelogs makes the topics that keep the state of a job's tasks, where the broker does not keep it itself.
func (e *Engine) changelogs(ctx context.Context, name string, stages []exec.Stage) error {
	if e.state.db == nil || e.replaying {
		return nil
	}
	for name, n := range exec.Changelogs(e.prefix, name, stages) {
		err := e.broker.Create(ctx, name, topic.Config{Partitions: n, RetentionMs: -1, Compact: true, MaxMessage: largestState})
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return err
		}
	}
	return nil
}

// exchanges makes the topics between a job's stages.
func (e *Engine) exchanges(ctx context.Context, plan []planner.Stage) error {
	for _, s := range plan {
		if s.Output == "" {
			continue
		}
		err := e.broker.Create(ctx, s.Output, topic.Config{Partitions: s.Partitions, RetentionMs: -1})
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return err
		}
	}
	return nil
}

func (e *Engine) createType(ctx context.Context, st *lang.CreateType) (*Result, error) {
	t, err := planner.Type(st.Type, e.options(nil))
	if err != nil {
		return nil, err
	}
	if old, ok := e.catalog.Type(st.Name.Text); ok && !st.IfNotExists {
		if e.repeats && arrow.TypeEqual(old, t) {
			return &Result{Message: "type " + st.Name.Text + " is there already, as it is defined here"}, nil
		}
		return nil, &Error{Code: "SQ2002", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text), Msg: "type " + st.Name.Text + " exists"}
	}
	if err := e.remember(ctx, record{Statement: st.Text()}); err != nil {
		return nil, err
	}
	e.catalog.PutType(st.Name.Text, t)
	return &Result{Message: "type " + st.Name.Text + " is " + flow.TypeName(t)}, nil
}

func (e *Engine) drop(ctx context.Context, st *lang.Drop) (*Result, error) {
	opts := e.options(nil)
	name := st.Name.Fold(opts.Upper)
	if st.Kind == "TYPE" {
		if _, ok := e.catalog.Type(name); !ok && !st.IfExists {
			return nil, &Error{Code: "SQ2011", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text), Msg: "type " + name + " does not exist"}
		}
		e.catalog.PutType(name, nil)
		return &Result{Message: "type " + name + " dropped"}, e.remember(ctx, record{Statement: st.Text()})
	}
	r, ok := e.catalog.Relation(name, opts.Upper)
	if !ok {
		if st.IfExists {
			return &Result{Message: name + " does not exist, nothing is done"}, nil
		}
		return nil, &Error{Code: "SQ2001", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text), Msg: fmt.Sprintf("%q is not a stream or table", name)}
	}
	if string(st.Kind) != r.Kind() {
		return nil, &Error{Code: "SQ2022", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text),
			Msg: fmt.Sprintf("%q is a %s: use DROP %s", r.Name, strings.ToLower(r.Kind()), r.Kind())}
	}
	if r.ReadOnly && st.DeleteTopic {
		return nil, &Error{Code: "SQ3013", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: fmt.Sprintf("%q is a SOURCE: its topic cannot be deleted", r.Name)}
	}
	for _, n := range e.order {
		j := e.jobs[n]
		uses := j.fills == r.Name && j.name != r.Job
		for _, in := range j.reads {
			uses = uses || in == r.Name
		}
		if uses {
			return nil, &Error{Code: "SQ3016", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text),
				Msg: fmt.Sprintf("%q is used by job %s", r.Name, j.name), Hint: "TERMINATE " + j.name + " first"}
		}
	}
	return e.dropRelation(ctx, st, r)
}

func (e *Engine) dropRelation(ctx context.Context, st *lang.Drop, r *catalog.Relation) (*Result, error) {
	if err := e.remember(ctx, record{Statement: st.Text()}); err != nil {
		return nil, err
	}
	if j, ok := e.jobs[r.Job]; ok {
		if err := e.endJob(ctx, j); err != nil {
			return nil, err
		}
	}
	e.catalog.Drop(r.Name)
	if r.Connector != "" {
		if err := e.disconnect(r.Topic); err != nil {
			return nil, err
		}
	}
	if st.DeleteTopic && !e.replaying {
		if err := e.broker.Delete(ctx, r.Topic); err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
			return nil, err
		}
	}
	return &Result{Message: strings.ToLower(r.Kind()) + " " + r.Name + " dropped"}, nil
}
