package generate

import (
	"fmt"
	"math"
	"sort"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// features returns the 18 readings of n rows as numbers, and which rows are of a failing car.
func features(t *testing.T, c Config, n int) (x [][]float64, failing []bool) {
	r, _ := open(t, c).Make(0, n)
	x, failing = make([][]float64, n), make([]bool, n)
	for i := range n {
		x[i] = make([]float64, len(readings))
		for k := range readings {
			switch col := r.Column(k + 1).(type) {
			case *array.Float64:
				x[i][k] = col.Value(i)
			case *array.Int32:
				x[i][k] = float64(col.Value(i))
			}
		}
		failing[i] = flow.Value(r.Column(failureColumn), i) == "true"
	}
	return x, failing
}

// TestCarsFitThroughSeven: seven numbers describe a healthy car, so that the error of a
// reconstruction from seven numbers separates failing rows from healthy ones. The
// reconstruction is the best linear one (principal components of healthy rows).
func TestCarsFitThroughSeven(t *testing.T) {
	const n = 40_000
	x, failing := features(t, Config{Kind: "cars", Seed: 314}, n)
	mean, deviation := make([]float64, 18), make([]float64, 18)
	healthy := 0.0
	for i, row := range x {
		if failing[i] {
			continue
		}
		healthy++
		for k, v := range row {
			mean[k] += v
			deviation[k] += v * v
		}
	}
	if share := 1 - healthy/n; share < 0.005 || share > 0.04 {
		t.Errorf("%v of the rows fail", share)
	}
	for k := range mean {
		mean[k] /= healthy
		deviation[k] = math.Sqrt(deviation[k]/healthy - mean[k]*mean[k])
	}
	covariance := make([][]float64, 18)
	for k := range covariance {
		covariance[k] = make([]float64, 18)
	}
	for i, row := range x {
		for k := range row {
			row[k] = (row[k] - mean[k]) / deviation[k]
		}
		if !failing[i] {
			for a := range row {
				for b := range row {
					covariance[a][b] += row[a] * row[b] / healthy
				}
			}
		}
	}
	axes := principal(covariance, 7)
	scores := make([]float64, n)
	for i, row := range x {
		rest := append([]float64(nil), row...)
		for _, axis := range axes {
			dot := 0.0
			for k := range axis {
				dot += axis[k] * row[k]
			}
			for k := range rest {
				rest[k] -= dot * axis[k]
			}
		}
		for _, v := range rest {
			scores[i] += v * v
		}
	}
	auc, found, alarms := judge(scores, failing, 0.999)
	t.Logf(
		"AUC %.4f; at the 0.999 quantile %.1f %% of the failing rows, %.2f %% of the healthy ones",
		auc,
		100*found,
		100*alarms,
	)
	if auc < 0.99 {
		t.Errorf("AUC %.4f", auc)
	}
	if found < 0.8 {
		t.Errorf("the 0.999 quantile of healthy rows finds %.3f of the failing ones", found)
	}
}

// principal returns the first axes of a covariance by power iteration with deflation.
func principal(c [][]float64, count int) (axes [][]float64) {
	for range count {
		v := make([]float64, len(c))
		for k := range v {
			v[k] = 1 + float64(k%3)
		}
		value := 0.0
		for range 2000 {
			next := make([]float64, len(c))
			value = 0
			for a := range c {
				for b := range c {
					next[a] += c[a][b] * v[b]
				}
				value += next[a] * next[a]
			}
			value = math.Sqrt(value)
			for a := range next {
				v[a] = next[a] / value
			}
		}
		for a := range c {
			for b := range c {
				c[a][b] -= value * v[a] * v[b]
			}
		}
		axes = append(axes, v)
	}
	return axes
}

// judge returns the area under the ROC curve, and the shares of positives and negatives above a
// quantile of the negatives.
func judge(scores []float64, positive []bool, quantile float64) (auc, found, alarms float64) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return scores[order[a]] < scores[order[b]] })
	var below, pairs, positives float64
	var negatives []float64
	for _, i := range order {
		if positive[i] {
			pairs += below
			positives++
		} else {
			below++
			negatives = append(negatives, scores[i])
		}
	}
	threshold := negatives[int(quantile*float64(len(negatives)))]
	for i, s := range scores {
		if s > threshold && positive[i] {
			found += 1 / positives
		} else if s > threshold {
			alarms += 1 / below
		}
	}
	return pairs / (below * positives), found, alarms
}

func TestFailingCarVibrates(t *testing.T) {
	s := open(
		t,
		Config{
			Kind:    "cars",
			Options: map[string]string{"cars": "3"},
			Start:   10,
			Failing: func(car int, at flow.Time) bool { return car == 1 && at >= 60 },
		},
	)
	r, times := s.Make(0, 300)
	for i := range 300 {
		ratio := flow.Value(r.Column(vibrationColumn), i).(float64) / flow.Value(r.Column(7), i).(float64)
		fails := i%3 == 1 && times[i] >= 60
		if want := map[bool]float64{false: 100, true: 150}[fails]; math.Abs(ratio-want) > 25 {
			t.Errorf("row %d: vibration is %.1f times the speed, not %v", i, ratio, want)
		}
		if flow.Value(r.Column(0), i) != fmt.Sprintf("car-%04d", i%3) ||
			flow.Value(r.Column(failureColumn), i) != fmt.Sprint(fails) {
			t.Errorf(
				"row %d is of %v, failing %v",
				i,
				flow.Value(r.Column(0), i),
				flow.Value(r.Column(failureColumn), i),
			)
		}
		if times[i] != int64(10+i/3) {
			t.Errorf("row %d is at %d", i, times[i])
		}
	}
}

func TestProjectionGivesTheSameValues(t *testing.T) {
	all, _ := open(t, Config{Kind: "cars"}).Make(0, 100)
	for k, f := range all.Schema().Fields() {
		one, _ := open(t, Config{Kind: "cars", Fields: []arrow.Field{f}}).Make(0, 100)
		if !array.Equal(all.Column(k), one.Column(0)) {
			t.Errorf("column %s alone differs", f.Name)
		}
	}
}
