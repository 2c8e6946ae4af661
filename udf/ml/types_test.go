package ml

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func grow(t *testing.T, name string, mode Modes, features int, given map[string]any) Learner {
	typ, spec := accept(t, name, given)
	spec.Mode = mode
	for c := range features {
		spec.Features = append(spec.Features, Feature{Name: fmt.Sprint("f", c)})
	}
	l, err := typ.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func passAll(t *testing.T, l Learner) {
	for again := true; again; {
		var err error
		again, err = l.(Passer).Pass()
		must(t, err)
	}
}

// TestLogisticByHand pins two steps of gradient descent: p = 1/2, w = 0.5*lr*x, then p =
// sigmoid(w x + b).
func TestLogisticByHand(t *testing.T) {
	l := grow(t, "logistic_regression", Event, 1, map[string]any{"lr": 0.1})
	x := Matrix{2, [][]float64{{2, 4}}}
	must(t, l.Learn(x, []float64{1, 0}, []float64{1, 3}))
	p := 1 / (1 + math.Exp(-(0.1*4 + 0.05)))
	want := []float64{0.1 - 0.1*3*p*4, 0.05 - 0.1*3*p}
	table, err := l.Model().(Inspector).Table("weights", []Feature{{Name: "x"}})
	must(t, err)
	for i, row := range table.Rows {
		if math.Abs(row[2].(float64)-want[i]) > 1e-15 {
			t.Errorf("%v, want %v", row, want[i])
		}
	}
}

// TestClassesGrow: a third class turns the binary model into an equivalent softmax, and is then
// learned.
func TestClassesGrow(t *testing.T) {
	for _, name := range []string{"logistic_regression", "softmax_regression"} {
		l := grow(t, name, Event, 2, map[string]any{"lr": 0.1})
		r := rand.New(rand.NewPCG(1, 2))
		centre := [][2]float64{{0, 3}, {3, -2}, {-3, -2}}
		draw := func(n, classes int) (Matrix, []float64) {
			x, y := Matrix{n, [][]float64{make([]float64, n), make([]float64, n)}}, make([]float64, n)
			for i := range n {
				k := r.IntN(classes)
				y[i] = float64(k)
				x.Cols[0][i], x.Cols[1][i] = centre[k][0]+r.NormFloat64(), centre[k][1]+r.NormFloat64()
			}
			return x, y
		}
		x, y := draw(500, 2)
		must(t, l.Learn(x, y, nil))
		probe := func(m Model) []float64 {
			p := Matrix{500, [][]float64{make([]float64, 500), make([]float64, 500), make([]float64, 500)}}
			must(t, m.(Prober).Proba(x, p))
			return p.Cols[1]
		}
		before := probe(l.Model())
		if name == "logistic_regression" {
			l.(*linear).admit(2)
			l.(*linear).see(2)
			for i, p := range probe(l.Model()) {
				// the new class takes half of class 0's odds; the ratio of the others stays
				odds := before[i] / (1 - before[i])
				if want := odds / (odds + 2); math.Abs(p-want) > 1e-9 {
					t.Fatalf("row %d: probability %v, want %v", i, p, want)
				}
			}
		}
		x3, y3 := draw(3000, 3)
		must(t, l.Learn(x3, y3, nil))
		x3, y3 = draw(2000, 3)
		out, right := make([]float64, 2000), 0
		must(t, l.Model().Predict(x3, out))
		for i := range out {
			if out[i] == y3[i] {
				right++
			}
		}
		if right < 1900 {
			t.Errorf("%s: %d of 2000 right with three classes", name, right)
		}
		if err := l.Learn(Matrix{1, [][]float64{{1}, {1}}}, []float64{0.5}, nil); err == nil {
			t.Error("half a class is learned")
		}
	}
}

// TestKMeansRule pins the streaming rule: c = (c n a + sum)/(n a + m), n = n a + m.
func TestKMeansRule(t *testing.T) {
	l := grow(t, "kmeans", Event, 1, map[string]any{"k": int64(1), "batch_size": int64(2), "decay": 0.5})
	must(t, l.Learn(Matrix{5, [][]float64{{1, 3, 5, 9, 100}}}, nil, nil))
	table, err := l.Model().(Inspector).Table("centroids", nil)
	must(t, err)
	// 2 (n 2); (2*1 + 14)/(1+2) = 16/3 (n 3); the half-filled batch counts in a model:
	// (16/3*1.5 + 100)/2.5
	if got, want := table.Rows[0][2].(float64), (16.0/3*1.5+100)/2.5; math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestKMeansFinds: Lloyd's passes find separate clusters, and their error is the within-cluster
// sum of squares.
func TestKMeansFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 900
	x := Matrix{n, [][]float64{make([]float64, n), make([]float64, n)}}
	for i := range n {
		x.Cols[0][i], x.Cols[1][i] = 10*float64(i%3)+r.NormFloat64(), 10*float64(i%9/3)+r.NormFloat64()
	}
	for seed := range int64(5) {
		l := grow(t, "kmeans", Once, 2, map[string]any{"k": int64(9), "seed": seed})
		must(t, l.Learn(x, nil, nil))
		passAll(t, l)
		out, dist := make([]float64, n), make([]float64, n)
		must(t, l.Model().(Assigner).Assign(x, out, dist))
		sse := 0.0
		for i := range n {
			if out[i] != out[i%9] {
				t.Fatalf("seed %d: row %d is in cluster %v, its like in %v", seed, i, out[i], out[i%9])
			}
			sse += dist[i] * dist[i]
		}
		losses := l.(Loser).Losses()
		if last := losses[len(losses)-1]; math.Abs(last-sse/n) > 1e-9 || sse/n > 2.3 {
			t.Errorf("seed %d: loss %v, distances say %v", seed, last, sse/n)
		}
	}
	few := grow(t, "kmeans", Once, 1, nil) // fewer distinct rows than centres
	must(t, few.Learn(Matrix{4, [][]float64{{1, 1, 2, 2}}}, nil, nil))
	passAll(t, few)
	if table, _ := few.Model().(Inspector).Table("centroids", nil); len(table.Rows) != 2 {
		t.Errorf("%d centres for two distinct rows", len(table.Rows))
	}
}

func carlike(n int) Matrix {
	r := rand.New(rand.NewPCG(5, 5))
	x := Matrix{n, make([][]float64, 6)}
	for c := range x.Cols {
		x.Cols[c] = make([]float64, n)
	}
	for i := range n {
		a, b := r.NormFloat64(), r.NormFloat64()
		for c := range x.Cols {
			x.Cols[c][i] = a*float64(c%3) + b*float64(c%2) + 0.05*r.NormFloat64()
		}
	}
	return x
}

// TestAutoencoderStops: an interrupted training returns its best pass; one whose loss diverges
// returns the best earlier pass, or the error.
func TestAutoencoderStops(t *testing.T) {
	x := carlike(1000)
	l := grow(t, "autoencoder", Once, 6, map[string]any{"layers": "8:tanh,2:linear,8:tanh", "epochs": int64(50)})
	must(t, l.Learn(x, nil, nil))
	for range 5 {
		if again, err := l.(Passer).Pass(); !again || err != nil {
			t.Fatal(again, err)
		}
	}
	losses := l.(Loser).Losses()
	if len(losses) != 5 || !(losses[4] < losses[0]) {
		t.Errorf("losses %v", losses)
	}
	best := l.(*autoencoder)
	best.train.Params[0] = 1e9 // a later pass that went wrong
	out := make([]float64, 1000)
	must(t, l.Model().Predict(x, out))
	for _, s := range out {
		if s > 1e6 {
			t.Fatal("the model is not the best pass")
		}
	}
	wild := grow(t, "autoencoder", Once, 6, map[string]any{"layers": "8:relu", "optimizer": "sgd", "lr": 100.0})
	must(t, wild.Learn(x, nil, nil))
	var err error
	for again := true; again && err == nil; {
		again, err = wild.(Passer).Pass()
	}
	if !errors.Is(err, ErrLoss) && !wild.(*autoencoder).stopped {
		t.Errorf("a rate of 100 went through: %v, losses %v", err, wild.(Loser).Losses())
	}
	if _, err := wild.Model().MarshalBinary(); err != nil {
		t.Error(err)
	}
}

// TestAutoencoderEvents: learning by events reduces the score of usual rows but not that of
// unusual ones.
func TestAutoencoderEvents(t *testing.T) {
	x := carlike(20_000)
	l := grow(t, "autoencoder", Event, 6, map[string]any{"layers": "8:tanh,2:linear,8:tanh", "lr": 0.01})
	out := make([]float64, x.Rows)
	must(t, Test(l, x, x, nil, nil, out, Matrix{}))
	first, last := 0.0, 0.0
	for i := range 1000 {
		first += out[i] / 1000
		last += out[len(out)-1-i] / 1000
	}
	if last > first/4 {
		t.Errorf("score falls from %v to %v only", first, last)
	}
	odd := Matrix{1, [][]float64{{3}, {-3}, {3}, {-3}, {3}, {-3}}}
	must(t, l.Model().Predict(odd, out[:1]))
	if out[0] < 10*last {
		t.Errorf("an odd row scores %v, usual ones %v", out[0], last)
	}
	e, err := l.Model().(Embedder).Embed(odd)
	if must(t, err); len(e.Cols) != 2 {
		t.Errorf("embedded in %d values", len(e.Cols))
	}
}

// TestActivityPenalty: the penalty keeps the first layer's values small.
func TestActivityPenalty(t *testing.T) {
	x := carlike(1000)
	size := func(l1 float64) float64 {
		l := grow(t, "autoencoder", Once, 6, map[string]any{"layers": "3:linear", "activity_l1": l1})
		must(t, l.Learn(x, nil, nil))
		passAll(t, l)
		e, err := l.Model().(Embedder).Embed(x)
		must(t, err)
		s := 0.0
		for _, col := range e.Cols {
			for _, v := range col {
				s += math.Abs(v)
			}
		}
		return s
	}
	if free, held := size(0), size(0.5); held > free*3/4 {
		t.Errorf("values of %v without, %v with the penalty", free, held)
	}
}

func TestMean(t *testing.T) {
	l := grow(t, "mean", Event, 0, nil)
	out := make([]float64, 3)
	must(t, Test(l, Matrix{Rows: 3}, Matrix{Rows: 3}, []float64{1, 2, 6}, []float64{1, 1, 2}, out, Matrix{}))
	if fmt.Sprint(out) != "[0 1 1.5]" {
		t.Error(out)
	}
	must(t, l.Model().Predict(Matrix{Rows: 1}, out))
	if out[0] != 3.75 {
		t.Error(out[0])
	}
}

// TestReservoir: every row is equally likely to be stored, and weights stay with their rows.
func TestReservoir(t *testing.T) {
	v := newReservoir[float64](100, 1, 1)
	n := 1000
	x, w := Matrix{n, [][]float64{make([]float64, n)}}, make([]float64, n)
	for i := range n {
		x.Cols[0][i], w[i] = float64(i), float64(i)+1
	}
	v.add(x, w, 1e300)
	sum := 0.0
	for i := range v.kept {
		if v.weight(i) != v.row(i)[0]+1 {
			t.Fatalf("row %v has weight %v", v.row(i), v.weight(i))
		}
		sum += v.row(i)[0]
	}
	if v.kept != 100 || v.seen != n || math.Abs(sum/100-499.5) > 90 {
		t.Errorf("%d kept of %d, mean %v", v.kept, v.seen, sum/100)
	}
}
