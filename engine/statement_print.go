package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// PRINT.
var _ = declare(statement[*lang.PrintTopic]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.PrintTopic, _ []any) (*Result, error) {
		return rowsOf(s.engine.print(ctx, st))
	},
})

// print returns the records of a topic, undecoded.
func (e *Engine) print(ctx context.Context, st *lang.PrintTopic) (*Rows, error) {
	src, d, err := e.printed(ctx, st.Topic.Text)
	if err != nil {
		return nil, &lang.Error{Code: "SQ5004", Stage: lang.StagePlan, Pos: st.Topic.Position(),
			Len: len(st.Topic.Text), Msg: fmt.Sprintf("there is no topic %q", st.Topic.Text), Err: err}
	}
	spans := d.Partitions
	for i := range spans {
		if !st.Beginning {
			spans[i].From = spans[i].To
		}
		spans[i].To = topic.End
	}
	fields := []arrow.Field{flow.Field("partition", flow.Int), flow.Field("offset", flow.Bigint),
		flow.Field("rowtime", flow.Timestamp),
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
		return printRecords(ctx, src, spans, limit, every,
			func(values [][]any) error { return emit(inspect.Batch(fields, values)) })
	}
	return rows, nil
}

// printed finds the source of PRINT: the topic of that name, else the topic of the relation of that name.
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

// printRecords reads spans and emits one row for every every-th record, up to limit rows; limit -1: without limit.
func printRecords(ctx context.Context, src topic.Source, spans []topic.Span, limit, every int64,
	emit func([][]any) error) error {
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

// decodedRow formats a row of a source that delivers no records.
func decodedRow(r arrow.Record, row int) string {
	var parts []string
	for i, f := range r.Schema().Fields() {
		parts = append(parts, fmt.Sprintf("%s=%v", f.Name, flow.Value(r.Column(i), row)))
	}
	return strings.Join(parts, " ")
}

// printable returns bytes as a string and replaces invalid UTF-8.
func printable(b []byte) any {
	if b == nil {
		return nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
