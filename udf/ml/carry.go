package ml

import (
	"math"
	"slices"
)

// Line is the map x -> Scale*x + Shift.
type Line struct{ Scale, Shift float64 }

// Carry relates the features and classes of a learner to those of the earlier version from which it starts. They are
// matched by name, because their numbers are assigned anew in each training. The zero Carry means that names and
// scaling are the same in the same order.
type Carry struct {
	Features []int  // for each feature of the learner, the number of the earlier version's; -1: it has none
	Lines    []Line // for each feature of the learner, from its value to that of the earlier version
	Classes  []int  // for each class of the earlier version, its number now; -1: it is none of the classes
}

// feature returns the earlier version's number of a feature, or -1, and the line to the earlier value.
func (c Carry) feature(f, had int) (int, Line) {
	if c.Features == nil {
		if f >= had {
			return -1, Line{}
		}
		return f, Line{Scale: 1}
	}
	if f >= len(c.Features) || c.Features[f] >= had {
		return -1, Line{}
	}
	return c.Features[f], c.Lines[f]
}

// class returns the present number of an earlier class, or -1.
func (c Carry) class(k int) int {
	if c.Classes == nil {
		return k
	}
	if k >= len(c.Classes) {
		return -1
	}
	return c.Classes[k]
}

// Carry returns the relation of a learner's features, which a preparation made, and its classes to the version.
func (b *Bundle) Carry(now *Preparation, classes []string) Carry {
	c := Carry{Features: []int{}, Lines: []Line{}, Classes: []int{}}
	before := map[string]int{}
	for i, f := range b.Preparation.Features() {
		before[f.Name] = i
	}
	for i, f := range now.Features() {
		from, line := -1, Line{}
		if k, ok := before[f.Name]; ok {
			old, x := b.Preparation.slots[k], now.slots[i]
			if l, ok := lineTo(b.Preparation.items[old.item], now.items[x.item]); ok {
				from, line = k, l
			}
		}
		c.Features, c.Lines = append(c.Features, from), append(c.Lines, line)
	}
	for _, name := range b.Classes {
		c.Classes = append(c.Classes, slices.Index(classes, name))
	}
	return c
}

// lineTo returns the line from the prepared value of an item to that of an earlier item, or false if the two do not
// prepare the same value.
func lineTo(old, now *item) (Line, bool) {
	switch {
	case old.Expr != "" && old.Expr != now.Expr || old.oneHot != now.oneHot || (old.levels == nil) != (now.levels == nil):
		return Line{}, false
	case now.oneHot:
		return Line{Scale: 1}, true
	case now.levels != nil:
		n := len(old.levels.Names)
		return Line{Scale: 1}, n <= len(now.levels.Names) && slices.Equal(old.levels.Names, now.levels.Names[:n])
	}
	a, b := old.scaler.line(), now.scaler.line()
	scale := a.Scale / b.Scale
	shift := a.Shift - float64(scale*b.Shift)
	return Line{scale, shift}, b.Scale != 0 && scale != 0 && scale-scale == 0 && shift-shift == 0
}

// Remember adds the levels that an earlier version's preparation knows to the encoders of the same features, so that
// a level keeps its feature although no row of this training contains it. It precedes Fit.
func (p *Preparation) Remember(earlier *Preparation) {
	for _, x := range p.items {
		at := slices.IndexFunc(earlier.items, func(y *item) bool {
			return y.Name == x.Name && (y.Expr == "" || y.Expr == x.Expr) && y.oneHot == x.oneHot
		})
		if at < 0 || x.levels == nil || x.declare || earlier.items[at].levels == nil {
			continue
		}
		for _, name := range earlier.items[at].levels.Names {
			x.levels.Add(name)
		}
		x.carried = len(x.levels.Names)
		x.counts = make([]float64, x.carried)
	}
}

// Lines returns the scaling of each feature as of the last row.
func (p *Preparation) Lines() []Line {
	out := make([]Line, len(p.slots))
	for f, s := range p.slots {
		if out[f] = (Line{Scale: 1}); p.items[s.item].scaler != nil {
			out[f] = p.items[s.item].scaler.line()
		}
	}
	return out
}

// Unscaled returns the rows that Roll has prepared last, with numbers that are not scaled.
func (p *Preparation) Unscaled(now Matrix, b *Buffers) Matrix {
	out := Matrix{Rows: now.Rows, Cols: slices.Clone(now.Cols)}
	for f, s := range p.slots {
		if p.items[s.item].scaler != nil {
			out.Cols[f] = b.nums[s.item]
		}
	}
	return out
}

func (asIs) line() Line { return Line{Scale: 1} }

func (s *standard) line() Line {
	d := s.deviation()
	return Line{1 / d, -s.mean / d}
}

func (s *minMax) line() Line { return Line{s.one(1) - s.one(0), s.one(0)} }

func (s *maxAbs) line() Line { return Line{Scale: s.one(1)} }

// Limit is the magnitude from which a number is not learned, because one such number would rule out a useful scale for
// all others. It is above all values of BIGINT, and below the values by which formats denote a missing number.
const Limit = 1e20

// learnable clears ok where a number cannot be learned.
func learnable(col []float64, ok []bool) {
	ok = ok[:len(col)]
	for r, v := range col {
		if !(math.Abs(v) < Limit) {
			ok[r] = false
		}
	}
}
