package ml

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
)

// Roll prepares each row twice, before and after it is learned: old for predicting it, now for
// learning it. use selects the rows that may be learned (nil: all); a row that is not ok is
// never learned. Features may be added at the right.
func (p *Preparation) Roll(
	cols []arrow.Array,
	rows int,
	use []bool,
	w []float64,
	b *Buffers,
) (old, now Matrix, ok []bool, err error) {
	if err := p.decode(cols, rows, b); err != nil {
		return old, now, nil, err
	}
	p.rollNumbers(use, w, b)
	p.present(b, true)
	for r := range use {
		b.ok[r] = b.ok[r] && use[r]
	}
	had := len(p.slots)
	if err := p.admit(cols, b, false); err != nil {
		return old, now, nil, err
	}
	p.rollWords(use, w, b)
	b.old, b.now = reuseAll(b.old, len(p.slots), rows), reuseAll(b.now, len(p.slots), rows)
	for f, s := range p.slots {
		x := p.items[s.item]
		switch {
		case x.oneHot:
			hot(b.codes[s.item], int32(s.level), b.now[f])
			copy(b.old[f], b.now[f])
			if f >= had { // unknown before its first row
				if r := slices.Index(b.codes[s.item], int32(s.level)); r >= 0 {
					b.old[f][r] = 0
				}
			}
		case x.levels != nil:
			x.label(b.codes[s.item], b.now[f])
			copy(b.old[f], b.now[f])
		default:
			p.undone += x.scaler.roll(b.nums[s.item], b.ok, w, b.old[f], b.now[f])
		}
	}
	for i, x := range p.items {
		if x.levels != nil && x.Impute == "" {
			x.count(b.codes[i], b.ok, w)
		}
	}
	for f := range p.slots {
		onlyFinite(b.old[f], b.ok)
		onlyFinite(b.now[f], b.ok)
	}
	return Matrix{rows, b.old[:len(p.slots)]}, Matrix{rows, b.now[:len(p.slots)]}, b.ok, nil
}

// rollNumbers fills missing numbers from the rows before.
func (p *Preparation) rollNumbers(use []bool, w []float64, b *Buffers) {
	for i, x := range p.items {
		if x.fill == nil {
			continue
		}
		for r, v := range b.nums[i] {
			if math.Abs(v) < Limit {
				if weight := at(w, r); weight > 0 && (use == nil || use[r]) && !x.fill.learn(v, weight) {
					p.undone++
				}
			} else if v != v {
				if top, known := x.fill.value(); known {
					b.nums[i][r] = top
				}
			}
		}
	}
}

// rollWords fills missing words by the most frequent of the rows before.
func (p *Preparation) rollWords(use []bool, w []float64, b *Buffers) {
	for i, x := range p.items {
		if x.Impute != "most_frequent" || x.levels == nil {
			continue
		}
		top, known := int32(0), false
		if len(x.counts) > 0 {
			top = x.mostFrequent()
			known = x.counts[top] > 0
		}
		for r, code := range b.codes[i] {
			switch {
			case code >= 0 && use != nil && !use[r]:
			case code >= 0:
				x.counts[code] += at(w, r)
				if n := x.counts[code]; n > x.counts[top] || n == x.counts[top] && code < top {
					top = code
				}
				known = known || x.counts[code] > 0
			case code == -2 && known:
				b.codes[i][r] = top
			case code == -2:
				b.ok[r] = false
			}
		}
	}
}
