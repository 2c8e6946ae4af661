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

// Sources opens the sources of relations by their connectors and keeps those that are not the broker's: all jobs and
// queries of a process read a relation through one source, which knows where its records begin, and paces a generator
// from one moment on.
type Sources struct {
	Connectors *Registry
	World      World

	mu   sync.Mutex // guards kept; not held while a source is opened
	kept map[string]Opened
}

// Connector is the connector of a relation. Error: SQ5001, when this process does not have it.
func (s *Sources) Connector(r *catalog.Relation) (*Connector, error) {
	c, err := s.Connectors.Find(r.Connector)
	if err != nil {
		return nil, coded("SQ5001", err)
	}
	return c, nil
}

// Open returns the source of a relation, which it opens at the first call.
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

func key(r *catalog.Relation) string {
	return strings.Join([]string{r.Name, r.Statement, r.Root, r.Path}, "\x00")
}

func (s *Sources) known(r *catalog.Relation) (Opened, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, ok := s.kept[key(r)]
	return src, ok
}

// keep keeps a source, unless another was kept meanwhile.
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

// Forget closes the source of a relation that was dropped or replaced.
func (s *Sources) Forget(r *catalog.Relation) error {
	s.mu.Lock()
	src := s.kept[key(r)]
	delete(s.kept, key(r))
	s.mu.Unlock()
	return src.close()
}

// Close closes all sources.
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

// coded gives an error a code, unless it has one, or is that of the context.
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

// Columns finds the columns of a relation that was declared without any, by a session that may read the disk under
// some directories.
func (s *Sources) Columns(ctx context.Context, r *catalog.Relation, roots []string) ([]catalog.Column, error) {
	c, err := s.Connector(r)
	if err != nil {
		return nil, err
	}
	if !c.Infers {
		fields, err := s.World.Formats.Inferred(ctx, r.Value, r.Topic+"-value")
		if err == nil && fields == nil {
			err = fmt.Errorf("columns are inferred only for %s", s.inferring())
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

// inferring names the connectors and formats that find columns.
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

// Complete fills in what a new relation takes from its source: the format of its records, the number of its
// partitions, and the place on a disk, which is under one of the directories that the session may read.
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
	for name := range r.Value.Options { // the statement gave them before the format was known
		if _, ok := option.Find(f.Options, name); !ok {
			return coded("SQ5002", &option.Error{Option: name, Reason: fmt.Sprintf("format %s has no option %s", f.Name, name)})
		}
	}
	for name, text := range src.Options {
		r.Value.Options[name] = text
	}
	return nil
}

// admit finds the place of a new relation on the disk. From then on the relation is read there, whoever reads it and
// wherever the process is started.
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
