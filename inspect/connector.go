package inspect

import (
	"slices"
	"strconv"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/planner"
)

// connectors returns the rows of SHOW CONNECTORS.
func connectors(r *connect.Registry) *flow.Batch {
	var rows [][]any
	for _, c := range r.All() {
		rows = append(rows, []any{c.Name, c.Abilities(), c.Shape.String(), c.Doc})
	}
	return table([]string{"name", "can", "rows", "doc"}, rows)
}

// formats returns the rows of SHOW FORMATS.
func formats(r *format.Registry) *flow.Batch {
	var rows [][]any
	for _, f := range r.All() {
		rows = append(rows, []any{f.Name, f.Abilities(), f.Doc})
	}
	return table([]string{"name", "can", "doc"}, rows)
}

// declared returns the options of a connector or format, one row each: the result of DESCRIBE CONNECTOR and DESCRIBE
// FORMAT.
func declared(e Engine, st *lang.Describe) (*flow.Batch, error) {
	name := st.Name.Name
	var options []option.Option
	if st.What == "FORMAT" {
		f, ok := e.Formats().Format(name.Text)
		if !ok {
			_, err := e.Formats().Find(name.Text)
			return nil, fail(name, len(name.Text), "SQ2017", "%v", err)
		}
		options = f.Options
	} else {
		c, err := e.Connectors().Find(name.Text)
		if err != nil {
			failed := fail(name, len(name.Text), "SQ5001", "%v", err)
			if near := lang.Suggest(strings.ToLower(name.Text), e.Connectors().Names()); near != "" {
				failed.Label = "did you mean " + near + "?"
			}
			return nil, failed
		}
		options = c.All(nil)
		if c.Shape != connect.Columns {
			options = append(options, planner.Formatted...)
		}
		options = append(options, planner.General...)
	}
	return optionRows(options), nil
}

// optionRows returns one row per option.
func optionRows(options []option.Option) *flow.Batch {
	var rows [][]any
	for _, o := range options {
		legal := o.Legal()
		if o.Needed {
			legal += ", needed"
		}
		rows = append(rows, []any{o.Name, o.Type.String(), text(o.Default), legal, o.Doc})
	}
	return table([]string{"option", "type", "default", "legal", "doc"}, rows)
}

// extended returns the result of DESCRIBE .. EXTENDED for a stream or table. It lists every option of the connector,
// with the value from the statement or else the default.
func extended(e Engine, r *catalog.Relation) (*flow.Batch, error) {
	c, err := e.Connectors().Find(r.Connector)
	if err != nil {
		return nil, err
	}
	rows := [][]any{{"name", r.Name}, {"kind", r.Kind()}, {"columns", r.Schema()},
		{"connector", c.Name}, {"topic", r.Topic}, {"partitions", strconv.Itoa(int(r.Partitions))}}
	if c.Shape != connect.Columns {
		rows = append(rows, []any{"value format", r.Value.Name})
	}
	if c.Shape == connect.KeyedRecords {
		rows = append(rows, []any{"key format", r.Key.Name})
	}
	given, err := option.Read(c.All(r.With), r.With)
	if err != nil {
		return nil, err
	}
	for _, o := range c.All(r.With) {
		value := o.Default
		if written, ok := given.Written(o.Name); ok {
			value = written
		}
		rows = append(rows, []any{"option " + o.Name, text(value)})
	}
	var others []string
	for name := range r.With {
		if _, own := option.Find(c.All(r.With), name); !own && name != "connector" {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		rows = append(rows, []any{"option " + name, r.With[name]})
	}
	if r.Job != "" {
		rows = append(rows, []any{"job", r.Job})
	}
	return table([]string{"property", "value"}, append(rows, []any{"statement", r.Statement})), nil
}
