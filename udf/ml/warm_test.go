package ml

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// fitted is a preparation of a number and a word, fitted to rows.
func fitted(t *testing.T, numbers []float64, words []string, expr string, earlier *Preparation) (*Preparation, Matrix) {
	t.Helper()
	a, b := make([]any, len(numbers)), make([]any, len(words))
	for i := range a {
		a[i], b[i] = numbers[i], words[i]
	}
	cols := []arrow.Array{flow.Column(flow.Double, a...), flow.Column(flow.String, b...)}
	p, err := NewPreparation([]Item{{Name: "n", Expr: expr, Step: "ML_STANDARD_SCALER"}, {Input: 1, Name: "w", Step: "ML_ONE_HOT_ENCODER"}},
		[]flow.Type{flow.Double, flow.String})
	must(t, err)
	if earlier != nil {
		p.Remember(earlier)
	}
	must(t, p.Fit(cols, len(a), nil, nil, new(Buffers)))
	p.Freeze()
	return p, transformed(t, p, cols, len(a))
}

func transformed(t *testing.T, p *Preparation, cols []arrow.Array, rows int) Matrix {
	t.Helper()
	x, _, err := p.Transform(cols, rows, new(Buffers))
	must(t, err)
	return x
}

// TestWarmByName starts learners from a model whose features were scaled differently and whose words and classes had
// other numbers. The same rows must have the same predictions.
func TestWarmByName(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	first, words := make([]float64, 400), make([]string, 400)
	y := make([]float64, 400)
	for i := range first {
		y[i] = float64(r.IntN(3))
		first[i], words[i] = 100+20*y[i]+r.NormFloat64(), []string{"u", "v", "w"}[r.IntN(3)]
	}
	before, x := fitted(t, first, words, "n", nil)
	// the second rows have another mean, other words first, and not all of them
	after, _ := fitted(t, []float64{7, 9, 12}, []string{"z", "w", "v"}, "n", before)
	probe := []arrow.Array{flow.Column(flow.Double, 95.0, 120.0, 141.5, 60.0), flow.Column(flow.String, "u", "v", "w", "u")}
	for _, name := range []string{"logistic_regression", "softmax_regression", "kmeans", "autoencoder", "majority_class"} {
		typ, err := Lookup(name)
		must(t, err)
		o, err := typ.Accept(map[string]any{})
		must(t, err)
		l, err := typ.New(Spec{Type: name, Features: before.Features(), Classes: 3, Options: o})
		must(t, err)
		must(t, l.Learn(x, y, nil))
		for p, ok := l.(Passer); ok; {
			if again, err := p.Pass(); err != nil || !again {
				break
			}
		}
		old := &Bundle{Spec: Spec{Type: name, Options: o}, Preparation: before, Model: l.Model(), Classes: []string{"a", "b", "c"}}
		if typ.Task != Classify {
			old.Classes = nil
		}
		classes := []string{"c", "d", "a", "b"}
		l, err = typ.New(Spec{Type: name, Features: after.Features(), Classes: 4, Options: o})
		must(t, err)
		must(t, l.(Warmer).Warm(old.Model, old.Carry(after, classes)))
		now := &Bundle{Spec: old.Spec, Preparation: after, Model: l.Model(), Classes: classes}
		a, b := raw(t, old, probe), raw(t, now, probe)
		for i := range a {
			if math.Abs(a[i]-b[i]) > 1e-4*(1+math.Abs(a[i])) {
				t.Errorf("%s: %v before, %v after a warm start", name, a, b)
				break
			}
		}
	}
}

// raw returns predictions in a form that depends neither on scaling nor on numbers of classes: probabilities by name,
// centres and reconstructions of the number.
func raw(t *testing.T, b *Bundle, cols []arrow.Array) []float64 {
	t.Helper()
	x := transformed(t, b.Preparation, cols, 4)
	line := b.Preparation.items[0].scaler.line()
	var out []float64
	switch m := b.Model.(type) {
	case Prober:
		p := Matrix{Rows: 4}
		for range b.Classes {
			p.Cols = append(p.Cols, make([]float64, 4))
		}
		must(t, m.Proba(x, p))
		for _, name := range []string{"a", "b", "c"} {
			out = append(out, p.Cols[slices.Index(b.Classes, name)]...)
		}
	case *kmeansModel:
		for k := range m.counts {
			out = append(out, (m.c[k*stride(m.features)]-line.Shift)/line.Scale)
		}
	case Reconstructor:
		rows := Matrix{Rows: 4}
		for range x.Cols {
			rows.Cols = append(rows.Cols, make([]float64, 4))
		}
		must(t, m.Reconstruct(x, rows))
		for _, v := range rows.Cols[0] {
			out = append(out, (v-line.Shift)/line.Scale)
		}
	}
	return out
}

// TestCarryByExpression does not match a feature of the same name that another expression computes.
func TestCarryByExpression(t *testing.T) {
	before, _ := fitted(t, []float64{1, 2}, []string{"u", "v"}, "n", nil)
	after, _ := fitted(t, []float64{1, 2}, []string{"v", "u"}, "n * 1000", before)
	c := (&Bundle{Preparation: before}).Carry(after, nil)
	if !slices.Equal(c.Features, []int{-1, 1, 2}) {
		t.Errorf("the features are %v", c.Features)
	}
}

// TestBins computes medians and modes exactly up to maxBins values.
func TestBins(t *testing.T) {
	median, mode := newFiller("median"), newFiller("most_frequent")
	if _, ok := median.value(); ok {
		t.Error("no value has a median")
	}
	for _, v := range []float64{5, 1, 9, 1, 7, 3} {
		median.learn(v, 1)
		mode.learn(v, 1)
	}
	if m, _ := median.value(); m != 4 {
		t.Errorf("the median is %v", m)
	}
	if m, _ := mode.value(); m != 1 {
		t.Errorf("the most frequent is %v", m)
	}
	again := newFiller("median")
	must(t, again.restore(median.state()))
	again.learn(100, 1)
	if m, _ := again.value(); m != 5 {
		t.Errorf("the median is %v after loading", m)
	}
	many := newFiller("median")
	r := rand.New(rand.NewPCG(1, 1))
	for range 50_000 {
		many.learn(r.NormFloat64(), 1)
	}
	if m, _ := many.value(); math.Abs(m) > 0.02 {
		t.Errorf("the median of many is %v", m)
	}
	if many.restore([]float64{2, 1, 1, 1}) == nil || many.restore([]float64{1}) == nil {
		t.Error("a broken state loads")
	}
}
