// Package decide computes the effect of a statement. It validates and plans the statement against a
// snapshot of the catalog and returns an entry for the catalog log: a plain value, which every
// process applies in the same way. A decision has no side effects and reads outside data only
// through Facts, so it can be repeated if another process has appended to the catalog log in the
// meantime.
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
	"github.com/streamql/streamql/udf/ml"
)

// Decider makes decisions for one application.
type Decider struct {
	Functions *udf.Registry
	// Connectors and Formats are those of the engine; nil: the built-in ones. Limits are those of its broker.
	Connectors *connect.Registry
	Formats    *format.Registry
	Limits     connect.Limits
	Prefix     string // of the engine's own topics
	// Own are the engine's own relations.
	Own []*catalog.Relation
	// Late defers finding the offsets of a bounded job until the job starts.
	Late bool

	// trainings maps each *catalog.Model to its *planner.Training, so that its statement is planned
	// once.
	trainings sync.Map
}

// Session is the set of settings by which one client's statements are read.
type Session struct {
	Dialect    string // "": streamql
	Properties map[string]string
	Variables  map[string]string
	// Repeats accepts a definition that exists already with the same text. Without it, such a
	// definition is an error.
	Repeats bool
}

// Rules returns the dialect that Dialect names, with the changes that SET has made.
func (s *Session) Rules() dialect.Set {
	rules, _ := dialect.Named(s.Dialect)
	if s.Properties["sql.identifiers"] == "upper" {
		rules = rules.With(dialect.UpperNames)
	}
	return rules
}

// Exact reports whether the case of names is significant and unquoted names are folded to capitals.
func (s *Session) Exact() bool { return s.Rules().Has(dialect.UpperNames) }

// Fold returns the form of a name by which it is looked up.
func (s *Session) Fold(n lang.Name) string { return n.Fold(s.Exact()) }

// Facts reads the data outside the catalog that decisions depend on. Its methods are called on the
// caller's goroutine. It is one interface because a decision needs all of these facts.
type Facts interface {
	// Partitions returns the number of partitions of a topic, or false if the topic does not exist.
	Partitions(topic string) (int32, bool, error)
	// Columns returns the columns of a relation that was declared without any.
	Columns(r *catalog.Relation) ([]catalog.Column, error)
	// Complete sets the fields of a relation that depend on its connector's source.
	Complete(r *catalog.Relation) error
	// Spans returns the offsets that a leaf's scan reads.
	Spans(l planner.Leaf) ([]topic.Span, error)
}

// Input is the input of one decision.
type Input struct {
	Context context.Context
	Catalog *catalog.Catalog
	Session *Session
	Args    []any
	Facts   Facts
	// Rows returns the rows of relations that are computed when they are read. It is nil for
	// definitions.
	Rows func(name string, args []any) (*planner.Made, bool, error)
	// Version returns a version of a model; number 0 selects the newest. It is nil for definitions.
	Version func(model string, number int) *ml.Bundle
}

// Decision is the effect of a statement.
type Decision struct {
	Entry   *catalog.Entry  // nil if the catalog does not change
	Message string          // shown to the user when the statement has taken effect
	Job     string          // the job that the statement starts, or the existing job with the same effect
	Bounded bool            // the job ends by itself
	Plan    []planner.Stage // the job's stages
	Make    []catalog.Topic // topics that must exist before the entry is appended
}

func done(format string, args ...any) *Decision {
	return &Decision{Message: fmt.Sprintf(format, args...)}
}

// Options returns the planner's options for a decision.
func (d *Decider) Options(in *Input) planner.Options {
	return planner.Options{Catalog: in.Catalog, Functions: d.functions(in.Session.Properties), Dialect: in.Session.Rules(),
		Properties: in.Session.Properties, Params: in.Args, Model: d.model(in.Catalog, in.Session.Exact()),
		Rows: in.Rows, Version: in.Version, Prefix: d.Prefix, Context: in.Context, Connectors: d.Connectors, Formats: d.Formats, Limits: d.Limits}
}

// model returns a lookup of the models in a catalog, by name.
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

// Training plans a model's statement in the context in which it was decided. The result is shared
// and must not be changed.
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

// again returns the planner's options in the context in which a statement was decided. models
// contains the models that the statement predicts with. It is nil if there are none.
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

// parse parses the stored text of a statement with the variables that it was first read with.
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
	return none, &lang.Error{Code: "SQ7305", Stage: lang.StagePlan,
		Msg: fmt.Sprintf("the catalog's statement is not of the expected kind: %s", text)}
}

// reading records the context in which a statement was read: the session's settings, the arguments,
// and the relations and types that its names referred to.
func (in *Input) reading(st lang.Statement, relations []*catalog.Relation) (catalog.Reading, error) {
	r := catalog.Reading{Dialect: in.Session.Dialect, Properties: maps.Clone(in.Session.Properties),
		Variables: in.mentioned(st)}
	for i, v := range in.Args {
		a, ok := catalog.ArgOf(v)
		if !ok {
			return r, &lang.Error{Code: "SQ2014", Stage: lang.StagePlan,
				Msg: fmt.Sprintf("parameter $%d is a %T, which has no SQL type", i+1, v)}
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

// fail returns an error at a node of a statement.
func fail(at lang.Node, length int, code, format string, args ...any) *lang.Error {
	return &lang.Error{Code: code, Stage: lang.StagePlan, Pos: at.Position(), Len: length,
		Msg: fmt.Sprintf(format, args...)}
}
