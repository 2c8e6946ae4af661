package ml

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// wide is n rows of 18 features as columns of a batch, and a target.
func wide(n int) ([]arrow.Array, []float64) {
	r := rand.New(rand.NewPCG(1, 2))
	cols := make([]arrow.Array, 18)
	for c := range cols {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()*3 + float64(c)
		}
		cols[c] = flow.Fixed(flow.Double, v, arrow.Float64Traits.CastToBytes, flow.Validity{})
	}
	y := make([]float64, n)
	for i := range y {
		y[i] = float64(r.IntN(2))
	}
	return cols, y
}

func prepared(t testing.TB, typ Type, cols []arrow.Array, rows int) (*Preparation, *Buffers, Matrix) {
	var items []Item
	for i := range cols {
		items = append(items, Item{Input: i, Name: fmt.Sprint("f", i)})
	}
	p, err := NewPreparation(AutoItems(typ, items, typesOf(cols)), typesOf(cols))
	if err != nil {
		t.Fatal(err)
	}
	b := new(Buffers)
	if err := p.Fit(cols, rows, nil, nil, b); err != nil {
		t.Fatal(err)
	}
	p.Freeze()
	x, _, err := p.Transform(cols, rows, b)
	if err != nil {
		t.Fatal(err)
	}
	return p, b, x
}

// limits are throughputs measured on one thread of a server core, in million rows per second:
// hand-written AVX2 with fused multiply-add for the forward pass of 18-14-7-7-18, scalar code
// for its training step, rational sigmoid for online logistic regression.
var limits = map[string]float64{
	"BenchmarkAutoencoderScore": 7.5,
	"BenchmarkAutoencoderTrain": 0.6,
	"BenchmarkLogisticTest":     27,
}

func rate(b *testing.B, rows int) {
	r := float64(b.N) * float64(rows) / b.Elapsed().Seconds() / 1e6
	b.ReportMetric(r, "Mrows/s")
	if limit, ok := limits[b.Name()]; ok {
		b.ReportMetric(100*r/limit, "%limit")
	}
	b.ReportAllocs()
}

func autoencoderOf(b testing.TB, rows int) ([]arrow.Array, *Preparation, *Buffers, Matrix, Learner) {
	cols, _ := wide(rows)
	typ, spec := accept(b, "autoencoder", map[string]any{"layers": "14:tanh,7:relu,7:tanh", "epochs": int64(100_000)})
	p, buf, x := prepared(b, typ, cols, rows)
	spec.Features = p.Features()
	l, err := typ.New(spec)
	if err != nil {
		b.Fatal(err)
	}
	return cols, p, buf, x, l
}

func BenchmarkAutoencoderScore(b *testing.B) {
	_, _, _, x, l := autoencoderOf(b, 4096)
	m, out := l.Model(), make([]float64, 4096)
	for b.Loop() {
		if err := m.Predict(x, out); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, 4096)
}

func BenchmarkAutoencoderScaleAndScore(b *testing.B) {
	cols, p, buf, _, l := autoencoderOf(b, 4096)
	m, out := l.Model(), make([]float64, 4096)
	for b.Loop() {
		x, _, err := p.Transform(cols, 4096, buf)
		if err == nil {
			err = m.Predict(x, out)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	rate(b, 4096)
}

func BenchmarkAutoencoderTrain(b *testing.B) {
	const rows = 10_000
	_, _, _, x, l := autoencoderOf(b, rows)
	if err := l.Learn(x, nil, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := l.(Passer).Pass(); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, rows)
}

func logistic(b testing.TB, p *Preparation) Learner {
	typ, spec := accept(b, "logistic_regression", nil)
	spec.Mode, spec.Features = Event, p.Features()
	l, err := typ.New(spec)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkLogisticTest(b *testing.B) {
	const rows = 4096
	cols, y := wide(rows)
	typ, _ := Lookup("logistic_regression")
	p, _, x := prepared(b, typ, cols, rows)
	l, out := logistic(b, p), make([]float64, rows)
	for b.Loop() {
		if err := l.(Tester).Test(x, x, y, nil, out, Matrix{}); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, rows)
}

func BenchmarkLogisticScaleAndTest(b *testing.B) {
	const rows = 4096
	cols, y := wide(rows)
	typ, _ := Lookup("logistic_regression")
	p, buf, _ := prepared(b, typ, cols, rows)
	l, out := logistic(b, p), make([]float64, rows)
	for b.Loop() {
		old, now, _, err := p.Roll(cols, rows, nil, nil, buf)
		if err == nil {
			err = l.(Tester).Test(old, now, y, nil, out, Matrix{})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	rate(b, rows)
}

func BenchmarkKMeans(b *testing.B) {
	const rows = 4096
	cols, _ := wide(rows)
	typ, spec := accept(b, "kmeans", nil)
	p, _, x := prepared(b, typ, cols, rows)
	spec.Mode, spec.Features = Event, p.Features()
	l, err := typ.New(spec)
	if err != nil {
		b.Fatal(err)
	}
	out := make([]float64, rows)
	b.Run("test", func(b *testing.B) {
		for b.Loop() {
			if err := l.(Tester).Test(x, x, nil, nil, out, Matrix{}); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, rows)
	})
	m := l.Model()
	b.Run("predict", func(b *testing.B) {
		for b.Loop() {
			if err := m.Predict(x, out); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, rows)
	})
}

func BenchmarkEvaluate(b *testing.B) {
	const rows = 4096
	_, y := wide(rows)
	p := Matrix{rows, [][]float64{make([]float64, rows), make([]float64, rows)}}
	for r := range rows {
		p.Cols[1][r] = float64(r%97) / 97
		p.Cols[0][r] = 1 - p.Cols[1][r]
	}
	e := NewEvaluator(Classify, 0, 0)
	for b.Loop() {
		e.Add(y, y, p)
	}
	rate(b, rows)
}

// TestAllocations pins that preparing, scoring and learning numbers allocate nothing per batch.
func TestAllocations(t *testing.T) {
	cols, p, buf, _, l := autoencoderOf(t, 4096)
	m, out := l.Model(), make([]float64, 4096)
	lr := logistic(t, p)
	_, y := wide(4096)
	for what, f := range map[string]func() error{
		"transform and score": func() error {
			x, _, err := p.Transform(cols, 4096, buf)
			if err != nil {
				return err
			}
			return m.Predict(x, out)
		},
		"roll and test": func() error {
			old, now, _, err := p.Roll(cols, 4096, nil, nil, buf)
			if err != nil {
				return err
			}
			return lr.(Tester).Test(old, now, y, nil, out, Matrix{})
		},
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() { _ = f() }); n >= 1 {
			t.Errorf("%s allocates %v times a batch", what, n)
		}
	}
}
