package nn

import "math"

// Trainer trains a net by gradient descent. For each block of a batch's rows, the caller calls
// Forward, writes the gradient of the loss with respect to the output into Delta, and calls
// Backward. After the last block of the batch it calls Step.
type Trainer struct {
	*Net
	Opt   Optimizer
	fwd   []packed
	back  []packed
	acts  [][]Lane // acts[0]: input; acts[i+1]: output of layer i
	delta [][]Lane // gradient by acts[i+1]
	grad  []float32
}

// NewTrainer returns a trainer of the net.
func NewTrainer(n *Net, opt Optimizer) *Trainer {
	t := &Trainer{Net: n, Opt: opt, grad: make([]float32, len(n.Params))}
	at := 0
	lanes := func(units int) []Lane { return make([]Lane, 4*groups(units)) }
	t.acts = append(t.acts, lanes(n.Layers[0].In))
	for _, l := range n.Layers {
		t.fwd = append(t.fwd, pack(l, n.Params[at:]))
		t.back = append(
			t.back,
			packed{
				Layer:  Layer{In: l.Out, Out: l.In},
				panels: make([][4]float32, groups(l.In)*l.Out),
				bias:   make([][4]float32, groups(l.In)),
			},
		)
		t.acts = append(t.acts, lanes(l.Out))
		t.delta = append(t.delta, lanes(l.Out))
		at += l.Out * (l.In + 1)
	}
	t.Repack()
	return t
}

// Repack reads the net's parameters again after they were changed from outside.
func (t *Trainer) Repack() {
	at := 0
	for i, l := range t.Layers {
		t.fwd[i].fill(t.Params[at:])
		t.back[i].fillBack(t.Params[at:])
		at += l.Out * (l.In + 1)
	}
}

// Input returns the memory into which the caller writes the inputs of a block.
func (t *Trainer) Input() []Lane { return t.acts[0][:t.Layers[0].In] }

// Output returns the values of the last layer, as of the last forward pass.
func (t *Trainer) Output() []Lane { return t.acts[len(t.Layers)][:t.Layers[len(t.Layers)-1].Out] }

// Delta returns the gradient of the loss with respect to the output, which the caller sets.
func (t *Trainer) Delta() []Lane { return t.delta[len(t.Layers)-1][:t.Layers[len(t.Layers)-1].Out] }

// Hidden returns the values of the units of layer i, as of the last forward pass.
func (t *Trainer) Hidden(i int) []Lane { return t.acts[i+1][:t.Layers[i].Out] }

// Forward runs the block.
func (t *Trainer) Forward(rows int) {
	for i := range t.fwd {
		l := &t.fwd[i]
		affine(t.acts[i+1], t.acts[i][:l.In], l.panels, l.bias, rows)
		activate(l.Act, t.acts[i+1][:l.Out], rows)
	}
}

// Backward adds the block's gradient. l1 is added, with the sign of the value and per row's
// weight, to the gradient with respect to the output of layer 0 (an activity penalty); weights nil: 1.
func (t *Trainer) Backward(rows int, l1 float32, weights []float32) {
	at := len(t.Params)
	for i := len(t.Layers) - 1; i >= 0; i-- {
		l := t.Layers[i]
		at -= l.Out * (l.In + 1)
		delta, out := t.delta[i], t.acts[i+1]
		if i == 0 && l1 > 0 {
			penalize(delta[:l.Out], out, rows, l1, weights)
		}
		derive(l.Act, delta[:l.Out], out, rows)
		if rows&1 == 1 { // the kernels take rows by two
			clearRow(delta, rows)
		}
		outer(t.grad[at:at+l.Out*l.In], delta, t.acts[i][:l.In], l.Out, rows)
		bias := t.grad[at+l.Out*l.In:][:l.Out]
		for j := range bias {
			s := bias[j]
			for _, d := range delta[j][:rows] {
				s += d
			}
			bias[j] = s
		}
		if i > 0 {
			b := &t.back[i]
			affine(t.delta[i-1], delta[:l.Out], b.panels, b.bias, rows)
		}
	}
}

// Step moves the parameters by the gathered gradient and clears it. It reports false, and moves
// nothing, when a parameter or the optimizer's memory of it would not be finite.
func (t *Trainer) Step() bool {
	ok := t.Opt.Step(t.Params, t.grad)
	clear(t.grad)
	if ok {
		t.Repack()
	}
	return ok
}

func clearRow(units []Lane, row int) {
	for j := range units {
		units[j][row] = 0
	}
}

func penalize(delta, out []Lane, rows int, l1 float32, weights []float32) {
	for j := range delta {
		for r, v := range out[j][:rows] {
			g := l1
			if weights != nil {
				g *= weights[r]
			}
			if v > 0 {
				delta[j][r] += g
			} else if v < 0 {
				delta[j][r] -= g
			}
		}
	}
}

// derive converts gradients with respect to the values of units into gradients with respect to
// their sums, which are the inputs of the activation function.
func derive(act Activation, delta, out []Lane, rows int) {
	switch act {
	case ReLU:
		for j := range delta {
			d := delta[j][:rows]
			for r, v := range out[j][:rows] {
				if v <= 0 {
					d[r] = 0
				}
			}
		}
	case Tanh:
		for j := range delta {
			d := delta[j][:rows]
			for r, v := range out[j][:rows] {
				d[r] *= 1 - float32(v*v)
			}
		}
	case Sigmoid:
		for j := range delta {
			d := delta[j][:rows]
			for r, v := range out[j][:rows] {
				d[r] *= float32(v * (1 - v))
			}
		}
	case Softmax:
		for r := range rows {
			s := float32(0)
			for j := range delta {
				s += float32(delta[j][r] * out[j][r])
			}
			for j := range delta {
				delta[j][r] = float32(out[j][r] * (delta[j][r] - s))
			}
		}
	}
}

// outer adds delta x in, summed over the rows in order, to the gradient of out x in weights:
// four units and two inputs at a time.
func outer(grad []float32, delta, in []Lane, units, rows int) {
	n := len(in)
	for j := 0; j < units; j += 4 {
		d := delta[j : j+4]
		d0, d1, d2, d3 := d[0][:rows], d[1][:rows], d[2][:rows], d[3][:rows]
		for i := 0; i < n; i += 2 {
			second := min(i+1, n-1)
			x0, x1 := in[i][:len(d0)], in[second][:len(d0)]
			var a, b [4]float32
			for k := range min(4, units-j) {
				a[k], b[k] = grad[(j+k)*n+i], grad[(j+k)*n+second]
			}
			a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
			b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
			d1, d2, d3 := d1[:len(d0)], d2[:len(d0)], d3[:len(d0)]
			for r, e0 := range d0 {
				u, v := x0[r], x1[r]
				e1, e2, e3 := d1[r], d2[r], d3[r]
				a0 += float32(e0 * u)
				b0 += float32(e0 * v)
				a1 += float32(e1 * u)
				b1 += float32(e1 * v)
				a2 += float32(e2 * u)
				b2 += float32(e2 * v)
				a3 += float32(e3 * u)
				b3 += float32(e3 * v)
			}
			a, b = [4]float32{a0, a1, a2, a3}, [4]float32{b0, b1, b2, b3}
			for k := range min(4, units-j) {
				grad[(j+k)*n+i], grad[(j+k)*n+second] = a[k], b[k]
			}
		}
	}
}

// Optimizer moves parameters against a gradient, in place, or not at all.
type Optimizer interface {
	Step(params, grad []float32) bool
	// Memory returns the state per parameter and the step count, without copying them.
	Memory() (state [][]float32, steps *int64)
}

// SGD is plain gradient descent.
type SGD struct {
	Rate  float64
	steps int64
	next  []float32
}

// Memory returns the step count; SGD has no state per parameter.
func (s *SGD) Memory() ([][]float32, *int64) { return nil, &s.steps }

// Step subtracts the rate times the gradient.
func (s *SGD) Step(params, grad []float32) bool {
	s.next = resized(s.next, len(params))
	rate, bad := float32(s.Rate), float32(0)
	for i, g := range grad {
		v := params[i] - float32(rate*g)
		bad += v - v
		s.next[i] = v
	}
	if bad != 0 {
		return false
	}
	s.steps++
	copy(params, s.next)
	return true
}

// Adam is Kingma and Ba's method (2015), with the bias corrections folded into the rate and
// epsilon 1e-7 outside the root.
type Adam struct {
	Rate  float64
	steps int64
	m, v  []float32
	next  []float32 // params, m, v after the step
}

// NewAdam returns the optimizer of n parameters.
func NewAdam(rate float64, n int) *Adam {
	return &Adam{Rate: rate, m: make([]float32, n), v: make([]float32, n)}
}

// Memory returns the two moments of each parameter and the step count.
func (a *Adam) Memory() ([][]float32, *int64) { return [][]float32{a.m, a.v}, &a.steps }

// Step moves each parameter by the corrected first moment, divided by the root of the second.
func (a *Adam) Step(params, grad []float32) bool {
	const b1, b2, epsilon = 0.9, 0.999, 1e-7
	n := len(params)
	a.next = resized(a.next, 3*n)
	p, m, v := a.next[:n], a.next[n:2*n], a.next[2*n:]
	rate := float32(a.Rate * math.Sqrt(1-power(b2, a.steps+1)) / (1 - power(b1, a.steps+1)))
	bad := float32(0)
	for i, g := range grad {
		nm := float32(b1*a.m[i]) + float32((1-b1)*g)
		nv := float32(b2*a.v[i]) + float32((1-b2)*float32(g*g))
		if nm < 1e-30 && nm > -1e-30 { // a denormal would slow every later step tenfold and move nothing
			nm = 0
		}
		if nv < 1e-36 {
			nv = 0
		}
		np := params[i] - float32(rate*nm)/(float32(math.Sqrt(float64(nv)))+epsilon)
		bad += (np - np) + (nv - nv)
		p[i], m[i], v[i] = np, nm, nv
	}
	if bad != 0 {
		return false
	}
	a.steps++
	copy(params, p)
	copy(a.m, m)
	copy(a.v, v)
	return true
}

// power returns x^n for 0 < x < 1. It multiplies squares, so that the result is the same on every
// machine.
func power(x float64, n int64) float64 {
	out := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			out = float64(out * x)
		}
		x = float64(x * x)
	}
	return out
}

func resized(v []float32, n int) []float32 {
	if cap(v) < n {
		return make([]float32, n)
	}
	return v[:n]
}
