package ml

import (
	"fmt"
	"math"
)

// sketch counts scores in bins of equal ratio, 64 per doubling from 2^-64 to 2^64, so that
// quantiles are within 1 % and an AUC of scores or probabilities is off by less than the share
// of pairs within one bin. Scores near 1 are mirrored below it, where probabilities of 0.999
// and 0.9999 must differ: a score s > 1/2 up to 1 is binned by 1-s.
type sketch struct {
	bins  []float64
	total float64
	unit  float64 // weight of a row now; 0 means 1. It grows instead of all bins shrinking
}

const (
	sketchFine   = 6 // bits of the mantissa that count
	sketchLow    = (1023 - 64) << sketchFine
	sketchSpan   = 128 << sketchFine // bins of one arm
	sketchBins   = 2*sketchSpan + 2  // [0, 1/2], (1/2, 1], above
	sketchMiddle = 63 << sketchFine  // bin of 1/2 in the lower arm
)

func sketchArm(v float64) int {
	i := int(math.Float64bits(v)>>(52-sketchFine)) - sketchLow
	return min(max(i, 0), sketchSpan-1)
}

// bin is monotone in the score.
func sketchBin(s float64) int {
	switch {
	case !(s > 0):
		return 0
	case s <= 0.5:
		return 1 + sketchArm(s)
	case s <= 1:
		return 1 + sketchMiddle + 1 + (sketchMiddle - sketchArm(1-s))
	}
	return 1 + 2*sketchMiddle + 2 + sketchArm(s) - (64 << sketchFine) + 1
}

func (k *sketch) add(s float64) {
	if k.bins == nil {
		k.bins = make([]float64, sketchBins)
	}
	unit := k.unit
	if unit == 0 {
		unit = 1
	}
	k.bins[sketchBin(s)] += unit
	k.total += unit
}

// rescale divides all weights.
func (k *sketch) rescale(by float64) {
	for i := range k.bins {
		k.bins[i] /= by
	}
	k.total /= by
}

// sketchValue is the score in the middle of a bin.
func sketchValue(bin int) float64 {
	arm := func(i int) float64 {
		return math.Float64frombits(uint64(i+sketchLow)<<(52-sketchFine) | 1<<(51-sketchFine))
	}
	switch upper := 1 + sketchMiddle + 1; {
	case bin == 0:
		return 0
	case bin < upper:
		return arm(bin - 1)
	case bin <= upper+sketchMiddle:
		return 1 - arm(sketchMiddle-(bin-upper))
	default:
		return arm(bin - (1 + 2*sketchMiddle + 2) + (64 << sketchFine) - 1)
	}
}

// quantile returns the score below which a share q of the weight lies; NaN if it is empty.
func (k *sketch) quantile(q float64) float64 {
	if k.total == 0 {
		return math.NaN()
	}
	left := float64(q * k.total)
	last := 0
	for i, n := range k.bins {
		if n > 0 {
			last = i
			if left -= n; left < 0 {
				break
			}
		}
	}
	return sketchValue(last)
}

func (k *sketch) merged(o *sketch) *sketch {
	m := &sketch{bins: make([]float64, sketchBins), total: k.total + o.total}
	for _, from := range []*sketch{k, o} {
		for i, n := range from.bins {
			m.bins[i] += n
		}
	}
	return m
}

// auc is the probability that a positive's score is above a negative's; scores of one bin count
// half. NaN without one of either.
func auc(positive, negative *sketch) float64 {
	if positive.total == 0 || negative.total == 0 {
		return math.NaN()
	}
	wins, below := 0.0, 0.0
	for i, n := range positive.bins {
		wins += float64(n * (below + float64(negative.bins[i]/2)))
		below += negative.bins[i]
	}
	return wins / positive.total / negative.total
}

func (k *sketch) put(p *Payload, name string) {
	p.PutFloats(name+".total", []float64{k.total, k.unit})
	var at []int64
	var n []float64
	for i, v := range k.bins {
		if v != 0 {
			at, n = append(at, int64(i)), append(n, v)
		}
	}
	p.PutInts(name+".at", at)
	p.PutFloats(name, n)
}

func (k *sketch) get(p *Payload, name string) error {
	head, err := p.Floats(name+".total", 2)
	if err != nil {
		return err
	}
	at, err := p.Ints(name+".at", -1)
	if err != nil {
		return err
	}
	n, err := p.Floats(name, len(at))
	if err != nil {
		return err
	}
	k.bins = nil
	if len(at) > 0 {
		k.bins = make([]float64, sketchBins)
	}
	for i, bin := range at {
		if bin < 0 || bin >= sketchBins {
			return fmt.Errorf("%w: sketch %s has no bin %d", ErrShape, name, bin)
		}
		k.bins[bin] = n[i]
	}
	k.total, k.unit = head[0], head[1]
	return nil
}
