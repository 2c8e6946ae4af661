package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// Sources opens the sources of relations and caches those that are not the broker's. All jobs and queries of a process
// read a relation through one source. They share the offsets that the source found in its files, and the start time by
// which a generator paces its rows.
type Sources struct {
	Connectors *Registry
	World      World

	mu   sync.Mutex        // guards kept; not held while a source is opened
	kept map[string]Opened // by key
}

// Connector returns the connector of a relation. The error is SQ5001 if this process does not have the connector.
func (s *Sources) Connector(r *catalog.Relation) (*Connector, error) {
	c, err := s.Connectors.Find(r.Connector)
	if err != nil {
		return nil, coded("SQ5001", err)
	}
	return c, nil
}

// Open returns the source of a relation and opens it in the first call. An error of an option has code SQ5002, an
// error of the connector SQ5003.
func (s *Sources) Open(ctx context.Context, r *catalog.Relation) (topic.Source, error) {
	if src, ok := s.known(r); ok {
		return src.Source, nil
	}
	src, err := s.open(ctx, r, false)
	if err != nil {
		return nil, err
	}
	if r.AtBroker() {
		return src.Source, nil
	}
	return s.keep(r, src).Source, nil
}

// key identifies one definition of a relation. A relation that replaces another has a new key.
func key(r *catalog.Relation) string {
	return strings.Join([]string{r.Name, r.Statement, r.Root, r.Path}, "\x00")
}

func (s *Sources) known(r *catalog.Relation) (Opened, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, ok := s.kept[key(r)]
	return src, ok
}

// keep caches a source and returns it. If another goroutine was faster, keep returns the source of that goroutine.
func (s *Sources) keep(r *catalog.Relation, src Opened) Opened {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.kept[key(r)]; ok {
		return first
	}
	if s.kept == nil {
		s.kept = map[string]Opened{}
	}
	s.kept[key(r)] = src
	return src
}

// Forget closes the source of a relation that was dropped or replaced and removes it from the cache.
func (s *Sources) Forget(r *catalog.Relation) error {
	s.mu.Lock()
	src := s.kept[key(r)]
	delete(s.kept, key(r))
	s.mu.Unlock()
	return src.close()
}

// Close closes all cached sources.
func (s *Sources) Close() error {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	var errs []error
	for _, src := range kept {
		errs = append(errs, src.close())
	}
	return errors.Join(errs...)
}

func (o Opened) close() error {
	if o.Close == nil {
		return nil
	}
	return o.Close()
}

func (s *Sources) open(ctx context.Context, r *catalog.Relation, defining bool) (Opened, error) {
	c, err := s.Connector(r)
	if err != nil {
		return Opened{}, err
	}
	in := Request{World: s.World, Relation: r.Name, Topic: r.Topic, Root: r.Root, Path: r.Path,
		FormatOptions: r.Value.Options, Defining: defining}
	if in.Options, err = option.Read(c.All(r.With), r.With); err != nil {
		return Opened{}, coded("SQ5002", err)
	}
	if in.Format = r.With["format"]; in.Format == "" {
		in.Format = r.With["value_format"]
	}
	for _, col := range r.Columns {
		in.Fields = append(in.Fields, flow.Field(col.Name, col.Type))
	}
	out, err := c.Open(ctx, in)
	var wrong *option.Error
	if errors.As(err, &wrong) {
		return out, coded("SQ5002", err)
	}
	return out, coded("SQ5003", err)
}

// coded adds a code to an error. It returns nil, errors that have a code, and errors of an ended context unchanged.
func coded(code string, err error) error {
	var has *lang.Error
	if err == nil || errors.As(err, &has) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	out := &lang.Error{Code: code, Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	var wrong *option.Error
	if errors.As(err, &wrong) {
		if near := lang.Suggest(wrong.Wrong(), wrong.Names); near != "" {
			out.Hint = "did you mean '" + near + "'?"
		}
	}
	return out
}

// Columns returns the columns of a relation that was declared without columns, from its source or from a schema
// registry. roots are the directories that the session may read.
func (s *Sources) Columns(ctx context.Context, r *catalog.Relation, roots []string) ([]catalog.Column, error) {
	c, err := s.Connector(r)
	if err != nil {
		return nil, err
	}
	if !c.Infers {
		fields, err := s.World.Formats.Inferred(ctx, r.Value, r.Topic+"-value")
		if err == nil && fields == nil {
			err = fmt.Errorf("columns can be inferred only for %s; declare them", s.inferring())
		}
		return columnsOf(fields), err
	}
	if err := s.admit(c, r, roots); err != nil {
		return nil, err
	}
	src, err := s.open(ctx, r, true)
	if err != nil {
		return nil, err
	}
	fields, err := src.Columns()
	return columnsOf(fields), errors.Join(err, src.close())
}

func columnsOf(fields []arrow.Field) (out []catalog.Column) {
	for _, f := range fields {
		out = append(out, catalog.Column{Name: f.Name, Type: f.Type})
	}
	return out
}

// inferring lists the connectors and formats that infer columns.
func (s *Sources) inferring() string {
	var names []string
	for _, c := range s.Connectors.All() {
		if c.Infers {
			names = append(names, "connector '"+c.Name+"'")
		}
	}
	for _, f := range s.World.Formats.All() {
		if f.Columns != nil {
			names = append(names, "format "+f.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Complete sets the fields of a new relation that depend on its source: the format of the records, the number of
// partitions, and the location on disk. The location must be under one of roots, the directories that the session may
// read.
func (s *Sources) Complete(ctx context.Context, r *catalog.Relation, roots []string) error {
	c, err := s.Connector(r)
	if err == nil {
		err = s.admit(c, r, roots)
	}
	if err != nil {
		return err
	}
	src, err := s.open(ctx, r, true)
	if err != nil {
		return err
	}
	s.keep(r, src)
	r.Partitions = src.Partitions
	if src.Format == "" {
		return nil
	}
	r.Value.Name = src.Format
	f, err := s.World.Formats.Find(src.Format)
	if err != nil {
		return coded("SQ2017", err)
	}
	for name := range r.Value.Options { // the planner did not know the format and could not check them
		if _, ok := option.Find(f.Options, name); !ok {
			return coded("SQ5002", &option.Error{Option: name, Reason: fmt.Sprintf("format %s has no option %s", f.Name, name)})
		}
	}
	for name, text := range src.Options {
		r.Value.Options[name] = text
	}
	return nil
}

// admit sets the location of a new relation on disk. The catalog stores the location, so all sessions read the same
// files, whatever the working directory of the process.
func (s *Sources) admit(c *Connector, r *catalog.Relation, roots []string) error {
	if c.Admit == nil {
		return nil
	}
	o, err := option.Read(c.All(r.With), r.With)
	if err != nil {
		return coded("SQ5002", err)
	}
	r.Root, r.Path, err = c.Admit(o, roots)
	return coded("SQ7105", err)
}
