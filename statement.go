package streamql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// Run runs one statement of Parse.
func (e *Engine) Run(ctx context.Context, st lang.Statement, args ...any) (*Result, error) {
	r, err := func() (*Result, error) {
		e.mu.Lock()
		defer e.mu.Unlock() // also when a bug panics: Close must not hang
		return e.decide(ctx, st, args)
	}()
	if err == nil && r.wait != nil {
		err = r.wait(ctx)
	}
	return r, wrap(err, st)
}

func (e *Engine) run(ctx context.Context, st lang.Statement, args []any) (*Result, error) {
	switch st := st.(type) {
	case *lang.QueryStatement:
		rows, err := e.query(ctx, st.Query, args)
		return &Result{Rows: rows}, err
	case *lang.CreateSource:
		if st.Query != nil {
			return e.createAs(ctx, st, args)
		}
		return e.declare(ctx, st)
	case *lang.Insert:
		if st.Query != nil {
			return e.insertSelect(ctx, st, args)
		}
		return e.insertValues(ctx, st, args)
	case *lang.CreateType:
		return e.createType(ctx, st)
	case *lang.Drop:
		return e.drop(ctx, st)
	case *lang.Set:
		return e.set(st)
	case *lang.Unset:
		delete(e.properties, strings.ToLower(st.Key.Value))
		return &Result{Message: "unset " + st.Key.Value}, nil
	case *lang.Define:
		e.properties[variable+st.Name.Text] = st.Value.Value
		return &Result{Message: "defined " + st.Name.Text}, nil
	case *lang.Undefine:
		delete(e.properties, variable+st.Name.Text)
		return &Result{Message: "undefined " + st.Name.Text}, nil
	case *lang.Control:
		return e.control(ctx, st)
	}
	return e.runOther(ctx, st, args)
}

func (e *Engine) runOther(ctx context.Context, st lang.Statement, args []any) (*Result, error) {
	switch st := st.(type) {
	case *lang.CreateModel:
		return e.createModel(ctx, st)
	case *lang.RetrainModel:
		return e.retrain(ctx, st)
	case *lang.DropModel:
		return e.dropModel(ctx, st)
	case *lang.Show:
		return e.show(ctx, st)
	case *lang.ShowObject:
		return e.showObject(st)
	case *lang.Describe:
		return e.describe(ctx, st)
	case *lang.Explain:
		text, err := e.explain(ctx, st, args)
		return &Result{Rows: text}, err
	case *lang.PrintTopic:
		rows, err := e.print(ctx, st)
		return &Result{Rows: rows}, err
	}
	return nil, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: "this statement is not supported yet"}
}

// query plans a query and opens its rows; nothing runs until they are read.
func (e *Engine) query(ctx context.Context, q *lang.Query, args []any) (*Rows, error) {
	opts := e.options(args)
	opts.Views = e.views(ctx)
	plan, err := planner.Query(q, opts)
	if err != nil {
		return nil, err
	}
	stages, err := e.stages(ctx, plan.Stages, nil)
	if err != nil {
		return nil, err
	}
	rows := &Rows{Columns: plan.Columns, Changes: plan.Changes, Bounded: bounded(stages), ctx: ctx}
	e.next++
	name := fmt.Sprintf("query_%d", e.next)
	counted := &scanned{known: known(stages)}
	rows.stats = counted.stats
	rows.run = func(ctx context.Context, emit exec.Emit) error {
		env := e.env(name, plan.Stages)
		env.Transient, env.Rows, env.Errors = true, emit, ""
		env.Store = func(string) (state.Store, error) { return state.Memory(), nil }
		env.Read = counted.add
		job, err := exec.New(ctx, name, stages, env)
		if err != nil {
			return err
		}
		if e.manual { // a live input ends where it ends now
			if err := e.syncModels(ctx, planner.Uses(plan.Stages)); err != nil {
				return err
			}
			return errors.Join(job.Drain(ctx, nil), job.Close(ctx))
		}
		return job.Run(ctx)
	}
	return rows, nil
}

func bounded(stages []exec.Stage) bool {
	for _, s := range stages {
		for _, spans := range s.Spans {
			for _, p := range spans {
				if p.To == topic.End {
					return false
				}
			}
		}
	}
	return true
}
