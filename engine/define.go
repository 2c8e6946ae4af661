package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// define decides a statement, appends it to the catalog log, and returns when it is applied, its topics are there, and the job that it
// starts runs, waits or has failed.
func (s *Session) define(ctx context.Context, args []any, decided func(*decide.Input) (*decide.Decision, error)) (*Result, error) {
	e, settings := s.engine, s.settings.Load()
	var d *decide.Decision
	err := e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		in := &decide.Input{Context: ctx, Catalog: c, Session: settings, Args: args, Facts: &facts{e: s.engine, ctx: ctx, catalog: c, session: s}}
		var err error
		if d, err = decided(in); err != nil {
			return nil, err
		}
		return d.Entry, e.opens(ctx, d)
	})
	if err != nil {
		return nil, err
	}
	r := &Result{Message: d.Message, Job: d.Job}
	if err := e.retry(ctx, "make topics", func() error { return e.ensure(ctx, d.Make...) }); err != nil {
		return r, fmt.Errorf("it is defined, and its topics will be made when the brokers answer: %w", err)
	}
	if d.Entry != nil && len(d.Entry.Change.Delete) > 0 {
		e.deleted(ctx)
	}
	if d.Job == "" || d.Entry == nil {
		return r, nil
	}
	return r, e.settled(ctx, r, d)
}

// deleted waits a little until what a statement has given up is gone. If that takes longer, the housekeeping goes on with it.
func (e *Engine) deleted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_ = e.tidy(ctx)
}

// opens checks that the plan of a new job can be opened, before the job is anything.
func (e *Engine) opens(ctx context.Context, d *decide.Decision) error {
	if d.Entry == nil || d.Plan == nil {
		return nil
	}
	j := d.Entry.Change.Job
	spans := j.Spans
	if len(spans) == 0 {
		return nil
	}
	_, err := exec.New(ctx, j.Name, decide.Stages(d.Plan, spans), e.env(ctx, j, d.Plan))
	return err
}

// settled waits for a new job, and says where it was started.
func (e *Engine) settled(ctx context.Context, r *Result, d *decide.Decision) error {
	st, err := e.jobs.Settled(ctx, d.Job)
	if err != nil {
		return err
	}
	switch {
	case st.State == exec.Failed && !d.Bounded:
		return fmt.Errorf("%s, and the job has failed: %w", d.Message, jobFailed(st))
	case e.c.Policy == supervise.Idle:
		r.Message += ", which a process that runs jobs takes up"
	case st.State == exec.Waiting:
		r.Message += ", which is waiting: " + st.Waits
	case st.State == exec.Restarting:
		r.Message += ", which could not be started yet: " + st.Failure.Cause
	}
	return nil
}

// interruptTime is how long a training may take to come to the end of a pass when it is interrupted.
const interruptTime = 30 * time.Second

// training waits for a bounded training. The user's interrupt ends it with its best pass.
func (e *Engine) training(ctx context.Context, job, model string, before int) (string, error) {
	st, err := e.jobs.Ended(ctx, job)
	if err != nil && ctx.Err() != nil {
		run := e.jobs.Running(job)
		if run == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) { // the training is a job, and goes on
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

// trained says what the versions since before are.
func (e *Engine) trained(model string, before int) string {
	all := e.models.Versions(model)
	if len(all) <= before {
		return "model " + model + ": no version was made"
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

// train decides CREATE MODEL and RETRAIN, and waits for a training that ends.
func (s *Session) train(ctx context.Context, args []any, name lang.Name, decided func(*decide.Input) (*decide.Decision, error)) (*Result, error) {
	e := s.engine
	before := 0
	bounded, started := false, false
	r, err := s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) {
		d, err := decided(in)
		if err == nil {
			bounded, started = d.Bounded, d.Entry != nil
			if m, ok := in.Catalog.Model(name.Fold(in.Session.Upper()), in.Session.Ksql()); ok {
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

// dropVersion tombstones a version's chunks; its manifest stays as a record of what it was.
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
		return nil, &lang.Error{Code: "SQ6003", Stage: lang.StagePlan, Msg: fmt.Sprintf("model %q has no version %d", model, n)}
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

// insertWriters is how many INSERT VALUES of a process may be under way at once.
const insertWriters = 4

// write puts records into one transaction. Each writer under way has an id of its own, so that none fences another. Until something has been
// handed to the broker an error that passes is waited out; after it nobody knows whether the rows are there, and to write them again could
// double them.
func (e *Engine) write(ctx context.Context, f func(topic.Txn) error) error {
	var n int
	select {
	case n = <-e.inserts:
		defer func() { e.inserts <- n }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var txn topic.Txn
	err := e.retry(ctx, "write", func() (err error) {
		txn, err = e.broker.Begin(ctx, fmt.Sprintf("insert.%s.%d", e.instance, n))
		return err
	})
	if err != nil {
		return err
	}
	if err := f(txn); err != nil {
		return errors.Join(err, txn.Abort(context.WithoutCancel(ctx)))
	}
	return txn.Commit(ctx, nil)
}
