package ml

import "fmt"

// MarshalBinary and UnmarshalBinary carry an evaluator over a restart.
func (e *Evaluator) MarshalBinary() ([]byte, error) {
	var p Payload
	t := &e.sum
	p.PutFloats(
		"sums",
		[]float64{
			t.rows,
			t.correct,
			t.before,
			t.majority,
			t.probed,
			t.logLoss,
			t.brier,
			t.abs,
			t.square,
			t.actual.n,
			t.actual.mean,
			t.actual.m2,
			e.last,
		},
	)
	p.PutInts("counts", []int64{e.seen, int64(e.next), int64(t.classes)})
	p.PutFloats("confusion", t.confusion)
	p.PutFloats("totals", e.totals)
	t.positive.put(&p, "positive")
	t.negative.put(&p, "negative")
	ring := make([]float64, 0, 7*len(e.ring))
	for _, o := range e.ring {
		ring = append(ring, o.predicted, o.actual, o.before, o.majority, o.pActual, o.brier, o.score)
	}
	p.PutFloats("ring", ring, len(e.ring), 7)
	return p.MarshalBinary()
}

// UnmarshalBinary reads into an evaluator made with the same task, window and fading.
func (e *Evaluator) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	s, err := p.Floats("sums", 13)
	if err != nil {
		return err
	}
	n, err := p.Ints("counts", 3)
	if err != nil {
		return err
	}
	t := tally{
		rows:     s[0],
		correct:  s[1],
		before:   s[2],
		majority: s[3],
		probed:   s[4],
		logLoss:  s[5],
		brier:    s[6],
		abs:      s[7],
		square:   s[8],
		actual:   standard{s[9], s[10], s[11]},
	}
	if n[2] < 0 || n[2] > 1024 || n[1] < 0 || n[1] > 0 && int(n[1]) >= e.size {
		return fmt.Errorf("%w: an evaluation of %d classes", ErrShape, n[2])
	}
	t.classes = int(n[2])
	if t.confusion, err = p.Floats("confusion", t.classes*t.classes); err != nil {
		return err
	}
	if e.totals, err = p.Floats("totals", -1); err != nil {
		return err
	}
	if err := t.positive.get(&p, "positive"); err != nil {
		return err
	}
	if err := t.negative.get(&p, "negative"); err != nil {
		return err
	}
	ring, err := p.Floats("ring", -1)
	if err != nil {
		return err
	}
	if len(ring)%7 != 0 || len(ring)/7 > e.size {
		return fmt.Errorf("%w: a window of %d values", ErrShape, len(ring))
	}
	e.ring = nil
	for ; len(ring) > 0; ring = ring[7:] {
		e.ring = append(e.ring, outcome{ring[0], ring[1], ring[2], ring[3], ring[4], ring[5], ring[6]})
	}
	e.sum, e.last, e.seen, e.next = t, s[12], n[0], int(n[1])
	return nil
}
