package catalog

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Own returns the engine's own relations, streamql.errors and streamql.training, over topics of
// the given names.
func Own(errorsTopic, trainingTopic string) []*Relation {
	header := func(name string, t flow.Type) Column {
		return Column{Name: name, Type: t, Role: Header, Header: "streamql." + name}
	}
	errs := &Relation{Name: "streamql.errors", Topic: errorsTopic, Partitions: 1, ReadOnly: true, OnError: "skip"}
	for _, name := range []string{"code", "message", "source", "side", "topic"} {
		errs.Columns = append(errs.Columns, header(name, flow.String))
	}
	errs.Columns = append(
		errs.Columns,
		header("partition", flow.Int),
		header("offset", flow.Bigint),
		header("job", flow.String),
		header("count", flow.Bigint),
		Column{Name: "value", Type: flow.Bytes},
	)
	errs.Value = format.Spec{Name: "RAW", Fields: []arrow.Field{flow.Field("value", flow.Bytes)}}

	training := &Relation{
		Name:       "streamql.training",
		Topic:      trainingTopic,
		Partitions: 1,
		ReadOnly:   true,
		Value:      format.Spec{Name: "JSON"},
	}
	training.Columns = []Column{
		{Name: "model", Type: flow.String},
		{Name: "version", Type: flow.Int},
		{Name: "event", Type: flow.String},
		{
			Name: "pass",
			Type: flow.Int,
		},
		{Name: "rows", Type: flow.Bigint},
		{Name: "metric", Type: flow.String},
		{Name: "value", Type: flow.Double},
		{
			Name: "job",
			Type: flow.String,
		},
		{Name: "detail", Type: flow.String},
		{Name: "version_id", Type: flow.String},
	}
	for _, c := range training.Columns {
		training.Value.Fields = append(training.Value.Fields, flow.Field(c.Name, c.Type))
	}
	return []*Relation{errs, training}
}
