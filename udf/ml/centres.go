package ml

import (
	"fmt"
	"math"
	"sync"

	"github.com/streamql/streamql/udf/ml/fmath"
)

// rowLimit clamps values so that sums of their squares stay finite.
const rowLimit = 1e150

// centres are the centres of clusters.
type centres struct {
	features int
	c        []float64 // stride(features) values per centre
	counts   []float64 // per centre: the sum of the weights of the rows that it has learned from
}

func (v *centres) len() int { return len(v.counts) }

// nearest returns the number of the centre that is closest to a row, and the square of their
// distance. Of equally close centres it returns the lowest number. Without centres the distance is
// NaN.
func (v *centres) nearest(row []float64) (int, float64) {
	best, at := 0, math.NaN()
	n := stride(v.features)
	for k := range v.counts {
		if d := squared(row, v.c[k*n:(k+1)*n]); k == 0 || d < at {
			best, at = k, d
		}
	}
	return best, at
}

// squared is the squared distance of two rows, in eight lanes as dot.
func squared(a, b []float64) float64 {
	var s [8]float64
	for len(a) >= 8 && len(b) >= 8 {
		for i := range 8 {
			d := a[i] - b[i]
			s[i] += float64(d * d)
		}
		a, b = a[8:], b[8:]
	}
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
}

func (v *centres) clone() centres {
	return centres{v.features, append([]float64(nil), v.c...), append([]float64(nil), v.counts...)}
}

func (v *centres) grow(features int) {
	if features > v.features {
		v.c = widen(v.c, v.len(), stride(v.features), stride(features))
		v.features = features
	}
}

// start selects up to k centres among the rows by k-means++ with 2 + ln k candidates each:
// candidates are drawn by their squared distance to the centres so far, and the one with the
// smallest resulting sum is used.
func (v *centres) start(k int, rows rowset, r Rand) {
	n := stride(v.features)
	v.c, v.counts = nil, nil
	if rows.n == 0 {
		return
	}
	take := func(i int) { v.c = append(v.c, rows.row(i)...); v.counts = append(v.counts, 0) }
	take(r.Below(rows.n))
	dist := make([]float64, rows.n)
	for i := range dist {
		dist[i] = squared(rows.row(i), v.c[:n])
	}
	trial, best := make([]float64, rows.n), make([]float64, rows.n)
	for v.len() < k {
		total := 0.0
		for i, d := range dist {
			total += float64(d * rows.weight(i))
		}
		if !(total > 0) || math.IsInf(total, 0) {
			return
		}
		chosen, least := -1, math.Inf(1)
		for range 2 + int(fmath.Log(float64(k))) {
			i := rows.draw(dist, r.Float()*total)
			sum := 0.0
			for j := range trial {
				trial[j] = min(dist[j], squared(rows.row(j), rows.row(i)))
				sum += float64(trial[j] * rows.weight(j))
			}
			if sum < least {
				chosen, least = i, sum
				trial, best = best, trial
			}
		}
		take(chosen)
		dist, best = best, dist
	}
}

// rowset is n rows of equal stride, with weights or nil.
type rowset struct {
	values  []float64
	stride  int
	n       int
	weights []float64
}

func (s rowset) row(i int) []float64 { return s.values[i*s.stride : (i+1)*s.stride] }

func (s rowset) weight(i int) float64 { return at(s.weights, i) }

// draw is the row at which the running sum of dist times weight passes at.
func (s rowset) draw(dist []float64, at float64) int {
	last := 0
	for i, d := range dist {
		if d = float64(d * s.weight(i)); d > 0 {
			last = i
			if at -= d; at < 0 {
				return i
			}
		}
	}
	return last
}

// update moves the centres by a mini-batch: (c n a + sum) / (n a + m), with c and n the prior
// centres and their weights, and a the weight of the past (the rule of Spark's streaming k-means).
// It returns the sum of squared distances before the move, and whether an assignment differs from
// assigned, which it rewrites.
func (v *centres) update(rows rowset, prior centres, past float64, assigned []int32) (sse float64, changed bool) {
	n := stride(v.features)
	sums, m := make([]float64, len(v.c)), make([]float64, v.len())
	for i := range rows.n {
		k, d := v.nearest(rows.row(i))
		w := rows.weight(i)
		sse += float64(w * d)
		m[k] += w
		sum := sums[k*n : (k+1)*n]
		for c, x := range rows.row(i) {
			sum[c] += float64(w * x)
		}
		if assigned != nil && assigned[i] != int32(k) {
			assigned[i], changed = int32(k), true
		}
	}
	for k := range m {
		old := 0.0
		if k < prior.len() {
			old = float64(prior.counts[k] * past)
		}
		total := old + m[k]
		if m[k] > 0 {
			for c := k * n; c < (k+1)*n; c++ {
				before := 0.0
				if old > 0 {
					before = float64(prior.c[c] * old)
				}
				v.c[c] = (before + sums[c]) / total
			}
		}
		v.counts[k] = total
	}
	return sse, changed
}

// settle moves new centres by Lloyd's passes over the first mini-batch until no row changes its
// centre, as one bad start would last.
func (v *centres) settle(rows rowset) {
	assigned := make([]int32, rows.n)
	for i := range assigned {
		assigned[i] = -1
	}
	for range 100 {
		if _, changed := v.update(rows, centres{}, 0, assigned); !changed {
			return
		}
	}
}

// put and get carry centres under names that begin with a prefix.
func (v *centres) put(p *Payload, prefix string) {
	p.PutInts(prefix+"shape", []int64{int64(v.features), int64(v.len())})
	p.PutFloats(prefix+"centres", v.c, v.len(), stride(v.features))
	p.PutFloats(prefix+"weights", v.counts)
}

func (v *centres) get(p *Payload, prefix string) error {
	n, err := p.Ints(prefix+"shape", 2)
	if err != nil {
		return err
	}
	if n[0] < 0 || n[0] > 1<<24 || n[1] < 0 || n[1] > 10_000 {
		return fmt.Errorf("%w: %d centres of %d features", ErrShape, n[1], n[0])
	}
	c, err := p.Floats(prefix+"centres", stride(int(n[0]))*int(n[1]))
	if err != nil {
		return err
	}
	counts, err := p.Floats(prefix+"weights", int(n[1]))
	if err != nil {
		return err
	}
	*v = centres{int(n[0]), c, counts}
	return finite("centres", append(append([]float64(nil), c...), counts...)...)
}

func loadKMeans(_ Spec, data []byte) (Model, error) {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	m := new(kmeansModel)
	return m, m.get(&p, "")
}

// kmeansModel is frozen centres.
type kmeansModel struct{ centres }

var tiles = sync.Pool{New: func() any { return new(tile) }}

// Centres implements Centred.
func (m *kmeansModel) Centres() int { return m.len() }

// Predict returns the cluster, NaN without centres.
func (m *kmeansModel) Predict(x Matrix, out []float64) error { return m.Assign(x, out, nil) }

// Assign returns the cluster and the distance to its centre; either argument may be nil.
func (m *kmeansModel) Assign(x Matrix, cluster, distance []float64) error {
	t := tiles.Get().(*tile)
	for from := 0; from < x.Rows; from += tileRows {
		n := min(tileRows, x.Rows-from)
		t.gather(x, from, n, m.features)
		for r := range n {
			row := t.row(r)
			for c, v := range row {
				row[c] = min(max(v, -rowLimit), rowLimit)
			}
			k, d := m.nearest(row)
			if cluster != nil {
				cluster[from+r] = float64(k)
				if d != d {
					cluster[from+r] = d
				}
			}
			if distance != nil {
				distance[from+r] = math.Sqrt(d)
			}
		}
	}
	tiles.Put(t)
	return nil
}

// Explain returns each feature's share of the squared distance to the nearest centre.
func (m *kmeansModel) Explain(x, out Matrix) error {
	cluster := make([]float64, x.Rows)
	if err := m.Predict(x, cluster); err != nil {
		return err
	}
	n := stride(m.features)
	for c := range out.Cols {
		for r, k := range cluster {
			out.Cols[c][r] = 0
			if c < m.features && k == k {
				d := x.Cols[c][r] - m.c[int(k)*n+c]
				out.Cols[c][r] = float64(d * d)
			}
		}
	}
	return nil
}

// Table "centroids" has a row per centre and feature.
func (m *kmeansModel) Table(name string, features []Feature) (Table, error) {
	if name != "centroids" {
		return Table{}, ErrCannot
	}
	t := Table{Columns: []string{"centroid", "feature", "value"}}
	for k := range m.counts {
		for c := range m.features {
			t.Rows = append(t.Rows, []any{int64(k), featureName(features, c), m.c[k*stride(m.features)+c]})
		}
	}
	return t, nil
}

func (m *kmeansModel) MarshalBinary() ([]byte, error) {
	var p Payload
	m.put(&p, "")
	return p.MarshalBinary()
}
