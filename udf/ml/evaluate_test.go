package ml

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestClassificationMetrics was computed by hand: actual 1 1 0 0 1, predicted 1 0 0 1 1.
// No-change predicts 0 1 1 0 0 (2 right), the majority 0 1 1 1 0 (1 right).
func TestClassificationMetrics(t *testing.T) {
	e := NewEvaluator(Classify, 0, 0)
	actual, predicted := []float64{1, 1, 0, 0, 1, math.NaN()}, []float64{1, 0, 0, 1, 1, 1}
	p1 := []float64{0.9, 0.4, 0.1, 0.6, 0.8, 0.5}
	proba := Matrix{6, [][]float64{make([]float64, 6), p1}}
	for r, p := range p1 {
		proba.Cols[0][r] = 1 - p
	}
	e.Add(predicted, actual, proba)
	loss := -(math.Log(0.9) + math.Log(0.4) + math.Log(0.9) + math.Log(0.4) + math.Log(0.8)) / 5
	brier := (0.01 + 0.36 + 0.01 + 0.36 + 0.04) / 5
	chance := (0.6*0.6 + 0.4*0.4)
	for name, want := range map[string]float64{"rows": 5, "correct": 3, "accuracy": 0.6, "kappa": (0.6 - chance) / (1 - chance), "kappa_t": (0.6 - 0.4) / 0.6,
		"kappa_m": (0.6 - 0.2) / 0.8, "precision": 2.0 / 3, "recall": 2.0 / 3, "f1": 2.0 / 3, "auc": 5.0 / 6, "log_loss": loss, "brier": brier} {
		if got := metric(e.Metrics(), name); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestRegressionMetrics(t *testing.T) {
	e := NewEvaluator(Regress, 0, 0)
	e.Add([]float64{1, 2, 5}, []float64{1, 3, 4}, Matrix{})
	want := fmt.Sprint(
		[]Metric{{"rows", 3}, {"mae", 2.0 / 3}, {"rmse", math.Sqrt(2.0 / 3)}, {"r2", 1 - 2/(4.0*14/12)}},
	)
	for _, m := range e.Metrics() {
		if m.Name == "r2" && math.Abs(m.Value-(1-2/(14.0/3))) > 1e-12 {
			t.Errorf("%v, want %v", e.Metrics(), want)
		}
	}
	if fmt.Sprintf("%.9f", metric(e.Metrics(), "rmse")) != "0.816496581" || metric(e.Metrics(), "mae") != 2.0/3 {
		t.Errorf("%v, want %v", e.Metrics(), want)
	}
}

// TestWindow: the last n rows are measured as if they had been alone, fading weighs old rows
// down, and both survive a restart.
func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	n := 1000
	p, y := make([]float64, n), make([]float64, n)
	for i := range n {
		y[i] = r.NormFloat64()
		p[i] = y[i] + r.NormFloat64()*float64(1+i/500)
	}
	whole, last := NewEvaluator(Regress, 100, 0), NewEvaluator(Regress, 0, 0)
	whole.Add(p[:550], y[:550], Matrix{})
	b, err := whole.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := NewEvaluator(Regress, 100, 0)
	if err := again.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	again.Add(p[550:], y[550:], Matrix{})
	last.Add(p[n-100:], y[n-100:], Matrix{})
	if a, b := fmt.Sprint(again.Metrics()), fmt.Sprint(last.Metrics()); a != b {
		t.Errorf("window %s, its rows alone %s", a, b)
	}
	fading := NewEvaluator(Regress, 0, 0.99)
	fading.Add(p, y, Matrix{})
	if rows := metric(fading.Metrics(), "rows"); math.Abs(rows-100) > 0.1 {
		t.Errorf("fading 0.99 counts %v rows", rows)
	}
	if f, all := metric(fading.Metrics(), "mae"), metric(evaluated(p, y).Metrics(), "mae"); f <= all {
		t.Errorf("fading %v does not follow the worse half beyond %v", f, all)
	}
	if empty := NewEvaluator(Classify, 0, 0).Metrics(); len(empty) != 2 {
		t.Errorf("no rows: %v", empty)
	}
}

func evaluated(p, y []float64) *Evaluator {
	e := NewEvaluator(Regress, 0, 0)
	e.Add(p, y, Matrix{})
	return e
}

// TestSketch holds the binned AUC and quantiles against the exact ones, over scores of many
// magnitudes.
func TestSketch(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, scale := range []float64{1e-9, 0.3, 1, 700} {
		var scores []float64
		var positive []bool
		e := NewEvaluator(Anomaly, 0, 0.9999)
		for range 20000 {
			yes := r.IntN(10) == 0
			s := math.Abs(r.NormFloat64()) * scale
			y := 0.0
			if yes {
				s, y = s*2, 1
			}
			scores, positive = append(scores, s), append(positive, yes)
			e.Add([]float64{s}, []float64{y}, Matrix{})
		}
		if got, want := metric(e.Metrics(), "auc"), AUC(scores, positive); math.Abs(got-want) > 0.02 {
			t.Errorf("scale %v: auc %v, want %v", scale, got, want)
		}
		exact, _ := Threshold("quantile:0.99", scores, nil)
		if got := metric(e.Metrics(), "score_q99"); math.Abs(got/exact-1) > 0.06 {
			t.Errorf("scale %v: q99 %v, want %v", scale, got, exact)
		}
		b, _ := e.MarshalBinary()
		again := NewEvaluator(Anomaly, 0, 0.9999)
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if c, _ := again.MarshalBinary(); !bytes.Equal(b, c) {
			t.Error("an evaluator changes on its way through bytes")
		}
	}
	last := -1
	for s := 1e-12; s < 1e6; s *= 1.003 {
		bin := sketchBin(s)
		if bin < last {
			t.Fatalf("bins fall at %v", s)
		}
		if v := sketchValue(bin); math.Abs(v/s-1) > 0.012 {
			t.Fatalf("score %v is shown as %v", s, v)
		}
		last = bin
	}
	for _, s := range []float64{0, math.Inf(1), -1, 0.5, 1, math.Nextafter(1, 2), math.Nextafter(0.5, 1), math.MaxFloat64} {
		if bin := sketchBin(s); bin < 0 || bin >= sketchBins {
			t.Errorf("score %v has bin %d of %d", s, bin, sketchBins)
		}
	}
}

// TestSketchNearOne holds apart the probabilities of a confident classifier, which a grid of one ratio over all
// numbers puts in one bin.
func TestSketchNearOne(t *testing.T) {
	e := NewEvaluator(Anomaly, 0, 0)
	for range 100 {
		e.Add([]float64{0.999}, []float64{0}, Matrix{})
		e.Add([]float64{0.9999}, []float64{1}, Matrix{})
	}
	if got := metric(e.Metrics(), "auc"); got != 1 {
		t.Errorf("auc %v, want 1", got)
	}
}

func TestThreshold(t *testing.T) {
	if v, ok := Threshold("quantile:0.25", []float64{4, 0, math.NaN(), 2}, nil); !ok || v != 1 {
		t.Error(v, ok)
	}
	// a weight counts as repeated rows
	repeated, _ := Threshold("quantile:0.9", []float64{1, 2, 2, 2, 5, 5}, nil)
	if v, ok := Threshold("quantile:0.9", []float64{5, 1, 2, 9}, []float64{2, 1, 3, 0}); !ok || v != repeated {
		t.Error(v, repeated)
	}
	if v, ok := Threshold(2.5, nil, nil); !ok || v != 2.5 {
		t.Error(v, ok)
	}
	if _, ok := Threshold("none", []float64{1}, nil); ok {
		t.Error("'none' is a threshold")
	}
	if _, ok := Threshold("quantile:0.5", nil, nil); ok {
		t.Error("no scores are a threshold")
	}
	if a := AUC([]float64{1, 1, 2, 3}, []bool{true, false, false, true}); a != 0.625 {
		t.Error(a)
	}
}
