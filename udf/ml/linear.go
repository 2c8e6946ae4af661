package ml

import (
	"fmt"

	"github.com/streamql/streamql/udf/ml/fmath"
)

var linearOptions = []Option{
	{Name: "lr", Kind: Float, Default: 0.01, Min: 0, Max: 1000, Above: true, Doc: "learning rate"},
	{Name: "l2", Kind: Float, Default: 0.0, Min: 0, Max: 1000, Doc: "penalty on the weights' squares"},
	{
		Name:    "epochs",
		Kind:    Int,
		Default: int64(20),
		Min:     1,
		Max:     100_000,
		Doc:     "passes over the rows; one when training is EACH EVENT",
	},
	{Name: "shuffle", Kind: Bool, Default: true, Doc: "learn the rows of a pass in random order"},
}

var _ = builtin(Type{
	Name: "logistic_regression", Task: Classify, Version: 1, Prepare: true, Options: linearOptions,
	Trains: Once | Window | Warm | Event,
	Doc: "the probability of a class is the sigmoid of a weighted sum; with more than two classes it is the softmax " +
		"of one weighted sum per class; learned by stochastic gradient descent on the log loss",
	Paper: "D. R. Cox, The regression analysis of binary sequences, 1958; H. Robbins and S. Monro, A stochastic " +
		"approximation method, 1951",
	Examples: []Example{
		{
			"CREATE MODEL price_up TARGET class FROM electricity TRAIN EACH EVENT WITH " +
				"(type='logistic_regression', lr=0.01)",
			"accuracy 82 % on Electricity",
		},
	},
	New:  func(s Spec) (Learner, error) { return newLinear(s, s.Classes > 2), nil },
	Load: loadLinear,
})

var _ = builtin(Type{
	Name: "softmax_regression", Task: Classify, Version: 1, Prepare: true, Options: linearOptions,
	Trains: Once | Window | Warm | Event,
	Doc: "the probability of each class is the softmax of its own weighted sum, also with two classes; " +
		"learned by stochastic gradient descent on the log loss",
	Paper: "J. S. Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990",
	Examples: []Example{
		{"CREATE MODEL digit TARGET label FROM digits WITH (type='softmax_regression')", "accuracy 91 % on digits"},
	},
	New:  func(s Spec) (Learner, error) { return newLinear(s, true), nil },
	Load: loadLinear,
})

// weights are the planes of a linear classifier: one, for class 1 against class 0, or one per
// class if soft. Each plane has stride(features) values; biases are stored separately.
type weights struct {
	soft     bool
	features int
	classes  int
	w, bias  []float64
	seen     []bool // by class: a row of it was learned; a class without rows is not predicted
	unseen   int    // the number of classes without rows
}

func (v *weights) planes() int { return len(v.bias) }

// margins writes each plane's sum for a row of a tile.
func (v *weights) margins(row, z []float64) {
	n := stride(v.features)
	for k := range z {
		z[k] = dot(v.w[k*n:(k+1)*n], row) + v.bias[k]
	}
}

// probabilities turns margins into class probabilities, in place when soft, and returns the
// most probable class, the lowest of equals. A margin that is not a number (huge features of
// both signs) counts as 0.
func (v *weights) probabilities(z, p []float64) int {
	for k := range z {
		if z[k] != z[k] {
			z[k] = 0
		}
	}
	if !v.soft {
		p[1] = fmath.Sigmoid(z[0])
		p[0] = 1 - p[1]
		if p[1] > 0.5 {
			return 1
		}
		return 0
	}
	best := 0
	for k := range z {
		z[k] = min(max(z[k], -1e300), 1e300)
		if z[k] > z[best] {
			best = k
		}
	}
	top, sum := z[best], 0.0
	for k := range z {
		p[k] = fmath.Exp(z[k] - top)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return best
}

// predict turns margins into the probabilities of the classes that have been seen, and returns the
// most probable one. If there is none, all classes count as seen.
func (v *weights) predict(z, p []float64) int {
	best := v.probabilities(z, p)
	if v.unseen == 0 || v.unseen == v.classes {
		return best
	}
	best = -1
	sum := 0.0
	for k := range p {
		if !v.seen[k] {
			p[k] = 0
			continue
		}
		if sum += p[k]; best < 0 || p[k] > p[best] {
			best = k
		}
	}
	for k := range p {
		if p[k] /= sum; sum == 0 {
			p[k] = 0
		}
	}
	if sum == 0 {
		p[best] = 1
	}
	return best
}

// see records that a class has rows.
func (v *weights) see(class int) {
	if !v.seen[class] {
		v.seen[class] = true
		v.unseen--
	}
}

// linear learns weights row by row with EACH EVENT. With ONCE and EACH WINDOW it collects the rows
// first, and then trains in several passes over them.
type linear struct {
	spec Spec
	lr   float64
	l2   float64
	weights
	next   weights // the weights and biases after the row, if they turn out finite
	undone int64

	passes bool
	kept   reservoir[float64]
	epoch  int
	losses []float64

	oldTile, newTile tile
	z, p             []float64
	order            []int32
}

func newLinear(s Spec, soft bool) *linear {
	l := &linear{spec: s, lr: s.Options.Float("lr"), l2: s.Options.Float("l2"), passes: !s.online()}
	l.soft, l.classes = soft, max(s.Classes, 2)
	l.seen, l.unseen = make([]bool, l.classes), l.classes
	l.bias = make([]float64, 1)
	if soft {
		l.bias = make([]float64, l.classes)
	}
	l.grow(len(s.Features))
	l.size()
	if l.passes {
		l.kept = newReservoir[float64](s.Options.Int("max_rows"), len(s.Features)+1, s.seed())
	}
	return l
}

// grow adds features with weight 0, so that no prediction changes.
func (l *linear) grow(features int) {
	if features > l.features || l.w == nil {
		l.w = widen(l.w, l.planes(), min(len(l.w)/max(l.planes(), 1), stride(l.features)), stride(features))
		if len(l.w) == 0 {
			l.w = make([]float64, l.planes()*stride(features))
		}
		l.features = max(features, l.features)
		l.size()
	}
}

// admit adds a class. The third class replaces one plane by equivalent planes per class: 0 for
// class 0, w for class 1.
func (l *linear) admit(class int) {
	if class < l.classes {
		return
	}
	n := stride(l.features)
	if !l.soft {
		l.soft = true
		l.w = append(make([]float64, n), l.w...)
		l.bias = append([]float64{0}, l.bias...)
	}
	more := class + 1 - l.classes
	l.seen, l.unseen = append(l.seen, make([]bool, more)...), l.unseen+more
	l.classes = class + 1
	l.w = append(l.w, make([]float64, l.classes*n-len(l.w))...)
	l.bias = append(l.bias, make([]float64, l.classes-len(l.bias))...)
	l.size()
}

func (l *linear) size() {
	l.next.w, l.next.bias = make([]float64, len(l.w)), make([]float64, len(l.bias))
	l.z, l.p = make([]float64, l.planes()), make([]float64, l.classes)
}

func (l *linear) Learn(x Matrix, y, w []float64) error {
	if y == nil {
		return fmt.Errorf("%s needs a target", l.spec.Type)
	}
	if l.passes {
		return l.keep(x, y, w)
	}
	return l.descend(x, x, y, w, nil, Matrix{})
}

// Test predicts each row of old and learns the row of x.
func (l *linear) Test(old, x Matrix, y, w, out []float64, proba Matrix) error {
	if l.passes {
		return fmt.Errorf("%s trained in passes cannot predict between rows", l.spec.Type)
	}
	return l.descend(old, x, y, w, out, proba)
}

func (l *linear) descend(old, x Matrix, y, w, out []float64, proba Matrix) error {
	l.grow(len(x.Cols))
	same := len(old.Cols) == len(x.Cols) && (len(x.Cols) == 0 || x.Rows == 0 || &old.Cols[0][0] == &x.Cols[0][0])
	for from := 0; from < x.Rows; from += tileRows {
		n := min(tileRows, x.Rows-from)
		l.newTile.gather(x, from, n, l.features)
		before := &l.newTile
		if out != nil && !same {
			l.oldTile.gather(old, from, n, l.features)
			before = &l.oldTile
		}
		for r := range n {
			k, err := class(y[from+r])
			if err != nil {
				return err
			}
			if out != nil {
				l.margins(before.row(r), l.z)
				out[from+r] = float64(l.predict(l.z, l.p))
				for c := range proba.Cols {
					proba.Cols[c][from+r] = 0
					if c < len(l.p) {
						proba.Cols[c][from+r] = l.p[c]
					}
				}
			}
			l.learn(l.newTile.row(r), k, at(w, from+r), out != nil && before == &l.newTile && l.unseen == 0)
		}
	}
	return nil
}

// learn moves the weights against the gradient of one row's log loss, (p - y) x, or leaves them
// if one would not be finite. known: l.p already holds the row's probabilities.
func (l *linear) learn(row []float64, class int, weight float64, known bool) (loss float64) {
	if class >= l.classes {
		l.admit(class)
		known = false
	}
	l.see(class)
	if !known {
		l.margins(row, l.z)
		l.probabilities(l.z, l.p)
	}
	n, bad := stride(l.features), 0.0
	decay := 1 - float64(l.lr*l.l2)
	for k := range l.bias {
		g := l.p[k]
		if !l.soft {
			g = l.p[1]
			if class == 1 {
				g--
			}
		} else if k == class {
			g--
		}
		step := float64(l.lr * float64(g*weight))
		w, next := l.w[k*n:(k+1)*n], l.next.w[k*n:(k+1)*n]
		if l.l2 == 0 {
			bad += shift(next, w, row, step)
		} else {
			bad += shiftDecayed(next, w, row, step, decay)
		}
		b := l.bias[k] - step
		bad += b - b
		l.next.bias[k] = b
	}
	if bad != 0 {
		l.undone++
		return 0
	}
	l.w, l.next.w = l.next.w, l.w
	l.bias, l.next.bias = l.next.bias, l.bias
	return -weight * fmath.Log(max(l.p[class], 1e-15))
}

// shift writes next = w - step*row and returns NaN if a value of it is not finite, else 0.
func shift(next, w, row []float64, step float64) float64 {
	bad := 0.0
	w, row = w[:len(next)], row[:len(next)]
	for i := range next {
		v := w[i] - float64(step*row[i])
		bad += v - v
		next[i] = v
	}
	return bad
}

func shiftDecayed(next, w, row []float64, step, decay float64) float64 {
	bad := 0.0
	w, row = w[:len(next)], row[:len(next)]
	for i := range next {
		v := float64(decay*w[i]) - float64(step*row[i])
		bad += v - v
		next[i] = v
	}
	return bad
}

// Undone counts the rows whose update was undone because a weight would not have been finite.
func (l *linear) Undone() int64 { return l.undone }

// Model copies the weights.
func (l *linear) Model() Model {
	m := &linearModel{weights: l.weights}
	m.w, m.bias = append([]float64(nil), l.w...), append([]float64(nil), l.bias...)
	m.seen = append([]bool(nil), l.seen...)
	return m
}
