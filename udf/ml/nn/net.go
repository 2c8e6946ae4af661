// Package nn implements small dense nets of float32: a forward and a backward pass over blocks
// of rows, by column, and the two optimizers. Weights of four units are broadcast against two
// rows at a time; each unit's sum runs over its inputs in order, and each gradient's over the
// rows in order, so a vectorized form over rows has the same bits.
package nn

import (
	"fmt"
	"math"

	"github.com/streamql/streamql/udf/ml/fmath"
)

// Block is the number of rows that are processed at once: the blocks of a net of some dozens of
// units fit into the first-level cache.
const Block = 64

// Lane is one unit's values in the rows of a block.
type Lane = [Block]float32

// Activation is the function of a layer's units.
type Activation uint8

// The activations.
const (
	Linear Activation = iota
	ReLU
	Tanh
	Sigmoid
	Softmax
)

var names = []string{"linear", "relu", "tanh", "sigmoid", "softmax"}

// String returns the name.
func (a Activation) String() string { return names[a] }

// ParseActivation reads an activation's name.
func ParseActivation(s string) (Activation, error) {
	for i, name := range names {
		if s == name {
			return Activation(i), nil
		}
	}
	return 0, fmt.Errorf("there is no activation %q; there are linear, relu, tanh, sigmoid and softmax", s)
}

// Layer is a dense layer.
type Layer struct {
	In, Out int
	Act     Activation
}

// Net is layers and their parameters: for each layer Out x In weights by unit, then Out biases.
type Net struct {
	Layers []Layer
	Params []float32
}

// Size is the number of parameters of the layers.
func Size(layers []Layer) int {
	n := 0
	for _, l := range layers {
		n += l.Out * (l.In + 1)
	}
	return n
}

// New returns a net with weights drawn uniformly within +-sqrt(6/(in+out)) (Glorot and Bengio
// 2010) and biases 0. draw is uniform in [0, 1).
func New(layers []Layer, draw func() float64) *Net {
	n := &Net{Layers: layers, Params: make([]float32, Size(layers))}
	at := 0
	for _, l := range layers {
		limit := math.Sqrt(6 / float64(l.In+l.Out))
		for i := range l.In * l.Out {
			n.Params[at+i] = float32(float64((2*draw() - 1) * limit))
		}
		at += l.Out * (l.In + 1)
	}
	return n
}

// packed is a layer's weights in the order the kernels walk: for each four units, their weights
// per input.
type packed struct {
	Layer
	panels [][4]float32 // ceil(Out/4) x In
	bias   [][4]float32
}

func pack(l Layer, params []float32) packed {
	p := packed{Layer: l, panels: make([][4]float32, groups(l.Out)*l.In), bias: make([][4]float32, groups(l.Out))}
	p.fill(params)
	return p
}

func (p *packed) fill(params []float32) {
	for j := range p.Out {
		row := params[j*p.In : (j+1)*p.In]
		panel := p.panels[j/4*p.In:][:p.In]
		for i, w := range row {
			panel[i][j&3] = w
		}
		p.bias[j/4][j&3] = params[p.Out*p.In+j]
	}
}

// fillBack packs the transposed weights: its units are the layer's inputs.
func (p *packed) fillBack(params []float32) {
	// p.In = the layer's Out, p.Out = the layer's In
	for j := range p.In {
		row := params[j*p.Out : (j+1)*p.Out]
		for i, w := range row {
			p.panels[i/4*p.In+j][i&3] = w
		}
	}
}

func groups(units int) int { return (units + 3) / 4 }

// Scorer is a frozen net, safe to share.
type Scorer struct {
	layers []packed
	width  int // the widest layer, a multiple of 4
}

// Freeze copies the net's weights into a Scorer.
func (n *Net) Freeze() *Scorer {
	s := &Scorer{}
	at := 0
	for _, l := range n.Layers {
		s.layers = append(s.layers, pack(l, n.Params[at:]))
		at += l.Out * (l.In + 1)
		s.width = max(s.width, 4*groups(l.In), 4*groups(l.Out))
	}
	return s
}

// Scratch is the values of one block between layers; one goroutine uses it at a time.
type Scratch struct{ a, b []Lane }

// Scratch returns working memory for the net.
func (s *Scorer) Scratch() *Scratch { return &Scratch{make([]Lane, s.width), make([]Lane, s.width)} }

// Input is where the block's inputs go, a lane per feature.
func (s *Scorer) Input(c *Scratch) []Lane { return c.a[:s.layers[0].In] }

// Forward runs the first rows rows of Input through layers [0, upto) and returns the last one's
// lanes. The inputs are overwritten.
func (s *Scorer) Forward(c *Scratch, rows, upto int) []Lane {
	in, out := c.a, c.b
	for i := range s.layers[:upto] {
		l := &s.layers[i]
		affine(out[:4*groups(l.Out)], in[:l.In], l.panels, l.bias, rows)
		activate(l.Act, out[:l.Out], rows)
		in, out = out, in
	}
	return in[:s.layers[upto-1].Out]
}

// affine writes out = weights x in + bias for four units and two rows at a time; an odd last
// row takes a neighbour with it.
func affine(out, in []Lane, panels, bias [][4]float32, rows int) {
	n := len(in)
	for g := range bias {
		b := &bias[g]
		panel := panels[g*n : g*n+n]
		o := out[4*g : 4*g+4]
		o0, o1, o2, o3 := &o[0], &o[1], &o[2], &o[3]
		for r := 0; r < rows && r < Block-1; r += 2 {
			a0, a1, a2, a3 := b[0], b[1], b[2], b[3]
			c0, c1, c2, c3 := a0, a1, a2, a3
			for i := range panel {
				w := &panel[i]
				x := &in[i]
				x0, x1 := x[r], x[r+1]
				w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
				a0 += float32(w0 * x0)
				c0 += float32(w0 * x1)
				a1 += float32(w1 * x0)
				c1 += float32(w1 * x1)
				a2 += float32(w2 * x0)
				c2 += float32(w2 * x1)
				a3 += float32(w3 * x0)
				c3 += float32(w3 * x1)
			}
			o0[r], o0[r+1] = a0, c0
			o1[r], o1[r+1] = a1, c1
			o2[r], o2[r+1] = a2, c2
			o3[r], o3[r+1] = a3, c3
		}
	}
}

func activate(act Activation, units []Lane, rows int) {
	switch act {
	case ReLU:
		for j := range units {
			for r, v := range units[j][:rows] {
				if v < 0 {
					units[j][r] = 0
				}
			}
		}
	case Tanh:
		for j := range units {
			u := units[j][:rows]
			for r, v := range u {
				u[r] = fmath.Tanh32(v)
			}
		}
	case Sigmoid:
		for j := range units {
			u := units[j][:rows]
			for r, v := range u {
				u[r] = fmath.Sigmoid32(v)
			}
		}
	case Softmax:
		softmax(units, rows)
	}
}

// softmax is e^(v - max) over its sum, across the units of each row.
func softmax(units []Lane, rows int) {
	for r := range rows {
		top := units[0][r]
		for j := range units {
			top = max(top, units[j][r])
		}
		sum := float32(0)
		for j := range units {
			units[j][r] = float32(fmath.Exp(float64(units[j][r] - top)))
			sum += units[j][r]
		}
		for j := range units {
			units[j][r] /= sum
		}
	}
}
