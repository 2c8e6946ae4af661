package ml

import "fmt"

// The rows of a linear learner that trains in passes carry the class number as a last value.

func (l *linear) keep(x Matrix, y, w []float64) error {
	for r := range x.Rows {
		if _, err := class(y[r]); err != nil {
			return err
		}
	}
	if len(x.Cols)+1 > l.kept.width && l.kept.kept > 0 {
		return fmt.Errorf("the number of features grew from %d to %d between rows", l.kept.width-1, len(x.Cols))
	}
	l.grow(len(x.Cols))
	cols := make([][]float64, 0, len(x.Cols)+1)
	cols = append(append(cols, x.Cols...), y)
	l.undone += int64(l.kept.add(Matrix{Rows: x.Rows, Cols: cols}, w, 1e300))
	return nil
}

// Pass makes one descent over all stored rows, in random order if shuffle is on.
func (l *linear) Pass() (bool, error) {
	if !l.passes || l.kept.kept == 0 {
		return false, nil
	}
	if l.epoch >= l.spec.Options.Int("epochs") {
		return false, nil
	}
	l.order = epochOrder(l.order, l.kept.kept, l.spec, l.epoch)
	row := make([]float64, stride(l.features))
	sum, total := 0.0, 0.0
	last := l.kept.width - 1
	for _, i := range l.order {
		kept := l.kept.row(int(i))
		copy(row, kept[:last])
		w := float64(l.kept.weight(int(i)))
		sum += l.learn(row, int(kept[last]), w, false)
		total += w
	}
	l.epoch++
	if total > 0 {
		sum /= total
	}
	l.losses = append(l.losses, sum)
	return l.epoch < l.spec.Options.Int("epochs"), nil
}

// epochOrder returns 0..n-1, shuffled by (seed, epoch) if the option shuffle is on.
func epochOrder(order []int32, n int, s Spec, epoch int) []int32 {
	if cap(order) < n {
		order = make([]int32, n)
	}
	order = order[:n]
	for i := range order {
		order[i] = int32(i)
	}
	if s.Options.Bool("shuffle") {
		NewRand(s.seed(), "shuffle", epoch).Shuffle(order)
	}
	return order
}

// Losses is the mean log loss of each pass.
func (l *linear) Losses() []float64 { return l.losses }

// Rows visits the stored rows.
func (l *linear) Rows(visit func(Matrix) error) error {
	return l.kept.visit(func(m Matrix) error {
		return visit(Matrix{Rows: m.Rows, Cols: m.Cols[:len(m.Cols)-1]})
	})
}

func (l *linear) MarshalBinary() ([]byte, error) {
	var p Payload
	l.put(&p)
	p.PutInts("counts", []int64{l.undone, int64(l.epoch)})
	p.PutFloats("losses", l.losses)
	if l.passes {
		l.kept.put(&p)
	}
	return p.MarshalBinary()
}

func (l *linear) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	if err := l.get(&p); err != nil {
		return err
	}
	counts, err := p.Ints("counts", 2)
	if err != nil {
		return err
	}
	if l.losses, err = p.Floats("losses", -1); err != nil {
		return err
	}
	l.undone, l.epoch = counts[0], int(counts[1])
	l.size()
	if l.passes {
		if err := l.kept.get(&p); err != nil {
			return err
		}
		last := l.kept.width - 1
		for i := range l.kept.kept {
			if _, err := class(l.kept.row(i)[last]); err != nil || last > l.features {
				return fmt.Errorf("%w: kept rows", ErrShape)
			}
		}
	}
	return nil
}
