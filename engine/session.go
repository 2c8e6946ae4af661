package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// Session is one client's view of an engine: what it may do, its dialect, its properties and its variables. It may be used by several
// goroutines.
type Session struct {
	engine   *Engine
	role     Role                           // never changed
	roots    []string                       // under which it may define relations over files; never changed
	settings atomic.Pointer[decide.Session] // never changed in place
	changing sync.Mutex                     // of settings
}

// NewSession begins a session with the engine's settings.
func (e *Engine) NewSession(options ...SessionOption) *Session {
	s := &Session{engine: e, role: Admin, roots: e.c.Files}
	for _, o := range options {
		o(s)
	}
	s.settings.Store(&decide.Session{Dialect: dialect(e.c.Dialect), Repeats: e.c.Repeats, Properties: map[string]string{}, Variables: map[string]string{}})
	return s
}

func dialect(name string) string {
	if name == "ksql" {
		return name
	}
	return ""
}

// Engine is the engine of the session.
func (s *Session) Engine() *Engine { return s.engine }

// Settings are the session's settings now. They are not to be changed.
func (s *Session) Settings() *decide.Session { return s.settings.Load() }

// change puts changed settings in place of the present ones.
func (s *Session) change(f func(*decide.Session)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	next := *s.settings.Load()
	next.Properties, next.Variables = maps.Clone(next.Properties), maps.Clone(next.Variables)
	f(&next)
	s.settings.Store(&next)
}

// Parse reads a text. The error is a *lang.Error, or lang.Errors with up to 10 of them.
func (s *Session) Parse(text string) ([]lang.Statement, error) {
	return lang.Parse(text, lang.Variables(s.settings.Load().Variables))
}

// Result is what a statement has done: Rows for queries and SHOW, else a sentence for the user.
type Result struct {
	Rows    *Rows
	Message string
	Job     string // the job a definition has started
}

// Run runs one statement of Parse.
func (s *Session) Run(ctx context.Context, st lang.Statement, args ...any) (*Result, error) {
	if err := s.allow(needs(st), "this statement"); err != nil {
		return nil, Wrap(err, st)
	}
	if err := s.engine.look(ctx); err != nil {
		return nil, Wrap(err, st)
	}
	r, err := s.run(ctx, st, args)
	return r, Wrap(err, st)
}

func (s *Session) run(ctx context.Context, st lang.Statement, args []any) (*Result, error) {
	e := s.engine
	d := e.decider
	switch st := st.(type) {
	case *lang.QueryStatement:
		return rowsOf(s.query(ctx, st.Query, args))
	case *lang.CreateSource:
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return d.Source(st, in) })
	case *lang.Insert:
		if st.Query == nil {
			return s.insertValues(ctx, st, args)
		}
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return d.Insert(st, in) })
	case *lang.CreateType:
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return d.Type(st, in) })
	case *lang.Drop:
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return d.Drop(st, in) })
	case *lang.Control:
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return d.Control(st, in) })
	case *lang.CreateModel:
		return s.train(ctx, args, st.Name, func(in *decide.Input) (*decide.Decision, error) { return d.Model(st, in) })
	case *lang.RetrainModel:
		return s.train(ctx, args, st.Name, func(in *decide.Input) (*decide.Decision, error) { return d.Retrain(st, in) })
	case *lang.DropModel:
		return s.dropModel(ctx, st, args)
	}
	return s.answer(ctx, st, args)
}

// answer runs the statements that define nothing.
func (s *Session) answer(ctx context.Context, st lang.Statement, args []any) (*Result, error) {
	e, settings := s.engine, s.settings.Load()
	switch st := st.(type) {
	case *lang.Set:
		return s.set(st)
	case *lang.Unset:
		s.change(func(d *decide.Session) { delete(d.Properties, strings.ToLower(st.Key.Value)) })
		return &Result{Message: "unset " + st.Key.Value}, nil
	case *lang.Define:
		s.change(func(d *decide.Session) { d.Variables[st.Name.Text] = st.Value.Value })
		return &Result{Message: "defined " + st.Name.Text}, nil
	case *lang.Undefine:
		s.change(func(d *decide.Session) { delete(d.Variables, st.Name.Text) })
		return &Result{Message: "undefined " + st.Name.Text}, nil
	case *lang.Show:
		if st.What == "MODELS" {
			e.fresh(ctx, modelNames(e.Catalog())...)
		}
		return batchOf(inspect.Show(ctx, e, settings, st))
	case *lang.ShowObject:
		e.fresh(ctx, st.Name.Name.Text)
		return batchOf(inspect.Object(e, settings, st))
	case *lang.Describe:
		e.fresh(ctx, st.Name.Name.Text)
		return batchOf(inspect.Describe(e, e.decider, settings, st))
	case *lang.Explain:
		return batchOf(s.explain(ctx, st, args))
	case *lang.PrintTopic:
		return rowsOf(e.print(ctx, st))
	}
	return nil, &lang.Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: "this statement is not supported yet"}
}

// dropModel drops a model, or one version of it.
func (s *Session) dropModel(ctx context.Context, st *lang.DropModel, args []any) (*Result, error) {
	e, settings := s.engine, s.settings.Load()
	if n := st.Name.Version.Number; n > 0 {
		if m, ok := e.Catalog().Model(st.Name.Name.Fold(settings.Upper()), settings.Ksql()); ok {
			return e.dropVersion(ctx, m.Name, n)
		}
	}
	return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) { return e.decider.DropModel(st, in) })
}

// properties that SET knows beside ksqlDB's own (ksql.*), which are kept and mostly without effect.
var properties = []string{"auto.offset.reset", "sql.identifiers", "emit.changes", decide.Guarantee}

func (s *Session) set(st *lang.Set) (*Result, error) {
	name := strings.ToLower(st.Key.Value)
	value, err := planner.Literal(st.Value)
	if err != nil {
		return nil, err
	}
	legal := strings.HasPrefix(name, "ksql.") || strings.Contains(name, ".streams.")
	for _, k := range properties {
		legal = legal || k == name
	}
	if !legal {
		err := &lang.Error{Code: "SQ1102", Stage: lang.StagePlan, Pos: st.Key.Position(), Len: len(name) + 2, Msg: fmt.Sprintf("there is no property %q", name)}
		if near := lang.Suggest(name, properties); near != "" {
			err.Label = "did you mean '" + near + "'?"
		}
		return nil, err
	}
	bad := func(code, format string, args ...any) error {
		return &lang.Error{Code: code, Stage: lang.StagePlan, Pos: st.Value.Position(), Len: 1, Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case name == "auto.offset.reset" && value != "earliest" && value != "latest":
		return nil, bad("SQ1103", "auto.offset.reset is 'earliest' or 'latest'")
	case name == decide.Guarantee && value != decide.AtLeastOnce && !strings.HasPrefix(value, "exactly_once"):
		return nil, bad("SQ1103", "%s is 'exactly_once' or '%s'", decide.Guarantee, decide.AtLeastOnce)
	case name == "emit.changes" && value != "row":
		return nil, bad("SQ3001", "%s = %q is not supported yet", name, value)
	}
	s.change(func(d *decide.Session) { d.Properties[name] = value })
	return &Result{Message: name + " = " + value}, nil
}

// Set sets a property, as the statement SET does.
func (s *Session) Set(name, value string) error {
	_, err := s.set(&lang.Set{Key: &lang.Text{Value: name}, Value: &lang.Text{Value: value}})
	return Wrap(err, nil)
}
