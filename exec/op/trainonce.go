package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf/ml"
)

var nan = math.NaN()

func numberAt(col arrow.Array, i int) float64 {
	return expr.Float64(flow.Value(col, i), col.DataType())
}

// sample holds at most max rows to learn from. Of more rows it keeps those with the smallest hash
// of (seed, row number): a uniform sample that does not depend on how the input was cut into
// batches.
type sample struct {
	parts []part
	rank  [][]uint64
	max   int
	seed  uint64
	seen  int64
	held  int
	from  int64
	to    int64
}

func newSample(o ml.Options) *sample {
	return &sample{max: max(o.Int("max_rows"), 1), seed: uint64(o.Int("seed"))}
}

func (s *sample) add(p part) {
	if p.rows == 0 {
		return
	}
	if s.seen == 0 {
		s.from, s.to = p.from, p.to
	}
	s.from, s.to = min(s.from, p.from), max(s.to, p.to)
	rank := make([]uint64, p.rows)
	for i := range rank {
		rank[i] = mix(s.seed ^ mix(uint64(s.seen)))
		s.seen++
	}
	s.parts, s.rank, s.held = append(s.parts, p), append(s.rank, rank), s.held+p.rows
	if s.held > 2*s.max {
		s.cut()
	}
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// cut drops all rows but the max rows of smallest rank.
func (s *sample) cut() {
	if s.held <= s.max {
		return
	}
	all := slices.Concat(s.rank...)
	slices.Sort(all)
	limit := all[s.max-1]
	for k, p := range s.parts {
		var rows []int32
		var rank []uint64
		for i, r := range s.rank[k] {
			if r <= limit {
				rows, rank = append(rows, int32(i)), append(rank, r)
			}
		}
		for c := range p.cols {
			s.parts[k].cols[c] = flow.Take(p.cols[c], rows)
		}
		s.held += len(rows) - p.rows
		s.parts[k].rows, s.rank[k] = len(rows), rank
	}
}

// trainOnce collects the rows of a bounded input and learns them at its end. Until then the rows
// are in memory only, so the task does not commit, and starts again after a crash.
type trainOnce struct {
	*trainer
	rows    *sample
	done    bool
	charged int64
}

// Process implements exec.Operator.
func (t *trainOnce) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	before := t.ctx.Account.Used()
	p, err := t.part(in)
	if err != nil {
		return err
	}
	held := t.rows.held
	t.rows.add(p)
	t.ctx.Account.Settle(before, 0)
	t.charge(held+p.rows != t.rows.held, p)
	return t.ctx.Account.Err()
}

// Holds implements exec.Holder.
func (t *trainOnce) Holds() bool { return t.rows.seen > 0 && !t.done }

// Finish implements exec.Finisher. It trains and publishes the version.
func (t *trainOnce) Finish(exec.Emit) error {
	t.done = true
	v, err := t.learn(t.rows, t.Warm)
	if err != nil {
		return fmt.Errorf("model %s: %w", t.Model, err)
	}
	return t.publish(v, "training", nil)
}

// learn fits the preparation, trains a learner over the sample in one or more passes, and sets the
// threshold.
func (t *trainer) learn(s *sample, warm bool) (Version, error) {
	s.cut()
	for _, p := range s.parts {
		if widths, known := widthsOf(p.cols[:len(t.Features)]); known {
			t.shape(widths)
			break
		}
	}
	prep, err := ml.NewPreparation(t.items, t.reads)
	if err != nil {
		return Version{}, err
	}
	for _, p := range s.parts {
		if err := prep.Fit(t.features(p), p.rows, nil, &t.buf); err != nil {
			return Version{}, err
		}
	}
	prep.Freeze()
	levels := t.levels()
	spec := ml.Spec{Type: t.Type, Features: prep.Features(), Options: t.Options, Mode: ml.Once}
	used, err := t.tidy(s, prep, levels)
	if err != nil {
		return Version{}, err
	}
	spec.Classes = len(levels.Names)
	learner, err := t.typ.New(spec)
	if err != nil {
		return Version{}, err
	}
	if warm {
		t.warm(learner)
	}
	rows := int64(0)
	if err := t.complete(used, int64(s.held)); err != nil {
		return Version{}, err
	}
	for _, u := range used {
		rows += int64(u.x.Rows)
		if err := learner.Learn(u.x, u.y, u.w); err != nil {
			return Version{}, err
		}
	}
	if rows == 0 {
		return Version{}, ml.ErrNoRows
	}
	losses, err := t.passes(learner, rows)
	if err != nil {
		return Version{}, err
	}
	b := &ml.Bundle{Spec: spec, Inputs: t.inputs(), Preparation: prep, Model: learner.Model(), Target: t.TargetColumn}
	if t.typ.Task == ml.Classify {
		b.Classes = levels.Names
	}
	if err := t.threshold(b, used); err != nil {
		return Version{}, err
	}
	m := t.manifest(s.from, s.to, map[string]int64{"read": s.seen, "seen": int64(s.held), "used": rows,
		"skipped": int64(s.held) - rows})
	m.Losses = losses
	if len(losses) > 0 {
		m.Metrics["training.loss"] = losses[len(losses)-1]
	}
	return Version{b, m}, nil
}

// complete returns an error if rows cannot be learned and the model has on_null='error'.
func (t *trainer) complete(used []rowsOf, held int64) error {
	if t.Options.Text("on_null") != "error" {
		return nil
	}
	for _, u := range used {
		held -= int64(u.x.Rows)
	}
	if held > 0 {
		return fmt.Errorf("%d rows have a missing feature or target, and on_null is 'error'", held)
	}
	return nil
}

// rowsOf is a set of prepared rows, all of them usable.
type rowsOf struct {
	x    ml.Matrix
	y, w []float64
}

// tidy prepares the sample and drops the rows that cannot be learned, because of a missing feature,
// a missing target or a bad weight.
func (t *trainer) tidy(s *sample, prep *ml.Preparation, levels *ml.Levels) ([]rowsOf, error) {
	var out []rowsOf
	for k, p := range s.parts {
		x, ok, err := prep.Transform(t.features(p), p.rows, &t.buf)
		if err != nil {
			return nil, err
		}
		use := slices.Clone(ok)
		y, err := t.target(p, levels)
		if err != nil {
			return nil, err
		}
		w := t.weights(p, use)
		if t.typ.Task.Supervised() {
			for i, v := range y {
				use[i] = use[i] && v == v
			}
		}
		if !t.typ.Task.Supervised() {
			y = nil
		}
		if u := usable(x, y, w, use); u.x.Rows > 0 {
			out = append(out, u)
		}
		s.parts[k] = part{} // frees the unprepared rows
	}
	return out, nil
}

// usable copies the rows that can be learned.
func usable(x ml.Matrix, y, w []float64, use []bool) rowsOf {
	var rows []int
	for i, good := range use {
		if good {
			rows = append(rows, i)
		}
	}
	take := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		out := make([]float64, len(rows))
		for i, r := range rows {
			out[i] = v[r]
		}
		return out
	}
	u := rowsOf{x: ml.Matrix{Rows: len(rows)}, y: take(y), w: take(w)}
	for _, c := range x.Cols {
		u.x.Cols = append(u.x.Cols, take(c))
	}
	return u
}

func (t *trainer) warm(l ml.Learner) {
	w, ok := l.(ml.Warmer)
	if !ok {
		return
	}
	last, _, err := t.ctx.Models.Version(t.Model, 0, false)
	if err != nil || last == nil {
		return
	}
	if err := w.Warm(last.(*ml.Bundle).Model); err != nil {
		t.ctx.Fail(exec.Failure{Code: "SQ6303", Err: fmt.Errorf("no warm start: %w", err), Source: t.Model,
			Side: "row"})
	}
}

// passes repeats a learner's pass over its rows until the learner has finished or the job is
// interrupted.
func (t *trainer) passes(l ml.Learner, rows int64) ([]float64, error) {
	p, ok := l.(ml.Passer)
	if !ok {
		return nil, nil
	}
	losses := func() []float64 {
		if l, ok := l.(ml.Loser); ok {
			return l.Losses()
		}
		return nil
	}
	for again := true; again; {
		var err error
		if again, err = p.Pass(); err != nil {
			return nil, err
		}
		report := exec.Progress{Job: t.ctx.Job, Model: t.Model, Rows: rows, Passes: t.Options.Int("epochs")}
		if all := losses(); len(all) > 0 {
			report.Pass, report.Loss = len(all), all[len(all)-1]
		}
		t.ctx.Progress(report)
		if t.ctx.Interrupted != nil && t.ctx.Interrupted() {
			break
		}
	}
	return losses(), nil
}

// threshold sets the score above which a row is an anomaly, from the scores of the training rows.
func (t *trainer) threshold(b *ml.Bundle, used []rowsOf) error {
	if t.typ.Task != ml.Anomaly && t.typ.Task != ml.Cluster {
		return nil
	}
	var scores []float64
	for _, u := range used {
		out := make([]float64, u.x.Rows)
		if a, ok := b.Model.(ml.Assigner); ok && t.typ.Task == ml.Cluster {
			if err := a.Assign(u.x, make([]float64, u.x.Rows), out); err != nil {
				return err
			}
		} else if err := b.Model.Predict(u.x, out); err != nil {
			return err
		}
		scores = append(scores, out...)
	}
	b.Threshold, b.HasThreshold = ml.Threshold(t.Options.Value("threshold"), scores)
	return nil
}

// Evaluate scores a version over rows with a target and adds the scores to an evaluator.
func Evaluate(b *ml.Bundle, features []arrow.Array, target arrow.Array, ev *ml.Evaluator) error {
	rows := target.Len()
	s := b.NewScoring()
	if err := s.Read(features, rows); err != nil {
		return err
	}
	out, ok, err := s.Raw()
	if err != nil {
		return err
	}
	actual := make([]float64, rows)
	levels := ml.NewLevels(b.Classes...)
	codes := make([]int32, rows)
	classes := len(b.Classes) > 0
	if classes {
		if err := levels.Codes(target, codes); err != nil {
			return err
		}
	}
	for i := range actual {
		switch {
		case !ok[i] || target.IsNull(i):
			actual[i] = nan
		case classes:
			actual[i] = float64(codes[i])
		case target.DataType().ID() == arrow.BOOL:
			if target.(*array.Boolean).Value(i) {
				actual[i] = 1
			}
		default:
			if actual[i] = numberAt(target, i); actual[i] != actual[i] {
				actual[i] = anomalous(flow.Value(target, i))
			}
		}
	}
	proba, err := s.RawProba()
	if err != nil {
		return err
	}
	ev.Add(out, actual, proba)
	return nil
}

// anomalous returns 1 for the text target of an anomaly, 'true' or 'yes', else 0.
func anomalous(v any) float64 {
	switch v {
	case "true", "TRUE", "yes", "1":
		return 1
	case "false", "FALSE", "no", "0":
		return 0
	}
	return nan
}
