package op

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf/ml"
)

// Train is an aggregate whose result is a model. ONCE trains from all rows when the bounded input
// has ended. EACH WINDOW trains from the rows of each window when it has closed. EACH EVENT trains
// row by row and predicts each row before it learns it. The results are versions, which are written
// to the model's topic in the worker's transaction.
type Train struct {
	Input    exec.Node
	Model    string
	Type     string
	Options  ml.Options
	Columns  []int       // the columns that the model reads
	Features []expr.Expr // the feature expressions, over a batch of Columns
	Names    []string
	Items    []ml.Item
	Target   int // the target's column, -1: none
	Weight   int // the weight's DOUBLE column, -1: all rows weigh 1
	// Place has the columns of a row's partition and offset, for messages; it is empty if the input
	// has none.
	Place  []int
	Source ml.Source // the input of the versions, in SQL

	TargetColumn ml.Input
	Mode         ml.Modes
	Warm         bool    // ONCE starts from the serving version's weights, for RETRAIN
	Window       *Window // the window of EACH WINDOW
	Decay        float64
	PublishRows  int64 // EACH EVENT publishes a version every so many rows, 0: not
	PublishEvery int64 // or every so many ms of stream time, 0: not
	Evaluate     bool
	// EvaluateWindow is the number of rows of a sliding evaluation, EvaluateFading the factor of a
	// fading one. If both are 0, the evaluation is cumulative.
	EvaluateWindow int
	EvaluateFading float64
	Statement      string
}

// Schema implements exec.Node.
func (t *Train) Schema() *flow.Schema { return t.Input.Schema() }

// Inputs implements exec.Node.
func (t *Train) Inputs() []exec.Node { return []exec.Node{t.Input} }

// Rewire implements exec.Node.
func (t *Train) Rewire(in []exec.Node, move exec.Move) exec.Node {
	touch(t.Input.Schema(), t.Window != nil, move)
	out := *t
	out.Input, out.Columns = in[0], rewireAll(t.Columns, move)
	out.Target, out.Weight = rewireOne(t.Target, move), rewireOne(t.Weight, move)
	out.Place = rewireAll(t.Place, move)
	return &out
}

// Keeps implements Stateful.
func (t *Train) Keeps() bool { return true }

// String implements exec.Node.
func (t *Train) String() string {
	mode := map[ml.Modes]string{ml.Once: "once", ml.Window: "each window", ml.Warm: "each window, warm start",
		ml.Event: "each event", ml.Decay: fmt.Sprintf("each window, decay %v", t.Decay)}[t.Mode]
	return fmt.Sprintf("Train %s type=%s %s features=(%s)", t.Model, t.Type, mode, strings.Join(t.Names, ", "))
}

// Open implements exec.Node.
func (t *Train) Open(ctx *exec.Context) (exec.Operator, error) {
	if ctx.Models == nil {
		return nil, errors.New("models cannot be trained here")
	}
	typ, err := ml.Lookup(t.Type)
	if err != nil {
		return nil, err
	}
	tr := &trainer{Train: t, ctx: ctx, typ: typ, read: ReadSchema(t.Input.Schema(), t.Columns)}
	tr.shape(make([]int, len(t.Features)))
	switch {
	case t.Mode == ml.Once:
		return &trainOnce{trainer: tr, rows: newSample(t.Options)}, nil
	case t.Mode == ml.Event:
		return newTrainEvent(tr)
	}
	return &trainWindow{trainer: tr, rows: ctx.Keyspace("rows"), oldest: unknown}, nil
}

// trainer is the common part of the three ways of training.
type trainer struct {
	*Train
	ctx  *exec.Context
	typ  ml.Type
	read *flow.Schema
	buf  ml.Buffers

	widths []int       // the number of elements of each array feature, 0 for others
	items  []ml.Item   // the items of TRANSFORM, with array features spread
	names  []string    // the names of the preparation's inputs
	reads  []flow.Type // the types of the preparation's inputs
	first  error       // the reason for which the first row that is not learned is not
}

// shape lays out the features when the widths of arrays are known.
func (t *trainer) shape(widths []int) {
	t.widths = widths
	t.items, t.names, t.reads = spreadItems(t.Items, t.Names, t.types()[:len(t.Features)], widths)
	if t.typ.Blind {
		t.items = nil
	}
}

// part is a set of rows to learn from: the features, then the target, the weight and the place if
// there are any.
type part struct {
	cols []arrow.Array
	rows int
	from int64 // event time of the first and the last row, ms
	to   int64
}

// part returns the training columns of a batch. A retraction is an error.
func (t *trainer) part(in *flow.Batch) (part, error) {
	if in.Ops != nil {
		for i := range in.Rows() {
			if in.Op(i).Gone() && t.Options.Text("on_retract") != "ignore" {
				return part{}, fmt.Errorf("model %s: a row was retracted, and model type %s cannot unlearn rows",
					t.Model, t.Type)
			}
		}
		var keep []int32
		for i := range in.Rows() {
			if in.Op(i) == flow.Insert {
				keep = append(keep, int32(i))
			}
		}
		in = in.Take(keep)
	}
	p := part{rows: in.Rows(), cols: Features(in, t.Columns, t.read, t.Features, t.ctx.Evaluation(t.Model))}
	if err := t.ctx.Account.Err(); err != nil {
		return part{}, err
	}
	if t.Target >= 0 {
		p.cols = append(p.cols, in.Column(t.Target))
	}
	if t.Weight >= 0 {
		p.cols = append(p.cols, in.Column(t.Weight))
	}
	for _, c := range t.Place {
		p.cols = append(p.cols, in.Column(c))
	}
	for i, ms := range in.Times() {
		if i == 0 {
			p.from, p.to = ms, ms
		}
		p.from, p.to = min(p.from, ms), max(p.to, ms)
	}
	return p, nil
}

func (t *trainer) types() []flow.Type {
	types := make([]flow.Type, 0, len(t.Features)+2)
	for _, f := range t.Features {
		types = append(types, f.Type())
	}
	if t.Target >= 0 {
		types = append(types, t.TargetColumn.Type)
	}
	if t.Weight >= 0 {
		types = append(types, flow.Double)
	}
	if len(t.Place) == 2 {
		types = append(types, flow.Int, flow.Bigint)
	}
	return types
}

func (t *trainer) features(p part) []arrow.Array { return spread(p.cols[:len(t.Features)], t.widths) }

func (t *trainer) inputs() []ml.Input {
	in := make([]ml.Input, len(t.names))
	for i := range in {
		in[i] = ml.Input{Name: t.names[i], Type: t.reads[i]}
	}
	return in
}

func (t *trainer) evaluator() *ml.Evaluator {
	return ml.NewEvaluator(t.typ.Task, t.EvaluateWindow, t.EvaluateFading)
}

// positive sets the positive class of an evaluator to the one among the classes so far.
func (t *trainer) positive(ev *ml.Evaluator, classes []string) {
	if t.typ.Task == ml.Classify {
		ev.Positive(ml.PositiveClass(t.Options, t.TargetColumn.Type, classes))
	}
}

// manifest returns a version's metadata. The model registry adds id, clock and checksums.
func (t *trainer) manifest(from, to int64, rows map[string]int64) ml.Manifest {
	m := ml.Manifest{Model: t.Model, Statement: t.Statement, TrainedFrom: from, TrainedTo: to, KnownAt: to, Rows: rows,
		Metrics: map[string]float64{}}
	for _, s := range t.ctx.Spans() {
		m.Cut = append(m.Cut, ml.Cut{Topic: s.Topic, Partition: s.ID, From: int64(s.From), Until: int64(s.To)})
	}
	return m
}

// Version is a version that has not been written to its topic yet.
type Version struct {
	Bundle   *ml.Bundle
	Manifest ml.Manifest
}

// publish hands a version to the model registry and writes its metrics.
func (t *trainer) publish(v Version, event string, metrics []ml.Metric) error {
	for _, m := range metrics {
		if m.Value-m.Value == 0 {
			v.Manifest.Metrics[event+"."+m.Name] = m.Value
		}
	}
	if c, ok := v.Bundle.Model.(ml.Centred); ok { // there may be fewer than k, if there are fewer distinct rows
		v.Manifest.Metrics["training.centres"] = float64(c.Centres())
	}
	id, err := t.ctx.Models.Publish(t.Model, v, t.ctx.Out)
	if err != nil {
		return err
	}
	note := exec.TrainingEvent{Model: t.Model, Job: t.ctx.Job, ID: id, Rows: v.Manifest.Rows["used"],
		Time: v.Manifest.TrainedTo}
	for i, loss := range v.Manifest.Losses {
		note.Event, note.Pass, note.Metric, note.Value = "pass", i+1, "loss", loss
		if err := t.ctx.Models.Note(t.ctx.Out, note); err != nil {
			return err
		}
	}
	note.Event, note.Pass, note.Metric, note.Value = "version", 0, "rows", float64(v.Manifest.Rows["used"])
	if err := t.ctx.Models.Note(t.ctx.Out, note); err != nil {
		return err
	}
	return t.note(event, id, v.Manifest.Rows["used"], v.Manifest.TrainedTo, metrics)
}

func (t *trainer) note(event, id string, rows, time int64, metrics []ml.Metric) error {
	for _, m := range metrics {
		if m.Value-m.Value != 0 {
			continue
		}
		e := exec.TrainingEvent{Model: t.Model, Event: event, Metric: m.Name, Value: m.Value, ID: id, Rows: rows,
			Time: time, Job: t.ctx.Job}
		if err := t.ctx.Models.Note(t.ctx.Out, e); err != nil {
			return err
		}
	}
	return nil
}
