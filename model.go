package streamql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

func (e *Engine) createModel(ctx context.Context, st *lang.CreateModel) (*Result, error) {
	opts := e.options(nil)
	name := st.Name.Fold(opts.Upper)
	if done, err := e.taken(ctx, st, name, st.OrReplace, st.IfNotExists); done != nil || err != nil {
		return done, err
	}
	if r, ok := e.catalog.Relation(name, true); ok {
		return nil, &Error{Code: "SQ2002", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(st.Name.Text), Msg: fmt.Sprintf("%q is a %s", name, strings.ToLower(r.Kind()))}
	}
	jobName := e.jobName("MODEL", name)
	t, err := planner.Model(st, nil, jobName, opts)
	if err != nil {
		return nil, err
	}
	if err := e.openModel(ctx, name); err != nil {
		return nil, err
	}
	replace := func() error {
		if old, ok := e.catalog.Model(name, true); ok {
			if j := e.jobs[old.Job]; j != nil {
				if err := e.endJob(ctx, j); err != nil {
					return err
				}
			}
		}
		e.catalog.PutModel(&catalog.Model{Name: name, Statement: st.Text(), Job: jobName, Type: t.Type, Topic: e.modelTopic(name)})
		e.trainings[name] = t
		return nil
	}
	return e.launchTraining(ctx, t, &job{name: jobName, kind: "MODEL", statement: st.Text(), fills: name}, replace)
}

// launchTraining starts a training; a bounded one is waited for, outside the engine's lock.
func (e *Engine) launchTraining(ctx context.Context, t *planner.Training, j *job, replace func() error) (*Result, error) {
	j.bounded = t.Bounded
	before := len(e.models.Versions(t.Name))
	r, err := e.launch(ctx, j, t.Stages, replace, "model "+t.Name+" is being trained")
	if err != nil || !t.Bounded || e.manual || e.replaying {
		return r, err
	}
	r.wait = func(ctx context.Context) error {
		if err := e.waitTraining(ctx, j, t.Name); err != nil {
			return err
		}
		r.Message = e.trained(t.Name, before)
		return nil
	}
	return r, nil
}

// waitTraining waits for a bounded training. The user's interrupt ends it with its best pass.
func (e *Engine) waitTraining(ctx context.Context, j *job, t string) error {
	select {
	case <-j.run.Ended():
	case <-j.ended:
	case <-ctx.Done():
		if !j.started {
			return ctx.Err()
		}
		j.run.Interrupt()
		select {
		case <-j.run.Ended():
		case <-j.ended:
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	status, _, err := j.run.Status()
	switch {
	case j.done && j.failure != "":
		return errors.New(j.failure)
	case j.done:
		return e.models.Sync(context.WithoutCancel(ctx), t)
	case status == exec.Failed && e.shared():
		return errors.Join(err, e.finished(context.WithoutCancel(ctx), j))
	case status == exec.Failed:
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return errors.Join(e.finished(ctx, j), e.models.Sync(ctx, t))
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
	return s + fmt.Sprintf(" · %d bytes in topic %s", m.Payload.Bytes, e.modelTopic(model))
}

func (e *Engine) retrain(ctx context.Context, st *lang.RetrainModel) (*Result, error) {
	opts := e.options(nil)
	old, ok := e.training(st.Name.Fold(opts.Upper))
	if !ok {
		return nil, e.noModel(st.Name)
	}
	jobName := e.jobName("RETRAIN", old.Name)
	t, err := planner.Model(old.Statement, &st.Scan, jobName, opts)
	if err != nil {
		return nil, err
	}
	return e.launchTraining(ctx, t, &job{name: jobName, kind: "RETRAIN", statement: st.Text(), fills: t.Name}, func() error { return nil })
}

func (e *Engine) noModel(name lang.Name) error {
	var legal []string
	for _, m := range e.catalog.Models() {
		legal = append(legal, m.Name)
	}
	return unknown("SQ6001", "model %q does not exist", name, legal)
}

func (e *Engine) dropModel(ctx context.Context, st *lang.DropModel) (*Result, error) {
	opts := e.options(nil)
	t, ok := e.training(st.Name.Name.Fold(opts.Upper))
	if !ok {
		if st.IfExists {
			return &Result{Message: st.Name.Name.Text + " does not exist, nothing is done"}, nil
		}
		return nil, e.noModel(st.Name.Name)
	}
	if n := st.Name.Version.Number; n > 0 {
		return e.dropVersion(ctx, t.Name, n)
	}
	var trains []*job
	for _, name := range e.order {
		j := e.jobs[name]
		if j.fills == t.Name && (j.kind == "MODEL" || j.kind == "RETRAIN") {
			trains = append(trains, j)
			continue
		}
		if j.uses[t.Name] {
			return nil, &Error{Code: "SQ3016", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(t.Name), Msg: fmt.Sprintf("model %q is used by job %s", t.Name, j.name),
				Hint: "TERMINATE " + j.name + " first"}
		}
	}
	if err := e.remember(ctx, record{Statement: st.Text()}); err != nil {
		return nil, err
	}
	for _, j := range trains {
		if err := e.endJob(ctx, j); err != nil {
			return nil, err
		}
	}
	e.catalog.Drop(t.Name)
	delete(e.trainings, t.Name)
	e.models.Forget(t.Name)
	if !e.replaying {
		if err := e.models.Delete(ctx, t.Name); err != nil {
			return nil, err
		}
	}
	return &Result{Message: "model " + t.Name + " dropped"}, nil
}

// dropVersion tombstones a version's chunks; its manifest stays as a record of what it was.
func (e *Engine) dropVersion(ctx context.Context, model string, n int) (*Result, error) {
	all := e.models.Versions(model)
	if n > len(all) {
		return nil, &Error{Code: "SQ6003", Stage: lang.StagePlan, Msg: fmt.Sprintf("model %q has no version %d", model, n)}
	}
	txn, err := e.broker.Begin(ctx, "models."+e.instance)
	if err != nil {
		return nil, err
	}
	for _, r := range e.models.Tombstones(all[n-1]) {
		r.Time = e.now().UnixMilli()
		if err := txn.Write(topic.Partition{Topic: e.modelTopic(model)}, r); err != nil {
			return nil, errors.Join(err, txn.Abort(ctx))
		}
	}
	if err := txn.Commit(ctx, nil); err != nil {
		return nil, err
	}
	return &Result{Message: fmt.Sprintf("model %s$%d dropped", model, n)}, e.models.Sync(ctx, model)
}
