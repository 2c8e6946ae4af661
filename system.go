package streamql

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// Version is the program's version.
const Version = "0.1.0"

// ownRelations declares streamql.errors and streamql.training, which lie over topics of those names.
func (e *Engine) ownRelations() {
	text := func(names ...string) (out []catalog.Column) {
		for _, n := range names {
			out = append(out, catalog.Column{Name: n, Type: flow.String, Role: catalog.Header, Header: "streamql." + n})
		}
		return out
	}
	number := func(name string, t flow.Type) catalog.Column {
		return catalog.Column{Name: name, Type: t, Role: catalog.Header, Header: "streamql." + name}
	}
	errs := &catalog.Relation{Name: "streamql.errors", Topic: e.own(errorsTopic), Partitions: 1, ReadOnly: true, OnError: "skip"}
	errs.Columns = append(text("code", "message", "source", "side", "topic"), number("partition", flow.Int), number("offset", flow.Bigint))
	errs.Columns = append(errs.Columns, text("job")...)
	errs.Columns = append(errs.Columns, number("count", flow.Bigint), catalog.Column{Name: "value", Type: flow.Bytes})
	errs.Value = format.Spec{Name: "RAW", Fields: []arrow.Field{flow.Field("value", flow.Bytes)}}
	e.catalog.Put(errs)

	tr := &catalog.Relation{Name: "streamql.training", Topic: e.own(trainingTopic), Partitions: 1, ReadOnly: true}
	tr.Columns = []catalog.Column{{Name: "model", Type: flow.String}, {Name: "version", Type: flow.Int}, {Name: "event", Type: flow.String},
		{Name: "pass", Type: flow.Int}, {Name: "rows", Type: flow.Bigint}, {Name: "metric", Type: flow.String}, {Name: "value", Type: flow.Double},
		{Name: "job", Type: flow.String}, {Name: "detail", Type: flow.String}, {Name: "version_id", Type: flow.String}}
	tr.Value = format.Spec{Name: "JSON"}
	for _, c := range tr.Columns {
		tr.Value.Fields = append(tr.Value.Fields, flow.Field(c.Name, c.Type))
	}
	e.catalog.Put(tr)
}

// rows gives the rows of a table function or of a relation that is made on the spot.
func (e *Engine) rows(name string, args []any) (*flow.Batch, bool, error) {
	switch name {
	case "streamql.models":
		var out [][]any
		for _, m := range e.catalog.Models() {
			out = append(out, e.versionRows(m.Name)...)
		}
		return versionBatch(out), true, nil
	case "versions":
		return versionBatch(e.versionRows(args[0].(string))), true, nil
	case "streamql.jobs":
		return e.jobRows(), true, nil
	case "ML_TRAINING_INFO":
		b, err := e.trainingInfo(args)
		return b, true, err
	case "ML_EVALUATE":
		b, err := e.evaluate(args)
		return b, true, err
	}
	return nil, false, nil
}

var versionNames = []string{"model", "version", "status", "type", "parent", "trained_from", "trained_to", "known_at", "rows", "metrics", "threshold", "bytes", "sha256"}

var versionTypes = []flow.Type{flow.String, flow.Int, flow.String, flow.String, flow.Int, flow.Bigint, flow.Bigint, flow.Bigint, flow.Bigint,
	flow.Map(flow.String, flow.Double), flow.Double, flow.Bigint, flow.String}

func versionBatch(rows [][]any) *flow.Batch { return staticBatch(versionNames, versionTypes, rows) }

func (e *Engine) versionRows(model string) [][]any {
	var out [][]any
	for _, v := range e.models.Versions(model) {
		m := v.Manifest
		var threshold any
		if m.Threshold != nil {
			threshold = *m.Threshold
		}
		metrics := []flow.Entry{}
		for k, x := range m.Metrics {
			metrics = append(metrics, flow.Entry{Key: k, Value: x})
		}
		sort.Slice(metrics, func(i, j int) bool { return metrics[i].Key.(string) < metrics[j].Key.(string) })
		out = append(out, []any{model, int32(v.Number), string(v.Status), m.Type, int32(m.Parent), m.TrainedFrom, m.TrainedTo, m.KnownAt, m.Rows["used"],
			metrics, threshold, int64(m.Payload.Bytes), m.Payload.SHA256})
	}
	return out
}

func (e *Engine) jobRows() *flow.Batch {
	var out [][]any
	for _, name := range e.order {
		j := e.jobs[name]
		status, counts, failed := exec.Starting, exec.Counts{}, any(nil)
		if j.run != nil {
			var err error
			if status, counts, err = j.run.Status(); err != nil {
				failed = wrap(err, nil).Error()
			}
		}
		if e.idle && !j.done && e.runElsewhere(name) {
			status = exec.Running
		}
		switch {
		case j.done && j.failure != "":
			status, failed = exec.Failed, j.failure
		case j.done:
			status = exec.Done
		case status == exec.Running || status == exec.Recovering:
			if p, ok := e.broker.(topic.Patient); ok && p.Trouble() != nil {
				status, failed = exec.Degraded, p.Trouble().Error()
			}
		}
		out = append(out, []any{name, j.kind, j.fills, string(status), counts.Rows, counts.Late, counts.Letters, counts.Gaps, counts.Resumed, failed, j.statement})
	}
	return staticBatch([]string{"job", "kind", "fills", "status", "rows", "late", "dead_letters", "gaps", "recoveries", "error", "statement"},
		[]flow.Type{flow.String, flow.String, flow.String, flow.String, flow.Bigint, flow.Bigint, flow.Bigint, flow.Bigint, flow.Bigint, flow.String, flow.String}, out)
}

// runElsewhere reports whether other processes run a job, for one that runs none itself.
func (e *Engine) runElsewhere(job string) bool {
	o, ok := e.broker.(topic.Observer)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(e.ctx, lookTime)
	defer cancel()
	a, err := o.Owners(ctx, job)
	return err == nil && len(a.Owners) > 0
}

// modelArg reads the first argument of a table function: a model, perhaps with a version.
func (e *Engine) modelArg(fn string, args []any) (string, int, error) {
	if len(args) == 0 {
		return "", 0, &Error{Code: "SQ2007", Stage: lang.StagePlan, Msg: fn + " needs a model"}
	}
	name, n := fmt.Sprint(args[0]), 0
	if ref, ok := args[0].(*lang.ModelRef); ok {
		name, n = ref.Name.Text, ref.Version.Number
	}
	m, ok := e.catalog.Model(name, e.ksql)
	if !ok {
		return "", 0, e.noModel(lang.Name{Text: name})
	}
	return m.Name, n, nil
}

// trainingInfo is ML_TRAINING_INFO(m): the passes of each version's training.
func (e *Engine) trainingInfo(args []any) (*flow.Batch, error) {
	model, n, err := e.modelArg("ML_TRAINING_INFO", args)
	if err != nil {
		return nil, err
	}
	var out [][]any
	for _, v := range e.models.Versions(model) {
		if n > 0 && v.Number != n {
			continue
		}
		for i, loss := range v.Manifest.Losses {
			out = append(out, []any{int32(v.Number), int32(i + 1), v.Manifest.Rows["used"], loss})
		}
		if len(v.Manifest.Losses) == 0 {
			out = append(out, []any{int32(v.Number), int32(1), v.Manifest.Rows["used"], nil})
		}
	}
	return staticBatch([]string{"version", "pass", "rows", "loss"}, []flow.Type{flow.Int, flow.Int, flow.Bigint, flow.Double}, out), nil
}

// evaluate is ML_EVALUATE(m, t): the metrics of a version over the present rows of a stream or table, from its beginning to its end now.
func (e *Engine) evaluate(args []any) (*flow.Batch, error) {
	model, n, err := e.modelArg("ML_EVALUATE", args)
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		return nil, &Error{Code: "SQ2007", Stage: lang.StagePlan, Msg: "ML_EVALUATE needs a model and a stream or table"}
	}
	t := e.trainings[model]
	if t.Target.Type == nil {
		return nil, &Error{Code: "SQ6008", Stage: lang.StagePlan, Msg: fmt.Sprintf("model %q has no TARGET to evaluate against", model)}
	}
	bundle, n, err := e.models.Get(model, n)
	if err != nil {
		return nil, err
	}
	if bundle == nil {
		return nil, fmt.Errorf("model %q: %w", model, models.ErrNoVersion)
	}
	ev, rows, err := e.evaluateOver(bundle, t.Target.Name, fmt.Sprint(args[1]), model)
	if err != nil {
		return nil, err
	}
	var out [][]any
	for _, m := range ev.Metrics() {
		if m.Value-m.Value == 0 {
			out = append(out, []any{int32(n), m.Name, m.Value, rows})
		}
	}
	return staticBatch([]string{"version", "metric", "value", "rows"}, []flow.Type{flow.Int, flow.String, flow.Double, flow.Bigint}, out), nil
}

// evaluateOver reads what a model needs of a relation, in the way a query would, and scores it.
func (e *Engine) evaluateOver(bundle *ml.Bundle, target, relation, model string) (*ml.Evaluator, int64, error) {
	t := e.trainings[model]
	var names []string
	for _, in := range t.Inputs {
		names = append(names, quoteName(in.Name))
	}
	text := "SELECT " + strings.Join(append(names, quoteName(target)), ", ") + " FROM " + quoteName(relation)
	statements, err := lang.Parse(text)
	if err != nil {
		return nil, 0, err
	}
	rows, err := e.query(e.ctx, statements[0].(*lang.QueryStatement).Query, nil)
	if err != nil {
		return nil, 0, err
	}
	typ, err := ml.Lookup(t.Type)
	if err != nil {
		return nil, 0, err
	}
	ev := ml.NewEvaluator(typ.Task, 0, 0)
	n := int64(0)
	cols := make([]int, len(t.Inputs))
	for i := range cols {
		cols[i] = i
	}
	for b, err := range rows.Batches() {
		if err != nil {
			return nil, 0, err
		}
		n += int64(b.Rows())
		features := op.Features(b, cols, op.ReadSchema(b.Schema, cols), t.Features, func(int, error) {})
		if err := op.Evaluate(bundle, op.Spread(features, t.Names, bundle), b.Column(len(cols)), ev); err != nil {
			return nil, 0, err
		}
	}
	return ev, n, nil
}

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// scanned counts what a query has read.
type scanned struct {
	rows  atomic.Int64
	known int64
}

func (s *scanned) add(n int64) { s.rows.Add(n) }

func (s *scanned) stats() Stats { return Stats{Scanned: s.rows.Load(), Known: s.known} }

// known is the number of offsets a plan reads; -1 if it has no end.
func known(stages []exec.Stage) int64 {
	n := int64(0)
	for _, s := range stages {
		for _, spans := range s.Spans {
			for _, p := range spans {
				if p.To == topic.End {
					return -1
				}
				n += int64(p.To - p.From)
			}
		}
	}
	return n
}

// print is PRINT: the records of a topic as they are.
func (e *Engine) print(ctx context.Context, st *lang.PrintTopic) (*Rows, error) {
	name := st.Topic.Text
	d, err := e.broker.Describe(ctx, name)
	if err != nil {
		if r, ok := e.catalog.Relation(name, false); ok && d.Name == "" {
			name = r.Topic
			d, err = e.broker.Describe(ctx, name)
		}
	}
	if err != nil {
		return nil, &Error{Code: "SQ5004", Stage: lang.StagePlan, Pos: st.Topic.Position(), Len: len(st.Topic.Text), Msg: fmt.Sprintf("there is no topic %q", st.Topic.Text), Err: err}
	}
	spans := d.Partitions
	for i := range spans {
		if !st.Beginning {
			spans[i].From = spans[i].To
		}
		spans[i].To = topic.End
	}
	names := []string{"partition", "offset", "rowtime", "key", "value"}
	types := []flow.Type{flow.Int, flow.Bigint, flow.Timestamp, flow.String, flow.String}
	rows := staticRows(staticBatch(names, types, nil))
	rows.static, rows.Bounded, rows.ctx = nil, false, ctx
	limit, every := int64(-1), int64(1)
	if st.Limit != nil {
		limit = st.Limit.N
	}
	if st.Interval != nil {
		every = max(st.Interval.N, 1)
	}
	rows.run = func(ctx context.Context, emit exec.Emit) error {
		return printRecords(ctx, e.broker, spans, limit, every, func(values [][]any) error { return emit(staticBatch(names, types, values)) })
	}
	return rows, nil
}

func printRecords(ctx context.Context, src topic.Source, spans []topic.Span, limit, every int64, emit func([][]any) error) error {
	r, err := src.Open(ctx, spans)
	if err != nil {
		return err
	}
	defer r.Close()
	n := int64(0)
	for limit != 0 {
		fetches, err := r.Poll(ctx)
		if err != nil {
			return err
		}
		var out [][]any
		for i := range fetches {
			f := &fetches[i]
			for k := 0; k < f.Rows() && limit != 0; k++ {
				if n++; (n-1)%every != 0 {
					continue
				}
				out = append(out, []any{f.ID, int64(f.Offsets[k]), arrow.Timestamp(f.Times[k]), printable(f.Key.At(k)), printable(f.Value.At(k))})
				limit--
			}
		}
		if err := emit(out); err != nil {
			return err
		}
	}
	return nil
}

func printable(b []byte) any {
	if b == nil {
		return nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
