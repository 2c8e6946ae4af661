package ml

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
)

// Fit learns from rows of input columns; use selects the rows that are learned (nil: all), w nil
// weighs all rows 1. Rows with a missing input teach only the columns that impute.
func (p *Preparation) Fit(cols []arrow.Array, rows int, use []bool, w []float64, b *Buffers) error {
	if err := p.decode(cols, rows, b); err != nil {
		return err
	}
	for i, x := range p.items {
		for r := range rows {
			missing := x.levels != nil && b.codes[i][r] == -2 || x.levels == nil && b.nums[i][r] != b.nums[i][r]
			if missing && x.Impute == "" || x.levels == nil && math.Abs(b.nums[i][r]) >= Limit || use != nil && !use[r] {
				b.ok[r] = false
			}
		}
	}
	if err := p.admit(cols, b, true); err != nil {
		return err
	}
	here := make([]bool, rows)
	for i, x := range p.items {
		if x.levels != nil {
			x.count(b.codes[i], b.ok, w)
			continue
		}
		for r, v := range b.nums[i] {
			known := math.Abs(v) < Limit
			if weight := at(w, r); x.fill != nil && known && (use == nil || use[r]) && weight > 0 &&
				!x.fill.learn(v, weight) {
				p.undone++
			}
			here[r] = b.ok[r] && known
		}
		p.undone += x.scaler.fit(b.nums[i], here, w)
	}
	return nil
}

func (x *item) count(codes []int32, use []bool, w []float64) {
	for r, code := range codes {
		if code >= 0 && use[r] {
			x.counts[code] += at(w, r)
		}
	}
}

// Freeze ends Fit: one-hot encoders keep their most frequent levels, in the order in which they
// were seen, and features are numbered by item.
func (p *Preparation) Freeze() {
	for _, x := range p.items {
		if x.oneHot {
			x.keepTop()
		}
	}
	p.layout()
}

func (x *item) keepTop() {
	order := make([]int, len(x.levels.Names))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case x.counts[a] > x.counts[b]:
			return -1
		case x.counts[a] < x.counts[b]:
			return 1
		}
		return 0
	})
	order = order[:min(len(order), x.top)]
	// levels that were seen only in rows that were not used; those of an earlier version stay
	order = slices.DeleteFunc(order, func(k int) bool { return x.counts[k] == 0 && k >= x.carried })
	x.carried = 0
	slices.Sort(order)
	names, counts := x.levels.Names, x.counts
	x.levels, x.counts = new(Levels), nil
	for _, i := range order {
		x.levels.Add(names[i])
		x.counts = append(x.counts, counts[i])
	}
}

// admit adds levels for new values, row by row and within a row by item, so that their order
// does not depend on how rows are grouped. whole: before Freeze, while every level is counted.
func (p *Preparation) admit(cols []arrow.Array, b *Buffers, whole bool) error {
	grown := false
	for i, x := range p.items {
		grown = grown || x.levels != nil && x.open4more(whole) && slices.Contains(b.codes[i], -1)
	}
	if !grown {
		return nil
	}
	// levels before, and the first row of each since
	had, first := make([]int, len(p.items)), make([][]int, len(p.items))
	for i, x := range p.items {
		if x.levels != nil {
			had[i] = len(x.levels.Names)
		}
	}
	for r := range b.rows {
		if !b.ok[r] {
			continue
		}
		for i, x := range p.items {
			if x.levels == nil || b.codes[i][r] != -1 || !x.open4more(whole) {
				continue
			}
			before, name := len(x.levels.Names), Level(cols[x.Input], r)
			if !utf8.ValidString(name) { // it could not be written in a version's head
				continue
			}
			x.levels.Add(strings.Clone(name))
			if len(x.levels.Names) == before {
				continue
			}
			x.counts = append(x.counts, 0)
			first[i] = append(first[i], r)
			if x.oneHot && !whole {
				x.slotOf = append(x.slotOf, int32(len(p.slots)))
				p.slots = append(p.slots, slot{i, before})
			}
		}
	}
	for i, x := range p.items {
		if x.levels == nil {
			continue
		}
		if err := x.levels.Codes(cols[x.Input], b.codes[i]); err != nil {
			return err
		}
		for r, code := range b.codes[i] {
			// a row that is not learned may contain a value before its level exists
			if k := int(code) - had[i]; k >= 0 && r < first[i][k] {
				b.codes[i][r] = -1
			}
		}
	}
	return nil
}

func (x *item) open4more(whole bool) bool {
	n := x.top
	if whole {
		n = maxLevels
	}
	return !x.declare && len(x.levels.Names) < n
}
