package ml

import (
	"fmt"
	"math"
)

// tileRows is the number of rows that are transposed at once: a tile of some dozens of features
// fits into the first-level cache.
const tileRows = 64

// tile is a few rows in row order, each padded with zeros to a multiple of 8 values, so that a
// dot product needs no remainder loop.
type tile struct {
	values []float64
	stride int
}

func stride(features int) int { return (features + 7) &^ 7 }

// gather copies rows [from, from+n) of m; columns beyond features are left out, missing ones are 0.
func (t *tile) gather(m Matrix, from, n, features int) {
	t.stride = stride(features)
	if need := tileRows * t.stride; cap(t.values) < need {
		t.values = make([]float64, need)
	} else {
		t.values = t.values[:need]
	}
	have := min(features, len(m.Cols))
	for c := range have {
		at := c
		for _, v := range m.Cols[c][from : from+n] {
			t.values[at] = v
			at += t.stride
		}
	}
	for r := range n {
		clear(t.values[r*t.stride+have : (r+1)*t.stride])
	}
}

func (t *tile) row(r int) []float64 { return t.values[r*t.stride : (r+1)*t.stride] }

// dot is the product of two rows of equal length, a multiple of 8, in eight lanes and a fixed
// final tree.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float64
	for len(a) >= 8 && len(b) >= 8 {
		s0 += float64(a[0] * b[0])
		s1 += float64(a[1] * b[1])
		s2 += float64(a[2] * b[2])
		s3 += float64(a[3] * b[3])
		s4 += float64(a[4] * b[4])
		s5 += float64(a[5] * b[5])
		s6 += float64(a[6] * b[6])
		s7 += float64(a[7] * b[7])
		a, b = a[8:], b[8:]
	}
	return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
}

// widen copies rows of one stride into rows of a wider one.
func widen(v []float64, rows, from, to int) []float64 {
	if from == to {
		return v
	}
	out := make([]float64, rows*to)
	for r := range rows {
		copy(out[r*to:(r+1)*to], v[r*from:(r+1)*from])
	}
	return out
}

// reservoir stores rows for learners that pass over them more than once: all of them up to max,
// then a uniform sample of all seen (Vitter's algorithm R, 1985). Rows are stored
// consecutively.
type reservoir[T float32 | float64] struct {
	max, width int
	rows       []T
	weights    []T // nil: all 1
	kept, seen int
	rand       Rand
}

func newReservoir[T float32 | float64](max, width int, seed uint64) reservoir[T] {
	return reservoir[T]{max: max, width: width, rand: NewRand(seed, "reservoir", 0)}
}

// add takes the rows of x that are finite; limit clamps their values so that squares stay
// finite in T. It returns how many were not.
func (v *reservoir[T]) add(x Matrix, w []float64, limit float64) (skipped int) {
	v.grow(len(x.Cols))
	for r := range x.Rows {
		if !finiteRow(x, r) || w != nil && !(w[r] >= 0 && !math.IsInf(w[r], 1)) {
			skipped++
			continue
		}
		at := v.kept
		if v.seen >= v.max {
			at = v.rand.Below(v.seen + 1)
		}
		v.seen++
		if at >= v.max {
			continue
		}
		if at == v.kept {
			v.kept++
			v.rows = append(v.rows, make([]T, v.width)...)
			if v.weights != nil {
				v.weights = append(v.weights, 1)
			}
		}
		row := v.rows[at*v.width : (at+1)*v.width]
		for c, col := range x.Cols {
			row[c] = T(min(max(col[r], -limit), limit))
		}
		if w != nil {
			v.weigh(at, w[r], limit)
		}
	}
	return skipped
}

// weigh creates the column of weights when the first weight other than 1 arrives.
func (v *reservoir[T]) weigh(at int, w, limit float64) {
	if v.weights == nil {
		if w == 1 {
			return
		}
		v.weights = make([]T, v.kept)
		for i := range v.weights {
			v.weights[i] = 1
		}
	}
	v.weights[at] = T(min(w, limit))
}

func (v *reservoir[T]) weight(i int) T {
	if v.weights == nil {
		return 1
	}
	return v.weights[i]
}

func (v *reservoir[T]) row(i int) []T { return v.rows[i*v.width : (i+1)*v.width] }

func (v *reservoir[T]) grow(width int) {
	if width <= v.width {
		return
	}
	out := make([]T, v.kept*width, max(v.kept, min(v.max, 1024))*width)
	for i := range v.kept {
		copy(out[i*width:], v.row(i))
	}
	v.rows, v.width = out, width
}

// visit shows the rows in blocks as columns.
func (v *reservoir[T]) visit(f func(Matrix) error) error {
	const block = 1024
	m := Matrix{Cols: make([][]float64, v.width)}
	for c := range m.Cols {
		m.Cols[c] = make([]float64, block)
	}
	for from := 0; from < v.kept; from += block {
		m.Rows = min(block, v.kept-from)
		for c, col := range m.Cols {
			at := from*v.width + c
			for r := range m.Rows {
				col[r] = float64(v.rows[at])
				at += v.width
			}
		}
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

// put and get carry the reservoir through a learner's bytes.
func (v *reservoir[T]) put(p *Payload) {
	p.PutInts("kept", []int64{int64(v.width), int64(v.kept), int64(v.seen)})
	p.PutBytes("kept.rand", v.rand.state())
	switch rows := any(v.rows).(type) {
	case []float32:
		p.PutFloat32s("kept.rows", rows, v.kept, v.width)
		p.PutFloat32s("kept.weights", any(v.weights).([]float32))
	case []float64:
		p.PutFloats("kept.rows", rows, v.kept, v.width)
		p.PutFloats("kept.weights", any(v.weights).([]float64))
	}
}

func (v *reservoir[T]) get(p *Payload) error {
	n, err := p.Ints("kept", 3)
	if err != nil {
		return err
	}
	width, kept, seen := int(n[0]), int(n[1]), int(n[2])
	if width < 0 || kept < 0 || kept > v.max || seen < kept || width > 0 && kept > MaxPayload/width {
		return fmt.Errorf("%w: %d rows of %d features", ErrShape, kept, width)
	}
	random, err := p.Bytes("kept.rand")
	if err != nil {
		return err
	}
	if err := v.rand.restore(random); err != nil {
		return fmt.Errorf("%w: %v", ErrShape, err)
	}
	var rows, weights any
	var errRows, errWeights error
	switch any(v.rows).(type) {
	case []float32:
		rows, errRows = p.Float32s("kept.rows", kept*width)
		weights, errWeights = p.Float32s("kept.weights", -1)
	case []float64:
		rows, errRows = p.Floats("kept.rows", kept*width)
		weights, errWeights = p.Floats("kept.weights", -1)
	}
	if errRows != nil {
		return errRows
	}
	if errWeights != nil {
		return errWeights
	}
	v.width, v.kept, v.seen = width, kept, seen
	v.rows, v.weights = rows.([]T), weights.([]T)
	if len(v.weights) == 0 {
		v.weights = nil
	} else if len(v.weights) != kept {
		return fmt.Errorf("%w: %d weights for %d rows", ErrShape, len(v.weights), kept)
	}
	return nil
}

func finiteRow(x Matrix, r int) bool {
	sum := 0.0
	for _, col := range x.Cols {
		sum += col[r] - col[r]
	}
	return sum == 0
}
