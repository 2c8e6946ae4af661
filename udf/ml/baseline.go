package ml

import (
	"fmt"
	"math"
)

// The baselines that every model must outperform. They ignore all features.

var _ = builtin(Type{
	Name: "majority_class", Task: Classify, Version: 1, Blind: true, Trains: Once | Window | Decay | Event,
	Doc: "predicts the class seen most often so far; ties go to the lowest class",
	Examples: []Example{
		{
			"CREATE MODEL base TARGET class FROM electricity TRAIN EACH EVENT WITH (type='majority_class')",
			"accuracy 57.5 % on Electricity",
		},
	},
	New:  func(s Spec) (Learner, error) { return &baseline{kind: majority}, nil },
	Load: func(s Spec, b []byte) (Model, error) { return loadBaseline(majority, b) },
})

var _ = builtin(Type{
	Name: "no_change", Task: Classify, Version: 1, Blind: true, Trains: Once | Window | Event,
	Doc: "predicts the class of the row before; a classifier of a stream that does not beat it shows no skill",
	Examples: []Example{
		{
			"CREATE MODEL base TARGET class FROM electricity TRAIN EACH EVENT WITH (type='no_change')",
			"accuracy 85.3 % on Electricity",
		},
	},
	New:  func(s Spec) (Learner, error) { return &baseline{kind: noChange}, nil },
	Load: func(s Spec, b []byte) (Model, error) { return loadBaseline(noChange, b) },
})

var _ = builtin(Type{
	Name: "mean", Task: Regress, Version: 1, Blind: true, Trains: Once | Window | Decay | Event,
	Doc:      "predicts the weighted mean of the target so far",
	Examples: []Example{{"CREATE MODEL base TARGET price FROM houses WITH (type='mean')", "r2 0"}},
	New:      func(s Spec) (Learner, error) { return &baseline{kind: mean}, nil },
	Load:     func(s Spec, b []byte) (Model, error) { return loadBaseline(mean, b) },
})

const (
	majority = iota
	noChange
	mean
)

// maxClasses bounds class numbers, so that a column of identifiers taken for a target is an
// error and not a table of a million rows.
const maxClasses = 10_000

// baseline is learner and model in one; Model copies it.
type baseline struct {
	kind   int
	counts []float64 // weight by class
	value  float64   // the last class, or the mean
	weight float64
	undone int64
}

func (b *baseline) Learn(x Matrix, y, w []float64) error {
	for r := range y[:min(x.Rows, len(y))] {
		if err := b.learn(y[r], at(w, r)); err != nil {
			return err
		}
	}
	return nil
}

func at(w []float64, r int) float64 {
	if w == nil {
		return 1
	}
	return w[r]
}

// class checks a class number.
func class(y float64) (int, error) {
	if !(y >= 0 && y < maxClasses && y == math.Trunc(y)) {
		return 0, fmt.Errorf("a class number is a whole number from 0 to %d, not %v", maxClasses-1, y)
	}
	return int(y), nil
}

func (b *baseline) learn(y, w float64) error {
	if b.kind == mean {
		total := b.weight + w
		next := b.value + float64((y-b.value)*(w/total))
		if w > 0 && !math.IsInf(total, 0) && next-next == 0 {
			b.value, b.weight = next, total
		} else if w != 0 {
			b.undone++
		}
		return nil
	}
	k, err := class(y)
	if err != nil {
		return err
	}
	for len(b.counts) <= k {
		b.counts = append(b.counts, 0)
	}
	if total := b.counts[k] + w; total-total == 0 {
		b.counts[k] = total
		if w > 0 && b.kind == noChange {
			b.value = y
		}
	} else {
		b.undone++
	}
	return nil
}

func (b *baseline) predict() float64 {
	if b.kind != majority {
		return b.value
	}
	best := 0
	for k, n := range b.counts {
		if n > b.counts[best] {
			best = k
		}
	}
	return float64(best)
}

func (b *baseline) Test(old, x Matrix, y, w, out []float64, proba Matrix) error {
	for r := range x.Rows {
		out[r] = b.predict()
		b.proba(proba, r)
		if err := b.learn(y[r], at(w, r)); err != nil {
			return err
		}
	}
	return nil
}

func (b *baseline) Predict(x Matrix, out []float64) error {
	v := b.predict()
	for r := range out[:x.Rows] {
		out[r] = v
	}
	return nil
}

// Proba is the share of each class for majority_class, certainty for no_change.
func (b *baseline) Proba(x, out Matrix) error {
	if b.kind == mean {
		return ErrCannot
	}
	for r := range x.Rows {
		b.proba(out, r)
	}
	return nil
}

func (b *baseline) proba(out Matrix, r int) {
	total := 0.0
	for _, n := range b.counts {
		total += n
	}
	for k := range out.Cols {
		p := 0.0
		switch {
		case b.kind == noChange || total == 0:
			if float64(k) == b.predict() {
				p = 1
			}
		case k < len(b.counts):
			p = b.counts[k] / total
		}
		out.Cols[k][r] = p
	}
}

// Explain returns 0 for every feature, because a baseline looks at none.
func (b *baseline) Explain(x, out Matrix) error {
	for _, col := range out.Cols {
		clear(col[:x.Rows])
	}
	return nil
}

func (b *baseline) Model() Model {
	c := *b
	c.counts = append([]float64(nil), b.counts...)
	return &c
}

// Warm starts from the counts of an earlier version.
func (b *baseline) Warm(m Model, c Carry) error {
	from, ok := m.(*baseline)
	if !ok || from.kind != b.kind {
		return fmt.Errorf("%w: cannot start from %T", ErrShape, m)
	}
	b.counts, b.value, b.weight = nil, from.value, from.weight
	for k, n := range from.counts {
		if k = c.class(k); k >= 0 {
			b.counts = append(b.counts, make([]float64, max(k+1-len(b.counts), 0))...)
			b.counts[k] = n
		}
	}
	if b.kind == noChange {
		b.value = float64(max(c.class(int(from.value)), 0))
	}
	return nil
}

// Decay multiplies the counts by x.
func (b *baseline) Decay(x float64) {
	b.weight = float64(b.weight * x)
	for k := range b.counts {
		b.counts[k] = float64(b.counts[k] * x)
	}
}

// Undone counts the rows that would have left a sum that is not finite.
func (b *baseline) Undone() int64 { return b.undone }

func (b *baseline) MarshalBinary() ([]byte, error) {
	var p Payload
	p.PutFloats("counts", b.counts)
	p.PutFloats("state", []float64{b.value, b.weight})
	p.PutInts("undone", []int64{b.undone})
	return p.MarshalBinary()
}

func (b *baseline) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	counts, err := p.Floats("counts", -1)
	if err != nil {
		return err
	}
	state, err := p.Floats("state", 2)
	if err != nil {
		return err
	}
	undone, err := p.Ints("undone", 1)
	if err != nil {
		return err
	}
	if len(counts) > maxClasses {
		return fmt.Errorf("%w: %d classes", ErrShape, len(counts))
	}
	if err := finite("counts", counts...); err != nil {
		return err
	}
	if err := finite("state", state...); err != nil {
		return err
	}
	if _, err := class(state[0]); err != nil && b.kind != mean {
		return fmt.Errorf("%w: %v", ErrShape, err)
	}
	b.counts, b.value, b.weight, b.undone = counts, state[0], state[1], undone[0]
	return nil
}

func loadBaseline(kind int, data []byte) (Model, error) {
	b := &baseline{kind: kind}
	return b, b.UnmarshalBinary(data)
}
