package ml

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Scores writes the anomaly score of each row. It is the prediction of a type for anomalies, and the
// distance to the nearest centre of a type that assigns rows to centres. For other types the error is
// ErrCannot.
func Scores(t Type, m Model, x Matrix, out []float64) error {
	if t.Task == Anomaly {
		return m.Predict(x, out)
	}
	if a, ok := m.(Assigner); ok {
		return a.Assign(x, nil, out)
	}
	return ErrCannot
}

// TrainingThreshold is the threshold that the option means for a model, over the rows its
// learner holds. ok is false when the type has no scores, the learner no rows, or the option is
// 'none'.
func TrainingThreshold(t Type, l Learner, m Model, option any) (threshold float64, ok bool, err error) {
	_, assigns := m.(Assigner)
	if t.Task != Anomaly && !assigns {
		return 0, false, nil
	}
	var scores []float64
	if k, ok := l.(Keeper); ok {
		err = k.Rows(func(x Matrix) error {
			from := len(scores)
			scores = append(scores, make([]float64, x.Rows)...)
			return Scores(t, m, x, scores[from:])
		})
	}
	threshold, ok = Threshold(option, scores, nil)
	return threshold, ok && err == nil, err
}

// Threshold is the score above which a row is an anomaly, by the option's value over the scores
// of the training rows: 'quantile:q' interpolates between the two nearest. A row of weight 3 counts
// as three rows; weights nil is 1 for all. ok is false for 'none' and when there is no score. scores
// and weights are reordered.
func Threshold(option any, scores, weights []float64) (threshold float64, ok bool) {
	switch v := option.(type) {
	case float64:
		return v, true
	case string:
		q, err := strconv.ParseFloat(strings.TrimPrefix(v, "quantile:"), 64)
		if err != nil {
			return 0, false
		}
		return quantile(q, scores, weights)
	}
	return 0, false
}

// quantile is the quantile of scores in which each is repeated as often as it weighs.
func quantile(q float64, scores, weights []float64) (float64, bool) {
	type scored struct{ score, weight float64 }
	var all []scored
	total := 0.0
	for i, s := range scores {
		if w := at(weights, i); s-s == 0 && w > 0 {
			all = append(all, scored{s, w})
			total += w
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	place := max(float64(q*(total-1)), 0)
	nth := func(n float64) float64 { // the score of the n-th repetition, from 0
		sum := 0.0
		for _, s := range all {
			if sum += s.weight; sum > n {
				return s.score
			}
		}
		return all[len(all)-1].score
	}
	low := math.Floor(place)
	a, b := nth(low), nth(low+1)
	return a + float64((place-low)*(b-a)), true
}
