package models_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"go.uber.org/goleak"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/local"
	"github.com/streamql/streamql/udf/ml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// embedded is a broker in memory with the topic of model m.
func embedded(t testing.TB) *local.Broker {
	t.Helper()
	b, err := local.Open("")
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

func topicOf(model string) string { return "own.model." + model }

// registry returns the registry of one process; its ids begin with its name.
func registry(t testing.TB, b models.Broker, name string, warn func(error)) *models.Registry {
	t.Helper()
	var mu sync.Mutex
	n := 0
	r := models.New(
		models.Config{
			Broker:   b,
			Topic:    topicOf,
			Training: "own.training",
			Now:      func() time.Time { return time.UnixMilli(1000) },
			Warn:     warn,
			Version:  "test",
			NewID: func() string {
				mu.Lock()
				defer mu.Unlock()
				n++
				return fmt.Sprintf("%s%d", name, n)
			},
		},
	)
	t.Cleanup(r.Close)
	return r
}

// following returns a registry that follows model m.
func following(t testing.TB, b models.Broker, name string) *models.Registry {
	t.Helper()
	r := registry(t, b, name, func(err error) { t.Errorf("warning: %v", err) })
	must(t, r.Create(t.Context(), "m"))
	r.Follow("m")
	return r
}

// version returns a version that predicts mean for every row.
func version(t testing.TB, mean float64, options map[string]any) op.Version {
	t.Helper()
	typ, err := ml.Lookup("mean")
	must(t, err)
	o, err := typ.Accept(options)
	must(t, err)
	types := []flow.Type{flow.Double}
	prep, err := ml.NewPreparation(ml.AutoItems(typ, []ml.Item{{Input: 0, Name: "x"}}, types), types)
	must(t, err)
	cols := []arrow.Array{flow.Column(flow.Double, 1.0)}
	var buf ml.Buffers
	must(t, prep.Fit(cols, 1, nil, nil, &buf))
	prep.Freeze()
	x, _, err := prep.Transform(cols, 1, &buf)
	must(t, err)
	spec := ml.Spec{Type: "mean", Features: prep.Features(), Options: o}
	l, err := typ.New(spec)
	must(t, err)
	must(t, l.Learn(x, []float64{mean}, nil))
	b := &ml.Bundle{
		Spec:        spec,
		Inputs:      []ml.Input{{Name: "x", Type: flow.Double}},
		Preparation: prep,
		Model:       l.Model(),
		Target:      ml.Input{Name: "y", Type: flow.Double},
	}
	return op.Version{
		Bundle:   b,
		Manifest: ml.Manifest{Model: "m", Rows: map[string]int64{"used": 1}, Metrics: map[string]float64{}},
	}
}

// output is a job's transaction.
type output struct{ topic.Txn }

func begin(t testing.TB, b models.Broker, id string) output {
	t.Helper()
	txn, err := b.Begin(context.Background(), id)
	must(t, err)
	return output{txn}
}

func (o output) commit(t testing.TB, j *models.Job) {
	t.Helper()
	must(t, o.Commit(context.Background(), nil))
	j.Committed()
}

// publish publishes a version of model m in its own transaction.
func publish(
	t testing.TB,
	b models.Broker,
	j *models.Job,
	writer string,
	mean float64,
	options map[string]any,
) string {
	t.Helper()
	out := begin(t, b, writer)
	id, err := j.Publish("m", version(t, mean, options), out)
	must(t, err)
	out.commit(t, j)
	return id
}

// write commits records to model m's topic.
func write(t testing.TB, b models.Broker, records ...topic.Record) {
	t.Helper()
	out := begin(t, b, "write")
	must(t, out.Write(topic.Partition{Topic: topicOf("m")}, records...))
	must(t, out.Commit(context.Background(), nil))
}

// seen returns the versions of a registry as text, after it has read everything.
func seen(t testing.TB, r *models.Registry) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(t, r.Sync(ctx, "m"))
	var out []string
	for _, v := range r.Versions("m") {
		out = append(out, fmt.Sprintf("%d %s %s after %d", v.Number, v.ID, v.Status, v.Manifest.Parent))
		if v.Manifest.Version != v.Number || v.Manifest.ID != v.ID {
			t.Errorf("version %d %s has the manifest of %d %s", v.Number, v.ID, v.Manifest.Version, v.Manifest.ID)
		}
	}
	return strings.Join(out, "\n")
}

// mean returns the prediction of a version.
func mean(t testing.TB, b *ml.Bundle) float64 {
	t.Helper()
	s := b.NewScoring()
	must(t, s.Read([]arrow.Array{flow.Column(flow.Double, 0.0)}, 1))
	out, err := s.Predict()
	must(t, err)
	return flow.Value(out, 0).(float64)
}

// code returns an error's code, or its text.
func code(err error) string {
	var e *lang.Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case err != nil:
		return err.Error()
	}
	return ""
}
