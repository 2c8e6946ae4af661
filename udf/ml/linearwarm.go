package ml

import "fmt"

// Warm starts from the weights of an earlier model, class by class and feature by feature.
func (l *linear) Warm(m Model, c Carry) error {
	from, ok := m.(*linearModel)
	if !ok {
		return fmt.Errorf("%w: cannot start from %T", ErrShape, m)
	}
	now := l.weights
	if c.Classes == nil && from.classes > now.classes {
		now.soft, now.classes = true, from.classes
		now.seen, now.unseen = make([]bool, from.classes), from.classes
	}
	if c.Features == nil {
		now.features = max(now.features, from.features)
	}
	planes := 1
	if now.soft {
		planes = now.classes
	}
	n := stride(now.features)
	now.w, now.bias = make([]float64, planes*n), make([]float64, planes)
	for k := range from.classes {
		class := c.class(k)
		if class < 0 {
			continue
		}
		if from.seen[k] {
			now.see(class)
		}
		// one plane speaks for class 1 against class 0, so half of it for the one and half against the other
		plane, sign := k, 1.0
		if !from.soft {
			plane, sign = 0, float64(k)-0.5
		}
		to := class
		if !now.soft {
			to, sign = 0, float64(sign*float64(2*class-1))
		}
		now.addPlane(to, &from.weights, plane, sign, c)
	}
	if err := finite("weights", append(now.bias, now.w...)...); err != nil {
		return err
	}
	l.weights = now
	l.size()
	return nil
}

// addPlane adds a plane of an earlier model, times sign, to a plane. Where the scaling of a feature has changed, the
// weight changes with it, so that the same row has the same margin.
func (v *weights) addPlane(to int, from *weights, plane int, sign float64, c Carry) {
	n, had := stride(v.features), stride(from.features)
	v.bias[to] += float64(sign * from.bias[plane])
	for f := range v.features {
		k, line := c.feature(f, from.features)
		if k < 0 {
			continue
		}
		w := float64(sign * from.w[plane*had+k])
		v.w[to*n+f] += float64(w * line.Scale)
		v.bias[to] += float64(w * line.Shift)
	}
}
