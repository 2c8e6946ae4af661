package ml

import (
	"fmt"

	"github.com/streamql/streamql/udf/ml/nn"
)

// Warm starts from an earlier net with the same hidden layers. It finds the weights of each feature, in the first and
// in the last layer, by the feature's name; the optimizer's state is reset.
func (a *autoencoder) Warm(m Model, c Carry) error {
	from, ok := m.(*autoencoderModel)
	if !ok || !sameHidden(from.net.Layers, a.train.Layers) {
		return fmt.Errorf("%w: cannot start from another net", ErrShape)
	}
	had, now := from.net.Layers, a.train.Layers
	last := len(now) - 1
	params := append([]float32(nil), a.train.Params...)
	old, at := 0, 0
	for i, l := range now {
		layer := planeSet{had[i].In, had[i].Out, from.net.Params[old : old+had[i].Out*(had[i].In+1)]}
		if i == 0 {
			layer = layer.reading(c, l.In)
		}
		if i == last {
			layer = layer.writing(c, params[at:at+l.Out*(l.In+1)], l)
		}
		copy(params[at:], layer.values)
		old, at = old+had[i].Out*(had[i].In+1), at+l.Out*(l.In+1)
	}
	for _, v := range params {
		if v-v != 0 {
			return fmt.Errorf("%w: a weight for the new scale is not finite", ErrShape)
		}
	}
	copy(a.train.Params, params)
	a.train.Repack()
	return nil
}

// sameHidden reports whether two nets differ at most in the number of features.
func sameHidden(a, b []nn.Layer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Act != b[i].Act || i < len(a)-1 && a[i].Out != b[i].Out {
			return false
		}
	}
	return true
}

// planeSet is one layer's parameters: out x in weights by unit, then out biases.
type planeSet struct {
	in, out int
	values  []float32
}

// reading returns the layer for other input features. A feature that is new has weight 0.
func (s planeSet) reading(c Carry, in int) planeSet {
	to := planeSet{in, s.out, make([]float32, s.out*(in+1))}
	for u := range s.out {
		bias := float64(s.values[s.out*s.in+u])
		for f := range in {
			if k, line := c.feature(f, s.in); k >= 0 {
				w := float64(s.values[u*s.in+k])
				to.values[u*in+f] = float32(float64(w * line.Scale))
				bias += float64(w * line.Shift)
			}
		}
		to.values[s.out*in+u] = float32(bias)
	}
	return to
}

// writing returns the layer for other output features. A feature that is new keeps its first weights. The values of a
// linear layer follow the scale of its feature.
func (s planeSet) writing(c Carry, first []float32, l nn.Layer) planeSet {
	to := planeSet{l.In, l.Out, append([]float32(nil), first...)}
	for f := range l.Out {
		k, line := c.feature(f, s.out)
		if k < 0 {
			continue
		}
		if l.Act != nn.Linear {
			line = Line{Scale: 1}
		}
		for i := range l.In {
			to.values[f*l.In+i] = float32(float64(s.values[k*s.in+i]) / line.Scale)
		}
		to.values[l.Out*l.In+f] = float32((float64(s.values[s.out*s.in+k]) - line.Shift) / line.Scale)
	}
	return to
}
