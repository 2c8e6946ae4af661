package ml

import "math"

// Buffers is the working memory of one user of a Preparation; matrices made with it are valid
// until its next use.
type Buffers struct {
	rows  int
	nums  [][]float64 // by item
	codes [][]int32   // by item
	old   [][]float64 // by feature
	now   [][]float64
	ok    []bool
}

func reuse[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n, n+n/4)
	}
	return v[:n]
}

func reuseAll[T any](v [][]T, cols, rows int) [][]T {
	for len(v) < cols {
		v = append(v, nil)
	}
	for c := range v[:cols] {
		v[c] = reuse(v[c], rows)
	}
	return v
}

// Why returns the reason for which row r of the last batch is not ok, with the name of the feature.
// learning: the batch was prepared to be learned.
func (p *Preparation) Why(b *Buffers, r int, learning bool) string {
	for i, x := range p.items {
		switch {
		case x.levels != nil && b.codes[i][r] == -2, x.levels == nil && b.nums[i][r] != b.nums[i][r]:
			return "feature " + x.Name + " is missing"
		case x.levels != nil && b.codes[i][r] == -1 && !x.oneHot:
			return "the value of feature " + x.Name + " is none of its levels"
		case x.levels == nil && math.IsInf(b.nums[i][r], 0):
			return "feature " + x.Name + " is not finite"
		case learning && x.levels == nil && math.Abs(b.nums[i][r]) >= Limit:
			return "feature " + x.Name + " is 1e20 or more, which would rule out a scale for all other rows; divide it"
		}
	}
	return "the prediction is not finite"
}
