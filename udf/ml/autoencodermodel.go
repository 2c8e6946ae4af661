package ml

import (
	"fmt"
	"sync"

	"github.com/streamql/streamql/udf/ml/nn"
)

// putNet and getNet carry layers and parameters.
func putNet(p *Payload, n *nn.Net) {
	shape := make([]int64, 0, 3*len(n.Layers))
	for _, l := range n.Layers {
		shape = append(shape, int64(l.In), int64(l.Out), int64(l.Act))
	}
	p.PutInts("layers", shape, len(n.Layers), 3)
	p.PutFloat32s("params", n.Params)
}

func getNet(p *Payload) (*nn.Net, error) {
	shape, err := p.Ints("layers", -1)
	if err != nil {
		return nil, err
	}
	if len(shape) == 0 || len(shape)%3 != 0 || len(shape) > 3*(maxLayers+1) {
		return nil, fmt.Errorf("%w: %d numbers of layers", ErrShape, len(shape))
	}
	n := new(nn.Net)
	for i := 0; i < len(shape); i += 3 {
		in, out, act := shape[i], shape[i+1], shape[i+2]
		if in < 1 || in > 1<<24 || out < 1 || out > 1<<24 || act < 0 || act > int64(nn.Softmax) ||
			in*(out+1) > maxParams ||
			i > 0 && in != shape[i-2] {
			return nil, fmt.Errorf("%w: layer of %d inputs, %d units, activation %d", ErrShape, in, out, act)
		}
		n.Layers = append(n.Layers, nn.Layer{In: int(in), Out: int(out), Act: nn.Activation(act)})
	}
	if n.Params, err = p.Float32s("params", nn.Size(n.Layers)); err != nil {
		return nil, err
	}
	for _, v := range n.Params {
		if v-v != 0 {
			return nil, fmt.Errorf("%w: a parameter is not finite", ErrShape)
		}
	}
	return n, nil
}

// autoencoderModel is an immutable net, with scratch memory per concurrent caller.
type autoencoderModel struct {
	net     *nn.Net
	scorer  *nn.Scorer
	scratch sync.Pool
}

type netScratch struct {
	*nn.Scratch
	x []nn.Lane
}

func newAutoencoderModel(n *nn.Net) *autoencoderModel {
	m := &autoencoderModel{net: &nn.Net{Layers: n.Layers, Params: append([]float32(nil), n.Params...)}}
	m.scorer = m.net.Freeze()
	m.scratch.New = func() any { return &netScratch{m.scorer.Scratch(), make([]nn.Lane, m.inputs())} }
	return m
}

func (m *autoencoderModel) inputs() int { return m.net.Layers[0].In }

// block copies rows [from, from+n) into the scratch memory.
func (m *autoencoderModel) block(s *netScratch, x Matrix, from, n int) {
	singles(s.x, x, from, n)
	copy(m.scorer.Input(s.Scratch), s.x)
}

// singles writes rows [from, from+n) of x as singles, clamped; columns that x lacks are 0.
func singles(out []nn.Lane, x Matrix, from, n int) {
	for c := range out {
		lane := out[c][:n]
		if c >= len(x.Cols) {
			clear(lane)
			continue
		}
		for r, v := range x.Cols[c][from : from+n] {
			if v > netLimit {
				v = netLimit
			} else if v < -netLimit {
				v = -netLimit
			}
			lane[r] = float32(v)
		}
	}
}

// Predict returns the mean squared error of each row.
func (m *autoencoderModel) Predict(x Matrix, out []float64) error {
	s := m.scratch.Get().(*netScratch)
	for from := 0; from < x.Rows; from += nn.Block {
		n := min(nn.Block, x.Rows-from)
		m.block(s, x, from, n)
		score := out[from : from+n]
		clear(score)
		squaredErrors(score, m.scorer.Forward(s.Scratch, n, len(m.net.Layers)), s.x)
	}
	m.scratch.Put(s)
	return nil
}

// squaredErrors writes each row's mean squared difference of two blocks.
func squaredErrors(score []float64, out, in []nn.Lane) {
	clear(score)
	for c := range out {
		y, x := out[c][:len(score)], in[c][:len(score)]
		for r := range score {
			e := float64(y[r] - x[r])
			score[r] += float64(e * e)
		}
	}
	for r := range score {
		score[r] /= float64(len(out))
	}
}

// Explain returns each feature's part of the score.
func (m *autoencoderModel) Explain(x, out Matrix) error {
	if err := m.Reconstruct(x, out); err != nil {
		return err
	}
	for c := range out.Cols {
		for r := range out.Cols[c][:x.Rows] {
			if c >= m.inputs() || c >= len(x.Cols) {
				out.Cols[c][r] = 0
				continue
			}
			// the difference of two float32, as in Predict
			e := float64(float32(out.Cols[c][r]) - float32(min(max(x.Cols[c][r], -netLimit), netLimit)))
			out.Cols[c][r] = float64(e*e) / float64(m.inputs())
		}
	}
	return nil
}

// Reconstruct returns the net's outputs.
func (m *autoencoderModel) Reconstruct(x, out Matrix) error {
	return m.lanes(x, len(m.net.Layers), out)
}

// Embed returns the values of the narrowest layer, the first of equals.
func (m *autoencoderModel) Embed(x Matrix) (Matrix, error) {
	narrow := 0
	for i, l := range m.net.Layers {
		if l.Out < m.net.Layers[narrow].Out {
			narrow = i
		}
	}
	out := Matrix{Rows: x.Rows, Cols: make([][]float64, m.net.Layers[narrow].Out)}
	for c := range out.Cols {
		out.Cols[c] = make([]float64, x.Rows)
	}
	return out, m.lanes(x, narrow+1, out)
}

// lanes copies the values after layers [0, upto) to out.
func (m *autoencoderModel) lanes(x Matrix, upto int, out Matrix) error {
	s := m.scratch.Get().(*netScratch)
	for from := 0; from < x.Rows; from += nn.Block {
		n := min(nn.Block, x.Rows-from)
		m.block(s, x, from, n)
		units := m.scorer.Forward(s.Scratch, n, upto)
		for c := range min(len(units), len(out.Cols)) {
			col, y := out.Cols[c][from:from+n], units[c][:n]
			for r := range col {
				col[r] = float64(y[r])
			}
		}
	}
	m.scratch.Put(s)
	return nil
}

func (m *autoencoderModel) MarshalBinary() ([]byte, error) {
	var p Payload
	putNet(&p, m.net)
	return p.MarshalBinary()
}

func loadAutoencoder(_ Spec, data []byte) (Model, error) {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	net, err := getNet(&p)
	if err != nil {
		return nil, err
	}
	return newAutoencoderModel(net), nil
}
