// Package decide says what a statement changes. It validates and plans the statement against a snapshot of the catalog and returns an
// entry for the catalog log: a plain value, which every process applies in the same way. Nothing is done here, and nothing outside is
// asked but through Facts, so that a decision can be made again when another process was first.
package decide

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Decider decides for one application.
type Decider struct {
	Functions *udf.Registry
	// Connectors and Formats are those of the engine; nil: the built-in ones. World is what connectors see of it.
	Connectors *connect.Registry
	Formats    *format.Registry
	World      connect.World
	Prefix     string // of the engine's own topics
	// Own are the engine's own relations.
	Own []*catalog.Relation
	// Late leaves the offsets of bounded jobs to their start.
	Late bool

	trainings sync.Map // of *catalog.Model to *planner.Training: what a model's statement says, planned once
}

// Session is how the statements of one client are read.
type Session struct {
	Dialect    string // "": streamql
	Properties map[string]string
	Variables  map[string]string
	// Repeats makes a definition that is there already, word for word, no error.
	Repeats bool
}

// Rules are the session's dialect: that of its name, and what SET has changed.
func (s *Session) Rules() dialect.Set {
	rules, _ := dialect.Named(s.Dialect)
	if s.Properties["sql.identifiers"] == "upper" {
		rules = rules.With(dialect.UpperNames)
	}
	return rules
}

// Exact reports whether names are found by exact case, and folded to capitals if they are not quoted.
func (s *Session) Exact() bool { return s.Rules().Has(dialect.UpperNames) }

// Fold is a name as it is looked up.
func (s *Session) Fold(n lang.Name) string { return n.Fold(s.Exact()) }

// Facts is what a decision needs from outside. It is asked on the caller's goroutine.
type Facts interface {
	// Partitions returns the number of partitions of a topic; false: there is no such topic.
	Partitions(topic string) (int32, bool, error)
	// Columns finds the columns of a relation that was declared without any.
	Columns(r *catalog.Relation) ([]catalog.Column, error)
	// Complete fills in what a relation with a connector takes from its source.
	Complete(r *catalog.Relation) error
	// Spans finds the offsets that a scan reads.
	Spans(l planner.Leaf) ([]topic.Span, error)
}

// Input is what a decision is made of.
type Input struct {
	Context context.Context
	Catalog *catalog.Catalog
	Session *Session
	Args    []any
	Facts   Facts
	// Rows gives queries the rows of relations that are made when they are read; nil for definitions.
	Rows func(name string, args []any) (*planner.Made, bool, error)
}

// Decision is what a statement does.
type Decision struct {
	Entry   *catalog.Entry  // nil: nothing
	Message string          // for the user, when it is done
	Job     string          // the job that it starts or that does this already
	Bounded bool            // the job ends by itself
	Plan    []planner.Stage // of the job
	Make    []catalog.Topic // topics that must be there
}

func done(format string, args ...any) *Decision {
	return &Decision{Message: fmt.Sprintf(format, args...)}
}

// Options is what the planner may know.
func (d *Decider) Options(in *Input) planner.Options {
	return planner.Options{Catalog: in.Catalog, Functions: d.functions(in.Session.Properties), Dialect: in.Session.Rules(),
		Properties: in.Session.Properties, Params: in.Args, Infer: in.columns, Model: d.model(in.Catalog, in.Session.Exact()),
		Rows: in.Rows, Prefix: d.Prefix, Context: in.Context, Connectors: d.Connectors, Formats: d.Formats, World: d.World}
}

func (in *Input) columns(r *catalog.Relation) ([]catalog.Column, error) {
	if in.Facts == nil {
		return nil, fmt.Errorf("the columns of %s are not known", r.Name)
	}
	return in.Facts.Columns(r)
}

// model finds what the planner must know of a model.
func (d *Decider) model(c *catalog.Catalog, exact bool) func(string) (*planner.Training, bool) {
	return func(name string) (*planner.Training, bool) {
		m, ok := c.Model(name, exact)
		if !ok {
			return nil, false
		}
		t, err := d.Training(m)
		return t, err == nil
	}
}

// Training plans a model's statement as it was decided. The result is not to be changed.
func (d *Decider) Training(m *catalog.Model) (*planner.Training, error) {
	if t, ok := d.trainings.Load(m); ok {
		return t.(*planner.Training), nil
	}
	st, err := parse[*lang.CreateModel](m.Statement, &m.Reading)
	if err != nil {
		return nil, err
	}
	o, err := d.again(&m.Reading, nil)
	if err != nil {
		return nil, err
	}
	t, err := planner.Model(st, nil, m.Job, o)
	if err == nil {
		d.trainings.Store(m, t)
	}
	return t, err
}

// again is the planner's options as they were when a statement was decided. models has those that it predicts with; nil: none.
func (d *Decider) again(r *catalog.Reading, models *catalog.Catalog) (planner.Options, error) {
	c := catalog.New(d.Own...)
	var changes []catalog.Change
	for _, rel := range r.Relations {
		changes = append(changes, catalog.Change{Relation: rel})
	}
	for _, t := range r.Types {
		changes = append(changes, catalog.Change{Type: &t})
	}
	in := &Input{Catalog: c.Apply(changes...), Session: &Session{Dialect: r.Dialect, Properties: r.Properties}}
	if in.Session.Properties == nil {
		in.Session.Properties = map[string]string{}
	}
	for _, a := range r.Args {
		v, err := a.Go()
		if err != nil {
			return planner.Options{}, err
		}
		in.Args = append(in.Args, v)
	}
	o := d.Options(in)
	o.Accepted = true
	if models != nil {
		o.Model = d.model(models, in.Session.Exact())
	}
	return o, nil
}

// parse reads a statement again as it was read when it was decided.
func parse[S lang.Statement](text string, r *catalog.Reading) (S, error) {
	var none S
	list, err := lang.Parse(text, lang.Variables(r.Variables))
	if err != nil {
		return none, err
	}
	if len(list) == 1 {
		if st, ok := list[0].(S); ok {
			return st, nil
		}
	}
	return none, &lang.Error{Code: "SQ7305", Stage: lang.StagePlan, Msg: fmt.Sprintf("the catalog has a statement of another kind than it says: %s", text)}
}

// reading notes how a statement was read: with the session's settings, and what the names in it meant.
func (in *Input) reading(st lang.Statement, relations []*catalog.Relation) (catalog.Reading, error) {
	r := catalog.Reading{Dialect: in.Session.Dialect, Properties: maps.Clone(in.Session.Properties), Variables: in.mentioned(st)}
	for i, v := range in.Args {
		a, ok := catalog.ArgOf(v)
		if !ok {
			return r, &lang.Error{Code: "SQ2014", Stage: lang.StagePlan, Msg: fmt.Sprintf("parameter $%d is a %T, which has no SQL type", i+1, v)}
		}
		r.Args = append(r.Args, a)
	}
	r.Relations = relations
	for name, t := range in.Catalog.NamedTypes() {
		if r.Types == nil {
			r.Types = map[string]catalog.NamedType{}
		}
		r.Types[name] = catalog.NamedType{Name: name, Type: t}
	}
	return r, nil
}

// Fail makes an error at a node of a statement.
func fail(at lang.Node, length int, code, format string, args ...any) *lang.Error {
	return &lang.Error{Code: code, Stage: lang.StagePlan, Pos: at.Position(), Len: length, Msg: fmt.Sprintf(format, args...)}
}
