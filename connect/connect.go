// Package connect opens what is behind a relation with a connector: files, or a generator. Nothing is opened before it is read, but for
// the look at a new relation that learns its columns and format.
package connect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/files"
	"github.com/streamql/streamql/topic/generate"
)

// Sources opens sources and keeps them: all jobs and queries of a process read a relation through one source, which knows where its
// records begin, and paces a generator from one moment on.
type Sources struct {
	Now func() time.Time

	mu   sync.Mutex // guards kept; not held while a source is opened
	kept map[string]topic.Source
}

// connectors are the connectors by name.
var connectors = map[string]func(*Sources, context.Context, *catalog.Relation) (source, error){
	"files":     (*Sources).files,
	"generator": (*Sources).generator,
}

// source is an opened connector and what it knows of its rows.
type source struct {
	topic.Source
	columns    func() ([]catalog.Column, error)
	partitions int32
	format     string // of its records; "": its rows are made
	delimiter  string
}

// Open returns the source of a relation with a connector, which it opens at the first call.
func (s *Sources) Open(ctx context.Context, r *catalog.Relation) (topic.Source, error) {
	if src, ok := s.known(r); ok {
		return src, nil
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.keep(r, src.Source), nil
}

func key(r *catalog.Relation) string {
	return strings.Join([]string{r.Name, r.Statement, r.Root, r.Path}, "\x00")
}

func (s *Sources) known(r *catalog.Relation) (topic.Source, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, ok := s.kept[key(r)]
	return src, ok
}

// keep keeps a source, unless another was kept meanwhile.
func (s *Sources) keep(r *catalog.Relation, src topic.Source) topic.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.kept[key(r)]; ok {
		return first
	}
	if s.kept == nil {
		s.kept = map[string]topic.Source{}
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
	return closed(src)
}

// Close closes all sources.
func (s *Sources) Close() error {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	var errs []error
	for _, src := range kept {
		errs = append(errs, closed(src))
	}
	return errors.Join(errs...)
}

func (s *Sources) open(ctx context.Context, r *catalog.Relation) (source, error) {
	open, ok := connectors[r.Connector]
	if !ok {
		err := &lang.Error{Code: "SQ5001", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no connector %q", r.Connector)}
		var legal []string
		for name := range connectors {
			legal = append(legal, name)
		}
		if near := lang.Suggest(r.Connector, legal); near != "" {
			err.Hint = "did you mean '" + near + "'?"
		}
		return source{}, err
	}
	return open(s, ctx, r)
}

func closed(s topic.Source) error {
	if c, ok := s.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// Columns finds the columns of a relation that was declared without any, by a session that may read files under some directories.
func (s *Sources) Columns(ctx context.Context, r *catalog.Relation, roots []string) ([]catalog.Column, error) {
	if r.Connector == "" {
		return nil, fmt.Errorf("columns are inferred only for connectors 'files' and 'generator'")
	}
	if err := admit(r, roots); err != nil {
		return nil, err
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer closed(src.Source)
	return src.columns()
}

// Complete fills in what a new relation takes from its source: the format of its records, the number of its partitions, and the place of its
// files, which is under one of the directories that the session may read.
func (s *Sources) Complete(ctx context.Context, r *catalog.Relation, roots []string) error {
	if err := admit(r, roots); err != nil {
		return err
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	s.keep(r, src.Source)
	r.Partitions = src.partitions
	if src.format != "" {
		r.Value.Name = src.format
	}
	if src.delimiter != "" {
		r.Value.Options["delimiter"] = src.delimiter
	}
	return nil
}

// admit finds the place of a new relation's files. From then on the relation is read there, whoever reads it and wherever the process is
// started.
func admit(r *catalog.Relation, roots []string) error {
	path := r.With["path"]
	if r.Connector != "files" || path == "" {
		return nil
	}
	if len(roots) == 0 {
		return outside(fmt.Errorf("cannot read %s: this session may read no files", path))
	}
	place, err := files.Admit(roots, path)
	if err != nil {
		return outside(err)
	}
	r.Root, r.Path = place.Root, place.Path
	return nil
}

// outside is the error of files that are not for a session.
func outside(err error) error {
	return &lang.Error{Code: "SQ7105", Stage: lang.StagePlan, Msg: err.Error(), Err: err,
		Hint: "allow its directory: roots in [files] of the configuration, or --files for run and the shell"}
}

func (s *Sources) files(ctx context.Context, r *catalog.Relation) (source, error) {
	c := files.Config{Root: r.Root, Path: r.Path, Header: strings.ToLower(r.With["header"]) != "false"}
	if r.With["path"] == "" {
		return source{}, &lang.Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: "connector 'files' needs path"}
	}
	if c.Root == "" { // an entry of the catalog that another version has written
		return source{}, outside(fmt.Errorf("cannot read %s: the definition of %s does not say under which directory it is", r.With["path"], r.Name))
	}
	if f := r.With["format"]; f != "" {
		c.Format = f
	} else if f := r.With["value_format"]; f != "" {
		c.Format = f
	}
	if d := r.With["delimiter"]; len(d) == 1 {
		c.Delimiter = d[0]
	}
	for _, col := range r.Columns {
		c.Fields = append(c.Fields, col.Name)
	}
	src, err := files.Open(ctx, c)
	if errors.Is(err, files.ErrOutside) {
		return source{}, outside(err)
	}
	if err != nil {
		return source{}, &lang.Error{Code: "SQ5003", Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	}
	columns := func() (out []catalog.Column, err error) {
		header, err := src.Header()
		for _, name := range header {
			out = append(out, catalog.Column{Name: name, Type: flow.String})
		}
		return out, err
	}
	return source{src, columns, int32(src.Files()), strings.ToUpper(src.Format()), src.Delimiter()}, nil
}

func (s *Sources) generator(_ context.Context, r *catalog.Relation) (source, error) {
	c := generate.Config{Kind: r.With["kind"], Seed: 1, Options: map[string]string{}, Now: s.Now}
	for name, value := range r.With {
		if err := option(&c, name, value); err != nil {
			return source{}, err
		}
	}
	for _, col := range r.Columns {
		c.Fields = append(c.Fields, flow.Field(col.Name, col.Type))
	}
	src, err := generate.Open(c)
	if err != nil {
		return source{}, &lang.Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	}
	columns := func() (out []catalog.Column, err error) {
		for _, f := range src.Fields() {
			out = append(out, catalog.Column{Name: f.Name, Type: f.Type})
		}
		return out, nil
	}
	return source{src, columns, 1, "", ""}, nil
}

// option reads one option of a generator's relation.
func option(c *generate.Config, name, value string) (err error) {
	want := "a number or time"
	switch name {
	case "rows":
		c.Rows, err = strconv.ParseInt(value, 10, 64)
	case "seed":
		c.Seed, err = strconv.ParseUint(value, 10, 64)
	case "rate":
		c.Rate, err = strconv.ParseFloat(value, 64)
	case "start":
		var ms int64
		ms, err = planner.ParseTimestamp(value)
		c.Start = flow.Time(ms)
	case "step":
		ms, ok := planner.Duration(value)
		if !ok {
			want, err = "a length of time", strconv.ErrSyntax
		}
		c.Step = time.Duration(ms) * time.Millisecond
	case "kind", "connector", "partitions", "kafka_topic", "topic", "format", "value_format", "key_format", "timestamp", "timestamp_format":
	default:
		c.Options[name] = value
	}
	if err != nil {
		return &lang.Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: fmt.Sprintf("option %s of connector 'generator' wants %s, not %q", name, want, value)}
	}
	return nil
}
