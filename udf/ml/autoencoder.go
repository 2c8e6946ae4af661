package ml

import (
	"fmt"
	"math"

	"github.com/streamql/streamql/udf/ml/nn"
)

var _ = builtin(Type{
	Name: "autoencoder", Task: Anomaly, Version: 1, Prepare: true, Trains: Once | Window | Warm | Event,
	Doc: "a net that learns to reproduce its inputs through narrow layers; a row that it reproduces badly is " +
		"unlike those it learned. " +
		"The score is the mean squared error of the prepared features",
	Paper: "M. A. Kramer, Nonlinear principal component analysis using autoassociative neural networks, 1991; D. " +
		"Kingma and J. Ba, Adam, 2015",
	Options: []Option{
		{
			Name:    "layers",
			Kind:    Text,
			Default: "14:tanh,7:relu,7:tanh",
			Doc:     "units:activation of each layer; a linear one as wide as the features is added unless the last is",
		},
		{Name: "optimizer", Kind: Text, Default: "adam", Legal: []string{"adam", "sgd"}, Doc: "how weights move"},
		{Name: "lr", Kind: Float, Default: 1e-3, Min: 0, Max: 100, Above: true, Doc: "learning rate"},
		{Name: "epochs", Kind: Int, Default: int64(20), Min: 1, Max: 100_000, Doc: "passes over the rows"},
		{Name: "batch_size", Kind: Int, Default: int64(100), Min: 1, Max: 1_000_000, Doc: "rows per step"},
		{Name: "shuffle", Kind: Bool, Default: true, Doc: "learn the rows of a pass in random order"},
		{
			Name:    "activity_l1",
			Kind:    Float,
			Default: 0.0,
			Min:     0,
			Max:     1000,
			Doc:     "penalty on the sum of the first layer's values",
		},
	},
	Examples: []Example{
		{
			"CREATE MODEL car_ae FROM cars WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh')",
			"SELECT ANOMALY_SCORE(car_ae, *), IS_ANOMALY(car_ae, *) FROM cars",
		},
	},
	Check: func(s Spec) error {
		_, err := parseLayers(s.Options.Text("layers"), len(s.Features), len(s.Features), nn.Linear)
		return err
	},
	New:  func(s Spec) (Learner, error) { return newAutoencoder(s) },
	Load: loadAutoencoder,
})

// netLimit clamps the inputs of a net, so that their squares are finite in single precision.
const netLimit = 1e15

// autoencoder is the learner. In passes it stores the rows; by events it makes a step whenever
// a batch is full.
type autoencoder struct {
	spec   Spec
	train  *nn.Trainer
	kept   reservoir[float32]
	passes bool
	order  []int32
	l1     float32
	undone int64

	epoch   int
	losses  []float64
	best    []float32 // parameters after the pass with the smallest loss
	bestAt  float64
	stopped bool
}

func newAutoencoder(s Spec) (Learner, error) {
	layers, err := parseLayers(s.Options.Text("layers"), len(s.Features), len(s.Features), nn.Linear)
	if err != nil {
		return nil, err
	}
	net := nn.New(layers, NewRand(s.seed(), "weights", 0).Float)
	var opt nn.Optimizer = nn.NewAdam(s.Options.Float("lr"), len(net.Params))
	if s.Options.Text("optimizer") == "sgd" {
		opt = &nn.SGD{Rate: s.Options.Float("lr")}
	}
	a := &autoencoder{
		spec:   s,
		train:  nn.NewTrainer(net, opt),
		passes: !s.online(),
		l1:     float32(s.Options.Float("activity_l1")),
		bestAt: math.Inf(1),
	}
	a.kept = newReservoir[float32](s.Options.Int("max_rows"), len(s.Features), s.seed())
	if !a.passes {
		a.kept.max = a.batch()
	}
	return a, nil
}

func (a *autoencoder) batch() int { return a.spec.Options.Int("batch_size") }

// fit leaves out columns that came after the net was made: its width is fixed.
func (a *autoencoder) fit(x Matrix) (Matrix, error) {
	in := a.train.Layers[0].In
	if len(x.Cols) < in {
		return x, fmt.Errorf("the net has %d inputs, the rows %d features", in, len(x.Cols))
	}
	return Matrix{Rows: x.Rows, Cols: x.Cols[:in]}, nil
}

func (a *autoencoder) Learn(x Matrix, _, w []float64) error { return a.learn(x, w, nil, x) }

// Test scores each row with the net as of the last full batch, then learns it.
func (a *autoencoder) Test(old, x Matrix, _, w, out []float64, _ Matrix) error {
	if a.passes {
		return fmt.Errorf("an autoencoder trained in passes cannot predict between rows")
	}
	return a.learn(x, w, out, old)
}

func (a *autoencoder) learn(x Matrix, w, out []float64, old Matrix) error {
	x, err := a.fit(x)
	if err != nil {
		return err
	}
	if a.passes {
		a.undone += int64(a.kept.add(x, w, netLimit))
		return nil
	}
	for from := 0; from < x.Rows; {
		n := min(x.Rows-from, a.batch()-a.kept.kept)
		if out != nil {
			a.score(old, from, out[from:from+n])
		}
		var weights []float64
		if w != nil {
			weights = w[from : from+n]
		}
		a.undone += int64(a.kept.add(x.Slice(from, from+n), weights, netLimit))
		from += n
		if a.kept.kept == a.batch() {
			a.order = epochOrder(a.order, a.kept.kept, Spec{}, 0)
			a.step(a.order)
			a.kept.kept, a.kept.seen, a.kept.rows, a.kept.weights = 0, 0, a.kept.rows[:0], nil
		}
	}
	return nil
}

// score writes the scores of the rows from index from on, with the present net.
func (a *autoencoder) score(x Matrix, from int, out []float64) {
	for at := 0; at < len(out); at += nn.Block {
		n := min(nn.Block, len(out)-at)
		singles(a.train.Input(), x, from+at, n)
		a.train.Forward(n)
		squaredErrors(out[at:at+n], a.train.Output(), a.train.Input())
	}
}

// step learns one batch and returns the sum of its rows' losses.
func (a *autoencoder) step(batch []int32) float64 {
	t := a.train
	in, out, delta := t.Input(), t.Output(), t.Delta()
	width := len(in)
	scale := float32(2 / float64(width*len(batch)))
	l1 := a.l1 / float32(len(batch))
	sum := 0.0
	var weights [nn.Block]float32
	for from := 0; from < len(batch); from += nn.Block {
		block := batch[from:min(from+nn.Block, len(batch))]
		for r, i := range block {
			for c, v := range a.kept.row(int(i)) {
				in[c][r] = v
			}
			weights[r] = a.kept.weight(int(i))
		}
		t.Forward(len(block))
		var loss [nn.Block]float64
		for c := range width {
			o, x, d := &out[c], &in[c], &delta[c]
			for r := range block {
				e := o[r] - x[r]
				loss[r] += float64(float64(e) * float64(e))
				d[r] = float32(float32(scale*weights[r]) * e)
			}
		}
		for r := range block {
			sum += float64(float64(weights[r]) * (loss[r] / float64(width)))
		}
		if a.l1 > 0 {
			for _, unit := range t.Hidden(0) {
				for r := range block {
					sum += float64(float64(weights[r]) * float64(float64(a.l1)*math.Abs(float64(unit[r]))))
				}
			}
		}
		t.Backward(len(block), l1, weights[:])
	}
	if !t.Step() {
		a.undone++
	}
	return sum
}

// Pass is one epoch. A loss that is not finite ends the training with the best pass so far, or
// with ErrLoss if there is none.
func (a *autoencoder) Pass() (bool, error) {
	if !a.passes || a.stopped || a.kept.kept == 0 || a.epoch >= a.spec.Options.Int("epochs") {
		return false, nil
	}
	a.order = epochOrder(a.order, a.kept.kept, a.spec, a.epoch)
	sum, undone := 0.0, a.undone
	for from := 0; from < len(a.order); from += a.batch() {
		sum += a.step(a.order[from:min(from+a.batch(), len(a.order))])
	}
	loss := sum / float64(a.kept.kept)
	a.epoch++
	a.losses = append(a.losses, loss)
	steps := (len(a.order) + a.batch() - 1) / a.batch()
	if loss-loss != 0 || a.undone-undone == int64(steps) {
		a.stopped = true
		if a.best == nil {
			return false, fmt.Errorf("%w: pass %d has loss %v", ErrLoss, a.epoch, loss)
		}
		return false, nil
	}
	if loss < a.bestAt {
		a.bestAt, a.best = loss, append(a.best[:0], a.train.Params...)
	}
	return a.epoch < a.spec.Options.Int("epochs"), nil
}

// Losses is the mean loss of each pass: squared error over the features, plus the activity penalty.
func (a *autoencoder) Losses() []float64 { return a.losses }

// Rows visits the stored rows.
func (a *autoencoder) Rows(visit func(Matrix) error) error { return a.kept.visit(visit) }

// Undone counts rows that were not finite and steps that were undone.
func (a *autoencoder) Undone() int64 { return a.undone }

// Model is the net after the last pass; when passes are missing or went wrong, after the best one.
func (a *autoencoder) Model() Model {
	params := a.train.Params
	if a.passes && a.best != nil && (a.stopped || a.epoch < a.spec.Options.Int("epochs")) {
		params = a.best
	}
	return a.model(params)
}

func (a *autoencoder) model(params []float32) *autoencoderModel {
	return newAutoencoderModel(&nn.Net{Layers: a.train.Layers, Params: params})
}

func (a *autoencoder) MarshalBinary() ([]byte, error) {
	var p Payload
	putNet(&p, a.train.Net)
	memory, steps := a.train.Opt.Memory()
	for i, m := range memory {
		p.PutFloat32s(fmt.Sprintf("memory%d", i), m)
	}
	p.PutFloat32s("best", a.best)
	stopped := int64(0)
	if a.stopped {
		stopped = 1
	}
	p.PutInts("counters", []int64{*steps, a.undone, int64(a.epoch), stopped})
	p.PutFloats("losses", a.losses)
	p.PutFloats("best.loss", []float64{a.bestAt})
	a.kept.put(&p)
	return p.MarshalBinary()
}

func (a *autoencoder) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	net, err := getNet(&p)
	if err != nil {
		return err
	}
	if layersText(net.Layers) != layersText(a.train.Layers) || net.Layers[0].In != a.train.Layers[0].In {
		return fmt.Errorf(
			"%w: a net of layers %s, not %s",
			ErrShape,
			layersText(net.Layers),
			layersText(a.train.Layers),
		)
	}
	memory, steps := a.train.Opt.Memory()
	for i, m := range memory {
		v, err := p.Float32s(fmt.Sprintf("memory%d", i), len(m))
		if err != nil {
			return err
		}
		copy(m, v)
	}
	best, err := p.Float32s("best", -1)
	if err != nil {
		return err
	}
	if len(best) != 0 && len(best) != len(net.Params) {
		return fmt.Errorf("%w: best pass has %d parameters", ErrShape, len(best))
	}
	n, err := p.Ints("counters", 4)
	if err != nil {
		return err
	}
	if a.losses, err = p.Floats("losses", -1); err != nil {
		return err
	}
	bestAt, err := p.Floats("best.loss", 1)
	if err != nil {
		return err
	}
	if err := a.kept.get(&p); err != nil {
		return err
	}
	if a.kept.width != net.Layers[0].In {
		return fmt.Errorf("%w: kept rows have %d features", ErrShape, a.kept.width)
	}
	*steps, a.undone, a.epoch, a.stopped, a.bestAt = n[0], n[1], int(n[2]), n[3] == 1, bestAt[0]
	if a.best = best; len(best) == 0 {
		a.best = nil
	}
	copy(a.train.Params, net.Params)
	a.train.Repack()
	return nil
}
