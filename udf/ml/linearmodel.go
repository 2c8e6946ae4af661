package ml

import (
	"fmt"
	"sync"
)

// linearModel predicts from frozen weights.
type linearModel struct{ weights }

type linearScratch struct {
	tile
	z, p []float64
}

var linearScratches = sync.Pool{New: func() any { return new(linearScratch) }}

// each calls f with every row's most probable class and the probabilities.
func (m *linearModel) each(x Matrix, f func(r, class int, p []float64)) {
	s := linearScratches.Get().(*linearScratch)
	if cap(s.z) < m.planes() || cap(s.p) < m.classes {
		s.z, s.p = make([]float64, m.planes()), make([]float64, m.classes)
	}
	s.z, s.p = s.z[:m.planes()], s.p[:m.classes]
	for from := 0; from < x.Rows; from += tileRows {
		n := min(tileRows, x.Rows-from)
		s.gather(x, from, n, m.features)
		for r := range n {
			m.margins(s.row(r), s.z)
			f(from+r, m.predict(s.z, s.p), s.p)
		}
	}
	linearScratches.Put(s)
}

func (m *linearModel) Predict(x Matrix, out []float64) error {
	m.each(x, func(r, class int, _ []float64) { out[r] = float64(class) })
	return nil
}

// Proba returns the probability of each class.
func (m *linearModel) Proba(x, out Matrix) error {
	m.each(x, func(r, _ int, p []float64) {
		for c := range out.Cols {
			out.Cols[c][r] = 0
			if c < len(p) {
				out.Cols[c][r] = p[c]
			}
		}
	})
	return nil
}

// Explain returns weight times value per feature, of the plane of the predicted class.
func (m *linearModel) Explain(x, out Matrix) error {
	n := stride(m.features)
	m.each(x, func(r, class int, _ []float64) {
		plane := 0
		if m.soft {
			plane = class
		}
		for c := range out.Cols {
			out.Cols[c][r] = 0
			if c < m.features && c < len(x.Cols) {
				out.Cols[c][r] = float64(m.w[plane*n+c] * x.Cols[c][r])
			}
		}
	})
	return nil
}

// Table "weights" has a row per class and feature, and the bias as feature "(bias)". One plane
// speaks for class 1.
func (m *linearModel) Table(name string, features []Feature) (Table, error) {
	if name != "weights" {
		return Table{}, ErrCannot
	}
	t := Table{Columns: []string{"feature", "class", "weight"}}
	n := stride(m.features)
	for k := range m.bias {
		class := int64(k)
		if !m.soft {
			class = 1
		}
		for c := range m.features {
			t.Rows = append(t.Rows, []any{featureName(features, c), class, m.w[k*n+c]})
		}
		t.Rows = append(t.Rows, []any{"(bias)", class, m.bias[k]})
	}
	return t, nil
}

func featureName(features []Feature, c int) string {
	if c < len(features) {
		return features[c].Name
	}
	return fmt.Sprintf("feature %d", c)
}

func (m *linearModel) MarshalBinary() ([]byte, error) {
	var p Payload
	m.put(&p)
	return p.MarshalBinary()
}

func (v *weights) put(p *Payload) {
	soft := int64(0)
	if v.soft {
		soft = 1
	}
	p.PutInts("shape", []int64{soft, int64(v.features), int64(v.classes), int64(v.planes())})
	p.PutFloats("weights", v.w, v.planes(), stride(v.features))
	p.PutFloats("bias", v.bias)
	seen := make([]int64, 0, v.classes)
	for k, is := range v.seen {
		if is {
			seen = append(seen, int64(k))
		}
	}
	p.PutInts("seen", seen)
}

func (v *weights) get(p *Payload) error {
	n, err := p.Ints("shape", 4)
	if err != nil {
		return err
	}
	soft, features, classes, planes := n[0] == 1, n[1], n[2], n[3]
	if features < 0 || features > 1<<24 || classes < 2 || classes > maxClasses || soft && planes != classes ||
		!soft && (planes != 1 || classes != 2) {
		return fmt.Errorf("%w: %d planes, %d features, %d classes", ErrShape, planes, features, classes)
	}
	w, err := p.Floats("weights", int(planes)*stride(int(features)))
	if err != nil {
		return err
	}
	bias, err := p.Floats("bias", int(planes))
	if err != nil {
		return err
	}
	if err := finite("weights", append(bias, w...)...); err != nil {
		return err
	}
	*v = weights{soft: soft, features: int(features), classes: int(classes), w: w, bias: bias[:planes],
		seen: make([]bool, classes), unseen: int(classes)}
	seen, err := p.Ints("seen", -1)
	if err != nil { // an early version of the program wrote none: all classes count as seen
		return nil
	}
	for _, k := range seen {
		if k < 0 || k >= classes {
			return fmt.Errorf("%w: class %d of %d", ErrShape, k, classes)
		}
		v.see(int(k))
	}
	return nil
}

func loadLinear(_ Spec, data []byte) (Model, error) {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	m := new(linearModel)
	return m, m.get(&p)
}
