package engine

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// evaluate plans ML_EVALUATE(m, t): the metrics of a version over the rows of a stream, a table or a query. Without a
// scan clause it reads from the beginning to the present end. The scan runs when the query runs.
func (s *Session) evaluate(ctx context.Context, args []any) (*planner.Made, error) {
	m, n, err := s.modelArg("ML_EVALUATE", args)
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		return nil, &lang.Error{Code: "SQ2007", Stage: lang.StagePlan, Msg: "ML_EVALUATE needs a model and a stream or table"}
	}
	if _, scan := args[len(args)-1].(*lang.Scan); len(args) > 3 || len(args) == 3 && !scan {
		return nil, &lang.Error{Code: "SQ2007", Stage: lang.StagePlan, Msg: "ML_EVALUATE takes a model and a stream, table or query"}
	}
	s.engine.fresh(ctx, m.Name)
	bundle, n, err := s.engine.models.Get(m.Name, n)
	if err != nil {
		return nil, err
	}
	if bundle == nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, models.ErrNoVersion)
	}
	t, err := s.engine.decider.Training(m)
	if err == nil {
		t, err = planner.TrainedAs(t, n, s.engine.decider.Options(s.input(ctx, nil)))
	}
	if err != nil {
		return nil, err
	}
	if t.Target.Type == nil {
		return nil, &lang.Error{Code: "SQ6008", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("model %q has no TARGET, which ML_EVALUATE compares with the predictions", m.Name)}
	}
	rows, err := s.query(ctx, evaluated(t, args[1:]), nil)
	if err != nil {
		return nil, err
	}
	fields := []arrow.Field{flow.Field("version", flow.Int), flow.Field("metric", flow.String),
		flow.Field("value", flow.Double), flow.Field("rows", flow.Bigint)}
	return &planner.Made{Fields: fields, Rows: func() (*flow.Batch, error) {
		ev, count, err := evaluateRows(rows, t, bundle)
		if err != nil {
			return nil, err
		}
		var out [][]any
		for _, metric := range ev.Metrics() {
			out = append(out, []any{int32(n), metric.Name, metric.Value, count})
		}
		return inspect.Batch(fields, out), nil
	}}, nil
}

// evaluated returns the query that reads a model's inputs and its target from the argument of ML_EVALUATE: a name, or a
// relation that is a query or has a scan clause. A scan clause after ML_EVALUATE(..) applies to the argument.
func evaluated(t *planner.Training, args []any) *lang.Query {
	name := func(s string) lang.Name { return lang.Name{Text: s, Quoted: true} }
	from, ok := args[0].(*lang.Relation)
	if !ok {
		from = &lang.Relation{Source: &lang.Source{Name: name(fmt.Sprint(args[0]))}}
	}
	if len(args) > 1 {
		if scan, ok := args[1].(*lang.Scan); ok && !scan.Empty() {
			scanned := *from
			scanned.Scan, from = *scan, &scanned
		}
	}
	sel := &lang.Select{From: from}
	for _, in := range append(append([]catalog.Column(nil), t.Inputs...), t.Target) {
		sel.Items = append(sel.Items, &lang.Item{Expr: &lang.Ident{Name: name(in.Name)}})
	}
	return &lang.Query{Select: sel}
}

// evaluateRows scores the rows of a model's inputs and target. It returns the evaluator and the number of rows.
func evaluateRows(rows *Rows, t *planner.Training, bundle *ml.Bundle) (*ml.Evaluator, int64, error) {
	typ, err := ml.Lookup(t.Type)
	if err != nil {
		return nil, 0, err
	}
	ev, n := ml.NewEvaluator(typ.Task, 0, 0), int64(0)
	evaluation := op.NewEvaluation(bundle, ev)
	cols := make([]int, len(t.Inputs))
	for i := range cols {
		cols[i] = i
	}
	for b, err := range rows.Batches() {
		if err != nil {
			return nil, 0, err
		}
		n += int64(b.Rows())
		features := op.Features(b, cols, op.ReadSchema(b.Schema, cols), t.Features, udf.Env{Fail: func(int, error) {}})
		if err := evaluation.Add(op.Spread(features, t.Names, bundle), b.Column(len(cols))); err != nil {
			return nil, 0, err
		}
	}
	return ev, n, nil
}
