package models_test

import (
	"encoding/json"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// TestTrainingLog: rows of the log contain the id of a version, and the function finds its
// number.
func TestTrainingLog(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	must(t, b.Create(t.Context(), "own.training", topic.Config{Partitions: 1}))
	j := r.ForJob()
	first, second := publish(t, b, j, "job", 1, nil), publish(t, b, j, "job", 2, nil)
	seen(t, r)
	out := begin(t, b, "job")
	must(t, j.Swapped("p", "m", 1, 2, out))
	must(t, j.Note(out, exec.TrainingEvent{Model: "m", ID: first, Event: "version", Rows: 7}))
	out.commit(t, j)
	d, err := b.Describe(t.Context(), "own.training")
	must(t, err)
	var rows []map[string]any
	must(t, topic.Each(t.Context(), b, d.Partitions, func(f *topic.Fetch, i int) error {
		rows = append(rows, map[string]any{})
		return json.Unmarshal(f.Value.At(i), &rows[len(rows)-1])
	}))
	if len(rows) != 2 || rows[0]["version_id"] != second || rows[0]["detail"] != "from 1" ||
		rows[1]["version_id"] != first ||
		rows[1]["version"] != nil {
		t.Errorf("the log is %v", rows)
	}
	sig, err := r.Function().Bind([]flow.Type{flow.String, flow.String})
	must(t, err)
	got := sig.Kernel(
		[]arrow.Array{
			flow.Column(flow.String, "m", "m", "m", "other", nil, "m"),
			flow.Column(flow.String, first, second, second, first, first, "none"),
		},
		6,
		udf.Env{},
	)
	for i, want := range []any{int32(1), int32(2), int32(2), nil, nil, nil} {
		if v := flow.Value(got, i); v != want {
			t.Errorf("row %d is %v, want %v", i, v, want)
		}
	}
	if _, err := r.Function().Bind([]flow.Type{flow.String}); err == nil || !sig.Volatile {
		t.Errorf("one argument: %v; volatile %v", err, sig.Volatile)
	}
}

// BenchmarkNumbers looks up the numbers of consecutive rows of one training, as in the log.
func BenchmarkNumbers(b *testing.B) {
	broker := embedded(b)
	r := following(b, broker, "a")
	id := publish(b, broker, r.ForJob(), "job", 1, nil)
	seen(b, r)
	const rows = 4096
	model, ids := make([]any, rows), make([]any, rows)
	for i := range rows {
		model[i], ids[i] = "m", id
	}
	args := []arrow.Array{flow.Column(flow.String, model...), flow.Column(flow.String, ids...)}
	sig, err := r.Function().Bind([]flow.Type{flow.String, flow.String})
	must(b, err)
	for b.Loop() {
		sig.Kernel(args, rows, udf.Env{})
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
