package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
)

// SELECT.
var _ = declare(statement[*lang.QueryStatement]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.QueryStatement, args []any) (*Result, error) {
		return rowsOf(s.query(ctx, st.Query, args))
	},
	plan: func(st *lang.QueryStatement, o planner.Options) ([]planner.Stage, error) {
		p, err := planner.Query(st.Query, o)
		if err != nil {
			return nil, err
		}
		return p.Stages, nil
	},
})

// input returns the input for planning a statement that defines nothing.
func (s *Session) input(ctx context.Context, args []any) *decide.Input {
	c := s.engine.Catalog()
	return &decide.Input{Context: ctx, Catalog: c, Session: s.settings.Load(), Args: args,
		Facts: &facts{e: s.engine, ctx: ctx, catalog: c, session: s},
		Rows:  s.made(ctx), Version: s.engine.version(ctx)}
}

// query plans a query. The query runs when its rows are read.
func (s *Session) query(ctx context.Context, q *lang.Query, args []any) (*Rows, error) {
	e, in := s.engine, s.input(ctx, args)
	plan, err := planner.Query(q, e.decider.Options(in))
	if err != nil {
		return nil, err
	}
	stale, err := s.fresh(ctx, plan)
	if err != nil {
		return nil, err
	}
	if stale != nil {
		e.c.Warn(stale)
	}
	j := &catalog.Job{Name: fmt.Sprintf("query_%d", e.queries.Add(1))}
	err = e.retry(ctx, "find offsets", func() error { return e.decider.Resolve(j, plan.Stages, in.Facts) })
	if err != nil {
		return nil, err
	}
	stages := decide.Stages(plan.Stages, j.Spans)
	counted := &scanned{known: known(stages)}
	rows := &Rows{Columns: plan.Columns, Changes: plan.Changes, Bounded: counted.known >= 0, ctx: ctx,
		stats: counted.stats}
	tables := e.tables(ctx)
	rows.run = func(ctx context.Context, emit exec.Emit) error {
		env := e.env(ctx, j, plan.Stages)
		env.Transient, env.Rows, env.Errors, env.Log = true, emit, "", nil
		env.Tables = tables
		env.Store = func(string) (state.Store, error) { return state.Memory(), nil }
		env.Read, env.Quota = counted.add, e.c.QueryMemory
		if err := e.versions(ctx, plan.Stages, rows.Bounded); err != nil {
			return err
		}
		run, err := exec.New(ctx, j.Name, stages, env)
		if err != nil {
			return err
		}
		e.meter.queries.Store(run, nil)
		defer e.meter.queries.Delete(run)
		if e.c.Policy == supervise.Hand { // the present end of a live input is its end
			return errors.Join(run.Drain(ctx, nil), run.Close(ctx))
		}
		return run.Run(ctx)
	}
	return rows, nil
}

// versions waits for the versions of models that a query requires. A bounded query does not wait for a model that no
// job trains, and an engine with the policy supervise.Hand never waits. Such a query fails if the version does not
// exist.
func (e *Engine) versions(ctx context.Context, plan []planner.Stage, bounded bool) error {
	for _, u := range planner.Awaited(plan) {
		if e.c.Policy == supervise.Hand || bounded && !e.trains(u.Model) { // no version will be published
			if err := e.models.Sync(ctx, u.Model); err != nil {
				return err
			}
			continue
		}
		if err := e.models.Ready(ctx, u.Model, u.Version); err != nil {
			return err
		}
	}
	return nil
}

// trains reports whether a job trains a model and may publish a version.
func (e *Engine) trains(model string) bool {
	for _, j := range e.Catalog().Jobs() {
		if j.Fills == model && (j.Kind == "MODEL" || j.Kind == "RETRAIN") && j.Runs() {
			return true
		}
	}
	return false
}
