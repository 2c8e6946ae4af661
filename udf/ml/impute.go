package ml

import (
	"fmt"
	"slices"
	"sort"
)

// filler computes the number that replaces missing ones.
type filler interface {
	// learn reports whether the number could be learned without an overflow.
	learn(v, w float64) bool
	// value returns the replacement, or false before the first number.
	value() (float64, bool)
	state() []float64
	restore([]float64) error
}

// newFiller returns the filler of an imputation of numbers, or nil if there is none of that name.
func newFiller(impute string) filler {
	switch impute {
	case "mean":
		return new(standard)
	case "median":
		return new(bins)
	case "most_frequent":
		return &bins{mode: true}
	}
	return nil
}

func (s *standard) value() (float64, bool) { return s.mean, s.n > 0 }

// maxBins is the number of distinct values that bins count exactly.
const maxBins = 4096

// bins counts distinct numbers in order, for their median or, with mode, their most frequent one. Above maxBins
// values, neighbours are merged in pairs (Ben-Haim and Tom-Tov, 2010, in bulk).
type bins struct {
	mode            bool
	values, weights []float64
}

func (b *bins) learn(v, w float64) bool {
	if w <= 0 {
		return true
	}
	i, found := slices.BinarySearch(b.values, v)
	if found {
		b.weights[i] += w
		return true
	}
	if len(b.values) == maxBins {
		b.merge()
		i = sort.SearchFloat64s(b.values, v)
	}
	b.values, b.weights = slices.Insert(b.values, i, v), slices.Insert(b.weights, i, w)
	return true
}

// merge replaces each pair of neighbours by their weighted mean.
func (b *bins) merge() {
	n := len(b.values) / 2
	for i := range n {
		w := b.weights[2*i] + b.weights[2*i+1]
		low, high := b.values[2*i], b.values[2*i+1]
		b.values[i], b.weights[i] = low+float64((high-low)*(b.weights[2*i+1]/w)), w
	}
	b.values, b.weights = b.values[:n], b.weights[:n]
}

func (b *bins) value() (float64, bool) {
	if len(b.values) == 0 {
		return 0, false
	}
	if b.mode { // the smallest of equally frequent ones
		best := 0
		for i, w := range b.weights {
			if w > b.weights[best] {
				best = i
			}
		}
		return b.values[best], true
	}
	total := 0.0
	for _, w := range b.weights {
		total += w
	}
	sum := 0.0
	for i, w := range b.weights {
		if sum += w; sum > total/2 || i == len(b.values)-1 {
			return b.values[i], true
		}
		if sum == total/2 {
			return b.values[i] + float64((b.values[i+1]-b.values[i])/2), true
		}
	}
	return 0, false
}

func (b *bins) state() []float64 { return append(slices.Clone(b.values), b.weights...) }

func (b *bins) restore(v []float64) error {
	n := len(v) / 2
	if len(v)%2 != 0 || n > maxBins || finite("imputer", v...) != nil || !slices.IsSorted(v[:n]) {
		return fmt.Errorf("%w: state of ML_IMPUTER", ErrShape)
	}
	b.values, b.weights = slices.Clone(v[:n]), slices.Clone(v[n:])
	return nil
}
