package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// statement declares how the statements of one type are carried out. Each type that is not planned for later
// (lang.Planned) has one declaration, in a file statement_*.go.
type statement[S lang.Statement] struct {
	// role is the role that the statement takes. Where that depends on the statement, takes returns it.
	role  Role
	takes func(S) Role
	// decide decides what the statement changes in the catalog. Without it, answer carries the statement out.
	decide func(*decide.Decider, S, *decide.Input) (*decide.Decision, error)
	answer func(ctx context.Context, s *Session, st S, args []any) (*Result, error)
	// plan makes the plan that EXPLAIN shows, for statements that have one (lang.Traits).
	plan func(S, planner.Options) ([]planner.Stage, error)
}

// way is a declaration without the statement's type.
type way struct {
	role func(lang.Statement) Role
	run  func(ctx context.Context, s *Session, st lang.Statement, args []any) (*Result, error)
	plan func(lang.Statement, planner.Options) ([]planner.Stage, error) // nil: there is none
}

var ways = map[reflect.Type]way{}

// declare adds a declaration to the table. It panics when something is missing, or the type has one already.
func declare[S lang.Statement](d statement[S]) bool {
	t := reflect.TypeFor[S]()
	_, twice := ways[t]
	if twice || d.role == 0 && d.takes == nil || (d.decide == nil) == (d.answer == nil) {
		panic(fmt.Sprintf("engine: the declaration of %s is incomplete, or the second", t))
	}
	w := way{role: func(lang.Statement) Role { return d.role }}
	if d.takes != nil {
		w.role = func(st lang.Statement) Role { return d.takes(st.(S)) }
	}
	w.run = func(ctx context.Context, s *Session, st lang.Statement, args []any) (*Result, error) {
		if d.answer != nil {
			return d.answer(ctx, s, st.(S), args)
		}
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) {
			return d.decide(s.engine.decider, st.(S), in)
		})
	}
	if d.plan != nil {
		w.plan = func(st lang.Statement, o planner.Options) ([]planner.Stage, error) { return d.plan(st.(S), o) }
	}
	ways[t] = w
	return true
}

// wayOf finds how a statement is carried out.
func wayOf(st lang.Statement) (way, error) {
	if err := lang.Planned(st); err != nil {
		return way{}, err
	}
	w, ok := ways[reflect.TypeOf(st)]
	if !ok {
		return w, &lang.Error{Code: "SQ9001", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("no declaration says how to carry out %s", st.Traits().Name)}
	}
	return w, nil
}

// Run runs one statement of Parse.
func (s *Session) Run(ctx context.Context, st lang.Statement, args ...any) (*Result, error) {
	w, err := wayOf(st)
	if err == nil {
		err = s.allow(w.role(st), "this statement")
	}
	if err == nil {
		err = s.engine.look(ctx)
	}
	if err != nil {
		return nil, Wrap(err, st)
	}
	r, err := w.run(ctx, s, st, args)
	return r, Wrap(err, st)
}
