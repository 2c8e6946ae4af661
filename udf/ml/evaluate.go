package ml

import (
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf/ml/fmath"
)

// Metric is one measured value.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Evaluator compares predictions with actual values, row by row. Without Window and Fading,
// every row counts equally; with Window only the last n rows count; with Fading each row's
// weight shrinks by that factor with every later row.
type Evaluator struct {
	task   Task
	fading float64
	// the class that precision, recall and f1 are of; sure: at any number of classes, and auc too
	positive int
	sure     bool
	sum      tally
	ring     []outcome // the last rows, oldest at next; nil: no window
	size     int
	next     int
	last     float64 // the class of the row before
	seen     int64
	totals   []float64 // rows per class so far, for the majority
}

// outcome is one evaluated row.
type outcome struct {
	predicted, actual float64
	before, majority  float64 // predictions of the no-change and majority classifiers
	pActual           float64 // predicted probability of the actual class; NaN: none
	brier             float64
	score             float64 // probability of the positive class, or anomaly score; NaN: none
}

// NewEvaluator returns an evaluator for a task; window 0 and fading 0: all rows count equally.
func NewEvaluator(task Task, window int, fading float64) *Evaluator {
	return &Evaluator{task: task, size: window, fading: fading, positive: 1}
}

// Positive sets the class that precision, recall and f1 are of, as PositiveClass returns it; without
// it, it is class 1. It precedes Add when it is sure, and Metrics otherwise.
func (e *Evaluator) Positive(class int, sure bool) { e.positive, e.sure = class, sure }

// Anomalies reports whether the evaluator compares anomaly scores.
func (e *Evaluator) Anomalies() bool { return e.task == Anomaly }

// PositiveClass returns the number of the class that precision, recall and f1 are of: that of the
// option positive, else true, else the larger of two numbers, else the second seen. It is -1 while
// that class is none of the classes. sure: the option or the type of the target determines it, not
// the classes so far.
func PositiveClass(o Options, target flow.Type, classes []string) (class int, sure bool) {
	switch {
	case o.Has("positive"):
		return slices.Index(classes, o.Text("positive")), true
	case target != nil && target.ID() == arrow.BOOL:
		return slices.Index(classes, "true"), true
	case target != nil && flow.IsNumber(target) && len(classes) == 2:
		a, err := strconv.ParseFloat(classes[0], 64)
		b, err2 := strconv.ParseFloat(classes[1], 64)
		if err == nil && err2 == nil && a > b {
			return 0, false
		}
	}
	return 1, false
}

// Add adds rows: predictions, actual values, and the probabilities of each class (no columns:
// none). Rows with a NaN in either are skipped. For anomaly types predicted is the score, and
// actual is 1 for an anomaly, else 0.
func (e *Evaluator) Add(predicted, actual []float64, proba Matrix) {
	for r, p := range predicted {
		if y := actual[r]; p == p && y == y && (e.task != Classify || y >= 0 && y < maxClasses) {
			e.add(e.outcome(p, y, proba, r))
		}
	}
}

func (e *Evaluator) outcome(p, y float64, proba Matrix, r int) outcome {
	o := outcome{predicted: p, actual: y, pActual: math.NaN(), score: math.NaN()}
	switch e.task {
	case Anomaly:
		o.score = p
	case Classify:
		o.before, o.majority = e.last, float64(argmax(e.totals))
		for len(e.totals) <= int(y) && y < maxClasses {
			e.totals = append(e.totals, 0)
		}
		e.totals[int(y)]++
		e.last = y
		for k, col := range proba.Cols {
			d := col[r]
			if float64(k) == y {
				o.pActual = col[r]
				d = 1 - d
			}
			o.brier += float64(d * d)
		}
		classes := len(proba.Cols)
		switch { // a class that the model does not know has probability 0
		case classes > 0 && int(y) >= classes:
			o.pActual, o.brier = 0, o.brier+1
		case classes == 2: // both classes have the same error, which counts once
			o.brier /= 2
		}
		if side := e.side(); classes == 2 || e.sure && classes > 0 {
			o.score = 0
			if side >= 0 && side < classes {
				o.score = proba.Cols[side][r]
			}
		}
	}
	return o
}

// side is the class whose rows are the positive ones of auc. Unless it is sure it is class 1: of two
// classes, both have the same auc.
func (e *Evaluator) side() int {
	if e.sure && e.task == Classify {
		return e.positive
	}
	return 1
}

func argmax(v []float64) int {
	best := 0
	for k := range v {
		if v[k] > v[best] {
			best = k
		}
	}
	return best
}

func (e *Evaluator) add(o outcome) {
	e.seen++
	if e.size == 0 {
		if e.fading > 0 && e.fading < 1 {
			e.sum.fade(e.fading)
		}
		e.sum.add(o, e.side())
		return
	}
	if len(e.ring) < e.size {
		e.ring = append(e.ring, o)
		return
	}
	e.ring[e.next] = o
	e.next = (e.next + 1) % e.size
}

// Seen returns the number of rows so far, independent of the window.
func (e *Evaluator) Seen() int64 { return e.seen }

// Metrics returns the present values in a fixed order, without undefined ones (no rows, one
// class).
func (e *Evaluator) Metrics() []Metric {
	t := &e.sum
	if e.size > 0 {
		t = new(tally)
		for i := range e.ring {
			t.add(e.ring[(e.next+i)%len(e.ring)], e.side())
		}
	}
	out := []Metric{{"rows", t.rows}}
	switch e.task {
	case Classify:
		out = append(out, t.classification(e.positive, e.sure)...)
	case Regress:
		out = append(out, t.regression()...)
	case Anomaly:
		out = append(out, t.anomaly()...)
	}
	return slices.DeleteFunc(out, func(m Metric) bool { return m.Value-m.Value != 0 })
}

// tally contains the sums from which metrics are computed.
type tally struct {
	rows, correct, before, majority float64
	classes                         int
	confusion                       []float64 // actual x predicted, classes squared
	probed, logLoss, brier          float64
	positive, negative              sketch // scores of rows of class 1 and of class 0
	abs, square                     float64
	actual                          standard
}

func (t *tally) fade(x float64) {
	for _, v := range []*float64{&t.rows, &t.correct, &t.before, &t.majority, &t.probed, &t.logLoss, &t.brier, &t.abs, &t.square, &t.actual.n, &t.actual.m2} {
		*v = float64(*v * x)
	}
	for i := range t.confusion {
		t.confusion[i] = float64(t.confusion[i] * x)
	}
	unit := t.positive.unit
	if unit == 0 {
		unit = 1
	}
	if unit /= x; unit > 1e200 {
		t.positive.rescale(unit)
		t.negative.rescale(unit)
		unit = 1
	}
	t.positive.unit, t.negative.unit = unit, unit
}

func (t *tally) add(o outcome, side int) {
	t.rows++
	d := o.predicted - o.actual
	t.abs += math.Abs(d)
	t.square += float64(d * d)
	t.actual.learn(o.actual, 1)
	t.correct += equal(o.predicted, o.actual)
	t.before += equal(o.before, o.actual)
	t.majority += equal(o.majority, o.actual)
	t.confuse(o.actual, o.predicted)
	if o.pActual == o.pActual {
		t.probed++
		t.logLoss -= fmath.Log(min(max(o.pActual, 1e-15), 1))
		t.brier += o.brier
	}
	if o.score == o.score {
		if o.actual == float64(side) {
			t.positive.add(o.score)
		} else {
			t.negative.add(o.score)
		}
	}
}

func equal(a, b float64) float64 {
	if a == b {
		return 1
	}
	return 0
}

// confuse counts a pair of classes, as long as a table of them is small.
func (t *tally) confuse(actual, predicted float64) {
	top := max(actual, predicted)
	if !(actual >= 0 && predicted >= 0 && top < 1024 && actual == math.Trunc(actual) && predicted == math.Trunc(predicted)) {
		return
	}
	if n := int(top) + 1; n > t.classes {
		wide := make([]float64, n*n)
		for k := range t.classes {
			copy(wide[k*n:], t.confusion[k*t.classes:(k+1)*t.classes])
		}
		t.confusion, t.classes = wide, n
	}
	t.confusion[int(actual)*t.classes+int(predicted)]++
}

// classification returns kappa against chance, kappa_t against no-change, kappa_m against the
// majority; precision, recall and f1 of the positive class if it is sure or there are two classes,
// else their means over the classes.
func (t *tally) classification(positive int, sure bool) []Metric {
	accuracy := t.correct / t.rows
	chance := 0.0
	var precision, recall, f1, counted float64
	for k := range t.classes {
		var actual, predicted float64
		for j := range t.classes {
			actual += t.confusion[k*t.classes+j]
			predicted += t.confusion[j*t.classes+k]
		}
		chance += float64(actual / t.rows * (predicted / t.rows))
		if (t.classes == 2 || sure) && (k != positive || actual+predicted == 0) {
			continue
		}
		hit := t.confusion[k*t.classes+k]
		p, r := ratio(hit, predicted), ratio(hit, actual)
		precision, recall, f1 = precision+p, recall+r, f1+ratio(float64(2*p*r), p+r)
		counted++
	}
	return []Metric{{"correct", t.correct}, {"accuracy", accuracy}, {"kappa", (accuracy - chance) / (1 - chance)},
		{"kappa_t", over(accuracy, t.before/t.rows)}, {"kappa_m", over(accuracy, t.majority/t.rows)},
		{"precision", precision / counted}, {"recall", recall / counted}, {"f1", f1 / counted},
		{"auc", auc(&t.positive, &t.negative)}, {"log_loss", t.logLoss / t.probed}, {"brier", t.brier / t.probed}}
}

// ratio is 0 when nothing could be counted.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// over is the share of the baseline's errors that are avoided.
func over(accuracy, baseline float64) float64 { return (accuracy - baseline) / (1 - baseline) }

func (t *tally) regression() []Metric {
	return []Metric{{"mae", t.abs / t.rows}, {"rmse", math.Sqrt(t.square / t.rows)}, {"r2", 1 - t.square/t.actual.m2}}
}

func (t *tally) anomaly() []Metric {
	all := t.positive.merged(&t.negative)
	return []Metric{
		{"auc", auc(&t.positive, &t.negative)},
		{"score_q50", all.quantile(0.5)},
		{"score_q90", all.quantile(0.9)},
		{"score_q99", all.quantile(0.99)},
		{"score_q999", all.quantile(0.999)},
	}
}

// Quantile returns the score below which a share q of an anomaly type's rows lies, within 1 %;
// NaN without rows.
func (e *Evaluator) Quantile(q float64) float64 {
	return e.sum.positive.merged(&e.sum.negative).quantile(q)
}

// AUC is the probability that a positive's score is above a negative's, ties half: exact, by
// ranks. NaN without one of either.
func AUC(scores []float64, positive []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return 0
	})
	var wins, below, positives float64
	for i := 0; i < len(order); {
		var here, pos float64
		j := i
		for ; j < len(order) && scores[order[j]] == scores[order[i]]; j++ {
			here++
			if positive[order[j]] {
				pos++
			}
		}
		wins += float64(pos * (below + float64((here-pos)/2)))
		below, positives, i = below+here-pos, positives+pos, j
	}
	return wins / positives / below
}
