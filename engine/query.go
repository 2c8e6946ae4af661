package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// input is what a statement that defines nothing is planned with.
func (s *Session) input(ctx context.Context, args []any) *decide.Input {
	c := s.engine.Catalog()
	return &decide.Input{Context: ctx, Catalog: c, Session: s.settings.Load(), Args: args, Facts: &facts{e: s.engine, ctx: ctx, catalog: c, session: s},
		Views: s.engine.views(ctx), Rows: s.made(ctx)}
}

// query plans a query and opens its rows; nothing runs until they are read.
func (s *Session) query(ctx context.Context, q *lang.Query, args []any) (*Rows, error) {
	e, in := s.engine, s.input(ctx, args)
	plan, err := planner.Query(q, e.decider.Options(in))
	if err != nil {
		return nil, err
	}
	j := &catalog.Job{Name: fmt.Sprintf("query_%d", e.queries.Add(1))}
	err = e.retry(ctx, "find offsets", func() error { return e.decider.Resolve(j, plan.Stages, in.Facts) })
	if err != nil {
		return nil, err
	}
	stages := decide.Stages(plan.Stages, j.Spans)
	counted := &scanned{known: known(stages)}
	rows := &Rows{Columns: plan.Columns, Changes: plan.Changes, Bounded: counted.known >= 0, ctx: ctx, stats: counted.stats}
	rows.run = func(ctx context.Context, emit exec.Emit) error {
		env := e.env(ctx, j, plan.Stages)
		env.Transient, env.Rows, env.Errors, env.Log = true, emit, "", nil
		env.Store = func(string) (state.Store, error) { return state.Memory(), nil }
		env.Read, env.Quota = counted.add, e.c.QueryMemory
		if err := e.versions(ctx, plan.Stages, rows.Bounded); err != nil {
			return err
		}
		run, err := exec.New(ctx, j.Name, stages, env)
		if err != nil {
			return err
		}
		e.meter.queries.Store(run, nil)
		defer e.meter.queries.Delete(run)
		if e.c.Policy == supervise.Hand { // a live input ends where it ends now
			return errors.Join(run.Drain(ctx, nil), run.Close(ctx))
		}
		return run.Run(ctx)
	}
	return rows, nil
}

// versions waits for the versions of models that a query cannot run without. A query that ends does not wait for what no job trains, nor does
// an engine that is driven by hand: it fails where there is none.
func (e *Engine) versions(ctx context.Context, plan []planner.Stage, bounded bool) error {
	for _, u := range planner.Awaited(plan) {
		if e.c.Policy == supervise.Hand || bounded && !e.trains(u.Model) { // no version will come
			if err := e.models.Sync(ctx, u.Model); err != nil {
				return err
			}
			continue
		}
		if err := e.models.Ready(ctx, u.Model, u.Version); err != nil {
			return err
		}
	}
	return nil
}

// trains reports whether a job trains a model, so that a version may come.
func (e *Engine) trains(model string) bool {
	for _, j := range e.Catalog().Jobs() {
		if j.Fills == model && (j.Kind == "MODEL" || j.Kind == "RETRAIN") && j.Runs() {
			return true
		}
	}
	return false
}

// insertValues writes the rows of INSERT INTO .. VALUES.
func (s *Session) insertValues(ctx context.Context, st *lang.Insert, args []any) (*Result, error) {
	e, in := s.engine, s.input(ctx, args)
	o := e.decider.Options(in)
	o.Memory = e.memory
	r, rows, err := planner.Values(st, o)
	if err != nil {
		return nil, err
	}
	records, err := e.encode(ctx, r, rows)
	if err != nil {
		return nil, err
	}
	err = e.write(ctx, func(txn topic.Txn) error {
		for _, rec := range records {
			if err := txn.Write(rec.to, rec.Record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Result{Message: fmt.Sprintf("%d rows inserted into %s", len(rows), r.Name)}, nil
}

// placed is a record and where it goes.
type placed struct {
	to topic.Partition
	topic.Record
}

func (e *Engine) encode(ctx context.Context, r *catalog.Relation, rows []planner.Row) (out []placed, err error) {
	var key format.Codec
	if len(r.Key.Fields) > 0 {
		if key, err = e.formats.New(ctx, r.Key, r.Topic+"-key"); err != nil {
			return nil, err
		}
	}
	value, err := e.formats.New(ctx, r.Value, r.Topic+"-value")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		p, rec, err := planner.Encode(r, row, key, value)
		if err != nil {
			return nil, err
		}
		if row.Time == nil {
			rec.Time = e.c.Now().UnixMilli()
		}
		out = append(out, placed{p, rec})
	}
	return out, nil
}

// explain is EXPLAIN: the operators of each stage, inputs indented, with the offsets they read.
func (s *Session) explain(ctx context.Context, st *lang.Explain, args []any) (*flow.Batch, error) {
	e := s.engine
	if st.Statement == nil {
		return e.explainJob(st)
	}
	in := s.input(ctx, args)
	plan, weak, err := e.planOf(st.Statement, in)
	if err != nil {
		return nil, err
	}
	return inspect.Plan(plan, e.promise(weak), func(_ int, l planner.Leaf) ([]string, error) {
		if l.Relation == nil {
			return nil, nil // an exchange's topic is made when the job is
		}
		spans, err := in.Facts.Spans(l)
		if errors.Is(err, topic.ErrUnknownTopic) {
			err = fmt.Errorf("%s: %w", l.Relation.Name, err)
		}
		return reads(l, spans), err
	})
}

// explainJob explains a job as it was decided, with the offsets it began at.
func (e *Engine) explainJob(st *lang.Explain) (*flow.Batch, error) {
	j, ok := e.Catalog().Job(st.Query.Text)
	if !ok {
		return nil, &lang.Error{Code: "SQ2023", Stage: lang.StagePlan, Pos: st.Query.Position(), Len: len(st.Query.Text), Msg: fmt.Sprintf("there is no job %q", st.Query.Text)}
	}
	plan, err := e.decider.Again(j, e.Catalog())
	if err != nil {
		return nil, err
	}
	k := 0
	return inspect.Plan(plan, e.promise(j.Guarantee == decide.AtLeastOnce), func(_ int, l planner.Leaf) ([]string, error) {
		k++
		if k > len(j.Spans) {
			return nil, nil
		}
		return reads(l, j.Spans[k-1]), nil
	})
}

func reads(l planner.Leaf, spans []topic.Span) (out []string) {
	tier := "broker"
	if l.Relation != nil && !l.Relation.AtBroker() {
		tier = l.Relation.Connector
	}
	for _, sp := range spans {
		to := "and on"
		if sp.To < 1<<62 {
			to = fmt.Sprintf("to %d", sp.To)
		}
		out = append(out, fmt.Sprintf("  reads %s from offset %d %s (%s)", sp.Partition, sp.From, to, tier))
	}
	return out
}

// promise says what a job promises, if that is not the default.
func (e *Engine) promise(weak bool) string {
	if !weak || !e.shared() {
		return ""
	}
	return "Guarantee at_least_once: rows may come twice after a failure"
}

// planOf plans a statement without running it. weak: as a job it would not be exactly once.
func (e *Engine) planOf(st lang.Statement, in *decide.Input) (plan []planner.Stage, weak bool, err error) {
	opts := e.decider.Options(in)
	weak = in.Session.Properties[decide.Guarantee] == decide.AtLeastOnce
	switch st := st.(type) {
	case *lang.QueryStatement:
		p, err := planner.Query(st.Query, opts)
		if err != nil {
			return nil, false, err
		}
		return p.Stages, false, nil
	case *lang.CreateSource:
		if st.Query != nil {
			p, err := planner.Fill(st, "EXPLAIN", opts)
			if err != nil {
				return nil, false, err
			}
			return p.Stages, weak, nil
		}
	case *lang.Insert:
		if st.Query != nil {
			p, err := planner.Insert(st, "EXPLAIN", opts)
			if err != nil {
				return nil, false, err
			}
			return p.Stages, weak, nil
		}
	case *lang.CreateModel:
		t, err := planner.Model(st, nil, "EXPLAIN", opts)
		if err != nil {
			return nil, false, err
		}
		return t.Stages, weak, nil
	}
	return nil, false, &lang.Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: "this statement has no plan"}
}

// print is PRINT: the records of a topic as they are.
func (e *Engine) print(ctx context.Context, st *lang.PrintTopic) (*Rows, error) {
	src, d, err := e.printed(ctx, st.Topic.Text)
	if err != nil {
		return nil, &lang.Error{Code: "SQ5004", Stage: lang.StagePlan, Pos: st.Topic.Position(), Len: len(st.Topic.Text), Msg: fmt.Sprintf("there is no topic %q", st.Topic.Text), Err: err}
	}
	spans := d.Partitions
	for i := range spans {
		if !st.Beginning {
			spans[i].From = spans[i].To
		}
		spans[i].To = topic.End
	}
	fields := []arrow.Field{flow.Field("partition", flow.Int), flow.Field("offset", flow.Bigint), flow.Field("rowtime", flow.Timestamp),
		flow.Field("key", flow.String), flow.Field("value", flow.String)}
	rows := StaticRows(inspect.Batch(fields, nil))
	rows.static, rows.Bounded, rows.ctx = nil, false, ctx
	limit, every := int64(-1), int64(1)
	if st.Limit != nil {
		limit = st.Limit.N
	}
	if st.Interval != nil {
		every = max(st.Interval.N, 1)
	}
	rows.run = func(ctx context.Context, emit exec.Emit) error {
		return printRecords(ctx, src, spans, limit, every, func(values [][]any) error { return emit(inspect.Batch(fields, values)) })
	}
	return rows, nil
}

// printed finds what PRINT reads: a topic, or what a relation of that name reads.
func (e *Engine) printed(ctx context.Context, name string) (topic.Source, topic.Topic, error) {
	d, err := e.broker.Describe(ctx, name)
	if err == nil {
		return e.broker, d, nil
	}
	r, ok := e.Catalog().Relation(name, false)
	if !ok {
		return nil, d, err
	}
	src, err := e.sources.Open(ctx, r)
	if err != nil {
		return nil, d, err
	}
	d, err = src.Describe(ctx, r.Topic)
	return src, d, err
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
			for _, b := range f.Bad {
				out = append(out, []any{f.ID, int64(b.From), arrow.Timestamp(b.Time), nil, b.Error()})
			}
			for k := 0; k < f.Rows() && limit != 0; k++ {
				if n++; (n-1)%every != 0 {
					continue
				}
				key, value := any(nil), any(nil)
				if f.Decoded == nil {
					key, value = printable(f.Key.At(k)), printable(f.Value.At(k))
				} else {
					value = decodedRow(f.Decoded, k)
				}
				out = append(out, []any{f.ID, int64(f.Offsets[k]), arrow.Timestamp(f.Times[k]), key, value})
				limit--
			}
		}
		if err := emit(out); err != nil {
			return err
		}
	}
	return nil
}

// decodedRow shows a row that has no record.
func decodedRow(r arrow.Record, row int) string {
	var parts []string
	for i, f := range r.Schema().Fields() {
		parts = append(parts, fmt.Sprintf("%s=%v", f.Name, flow.Value(r.Column(i), row)))
	}
	return strings.Join(parts, " ")
}

func printable(b []byte) any {
	if b == nil {
		return nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
