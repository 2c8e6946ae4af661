package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// statement declares how the statements of one type are executed. Each type that the engine supports has one
// declaration, in a file statement_*.go. lang.Planned reports the types that are not supported yet.
type statement[S lang.Statement] struct {
	// role is the role that the statement requires. If that depends on the statement, takes returns it.
	role  Role
	takes func(S) Role
	// decide returns the change of the catalog. A statement without it is executed by answer.
	decide func(*decide.Decider, S, *decide.Input) (*decide.Decision, error)
	answer func(ctx context.Context, s *Session, st S, args []any) (*Result, error)
	// plan returns the plan for EXPLAIN. It is set if lang.Traits reports that the statement has a plan.
	plan func(S, planner.Options) ([]planner.Stage, error)
}

// way is a declaration independent of the statement's type.
type way struct {
	role func(lang.Statement) Role
	run  func(ctx context.Context, s *Session, st lang.Statement, args []any) (*Result, error)
	plan func(lang.Statement, planner.Options) ([]planner.Stage, error) // nil: the statement has no plan
}

// ways has the declarations by type of statement. It is complete after the initialization of the package.
var ways = map[reflect.Type]way{}

// declare adds a declaration to ways. It panics if the declaration is incomplete or the type has one already.
func declare[S lang.Statement](d statement[S]) bool {
	t := reflect.TypeFor[S]()
	_, twice := ways[t]
	if twice || d.role == 0 && d.takes == nil || (d.decide == nil) == (d.answer == nil) {
		panic(fmt.Sprintf("engine: the declaration of %s is incomplete or a duplicate", t))
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

// wayOf returns the declaration for a statement.
func wayOf(st lang.Statement) (way, error) {
	if err := lang.Planned(st); err != nil {
		return way{}, err
	}
	w, ok := ways[reflect.TypeOf(st)]
	if !ok {
		return w, &lang.Error{Code: "SQ9001", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("the statement %s has no declaration in package engine", st.Traits().Name)}
	}
	return w, nil
}

// Run executes a statement that Parse returned. args are the values of its parameters $1, $2 and so on. The error is a
// *lang.Error.
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
