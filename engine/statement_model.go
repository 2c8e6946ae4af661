package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// CREATE MODEL.
var _ = declare(statement[*lang.CreateModel]{
	takes: func(st *lang.CreateModel) Role { return replacing(st.OrReplace) },
	answer: func(ctx context.Context, s *Session, st *lang.CreateModel, args []any) (*Result, error) {
		return s.train(ctx, args, st.Name, func(in *decide.Input) (*decide.Decision, error) {
			return s.engine.decider.Model(st, in)
		})
	},
	plan: func(st *lang.CreateModel, o planner.Options) ([]planner.Stage, error) {
		t, err := planner.Model(st, nil, "EXPLAIN", o)
		if err != nil {
			return nil, err
		}
		return t.Stages, nil
	},
})

// RETRAIN MODEL.
var _ = declare(statement[*lang.RetrainModel]{
	role: Writer,
	answer: func(ctx context.Context, s *Session, st *lang.RetrainModel, args []any) (*Result, error) {
		return s.train(ctx, args, st.Name, func(in *decide.Input) (*decide.Decision, error) {
			return s.engine.decider.Retrain(st, in)
		})
	},
})

// DROP MODEL of a model or of one version.
var _ = declare(statement[*lang.DropModel]{
	role: Admin,
	answer: func(ctx context.Context, s *Session, st *lang.DropModel, args []any) (*Result, error) {
		return s.dropModel(ctx, st, args)
	},
})

// dropModel drops a model, or one version of it.
func (s *Session) dropModel(ctx context.Context, st *lang.DropModel, args []any) (*Result, error) {
	e, settings := s.engine, s.settings.Load()
	if n := st.Name.Version.Number; n > 0 {
		if m, ok := e.Catalog().Model(settings.Fold(st.Name.Name), settings.Exact()); ok {
			return e.dropVersion(ctx, m.Name, n)
		}
	}
	return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return e.decider.DropModel(st, in) })
}

// interruptTime is how long an interrupted training may take to finish its current pass.
const interruptTime = 30 * time.Second

// training waits for a bounded training. If the user interrupts it, the training ends after its current pass and
// publishes the best one. before is the number of versions before the training.
func (e *Engine) training(ctx context.Context, job, model string, before int) (string, error) {
	st, err := e.jobs.Ended(ctx, job)
	if err != nil && ctx.Err() != nil {
		run := e.jobs.Running(job)
		if run == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) { // the training is a job and continues
			return "", ctx.Err()
		}
		run.Interrupt()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), interruptTime)
		defer cancel()
		st, err = e.jobs.Ended(ctx, job)
	}
	switch {
	case err != nil:
		return "", err
	case st.Failure != nil:
		return "", jobFailed(st)
	}
	if err := e.models.Sync(ctx, model); err != nil {
		return "", err
	}
	return e.trained(model, before), nil
}

// trained describes the last version, if there are more than before.
func (e *Engine) trained(model string, before int) string {
	all := e.models.Versions(model)
	if len(all) <= before {
		return "model " + model + ": the training has published no version"
	}
	v := all[len(all)-1]
	m := v.Manifest
	s := fmt.Sprintf("model %s$%d: %d rows", model, v.Number, m.Rows["used"])
	if l, ok := m.Metrics["training.loss"]; ok {
		s += fmt.Sprintf(" · loss %.4g", l)
	}
	for _, name := range []string{"accuracy", "kappa", "kappa_t", "rmse"} {
		if x, ok := m.Metrics["prequential."+name]; ok {
			s += fmt.Sprintf(" · %s %.4g", name, x)
		}
	}
	if m.Threshold != nil {
		s += fmt.Sprintf(" · threshold %.4g", *m.Threshold)
	}
	return s + fmt.Sprintf(" · %d bytes in topic %s", m.Payload.Bytes, e.decider.ModelTopic(model))
}

// train decides CREATE MODEL or RETRAIN MODEL, and waits for the end of a bounded training.
func (s *Session) train(ctx context.Context, args []any, name lang.Name,
	decided func(*decide.Input) (*decide.Decision, error)) (*Result, error) {
	e := s.engine
	before := 0
	bounded, started := false, false
	r, err := s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) {
		d, err := decided(in)
		if err == nil {
			bounded, started = d.Bounded, d.Entry != nil
			if m, ok := in.Catalog.Model(in.Session.Fold(name), in.Session.Exact()); ok {
				before = len(e.models.Versions(m.Name))
			}
		}
		return d, err
	})
	if err != nil || !bounded || !started || e.c.Policy == supervise.Hand {
		return r, err
	}
	j, ok := e.Catalog().Job(r.Job)
	if !ok {
		return r, fmt.Errorf("job %s was terminated", r.Job)
	}
	r.Message, err = e.training(ctx, r.Job, j.Fills, before)
	return r, err
}

// dropVersion appends tombstones for the chunks of a version. Its manifest remains as a record of the version.
func (e *Engine) dropVersion(ctx context.Context, model string, n int) (*Result, error) {
	if err := e.models.Sync(ctx, model); err != nil {
		return nil, err
	}
	var v *models.Version
	for _, each := range e.models.Versions(model) {
		if each.Number == n {
			v = &each
		}
	}
	if v == nil {
		return nil, &lang.Error{Code: "SQ6003", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("model %q has no version %d", model, n)}
	}
	var records []topic.Record
	for _, r := range e.models.Tombstones(*v) {
		r.Time = e.c.Now().UnixMilli()
		records = append(records, r)
	}
	err := e.write(ctx, func(txn topic.Txn) error {
		return txn.Write(topic.Partition{Topic: e.decider.ModelTopic(model)}, records...)
	})
	if err != nil {
		return nil, err
	}
	return &Result{Message: fmt.Sprintf("model %s$%d dropped", model, n)}, e.models.Sync(ctx, model)
}
