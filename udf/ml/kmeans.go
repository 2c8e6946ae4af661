package ml

import (
	"errors"
	"fmt"
	"math"

	"github.com/streamql/streamql/udf/ml/fmath"
)

var _ = builtin(Type{
	Name: "kmeans", Task: Cluster, Version: 1, Prepare: true, Trains: Once | Window | Warm | Decay | Event,
	Doc: "assigns each row to the nearest of k centres. ONCE and by windows: Lloyd's passes over the rows until " +
		"no row changes its centre. " +
		"By events: mini-batches move the centres, old rows weighing less by decay",
	Paper: "S. Lloyd, 1982; D. Arthur and S. Vassilvitskii, k-means++, 2007; D. Sculley, Web-scale k-means " +
		"clustering, 2010",
	Options: []Option{
		{Name: "k", Kind: Int, Default: int64(8), Min: 1, Max: 10_000, Doc: "number of centres"},
		{Name: "batch_size", Kind: Int, Default: int64(1024), Min: 1, Max: 1_000_000, Doc: "rows of a mini-batch"},
		{Name: "decay", Kind: Float, Default: 1.0, Min: 0, Max: 1, Doc: "weight of the past at each mini-batch"},
		{
			Name:  "half_life",
			Kind:  Float,
			Min:   0,
			Max:   1e15,
			Above: true,
			Doc:   "rows after which the past weighs half; instead of decay",
		},
		{Name: "epochs", Kind: Int, Default: int64(100), Min: 1, Max: 100_000, Doc: "passes over the rows at most"},
	},
	Examples: []Example{
		{
			"CREATE MODEL groups FROM cars WITH (type='kmeans', k=3)",
			"SELECT CLUSTER(groups, *), DISTANCE(groups, *) FROM cars",
		},
	},
	New:  func(s Spec) (Learner, error) { return newKMeans(s), nil },
	Load: loadKMeans,
})

// kmeans is the learner. In passes it stores all rows; by events only the current mini-batch. Its
// centres and rows by events are not scaled: lines scales them for a mini-batch and for a model.
type kmeans struct {
	spec Spec
	k    int
	centres
	lines    []Line  // by feature; a feature beyond them is not scaled
	prior    centres // of an earlier version, with the weight of its rows in each pass; none without Decay
	kept     reservoir[float64]
	passes   bool
	epoch    int
	done     bool
	assigned []int32
	losses   []float64
	skipped  int64
}

func newKMeans(s Spec) *kmeans {
	l := &kmeans{spec: s, k: s.Options.Int("k"), passes: !s.online()}
	l.features = len(s.Features)
	l.kept = newReservoir[float64](s.Options.Int("max_rows"), l.features, s.seed())
	if !l.passes {
		l.kept.max = l.batch()
	}
	return l
}

func (l *kmeans) batch() int { return l.spec.Options.Int("batch_size") }

func (l *kmeans) Learn(x Matrix, _, w []float64) error { return l.learn(x, w, nil, Matrix{}) }

// Test assigns each row to the centres as of the last full mini-batch; NaN before the first.
func (l *kmeans) Test(old, x Matrix, _, w, out []float64, _ Matrix) error {
	if l.passes {
		return fmt.Errorf("kmeans trained in passes cannot predict between rows")
	}
	return l.learn(x, w, out, old)
}

func (l *kmeans) learn(x Matrix, w, out []float64, old Matrix) error {
	if len(x.Cols) > l.features {
		l.grow(len(x.Cols))
	}
	if l.passes {
		l.skipped += int64(l.kept.add(x, w, rowLimit))
		return nil
	}
	for from := 0; from < x.Rows; {
		l.flush()
		n := min(x.Rows-from, l.Room())
		if out != nil {
			m := kmeansModel{l.scaled()}
			if err := m.Predict(old.Slice(from, from+n), out[from:from+n]); err != nil {
				return err
			}
		}
		var weights []float64
		if w != nil {
			weights = w[from : from+n]
		}
		l.skipped += int64(l.kept.add(x.Slice(from, from+n), weights, rowLimit))
		from += n
	}
	return nil
}

// Room implements Batcher.
func (l *kmeans) Room() int { return l.batch() - l.kept.kept }

// Scale implements Batcher.
func (l *kmeans) Scale(lines []Line) {
	l.lines = lines
	l.flush()
}

// flush learns the mini-batch if it is full.
func (l *kmeans) flush() {
	if l.passes || l.Room() > 0 {
		return
	}
	l.centres = l.flushed()
	for c, line := range l.lines {
		for at := c; at < len(l.c); at += stride(l.features) {
			if l.c[at] -= line.Shift; line.Scale != 0 {
				l.c[at] /= line.Scale
			}
		}
	}
	l.kept.kept, l.kept.seen, l.kept.rows, l.kept.weights = 0, 0, l.kept.rows[:0], nil
}

// scaled is the centres on the scale of prepared rows.
func (l *kmeans) scaled() centres {
	if len(l.lines) == 0 {
		return l.centres
	}
	v := l.centres.clone()
	scaleRows(v.c, stride(v.features), l.lines)
	return v
}

func scaleRows(values []float64, stride int, lines []Line) {
	for c, line := range lines {
		for at := c; at < len(values); at += stride {
			values[at] = float64(values[at]*line.Scale) + line.Shift
		}
	}
}

// flushed is the scaled centres after the mini-batch being gathered.
func (l *kmeans) flushed() centres {
	scaled := l.scaled()
	v, rows := scaled.clone(), l.rowset()
	if len(l.lines) > 0 {
		rows.values = append([]float64(nil), rows.values...)
		scaleRows(rows.values, rows.stride, l.lines)
	}
	if v.len() == 0 && rows.n > 0 {
		v.start(l.k, rows, NewRand(l.spec.seed(), "kmeans", 0))
		v.settle(rows)
	} else if v.len() > 0 && rows.n > 0 {
		v.update(rows, v.clone(), l.past(rows.n), nil)
	}
	return v
}

func (l *kmeans) past(rows int) float64 {
	if half := l.spec.Options.Float("half_life"); half > 0 {
		return fmath.Exp(-math.Ln2 * float64(rows) / half)
	}
	return l.spec.Options.Float("decay")
}

// rowset returns the stored rows, padded for the kernels.
func (l *kmeans) rowset() rowset {
	v := &l.kept
	n := stride(l.features)
	return rowset{values: widen(v.rows, v.kept, v.width, n), stride: n, n: v.kept, weights: v.weights}
}

// Pass is one of Lloyd's: assign, then move each centre to the mean of its rows. The first
// chooses the centres.
func (l *kmeans) Pass() (bool, error) {
	if !l.passes || l.done || l.kept.kept == 0 {
		return false, nil
	}
	l.kept.grow(l.features)
	rows := l.rowset()
	if l.epoch == 0 {
		if l.len() == 0 {
			l.start(l.k, rows, NewRand(l.spec.seed(), "kmeans", 0))
		}
		l.assigned = make([]int32, rows.n)
		for i := range l.assigned {
			l.assigned[i] = -1
		}
	}
	sse, changed := l.update(rows, l.prior, 1, l.assigned)
	l.losses = append(l.losses, sse/float64(rows.n))
	l.epoch++
	l.done = !changed || l.epoch >= l.spec.Options.Int("epochs")
	return !l.done, nil
}

// Losses is the mean squared distance before each pass' move.
func (l *kmeans) Losses() []float64 { return l.losses }

// Rows visits the stored rows.
func (l *kmeans) Rows(visit func(Matrix) error) error { return l.kept.visit(visit) }

// Undone counts the rows that were not finite.
func (l *kmeans) Undone() int64 { return l.skipped }

// Warm starts from an earlier model's centres and weights.
func (l *kmeans) Warm(m Model, c Carry) error {
	from, ok := m.(*kmeansModel)
	if !ok || from.len() > l.k {
		return fmt.Errorf("%w: cannot start from %T", ErrShape, m)
	}
	now := centres{features: l.features, counts: append([]float64(nil), from.counts...)}
	if c.Features == nil {
		now.features = max(l.features, from.features)
	}
	n, had := stride(now.features), stride(from.features)
	now.c = make([]float64, now.len()*n)
	for k := range now.counts {
		for f := range now.features {
			// a feature that the earlier version did not have is 0, the mean of a scaled number
			if i, line := c.feature(f, from.features); i >= 0 {
				now.c[k*n+f] = (from.c[k*had+i] - line.Shift) / line.Scale
			}
		}
	}
	if err := finite("centres", now.c...); err != nil {
		return err
	}
	l.centres = now
	return nil
}

// Decay reduces the weight of all rows that the centres have learned. They keep that weight in each pass over new rows.
func (l *kmeans) Decay(x float64) {
	for k := range l.counts {
		l.counts[k] = float64(l.counts[k] * x)
	}
	if l.passes {
		l.prior = l.centres.clone()
	}
}

// Model returns the centres, including the rows since the last mini-batch.
func (l *kmeans) Model() Model {
	if l.passes {
		return &kmeansModel{l.centres.clone()}
	}
	return &kmeansModel{l.flushed()}
}

func (l *kmeans) MarshalBinary() ([]byte, error) {
	var p Payload
	l.centres.put(&p, "")
	l.prior.put(&p, "prior.")
	l.kept.put(&p)
	done := int64(0)
	if l.done {
		done = 1
	}
	p.PutInts("counters", []int64{int64(l.epoch), done, l.skipped})
	assigned := make([]int64, len(l.assigned))
	for i, k := range l.assigned {
		assigned[i] = int64(k)
	}
	p.PutInts("assigned", assigned)
	p.PutFloats("losses", l.losses)
	lines := make([]float64, 0, 2*len(l.lines))
	for _, line := range l.lines {
		lines = append(lines, line.Scale, line.Shift)
	}
	p.PutFloats("lines", lines)
	return p.MarshalBinary()
}

func (l *kmeans) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	if err := errors.Join(l.centres.get(&p, ""), l.prior.get(&p, "prior.")); err != nil {
		return err
	}
	if err := l.kept.get(&p); err != nil {
		return err
	}
	n, err := p.Ints("counters", 3)
	if err != nil {
		return err
	}
	l.epoch, l.done, l.skipped = int(n[0]), n[1] == 1, n[2]
	assigned, err := p.Ints("assigned", -1)
	if err != nil {
		return err
	}
	if l.epoch > 0 && len(assigned) != l.kept.kept || l.kept.width > l.features {
		return fmt.Errorf(
			"%w: %d assignments for %d rows of %d features",
			ErrShape,
			len(assigned),
			l.kept.kept,
			l.kept.width,
		)
	}
	l.assigned = make([]int32, len(assigned))
	for i, k := range assigned {
		l.assigned[i] = int32(k)
	}
	if l.losses, err = p.Floats("losses", -1); err != nil {
		return err
	}
	lines, err := p.Floats("lines", -1)
	if err != nil {
		return err
	}
	if len(lines)%2 != 0 || len(lines)/2 > stride(l.features) {
		return fmt.Errorf("%w: %d lines for %d features", ErrShape, len(lines)/2, l.features)
	}
	l.lines = nil
	for ; len(lines) > 0; lines = lines[2:] {
		l.lines = append(l.lines, Line{lines[0], lines[1]})
	}
	return nil
}
