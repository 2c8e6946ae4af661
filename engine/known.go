package engine

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

var _ inspect.Engine = (*Engine)(nil)

// registry creates the registry of the models' versions.
func (e *Engine) registry() *models.Registry {
	name := func(model string) string { return e.own("model." + topic.SafeName(model)) }
	return models.New(models.Config{Broker: e.broker, Topic: name, Training: e.own(trainingTopic),
		NewID: rand.Text, Now: e.c.Now, Warn: e.warn, Seen: e.reportVersion,
		Version: e.c.Version})
}

// Versions lists the versions of a model by number, from 1.
func (e *Engine) Versions(model string) []models.Version { return e.models.Versions(model) }

// Serving returns the number of the version of a model that predictions use by default, 0 if there is none.
func (e *Engine) Serving(model string) int {
	_, n, err := e.models.Get(model, 0)
	if err != nil {
		return 0
	}
	return n
}

// version returns the function that finds the versions of models for planning one statement. It returns nil for a
// version that is not known here; number 0 selects the newest.
func (e *Engine) version(ctx context.Context) func(model string, number int) *ml.Bundle {
	read := map[string]bool{}
	return func(model string, number int) *ml.Bundle {
		if !read[model] {
			read[model] = true
			e.fresh(ctx, model)
		}
		b, _, err := e.models.Get(model, number)
		if err != nil {
			return nil
		}
		return b
	}
}

// Topics lists the topics of the broker.
func (e *Engine) Topics(ctx context.Context) ([]topic.Topic, error) { return e.broker.Topics(ctx) }

// Jobs lists the jobs with the status and the counts of all processes that respond within a second. In a context of
// Local it reports this process only.
func (e *Engine) Jobs(ctx context.Context) []inspect.Job {
	list := e.jobs.Status()
	out := make([]inspect.Job, len(list))
	trouble := e.trouble()
	for i, s := range list {
		out[i] = shown(s, trouble)
	}
	_, local := ctx.Value(tasksKey{}).([]int32)
	if e.shared() && !local {
		e.elsewhere(ctx, out, list)
	}
	for _, b := range e.Catalog().Broken() {
		if b.Kind == "JOB" {
			out = append(out, inspect.Job{Name: b.Name, Kind: b.Kind, Statement: b.Statement,
				State: exec.Unavailable, Failure: &catalog.Failure{Code: "SQ7306", Cause: b.Reason}})
		}
	}
	return out
}

// trouble returns the error for which the broker is retrying, or nil.
func (e *Engine) trouble() error {
	if p, ok := e.broker.(topic.Patient); ok {
		return p.Trouble()
	}
	return nil
}

// shown converts the status of a job. A running job is DEGRADED while the broker has trouble.
func shown(s supervise.Status, trouble error) inspect.Job {
	j := inspect.Job{Name: s.Job.Name, Kind: s.Job.Kind, Fills: s.Job.Fills, Statement: s.Job.Statement,
		State: s.State, Since: s.Since, Failure: s.Failure,
		Attempt: s.Attempt, Next: s.Next, Waits: s.Waits, Counts: s.Counts, Counted: true}
	if trouble != nil && (s.State == exec.Running || s.State == exec.Recovering) {
		j.State, j.Failure = exec.Degraded, &catalog.Failure{Cause: trouble.Error()}
	}
	return j
}

// made returns the function that finds the relations and table functions whose rows are computed when the query runs.
func (s *Session) made(ctx context.Context) func(name string, args []any) (*planner.Made, bool, error) {
	e := s.engine
	return func(name string, args []any) (*planner.Made, bool, error) {
		switch name {
		case "streamql.models":
			return versionsOf(ctx, func() []string { return modelNames(e.Catalog()) }, e), true, nil
		case "versions":
			return versionsOf(ctx, func() []string { return []string{args[0].(string)} }, e), true, nil
		case "streamql.jobs":
			return &planner.Made{Fields: inspect.JobFields(),
				Rows: func() (*flow.Batch, error) { return inspect.Jobs(e.Jobs(ctx)), nil }}, true, nil
		case "streamql.metrics":
			return &planner.Made{Fields: inspect.MetricFields(),
				Rows: func() (*flow.Batch, error) { return inspect.MetricRows(e.Metrics(ctx)), nil }}, true, nil
		case "ML_TRAINING_INFO":
			m, n, err := s.modelArg(name, args)
			if err != nil {
				return nil, true, err
			}
			return &planner.Made{Fields: inspect.PassFields, Rows: func() (*flow.Batch, error) {
				e.fresh(ctx, m.Name)
				return inspect.Passes(e.Versions(m.Name), n), nil
			}}, true, nil
		case "ML_EVALUATE":
			made, err := s.evaluate(ctx, args)
			return made, true, err
		}
		return nil, false, nil
	}
}

// versionsOf returns the relation of the versions of models. names is called when the query runs.
func versionsOf(ctx context.Context, names func() []string, e *Engine) *planner.Made {
	return &planner.Made{Fields: inspect.VersionFields(), Rows: func() (*flow.Batch, error) {
		list := names()
		e.fresh(ctx, list...)
		return inspect.Versions(e, list...), nil
	}}
}

// fresh reads the committed versions of models, for at most lookTime. While the brokers are unreachable, the versions
// that this process has read remain.
func (e *Engine) fresh(ctx context.Context, list ...string) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	for _, m := range list {
		if err := e.models.Sync(ctx, m); err != nil {
			return
		}
	}
}

func modelNames(c *catalog.Catalog) (names []string) {
	for _, m := range c.Models() {
		names = append(names, m.Name)
	}
	return names
}

// Training implements inspect.Engine: it returns the plan of a model's statement.
func (e *Engine) Training(m *catalog.Model) (*planner.Training, error) { return e.decider.Training(m) }

// modelArg returns the model and the version of the first argument of a table function. The version is 0 if the
// argument has none.
func (s *Session) modelArg(fn string, args []any) (*catalog.Model, int, error) {
	if len(args) == 0 {
		return nil, 0, &lang.Error{Code: "SQ2007", Stage: lang.StagePlan, Msg: fn + " needs a model"}
	}
	name, n := fmt.Sprint(args[0]), 0
	if ref, ok := args[0].(*lang.ModelRef); ok {
		name, n = ref.Name.Text, ref.Version.Number
	}
	m, ok := s.engine.Catalog().Model(name, s.settings.Load().Exact())
	if !ok {
		return nil, 0, planner.NoModel(s.engine.Catalog(), lang.Name{Text: name})
	}
	return m, n, nil
}
