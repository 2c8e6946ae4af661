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

// PredictOutput is one model function, such as PREDICT or ANOMALY_SCORE. K is the number of parts
// that EXPLAIN returns.
type PredictOutput struct {
	Func string
	K    int
	Type flow.Type
}

// Predict joins each row with the present version of a model and appends a column per output. A new
// version takes effect between two batches: a batch is scored by one version, and earlier rows are
// not scored again. All outputs share one evaluation of the model.
type Predict struct {
	Input   exec.Node
	Model   string
	Version int   // 0: the serving version, which may change
	Columns []int // the columns that the model reads
	// The feature expressions, over a batch of Columns. The model's preparation reads their values.
	Features []expr.Expr
	Names    []string // the names of the features
	// Type, Target and Source are those of the versions for which the node was planned.
	Type   string
	Target flow.Type // nil: none
	Source ml.Source
	// Place has the columns of a row's partition and offset, for messages; it is empty if the input
	// has none.
	Place   []int
	Outputs []PredictOutput
	Absent  string // 'wait' or 'null': the behaviour while the model has no version
	Out     *flow.Schema
}

// Schema implements exec.Node.
func (p *Predict) Schema() *flow.Schema { return p.Out }

// Inputs implements exec.Node.
func (p *Predict) Inputs() []exec.Node { return []exec.Node{p.Input} }

// Rewire implements exec.Node.
func (p *Predict) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := *p
	out.Input, out.Columns, out.Out = in[0], rewireAll(p.Columns, move), rebased(p.Out, p.Input, in[0])
	out.Place = rewireAll(p.Place, move)
	return &out
}

// Under implements Sieve. Conditions on columns of the input commute.
func (p *Predict) Under(c expr.Expr) ([]expr.Expr, bool) {
	return []expr.Expr{c}, over(c, p.Input.Schema())
}

// Keeps implements Stateful. The state is the number of the version in use.
func (p *Predict) Keeps() bool { return true }

// String implements exec.Node.
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
		return nil, errors.New("model functions are not available here")
	}
	out := &predict{Predict: p, ctx: ctx, keep: ctx.Keyspace("version"), read: ReadSchema(p.Input.Schema(), p.Columns)}
	number, ok, err := out.keep.Get(usedKey)
	if ok && len(number) == 4 {
		out.used = int(binary.BigEndian.Uint32(number))
	}
	return out, err
}

// usedKey is the key of the number of the version in use.
var usedKey = []byte{0}

// ReadSchema returns the schema of the columns that a model reads.
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
	used    int        // the version of the last batch, even before a restart; 0: none
	bundle  *ml.Bundle // the version used; nil while it is not loaded
	scoring *ml.Scoring
	widths  []int // the number of elements of array features in the version
}

// Process implements exec.Operator.
func (p *predict) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	if err := p.swap(); err != nil {
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
	if p.scoring.Missing() > 0 {
		p.missing(in, features)
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

// Features evaluates a model's feature expressions over the columns that it reads. Training and
// prediction share it, so that they compute the same features.
func Features(in *flow.Batch, cols []int, read *flow.Schema, features []expr.Expr, env udf.Env) []arrow.Array {
	small := flow.NewBatch(read, pick(in, cols), in.Rows(), nil)
	out := make([]arrow.Array, len(features))
	for i, f := range features {
		out[i] = expr.Eval(f, small, env)
	}
	return out
}

// missing counts the rows that have no prediction, each with its reason and place.
func (p *predict) missing(in *flow.Batch, features []arrow.Array) {
	for i := range in.Rows() {
		why, ok := p.scoring.Why(i)
		if ok {
			continue
		}
		f := exec.Failure{Code: "SQ6101", Err: fmt.Errorf("the prediction is NULL: %s", why), Source: p.Model, Side: "row"}
		if err := misfit(features, p.widths, p.Names, i); err != nil {
			f.Code, f.Err = "SQ6103", fmt.Errorf("the prediction is NULL: %w", err)
		}
		if len(p.Place) == 2 {
			placed(&f, p.ctx, in.Column(p.Place[0]), in.Column(p.Place[1]), i)
		}
		p.ctx.Fail(f)
	}
}

// fits reports whether the node can predict with a version: its features are those that the node
// computes, and its predictions have the planned type.
func (p *Predict) fits(version any) bool {
	b, ok := version.(*ml.Bundle)
	return ok && b.Spec.Type == p.Type && p.Source.Accepts(b) && (p.Target == nil) == (b.Target.Type == nil) &&
		(p.Target == nil || arrow.TypeEqual(p.Target, b.Target.Type))
}

// swap loads the version that now serves. The first batch after a restart restores the number of
// the version in use; continuing with that version is not reported as a swap.
func (p *predict) swap() error {
	v, number, err := p.version()
	if err != nil {
		return err
	}
	if v == nil || number == p.used && p.bundle != nil {
		return nil
	}
	old := p.used
	p.bundle = v.(*ml.Bundle)
	p.scoring, p.used = p.bundle.NewScoring(), number
	p.widths = widthsIn(p.Names, p.bundle.Inputs)
	if number == old {
		return nil
	}
	if err := p.keep.Put(usedKey, binary.BigEndian.AppendUint32(nil, uint32(number))); err != nil {
		return err
	}
	return p.ctx.Models.Swapped(p.ctx.Job, p.Model, old, number, p.ctx.Out)
}

// version returns the version to predict with: the newest that fits. A version older than the one
// in use serves only if the one in use is no longer available. A process that has just started may
// not have read all versions, and predictions must not return to an older version for that reason.
func (p *predict) version() (any, int, error) {
	v, number, err := p.ctx.Models.Version(p.Model, p.Version, p.fits, p.Absent != "null")
	if p.Version > 0 && v != nil && !p.fits(v) {
		return nil, 0, fmt.Errorf("%w: version %d of model %s was trained with other features, types or target than "+
			"the model now has; a job can only use versions of the present definition", ml.ErrShape, number, p.Model)
	}
	if p.Version > 0 || err != nil || v == nil || number >= p.used {
		return v, number, err
	}
	if used, n, err := p.ctx.Models.Version(p.Model, p.used, nil, false); err == nil && used != nil && p.fits(used) {
		return used, n, nil
	}
	return v, number, nil
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
