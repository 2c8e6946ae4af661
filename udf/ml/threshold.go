package ml

import (
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
	threshold, ok = Threshold(option, scores)
	return threshold, ok && err == nil, err
}

// Threshold is the score above which a row is an anomaly, by the option's value over the scores
// of the training rows: 'quantile:q' interpolates between the two nearest. ok is false for
// 'none' and when there is no score. scores is reordered.
func Threshold(option any, scores []float64) (threshold float64, ok bool) {
	switch v := option.(type) {
	case float64:
		return v, true
	case string:
		q, err := strconv.ParseFloat(strings.TrimPrefix(v, "quantile:"), 64)
		scores = slices.DeleteFunc(scores, func(s float64) bool { return s-s != 0 })
		if err != nil || len(scores) == 0 {
			return 0, false
		}
		slices.Sort(scores)
		at := float64(q * float64(len(scores)-1))
		low := int(at)
		high := min(low+1, len(scores)-1)
		return scores[low] + float64((at-float64(low))*(scores[high]-scores[low])), true
	}
	return 0, false
}
