// Package mltest is the test suite that every model type must pass, the built-in ones and those
// of an embedder.
package mltest

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/streamql/streamql/udf/ml"
)

// Model tests a type against the contracts of Learner and Model, in each way in which it can be
// trained: rows divided into calls of 1, 7 and 1,024 result in equal bytes; marshalling,
// loading and continuing is the same as never stopping; NaN, Inf, 1e308, subnormals, one class,
// a constant column and no rows have finite predictions for finite rows; a prediction allocates
// nothing; corrupt bytes are an error.
func Model(t *testing.T, typ ml.Type) {
	for mode, name := range map[ml.Modes]string{ml.Once: "once", ml.Event: "event"} {
		if !typ.Trains.Has(mode) {
			continue
		}
		t.Run(typ.Name+"/"+name, func(t *testing.T) {
			k := kit{t, typ, mode}
			t.Run("rows split", k.split)
			t.Run("stop and continue", k.resume)
			t.Run("odd rows", k.odd)
			t.Run("no rows", k.empty)
			t.Run("saved model", k.saved)
			t.Run("allocations", k.allocations)
			t.Run("broken bytes", k.broken)
			if mode == ml.Event {
				t.Run("test then train", k.tester)
			}
		})
	}
}

type kit struct {
	*testing.T
	typ  ml.Type
	mode ml.Modes
}

const (
	features = 5
	rows     = 2500
)

// sample is two classes of rows around two centres, with a constant column.
func sample(n int) (ml.Matrix, []float64) {
	r := rand.New(rand.NewPCG(7, 9))
	x, y := ml.Matrix{Rows: n, Cols: make([][]float64, features)}, make([]float64, n)
	for c := range x.Cols {
		x.Cols[c] = make([]float64, n)
	}
	for i := range n {
		y[i] = float64(r.IntN(2))
		for c := range features - 1 {
			x.Cols[c][i] = r.NormFloat64() + 1.5*(2*y[i]-1)
		}
		x.Cols[features-1][i] = 3
	}
	return x, y
}

func (k kit) fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (k kit) spec(t *testing.T) ml.Spec {
	t.Helper()
	o, err := k.typ.Accept(map[string]any{"max_rows": int64(2000)}) // fewer than rows: the reservoir works
	k.fatal(t, err)
	s := ml.Spec{Type: k.typ.Name, Mode: k.mode, Options: o}
	for c := range features {
		s.Features = append(s.Features, ml.Feature{Name: fmt.Sprint("f", c)})
	}
	if k.typ.Check != nil {
		k.fatal(t, k.typ.Check(s))
	}
	return s
}

func (k kit) learner(t *testing.T) ml.Learner {
	t.Helper()
	l, err := k.typ.New(k.spec(t))
	k.fatal(t, err)
	return l
}

func (k kit) learn(t *testing.T, l ml.Learner, x ml.Matrix, y []float64, from, to, step int) {
	t.Helper()
	for ; from < to; from += step {
		end := min(from+step, to)
		k.fatal(t, l.Learn(x.Slice(from, end), y[from:end], nil))
	}
}

func (k kit) passes(t *testing.T, l ml.Learner, most int) {
	t.Helper()
	p, ok := l.(ml.Passer)
	for again := ok; again && most > 0; most-- {
		var err error
		again, err = p.Pass()
		k.fatal(t, err)
	}
}

func mustBytes(t *testing.T, m encoding.BinaryMarshaler) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k kit) split(t *testing.T) {
	x, y := sample(rows)
	var want []byte
	for _, step := range []int{1, 7, 1024} {
		l := k.learner(t)
		k.learn(t, l, x, y, 0, rows, step)
		k.passes(t, l, 3)
		got := append(mustBytes(t, l), mustBytes(t, l.Model())...)
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("calls of %d rows leave other bytes than calls of one", step)
		}
	}
}

func (k kit) resume(t *testing.T) {
	x, y := sample(rows)
	straight := k.learner(t)
	k.learn(t, straight, x, y, 0, rows, 100)
	k.passes(t, straight, 4)
	for _, stop := range []int{0, 1, 99, 1100, rows} {
		l := k.learner(t)
		k.learn(t, l, x, y, 0, stop, 64)
		next := k.learner(t)
		k.fatal(t, next.UnmarshalBinary(mustBytes(t, l)))
		k.learn(t, next, x, y, stop, rows, 64)
		k.passes(t, next, 2)
		last := k.learner(t)
		k.fatal(t, last.UnmarshalBinary(mustBytes(t, next)))
		k.passes(t, last, 2)
		if !bytes.Equal(mustBytes(t, last), mustBytes(t, straight)) {
			t.Errorf("stopped after %d rows and within the passes, the learner ends with other bytes", stop)
		}
	}
}

func (k kit) odd(t *testing.T) {
	values := []float64{
		math.NaN(),
		math.Inf(1),
		math.Inf(-1),
		1e308,
		-1e308,
		math.MaxFloat64,
		5e-324,
		-5e-324,
		0,
		math.Copysign(0, -1),
	}
	x, y := sample(300)
	for i, v := range values {
		x.Cols[i%features][20*i] = v
		for c := range x.Cols {
			x.Cols[c][20*i+10] = v
		}
	}
	one := make([]float64, 300)
	for _, target := range [][]float64{y, one} {
		l := k.learner(t)
		k.learn(t, l, x, target, 0, 300, 50)
		k.passes(t, l, 100)
		m := l.Model()
		if _, err := k.typ.Load(k.spec(t), mustBytes(t, m)); err != nil {
			t.Fatalf("after odd rows the model does not load: %v", err)
		}
		clean, _ := sample(200)
		out := make([]float64, 200)
		k.fatal(t, m.Predict(clean, out))
		for r, v := range out {
			if v-v != 0 {
				t.Fatalf("after odd rows, row %d is predicted as %v", r, v)
			}
		}
		k.proba(t, m, clean)
		for c := range clean.Cols { // finite but extreme rows must not have NaN probabilities
			clean.Cols[c][0] = 1e308 * float64(1-2*(c%2))
		}
		k.proba(t, m, clean)
	}
}

func (k kit) proba(t *testing.T, m ml.Model, x ml.Matrix) {
	t.Helper()
	p, ok := m.(ml.Prober)
	if !ok || k.typ.Task != ml.Classify {
		return
	}
	out := ml.Matrix{Rows: x.Rows, Cols: [][]float64{make([]float64, x.Rows), make([]float64, x.Rows)}}
	k.fatal(t, p.Proba(x, out))
	for r := range x.Rows {
		if sum := out.Cols[0][r] + out.Cols[1][r]; !(math.Abs(sum-1) < 1e-9) {
			t.Fatalf("probabilities of row %d sum to %v", r, sum)
		}
	}
}

func (k kit) empty(t *testing.T) {
	l := k.learner(t)
	k.fatal(t, l.Learn(ml.Matrix{Cols: make([][]float64, features)}, []float64{}, nil))
	k.passes(t, l, 1)
	m := l.Model()
	x, _ := sample(3)
	k.fatal(t, m.Predict(x, make([]float64, 3)))
	k.fatal(t, m.Predict(ml.Matrix{Cols: make([][]float64, features)}, nil))
	mustBytes(t, m)
}

func (k kit) saved(t *testing.T) {
	x, y := sample(rows)
	l := k.learner(t)
	k.learn(t, l, x, y, 0, rows, 500)
	k.passes(t, l, 100)
	m := l.Model()
	loaded, err := k.typ.Load(k.spec(t), mustBytes(t, m))
	k.fatal(t, err)
	a, b := make([]float64, rows), make([]float64, rows)
	k.fatal(t, m.Predict(x, a))
	k.fatal(t, loaded.Predict(x, b))
	for r := range a {
		if a[r] != b[r] {
			t.Fatalf("row %d: %v before, %v after loading", r, a[r], b[r])
		}
	}
	for _, r := range []int{0, 1, 77, rows - 1} { // a row alone is predicted as among others
		k.fatal(t, m.Predict(x.Slice(r, r+1), b[:1]))
		if b[0] != a[r] {
			t.Fatalf("row %d: %v alone, %v among others", r, b[0], a[r])
		}
	}
	if w, ok := k.learner(t).(ml.Warmer); ok {
		k.fatal(t, w.Warm(loaded, ml.Carry{}))
		k.fatal(t, w.(ml.Learner).Model().Predict(x, b))
		for r := range a {
			if a[r] != b[r] {
				t.Fatalf("row %d: %v by the model, %v by a learner warmed with it", r, a[r], b[r])
			}
		}
	}
}

func (k kit) allocations(t *testing.T) {
	x, y := sample(rows)
	l := k.learner(t)
	k.learn(t, l, x, y, 0, 500, 500)
	k.passes(t, l, 1)
	m, out := l.Model(), make([]float64, rows)
	if n := testing.AllocsPerRun(20, func() { _ = m.Predict(x, out) }); n >= 1 {
		t.Errorf("a prediction of %d rows allocates %v times", rows, n)
	}
}

func (k kit) broken(t *testing.T) {
	x, y := sample(200)
	l := k.learner(t)
	k.learn(t, l, x, y, 0, 200, 200)
	k.passes(t, l, 1)
	for what, good := range map[string][]byte{"model": mustBytes(t, l.Model()), "learner": mustBytes(t, l)} {
		read := func(b []byte) error {
			if what == "model" {
				m, err := k.typ.Load(k.spec(t), b)
				if err == nil {
					err = m.Predict(x, make([]float64, 200))
				}
				return err
			}
			return k.learner(t).UnmarshalBinary(b)
		}
		k.fatal(t, read(good))
		for n := 0; n < len(good); n += 1 + len(good)/97 {
			if err := read(good[:n]); !errors.Is(err, ml.ErrShape) {
				t.Fatalf("%s cut to %d of %d bytes: %v", what, n, len(good), err)
			}
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 300 { // any damage is an error or harmless, never a panic
			bad := bytes.Clone(good)
			bad[r.IntN(min(len(bad), 600))] ^= byte(1 << r.IntN(8))
			_ = read(bad)
		}
	}
}

func (k kit) tester(t *testing.T) {
	x, y := sample(600)
	run := func(test bool, step int) ([]float64, []byte) {
		l := k.learner(t)
		out := make([]float64, x.Rows)
		for from := 0; from < x.Rows; from += step {
			to := min(from+step, x.Rows)
			part := x.Slice(from, to)
			if test {
				k.fatal(t, ml.Test(l, part, part, y[from:to], nil, out[from:to], ml.Matrix{}))
			} else {
				k.fatal(t, l.Learn(part, y[from:to], nil))
			}
		}
		return out, mustBytes(t, l)
	}
	ones, want := run(true, 1)
	many, got := run(true, 250)
	for r := range ones {
		if ones[r] != many[r] && ones[r] == ones[r] {
			t.Fatalf("row %d is predicted as %v row by row and %v in a batch", r, ones[r], many[r])
		}
	}
	_, plain := run(false, 250)
	if !bytes.Equal(got, want) || !bytes.Equal(plain, want) {
		t.Error("to test and learn leaves other bytes than to learn")
	}
}
