package op

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf/ml"
)

// trainEvent predicts each row, then learns it, and publishes a version every so many rows or so
// much stream time. Batches are cut where a version or an entry of the training log is due, so that
// neither depends on how the input was cut.
type trainEvent struct {
	*trainer
	keep    state.Keyspace
	learner ml.Learner
	prep    *ml.Preparation
	levels  *ml.Levels
	eval    *ml.Evaluator
	at      eventState
}

// eventState has the counters that are stored alongside learner, preparation and evaluator.
type eventState struct {
	Read, Used, Skipped int64
	First, Last         int64 // event time of the first and the last used row, ms
	Due                 int64 // stream time of the next version; 0: not known yet
	Published           int64 // the number of used rows when the last version was published
}

// logEvery is the number of rows between two entries of the training log.
const logEvery = 10_000

func newTrainEvent(t *trainer) (exec.Operator, error) {
	e := &trainEvent{trainer: t, keep: t.ctx.Keyspace("learner"), levels: t.levels(), eval: t.evaluator()}
	types := t.reads
	saved, ok, err := e.keep.Get([]byte("preparation"))
	if err != nil {
		return nil, err
	}
	if ok {
		e.prep, err = ml.LoadPreparation(slices.Clone(saved), types)
	} else {
		e.prep, err = ml.NewPreparation(t.items, types)
	}
	if err != nil {
		return nil, err
	}
	if e.learner, err = t.typ.New(e.spec()); err != nil {
		return nil, err
	}
	if !ok {
		return e, nil
	}
	return e, e.restore()
}

func (e *trainEvent) spec() ml.Spec {
	return ml.Spec{Type: e.Type, Features: e.prep.Features(), Classes: len(e.trainer.levels().Names),
		Options: e.Options, Mode: ml.Event}
}

func (e *trainEvent) restore() error {
	for name, load := range map[string]func([]byte) error{
		"learner":   e.learner.UnmarshalBinary,
		"evaluator": e.eval.UnmarshalBinary,
		"levels":    func(b []byte) error { return e.restoreLevels(b) },
		"counters": func(b []byte) error {
			_, err := binary.Decode(b, binary.LittleEndian, &e.at)
			return err
		},
	} {
		v, _, err := e.keep.Get([]byte(name))
		if err == nil {
			err = load(slices.Clone(v))
		}
		if err != nil {
			return fmt.Errorf("the %s of model %s cannot be restored: %w", name, e.Model, err)
		}
	}
	return nil
}

func (e *trainEvent) restoreLevels(b []byte) error {
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || uint64(len(b)-k) < n {
			return fmt.Errorf("the list of class names is truncated")
		}
		e.levels.Add(string(b[k : k+int(n)]))
		b = b[k+int(n):]
	}
	return nil
}

// Seal implements exec.Sealer. It writes the learner to the keyspace once per commit.
func (e *trainEvent) Seal() error {
	put := func(name string, v []byte, err error) error {
		if err != nil {
			return err
		}
		return e.keep.Put([]byte(name), v)
	}
	prep, err := e.prep.MarshalBinary()
	if err := put("preparation", prep, err); err != nil {
		return err
	}
	learner, err := e.learner.MarshalBinary()
	if err := put("learner", learner, err); err != nil {
		return err
	}
	eval, err := e.eval.MarshalBinary()
	if err := put("evaluator", eval, err); err != nil {
		return err
	}
	var names []byte
	for _, n := range e.levels.Names {
		names = append(binary.AppendUvarint(names, uint64(len(n))), n...)
	}
	if err := put("levels", names, nil); err != nil {
		return err
	}
	counters, err := binary.Append(nil, binary.LittleEndian, e.at)
	return put("counters", counters, err)
}

// Process implements exec.Operator.
func (e *trainEvent) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	for from := 0; from < in.Rows(); {
		to := e.next(in, from)
		if to > from {
			if err := e.learnRows(in.Slice(from, to)); err != nil {
				return err
			}
			if b, ok := e.learner.(ml.Batcher); ok && b.Room() == 0 {
				b.Scale(e.prep.Lines())
			}
		}
		if err := e.due(in, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// next returns the end of the next slice of a batch: before the row that makes a version due, or
// after the row that makes a log entry due.
func (e *trainEvent) next(in *flow.Batch, from int) int {
	to := in.Rows()
	if b, ok := e.learner.(ml.Batcher); ok {
		to = min(to, from+b.Room())
	}
	to = min(to, from+int(logEvery-e.at.Read%logEvery))
	if e.PublishRows > 0 {
		to = min(to, from+int(e.PublishRows-e.at.Read%e.PublishRows))
	}
	if e.PublishEvery > 0 {
		times := in.Times()
		if e.at.Due == 0 {
			e.at.Due = times[from] + e.PublishEvery
		}
		for i := from; i < to; i++ {
			if times[i] >= e.at.Due {
				return i
			}
		}
	}
	return to
}

// due publishes and logs what the rows before next have made due.
func (e *trainEvent) due(in *flow.Batch, next int) error {
	if e.at.Read%logEvery == 0 && e.at.Read > 0 && e.Evaluate {
		e.positive(e.eval, e.levels.Names)
		if err := e.note("prequential", "", e.at.Read, e.at.Last, e.eval.Metrics()); err != nil {
			return err
		}
	}
	timeDue := e.PublishEvery > 0 && next < in.Rows() && in.Times()[next] >= e.at.Due
	if timeDue {
		behind := in.Times()[next] - e.at.Due
		e.at.Due += (behind/e.PublishEvery + 1) * e.PublishEvery
	}
	if timeDue || e.PublishRows > 0 && e.at.Read%e.PublishRows == 0 {
		return e.version()
	}
	return nil
}

func (e *trainEvent) learnRows(in *flow.Batch) error {
	p, err := e.part(in)
	if err != nil || p.rows == 0 {
		return err
	}
	use, w, err := e.choose(p)
	if err != nil {
		return err
	}
	old, now, ok, err := e.prep.Roll(e.features(p), p.rows, use, w, &e.buf)
	if err != nil {
		return err
	}
	if _, unscaled := e.learner.(ml.Batcher); unscaled {
		now = e.prep.Unscaled(now, &e.buf)
	}
	y, err := e.target(p, e.levels, ok)
	if err != nil {
		return err
	}
	e.at.Read += int64(p.rows)
	u := compress(old, now, y, w, ok)
	if n := p.rows - u.now.Rows; n > 0 {
		e.skip(p, ok, e.prep)
		if e.Options.Text("on_null") == "error" {
			return fmt.Errorf("model %s: a row cannot be learned, and on_null is 'error'; the first: %w", e.Model, e.first)
		}
		e.at.Skipped += int64(n)
	}
	if u.now.Rows == 0 {
		return nil
	}
	if e.at.Used == 0 {
		e.at.First = p.from
	}
	e.at.Used += int64(u.now.Rows)
	e.at.First, e.at.Last = min(e.at.First, p.from), max(e.at.Last, p.to)
	return e.test(u)
}

// test predicts, evaluates and learns rows.
func (e *trainEvent) test(u rolled) error {
	out := make([]float64, u.now.Rows)
	var proba ml.Matrix
	if e.typ.Task == ml.Classify && e.Evaluate {
		proba.Rows = u.now.Rows
		for range max(len(e.levels.Names), 2) {
			proba.Cols = append(proba.Cols, make([]float64, u.now.Rows))
		}
	}
	y := u.y
	if !e.typ.Task.Supervised() {
		y = nil
	}
	if err := ml.Test(e.learner, u.old, u.now, y, u.w, out, proba); err != nil {
		return err
	}
	if e.Evaluate && u.y != nil {
		e.positive(e.eval, e.levels.Names)
		e.eval.Add(out, u.y, proba)
	}
	return nil
}

// rolled is a set of rows as prepared before and after the preparation learned them.
type rolled struct {
	old, now ml.Matrix
	y, w     []float64
}

// compress drops the rows that are not ok.
func compress(old, now ml.Matrix, y, w []float64, ok []bool) rolled {
	if !slices.Contains(ok, false) {
		return rolled{old, now, y, w}
	}
	before, after := usable(old, nil, nil, ok), usable(now, y, w, ok)
	return rolled{before.x, after.x, after.y, after.w}
}

// Finish implements exec.Finisher. It publishes a version if rows were learned since the last one,
// because a bounded input ends with a version.
func (e *trainEvent) Finish(exec.Emit) error {
	if e.at.Used == 0 {
		return fmt.Errorf("model %s: %w", e.Model, e.complete(0, e.at.Read))
	}
	if e.at.Used == e.at.Published {
		return nil
	}
	return e.version()
}

// version publishes the learner in its present condition. It does nothing if no row has been
// learned.
func (e *trainEvent) version() error {
	if e.at.Used == 0 || e.at.Used == e.at.Published {
		return nil
	}
	e.at.Published = e.at.Used
	// The version owns its preparation: later rows must not change it.
	bytes, err := e.prep.MarshalBinary()
	if err != nil {
		return err
	}
	prep, err := ml.LoadPreparation(bytes, e.reads)
	if err != nil {
		return err
	}
	if b, ok := e.learner.(ml.Batcher); ok {
		b.Scale(e.prep.Lines())
	}
	spec := e.spec()
	b := &ml.Bundle{Spec: spec, Inputs: e.inputs(), Source: e.Source, Preparation: prep, Model: e.learner.Model(),
		Target: e.TargetColumn}
	if e.typ.Task == ml.Classify {
		b.Classes = slices.Clone(e.levels.Names)
	}
	m := e.manifest(e.at.First, e.at.Last, map[string]int64{"read": e.at.Read, "used": e.at.Used, "seen": e.at.Used,
		"skipped": e.at.Skipped})
	var metrics []ml.Metric
	if e.Evaluate {
		e.positive(e.eval, e.levels.Names)
		metrics = e.eval.Metrics()
	}
	e.ctx.Progress(exec.Progress{Job: e.ctx.Job, Model: e.Model, Rows: e.at.Read})
	return e.publish(Version{b, m}, "prequential", metrics)
}
