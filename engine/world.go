package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// world implements supervise.World on an Engine.
// The supervisor calls its methods on the goroutines of the jobs, several at the same time.
type world Engine

var _ supervise.World = (*world)(nil)

// Wait implements supervise.World: it waits for the versions of the models that a job predicts with.
func (w *world) Wait(ctx context.Context, j *catalog.Job, waiting func(string)) error {
	if j.Kind == "MODEL" || j.Kind == "RETRAIN" { // it may continue from the newest version
		if _, ok := (*Engine)(w).Catalog().Model(j.Fills, true); ok {
			if err := (*Engine)(w).ensure(ctx, versionsTopic((*Engine)(w), j.Fills)); err != nil {
				return err
			}
			if err := w.models.Sync(ctx, j.Fills); err != nil {
				return err
			}
		}
	}
	for _, v := range j.Waits {
		if why := w.models.Waits(v.Model, v.Number); why != nil {
			waiting(why.Error())
		}
		if err := w.models.Ready(ctx, v.Model, v.Number); err != nil {
			return err
		}
	}
	return nil
}

// versionsTopic returns the topic of a model's versions.
func versionsTopic(e *Engine, model string) catalog.Topic {
	return catalog.Topic{Name: e.decider.ModelTopic(model), Use: catalog.Versions, Partitions: 1}
}

// Sync implements supervise.World: it reads the committed versions of the models that a job uses or trains.
func (w *world) Sync(ctx context.Context, j *catalog.Job) error {
	e := (*Engine)(w)
	for _, m := range append(slices.Clone(j.Uses), j.Fills) {
		if _, ok := e.Catalog().Model(m, true); !ok {
			continue
		}
		if err := e.models.Sync(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Build implements supervise.World: it plans a job from its definition, creates its topics at the first start, and
// opens it.
func (w *world) Build(ctx context.Context, j *catalog.Job) (*exec.Job, error) {
	e := (*Engine)(w)
	plan, err := e.decider.Again(j, e.Catalog())
	if err != nil {
		return nil, err
	}
	if len(j.Spans) == 0 { // such a job finds its spans when it starts
		// A copy, because the snapshot of the catalog contains j and other goroutines read it.
		resolved := *j
		if err := e.decider.Resolve(&resolved, plan, &facts{e: e, ctx: ctx, catalog: e.Catalog()}); err != nil {
			return nil, err
		}
		j = &resolved
	}
	// Before the job is opened, because a member of a group needs the topics of its tasks.
	if err := e.topicsFor(ctx, j); err != nil {
		return nil, err
	}
	run, err := exec.New(ctx, j.Name, decide.Stages(plan, j.Spans), e.env(ctx, j, plan))
	if err != nil {
		return nil, err
	}
	if !e.shared() { // this process owns all tasks, and can serve their rows at once
		if err := run.Attach(ctx); err != nil {
			return nil, errors.Join(err, run.Close(context.WithoutCancel(ctx)))
		}
	}
	return run, nil
}

// topicsFor creates the topics of a job at its first start, and appends an entry to the catalog log that records this.
// A topic that is missing at a later start was deleted with its contents, and is not created again.
func (e *Engine) topicsFor(ctx context.Context, j *catalog.Job) error {
	// j is the job as of the start of its generation. A restart in the same generation must not take
	// it for a first start.
	if now, ok := e.Catalog().Job(j.Name); j.Made || ok && now.Made {
		return nil
	}
	// The topics exist before the entry says so. A crash between the two repeats the creation, which finds them.
	if err := e.ensure(ctx, e.topicsOf(j)...); err != nil {
		return err
	}
	return e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		now, ok := c.Job(j.Name)
		if !ok || now.Made {
			return nil, nil
		}
		return &catalog.Entry{Kind: "STATE", Name: j.Name,
			Change: catalog.Change{States: []catalog.State{{Job: j.Name, State: catalog.Made}}}}, nil
	})
}

// topicsOf returns the topics that a job may have to create: the one that it fills, its exchanges and its changelogs.
func (e *Engine) topicsOf(j *catalog.Job) []catalog.Topic {
	out := j.Topics
	if r, ok := e.Catalog().Relation(j.Fills, true); ok && r.Make != nil && r.Job == j.Name {
		out = append([]catalog.Topic{*r.Make}, out...)
	}
	return out
}

// Report implements supervise.World: it appends the status of a job to the catalog log, unless another process has
// reported it or the job was changed since.
func (w *world) Report(ctx context.Context, s catalog.State) error {
	return (*Engine)(w).log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		j, ok := c.Job(s.Job)
		if !ok || j.Generation != s.Generation || j.Done || j.Failure != nil && s.State == catalog.Failed {
			return nil, nil // another process has reported it
		}
		return &catalog.Entry{Kind: "STATE", Name: s.Job, Change: catalog.Change{States: []catalog.State{s}}}, nil
	})
}

// Forget implements supervise.World: it deletes the state of a job on this machine.
func (w *world) Forget(_ context.Context, j *catalog.Job) error {
	for _, t := range j.Topics {
		if t.Use != catalog.Changelog {
			continue
		}
		for id := range t.Partitions {
			// No other store of the task is open: Forget is called after the last run of the job has ended.
			s, err := w.states.open(exec.TaskName(w.prefix, j.Name, t.Name, id))
			if err != nil {
				return err
			}
			if err := s.Drop(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Failure implements supervise.World: it converts an error to the failure that the catalog stores.
func (w *world) Failure(err error) *catalog.Failure {
	e := asError(err)
	f := &catalog.Failure{Code: e.Code, Cause: e.Msg, Cure: e.Hint, By: w.instance, At: w.c.Now().UnixMilli()}
	if f.Cure == "" {
		f.Cure = cureOf(f.Code)
	}
	return f
}

// Changed implements supervise.World: it logs the new status of a job.
func (w *world) Changed(s supervise.Status) {
	log := w.c.Log.With("job", s.Job.Name, "state", string(s.State))
	switch {
	case s.Failure != nil && s.State == exec.Failed:
		log.Error("job has failed", "code", s.Failure.Code, "cause", s.Failure.Cause, "cure", s.Failure.Cure)
		w.c.Warn(jobFailed(s))
	case s.Failure != nil:
		log.Warn("job is restarted", "attempt", s.Attempt, "next", s.Next, "code", s.Failure.Code, "cause", s.Failure.Cause)
	default:
		log.Info("job has a new state", "waits", s.Waits)
	}
}

// env returns the environment of a job or query. ctx must live as long as the job runs here.
func (e *Engine) env(ctx context.Context, j *catalog.Job, plan []planner.Stage) exec.Env {
	elsewhere := connected(plan)
	m := e.models.ForJob()
	return exec.Env{Broker: e.broker, Source: e.source(elsewhere), Now: time.Now, Interval: e.c.Interval,
		Errors: e.own(errorsTopic), Fail: e.failed,
		Progress: e.c.Progress, Prefix: e.prefix, Store: e.states.open, Models: m, Quota: e.c.JobMemory,
		Memory: e.memory, Log: e.changelog(j, elsewhere),
		OnCommit: m.Committed, OnAbort: m.Aborted, Changed: e.reportJob, Trim: e.trimming(j), Resume: resume(j),
		Codec: func(s format.Spec, subject string) (format.Codec, error) { return e.formats.New(ctx, s, subject) }}
}

// resume returns the position from which the tasks of a resumed job continue.
func resume(j *catalog.Job) exec.Resume {
	r := exec.Resume{Generation: j.Generation}
	if j.Resume != catalog.ResumeSkip {
		r.From = exec.From(j.Resume)
	}
	return r
}

// trimming returns the configuration for trimming the exchanges of a job, or nil if the broker cannot trim.
func (e *Engine) trimming(j *catalog.Job) *exec.Trimming {
	to, ok := e.broker.(topic.Trimmer)
	if !ok {
		return nil
	}
	t := &exec.Trimming{To: to, Topics: map[string]bool{}, Every: e.c.TrimEvery}
	for _, spec := range j.Topics {
		if spec.Use == catalog.Exchange {
			t.Topics[spec.Name] = true
		}
	}
	return t
}

// connected returns the relations of a plan that a connector reads, by topic.
func connected(plan []planner.Stage) map[string]*catalog.Relation {
	out := map[string]*catalog.Relation{}
	for _, s := range plan {
		for _, l := range s.Leaves {
			if l.Relation != nil && !l.Relation.AtBroker() {
				out[l.Topic] = l.Relation
			}
		}
	}
	return out
}

// source returns the function that finds the source of a topic: the connector of its relation, or the broker.
func (e *Engine) source(elsewhere map[string]*catalog.Relation) func(string) topic.Source {
	return func(name string) topic.Source {
		r, ok := elsewhere[name]
		if !ok {
			return e.broker
		}
		// With the context of the engine, because several jobs and queries share a source.
		src, err := e.sources.Open(e.ctx, r)
		if err != nil {
			return unreadable{fmt.Errorf("open %s: %w", r.Name, err)}
		}
		return src
	}
}

// unreadable is a source that could not be opened. Its methods return the error.
type unreadable struct{ err error }

func (u unreadable) Describe(context.Context, string) (topic.Topic, error) {
	return topic.Topic{}, u.err
}
func (u unreadable) Open(context.Context, []topic.Span) (topic.Reader, error) { return nil, u.err }

// failed reports the failure of a row.
func (e *Engine) failed(job string, f exec.Failure) { e.c.Warn(failure(job, f)) }

// states is the store of the state of tasks on this machine.
type states struct {
	open  func(task string) (state.Store, error)
	disk  func(task string) (int64, error) // the size of a task's state on disk, bytes
	close func() error
	db    *state.DB // nil: the broker stores the state
}
