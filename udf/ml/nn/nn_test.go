package nn

import (
	"math"
	"math/rand/v2"
	"testing"
)

func demo() []Layer {
	return []Layer{{18, 14, Tanh}, {14, 7, ReLU}, {7, 7, Tanh}, {7, 18, Linear}}
}

func fill(lanes []Lane, r *rand.Rand) {
	for i := range lanes {
		for k := range lanes[i] {
			lanes[i][k] = float32(r.NormFloat64())
		}
	}
}

// TestForward holds the blocked kernels against the plain definition, for odd widths and odd
// row counts.
func TestForward(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, layers := range [][]Layer{demo(), {{3, 5, Sigmoid}, {5, 3, Softmax}}, {{1, 1, Linear}}} {
		n := New(layers, r.Float64)
		s := n.Freeze()
		c := s.Scratch()
		for _, rows := range []int{1, 2, 3, 63, 64} {
			fill(s.Input(c), r)
			want := make([][]float64, rows)
			for k := range want {
				for _, l := range s.Input(c) {
					want[k] = append(want[k], float64(l[k]))
				}
				want[k] = plain(n, want[k])
			}
			got := s.Forward(c, rows, len(layers))
			for k := range want {
				for j := range want[k] {
					if d := math.Abs(float64(got[j][k]) - want[k][j]); d > 2e-5 {
						t.Fatalf("row %d unit %d: %v, want %v", k, j, got[j][k], want[k][j])
					}
				}
			}
		}
	}
}

func plain(n *Net, x []float64) []float64 {
	at := 0
	for _, l := range n.Layers {
		y := make([]float64, l.Out)
		sum := 0.0
		for j := range y {
			y[j] = float64(n.Params[at+l.Out*l.In+j])
			for i := range x {
				y[j] += float64(n.Params[at+j*l.In+i]) * x[i]
			}
			switch l.Act {
			case ReLU:
				y[j] = max(0, y[j])
			case Tanh:
				y[j] = math.Tanh(y[j])
			case Sigmoid:
				y[j] = 1 / (1 + math.Exp(-y[j]))
			case Softmax:
				y[j] = math.Exp(y[j])
				sum += y[j]
			}
		}
		if l.Act == Softmax {
			for j := range y {
				y[j] /= sum
			}
		}
		x, at = y, at+l.Out*(l.In+1)
	}
	return x
}

// TestBackward holds the gradient of a squared loss against differences of the loss in double
// precision.
func TestBackward(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, layers := range [][]Layer{{{4, 6, Tanh}, {6, 3, Sigmoid}, {3, 4, Linear}}, {{3, 5, Tanh}, {5, 3, Softmax}}, {{2, 5, ReLU}, {5, 2, Linear}}} {
		n := New(layers, r.Float64)
		tr := NewTrainer(n, &SGD{Rate: 1})
		const rows = 5
		fill(tr.Input(), r)
		inputs := make([][]float64, rows)
		for k := range inputs {
			for _, l := range tr.Input() {
				inputs[k] = append(inputs[k], float64(l[k]))
			}
		}
		loss := func() float64 {
			s := 0.0
			for _, x := range inputs {
				for j, y := range plain(n, x) {
					s += (y - x[j]) * (y - x[j])
				}
			}
			return s
		}
		tr.Forward(rows)
		for j, d := range tr.Delta() {
			for k := range rows {
				d[k] = 2 * (tr.Output()[j][k] - float32(inputs[k][j]))
			}
			tr.Delta()[j] = d
		}
		tr.Backward(rows, 0, nil)
		for i, p := range n.Params {
			const h = 1e-3
			n.Params[i] = p + h
			up := loss()
			n.Params[i] = p - h
			down := loss()
			n.Params[i] = p
			want := (up - down) / (2 * h)
			if d := math.Abs(float64(tr.grad[i]) - want); d > 2e-2*(1+math.Abs(want)) {
				t.Fatalf("%v: parameter %d: gradient %v, want %v", layers, i, tr.grad[i], want)
			}
		}
	}
}

func TestStepUndone(t *testing.T) {
	for _, opt := range []Optimizer{&SGD{Rate: 1}, NewAdam(1e-3, 2)} {
		params := []float32{1, 2}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			if opt.Step(params, []float32{0.5, bad}) || params[0] != 1 {
				t.Fatalf("%T: a step that is not finite was taken: %v", opt, params)
			}
		}
		if !opt.Step(params, []float32{0.5, 1}) || params[0] >= 1 {
			t.Fatalf("%T: a good step was not taken after bad ones: %v", opt, params)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	s := New(demo(), rand.New(rand.NewPCG(1, 2)).Float64).Freeze()
	c := s.Scratch()
	for b.Loop() {
		fillConst(s.Input(c))
		s.Forward(c, Block, 4)
	}
	b.ReportMetric(float64(b.N)*Block/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkTrain(b *testing.B) {
	n := New(demo(), rand.New(rand.NewPCG(1, 2)).Float64)
	t := NewTrainer(n, NewAdam(1e-3, len(n.Params)))
	for b.Loop() {
		fillConst(t.Input())
		t.Forward(Block)
		for j := range t.Delta() {
			t.Delta()[j] = t.Output()[j]
		}
		t.Backward(Block, 0, nil)
		t.Step()
	}
	b.ReportMetric(float64(b.N)*Block/b.Elapsed().Seconds(), "rows/s")
}

func fillConst(lanes []Lane) {
	for i := range lanes {
		for k := range lanes[i] {
			lanes[i][k] = float32(i-k) * 0.02
		}
	}
}
