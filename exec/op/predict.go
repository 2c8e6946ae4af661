package op

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// PredictOutput is one function of a model: PREDICT, ANOMALY_SCORE, .. K is EXPLAIN's number of parts.
type PredictOutput struct {
	Func string
	K    int
	Type flow.Type
}

// Predict joins each row with the present version of a model and appends a column per output. A version that arrives takes over
// between two batches: no batch is mixed, and old rows are not told again. All outputs share one pass through the model.
type Predict struct {
	Input    exec.Node
	Model    string
	Version  int         // 0: the default, as it changes
	Columns  []int       // the columns the model reads
	Features []expr.Expr // over a batch of just those: what its preparation reads
	Names    []string    // of the features
	Outputs  []PredictOutput
	Absent   string // 'wait' or 'null' while there is no version
	Out      *flow.Schema
}

func (p *Predict) Schema() *flow.Schema { return p.Out }
func (p *Predict) Inputs() []exec.Node  { return []exec.Node{p.Input} }
func (p *Predict) String() string {
	var names []string
	for _, o := range p.Outputs {
		names = append(names, o.Func)
	}
	model := p.Model
	if p.Version > 0 {
		model = fmt.Sprintf("%s$%d", model, p.Version)
	}
	return "Predict " + model + " " + strings.Join(names, ", ")
}

// Open implements exec.Node.
func (p *Predict) Open(ctx *exec.Context) (exec.Operator, error) {
	if ctx.Models == nil {
		return nil, errors.New("there are no models here")
	}
	return &predict{Predict: p, ctx: ctx, keep: ctx.Keyspace("version"), read: ReadSchema(p.Input.Schema(), p.Columns), used: -1}, nil
}

// ReadSchema is the schema of the columns a model reads.
func ReadSchema(s *flow.Schema, cols []int) *flow.Schema {
	fields := make([]arrow.Field, len(cols))
	for i, c := range cols {
		fields[i] = s.Field(c)
	}
	out := flow.NewSchema(fields)
	out.Time, out.Clock = -1, -1
	return out
}

type predict struct {
	*Predict
	ctx     *exec.Context
	keep    state.Keyspace
	read    *flow.Schema
	used    int // the version of the last batch; -1: none yet
	bundle  *ml.Bundle
	scoring *ml.Scoring
	widths  []int // of array features, as the version reads them
}

func (p *predict) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	if err := p.swap(in); err != nil {
		return err
	}
	before := p.ctx.Account.Used()
	cols := append([]arrow.Array(nil), in.Columns()...)
	if p.bundle == nil {
		for _, o := range p.Outputs {
			cols = append(cols, flow.Repeat(o.Type, nil, in.Rows()))
		}
		return emit(in.With(p.Out, cols))
	}
	features := Features(in, p.Columns, p.read, p.Features, p.ctx.Evaluation(p.Model))
	if err := p.ctx.Account.Err(); err != nil {
		return err
	}
	if err := p.scoring.Read(spread(features, p.widths), in.Rows()); err != nil {
		return fmt.Errorf("model %s$%d: %w", p.Model, p.used, err)
	}
	if n := p.scoring.Missing(); n > 0 {
		p.missing(n)
	}
	for _, o := range p.Outputs {
		col, err := p.output(o, in.Rows())
		if err != nil {
			return fmt.Errorf("model %s$%d: %s: %w", p.Model, p.used, o.Func, err)
		}
		cols = append(cols, col)
		p.ctx.Account.Grow(flow.Size(col))
	}
	return pass(p.ctx.Account, before, in.With(p.Out, cols), emit)
}

// Features evaluates a model's feature expressions over the columns it reads. Training and prediction both come through here.
func Features(in *flow.Batch, cols []int, read *flow.Schema, features []expr.Expr, env udf.Env) []arrow.Array {
	small := flow.NewBatch(read, pick(in, cols), in.Rows(), nil)
	out := make([]arrow.Array, len(features))
	for i, f := range features {
		out[i] = expr.Eval(f, small, env)
	}
	return out
}

func (p *predict) missing(n int) {
	for range n {
		p.ctx.Fail(exec.Failure{Code: "SQ6101", Err: errors.New("a feature is missing or not finite: the prediction is NULL"), Source: p.Model, Side: "row"})
	}
}

// swap takes the version that now serves.
func (p *predict) swap(in *flow.Batch) error {
	v, number, err := p.ctx.Models.Version(p.Model, p.Version, p.Absent != "null")
	if err != nil {
		return err
	}
	if v == nil || number == p.used {
		return nil
	}
	old := p.used
	p.bundle = v.(*ml.Bundle)
	p.scoring, p.used = p.bundle.NewScoring(), number
	p.widths = widthsIn(p.Names, p.bundle.Inputs)
	if err := p.keep.Put([]byte{0}, binary.BigEndian.AppendUint32(nil, uint32(number))); err != nil {
		return err
	}
	return p.ctx.Models.Swapped(p.ctx.Job, p.Model, max(old, 0), number, p.ctx.Out)
}

func (p *predict) output(o PredictOutput, rows int) (arrow.Array, error) {
	switch o.Func {
	case "PREDICT":
		return p.scoring.Predict()
	case "PREDICT_PROBA":
		return p.scoring.Proba()
	case "ANOMALY_SCORE":
		return p.scoring.AnomalyScore()
	case "IS_ANOMALY":
		return p.scoring.IsAnomaly()
	case "CLUSTER":
		return p.scoring.Cluster()
	case "DISTANCE":
		return p.scoring.Distance()
	case "EXPLAIN":
		return p.scoring.Explain(o.K)
	case "EMBED":
		return p.scoring.Embed()
	case "MODEL_VERSION":
		versions := make([]int32, rows)
		for i := range versions {
			versions[i] = int32(p.used)
		}
		return flow.Fixed(flow.Int, versions, arrow.Int32Traits.CastToBytes, flow.Valid(rows)), nil
	}
	return nil, fmt.Errorf("%w: %s", ml.ErrCannot, o.Func)
}
