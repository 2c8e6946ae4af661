package streamql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/files"
	"github.com/streamql/streamql/topic/generate"
)

// connect opens the source behind a relation with a connector.
func (e *Engine) connect(ctx context.Context, r *catalog.Relation) error {
	switch r.Connector {
	case "files":
		src, err := e.openFiles(r)
		if err != nil {
			return err
		}
		r.Value.Name = strings.ToUpper(src.Format())
		if d := src.Delimiter(); d != "" {
			r.Value.Options["delimiter"] = d
		}
		e.connectors.Store(r.Topic, topic.Source(src))
	case "generator":
		src, err := e.openGenerator(r)
		if err != nil {
			return err
		}
		e.connectors.Store(r.Topic, topic.Source(src))
	default:
		err := &Error{Code: "SQ5001", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no connector %q", r.Connector)}
		if near := lang.Suggest(r.Connector, []string{"files", "generator"}); near != "" {
			err.Hint = "did you mean '" + near + "'?"
		}
		return err
	}
	d, err := e.source(r.Topic).Describe(ctx, r.Topic)
	if err != nil {
		return err
	}
	r.Partitions = int32(len(d.Partitions))
	return nil
}

// disconnect forgets the source behind a relation that is dropped.
func (e *Engine) disconnect(name string) error {
	s, ok := e.connectors.LoadAndDelete(name)
	if c, closes := s.(interface{ Close() error }); ok && closes {
		return c.Close()
	}
	return nil
}

func (e *Engine) openFiles(r *catalog.Relation) (*files.Source, error) {
	c := files.Config{Path: r.With["path"], Header: strings.ToLower(r.With["header"]) != "false"}
	if c.Path == "" {
		return nil, &Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: "connector 'files' needs path"}
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
	src, err := files.Open(c)
	if err != nil {
		return nil, &Error{Code: "SQ5003", Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	}
	return src, nil
}

func (e *Engine) openGenerator(r *catalog.Relation) (*generate.Source, error) {
	c := generate.Config{Kind: r.With["kind"], Seed: 1, Options: map[string]string{}, Now: e.now}
	bad := func(name, want string) error {
		return &Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: fmt.Sprintf("option %s of connector 'generator' wants %s, not %q", name, want, r.With[name])}
	}
	for name, value := range r.With {
		var err error
		switch name {
		case "rows":
			c.Rows, err = strconv.ParseInt(value, 10, 64)
		case "seed":
			c.Seed, err = strconv.ParseUint(value, 10, 64)
		case "rate":
			c.Rate, err = strconv.ParseFloat(value, 64)
		case "start":
			ms, e := planner.ParseTimestamp(value)
			c.Start, err = flow.Time(ms), e
		case "step":
			ms, ok := planner.Duration(value)
			if !ok {
				return nil, bad(name, "a length of time")
			}
			c.Step = time.Duration(ms) * time.Millisecond
		case "kind", "connector", "partitions", "kafka_topic", "topic", "format", "value_format", "key_format", "timestamp", "timestamp_format":
		default:
			c.Options[name] = value
		}
		if err != nil {
			return nil, bad(name, "a number or time")
		}
	}
	for _, col := range r.Columns {
		c.Fields = append(c.Fields, flow.Field(col.Name, col.Type))
	}
	src, err := generate.Open(c)
	if err != nil {
		return nil, &Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	}
	return src, nil
}

// infer gives the columns of a relation declared without any.
func (e *Engine) infer(r *catalog.Relation) ([]catalog.Column, error) {
	var out []catalog.Column
	switch r.Connector {
	case "generator":
		src, err := e.openGenerator(r)
		if err != nil {
			return nil, err
		}
		for _, f := range src.Fields() {
			out = append(out, catalog.Column{Name: f.Name, Type: f.Type})
		}
		return out, nil
	case "files":
		src, err := e.openFiles(r)
		if err != nil {
			return nil, err
		}
		header, err := src.Header()
		if err != nil {
			return nil, err
		}
		for _, name := range header {
			out = append(out, catalog.Column{Name: name, Type: flow.String})
		}
		return out, nil
	}
	return nil, fmt.Errorf("columns are found out only for connectors 'files' and 'generator' so far")
}
