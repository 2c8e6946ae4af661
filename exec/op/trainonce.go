package op

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf/ml"
)

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
// threshold. warm: it starts from the newest version.
func (t *trainer) learn(s *sample, warm bool) (Version, error) {
	s.cut()
	for _, p := range s.parts {
		if widths, known := widthsOf(p.cols[:len(t.Features)]); known {
			t.shape(widths)
			break
		}
	}
	var last *ml.Bundle
	if warm {
		last = t.earlier()
	}
	prep, err := t.fit(s, last)
	if err != nil {
		return Version{}, err
	}
	levels := t.levels()
	if last != nil && !t.Options.Has("classes") {
		for _, name := range last.Classes { // a class that no row of this training has is not forgotten
			levels.Add(name)
		}
	}
	used, err := t.tidy(s, prep, levels)
	if err != nil {
		return Version{}, err
	}
	rows := int64(0)
	for _, u := range used {
		rows += int64(u.x.Rows)
	}
	if err := t.complete(rows, int64(s.held)); err != nil {
		return Version{}, err
	}
	spec := ml.Spec{Type: t.Type, Features: prep.Features(), Options: t.Options, Mode: ml.Once,
		Classes: len(levels.Names)}
	learner, err := t.typ.New(spec)
	if err != nil {
		return Version{}, err
	}
	if last != nil {
		t.warm(learner, last, prep, levels)
	}
	for _, u := range used {
		if err := learner.Learn(u.x, u.y, u.w); err != nil {
			return Version{}, err
		}
	}
	losses, err := t.passes(learner, rows)
	if err != nil {
		return Version{}, err
	}
	b := &ml.Bundle{Spec: spec, Inputs: t.inputs(), Source: t.Source, Preparation: prep, Model: learner.Model(),
		Target: t.TargetColumn}
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

// fit learns the preparation from the rows of the sample that may be learned.
func (t *trainer) fit(s *sample, last *ml.Bundle) (*ml.Preparation, error) {
	prep, err := ml.NewPreparation(t.items, t.reads)
	if err != nil {
		return nil, err
	}
	if last != nil {
		prep.Remember(last.Preparation)
	}
	for _, p := range s.parts {
		use, w, err := t.choose(p)
		if err != nil {
			return nil, err
		}
		if err := prep.Fit(t.features(p), p.rows, use, w, &t.buf); err != nil {
			return nil, err
		}
	}
	prep.Freeze()
	return prep, nil
}

// complete returns an error if no row can be learned, or if one cannot and the model has
// on_null='error'.
func (t *trainer) complete(used, held int64) error {
	switch {
	case held > used && t.Options.Text("on_null") == "error":
		return fmt.Errorf("%d rows cannot be learned, and on_null is 'error'; the first: %w", held-used, t.first)
	case used == 0 && t.first != nil:
		return fmt.Errorf("%w among %d; the first: %w", ml.ErrNoRows, held, t.first)
	case used == 0:
		return ml.ErrNoRows
	}
	return nil
}

// rowsOf is a set of prepared rows, all of them usable.
type rowsOf struct {
	x    ml.Matrix
	y, w []float64
}

// tidy prepares the sample and drops the rows that cannot be learned, because of a missing feature,
// a missing target or a bad weight. It counts each of them.
func (t *trainer) tidy(s *sample, prep *ml.Preparation, levels *ml.Levels) ([]rowsOf, error) {
	var out []rowsOf
	for k, p := range s.parts {
		x, ok, err := prep.TransformToLearn(t.features(p), p.rows, &t.buf)
		if err != nil {
			return nil, err
		}
		use, w, err := t.choose(p)
		if err != nil {
			return nil, err
		}
		for i := range use {
			use[i] = use[i] && ok[i]
		}
		y, err := t.target(p, levels, use)
		if err != nil {
			return nil, err
		}
		t.skip(p, use, prep)
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

// earlier returns the version from which a training starts, or nil if there is none that fits.
func (t *trainer) earlier() *ml.Bundle {
	if !t.typ.Trains.Has(ml.Warm) && t.Mode != ml.Decay {
		return nil
	}
	v, _, err := t.ctx.Models.Version(t.Model, 0, nil, false)
	if err != nil || v == nil {
		return nil
	}
	last := v.(*ml.Bundle)
	if now := t.TargetColumn; t.typ.Task.Supervised() && (last.Target.Name != now.Name || last.Target.Type == nil ||
		!arrow.TypeEqual(last.Target.Type, now.Type)) {
		t.cold(fmt.Errorf("%w: it predicts %s", ml.ErrShape, last.Target.Name))
		return nil
	}
	return last
}

// warm starts a learner from an earlier version, with the weight that DECAY leaves to it.
func (t *trainer) warm(l ml.Learner, last *ml.Bundle, prep *ml.Preparation, levels *ml.Levels) {
	w, ok := l.(ml.Warmer)
	if !ok {
		return
	}
	if err := w.Warm(last.Model, last.Carry(prep, levels.Names)); err != nil {
		t.cold(err)
		return
	}
	if d, ok := l.(ml.Decayer); ok && t.Mode == ml.Decay {
		d.Decay(t.Decay)
	}
}

// cold reports that a training starts without the earlier version, and why.
func (t *trainer) cold(why error) {
	t.ctx.Fail(exec.Failure{Code: "SQ6303", Err: fmt.Errorf("the training starts anew: %w", why), Source: t.Model,
		Side: "row"})
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
	var scores, weights []float64
	for _, u := range used {
		out := make([]float64, u.x.Rows)
		if a, ok := b.Model.(ml.Assigner); ok && t.typ.Task == ml.Cluster {
			if err := a.Assign(u.x, make([]float64, u.x.Rows), out); err != nil {
				return err
			}
		} else if err := b.Model.Predict(u.x, out); err != nil {
			return err
		}
		scores, weights = append(scores, out...), append(weights, u.w...)
	}
	b.Threshold, b.HasThreshold = ml.Threshold(t.Options.Value("threshold"), scores, weights)
	return nil
}
