package planner

import (
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

// Training is a bound CREATE MODEL: the source, the features, and the learner.
type Training struct {
	Name      string
	Statement *lang.CreateModel
	Type      string
	Options   ml.Options
	Inputs    []catalog.Column // the inputs of PREDICT, in order
	Features  []expr.Expr      // the feature expressions, over a batch of Inputs
	Names     []string         // the names of the features
	Source    ml.Source        // inputs and features in SQL
	Items     []ml.Item
	Target    catalog.Column // Type is nil for a model without a target
	Mode      ml.Modes
	Bounded   bool
	Stages    []Stage
}

// Model binds a CREATE MODEL. A scan that is not nil replaces the scan clause of the source, as
// RETRAIN does; the training is then ONCE.
func Model(st *lang.CreateModel, scan *lang.Scan, job string, o Options) (*Training, error) {
	b := newBinder(o, job)
	t := &Training{Name: b.fold(st.Name), Statement: st}
	if err := b.modelClauses(st); err != nil {
		return nil, err
	}
	typ, err := b.modelType(st, t)
	if err != nil {
		return nil, err
	}
	if err := b.trainMode(st, t, typ, scan != nil); err != nil {
		return nil, err
	}
	in, err := b.trainingSource(st, t, scan)
	if err != nil {
		return nil, err
	}
	train := &op.Train{Model: t.Name, Target: -1, Weight: -1}
	if in, err = b.target(st, t, typ, in, train); err != nil {
		return nil, err
	}
	train.Input, train.Place = in.node, in.scope.place()
	if err := b.features(st, t, in, train); err != nil {
		return nil, err
	}
	if err := b.learner(st, t, typ, train); err != nil {
		return nil, err
	}
	train.Warm = scan != nil
	t.Stages, err = b.lower(train, true, false)
	return t, err
}

// modelClauses returns an error for clauses that the grammar admits and training does not support.
func (b *binder) modelClauses(st *lang.CreateModel) error {
	switch {
	case st.Query != nil:
		return unsupported(st.Query, "CREATE MODEL .. AS")
	case st.From == nil:
		return unsupported(st, "a model without FROM")
	case st.Per != nil:
		return unsupported(st.Per, "PER")
	case st.Labels != nil:
		return unsupported(st.Labels, "LABELS")
	case st.Drift != nil:
		return unsupported(st.Drift, "ON DRIFT")
	case st.Promote != nil && st.Promote.Mode != "ALWAYS":
		return unsupported(st.Promote, "PROMOTE "+string(st.Promote.Mode))
	case len(st.Input) > 0:
		return unsupported(st.Input[0], "INPUT")
	case len(st.Output) > 0:
		return unsupported(st.Output[0], "OUTPUT")
	case st.Window != nil && st.Window.Kind != lang.Tumbling:
		return unsupported(st.Window, "WINDOW "+string(st.Window.Kind)+" for a model")
	}
	return nil
}

// trainMode sets the way of training: that of TRAIN, else EACH WINDOW if there is a window, ONCE if
// the scan is bounded, and EACH EVENT otherwise.
func (b *binder) trainMode(st *lang.CreateModel, t *Training, typ ml.Type, once bool) error {
	var at lang.Node = st
	switch {
	case once:
		t.Mode = ml.Once
	case st.Train == nil && st.Window != nil:
		t.Mode = ml.Window
	case st.Train == nil && modelScan(st).Until != nil:
		t.Mode = ml.Once
	case st.Train == nil:
		t.Mode = ml.Event
	default:
		at = st.Train
		t.Mode = map[lang.Keyword]ml.Modes{"ONCE": ml.Once, "EACH WINDOW": ml.Window,
			"EACH EVENT": ml.Event}[st.Train.Mode]
		switch st.Train.Memory {
		case "WARM START":
			t.Mode = ml.Warm
		case "DECAY":
			t.Mode = ml.Decay
		}
	}
	if !typ.Trains.Has(t.Mode) {
		return fail(at, "SQ6007", "model type %s cannot be trained that way", typ.Name)
	}
	windowed := t.Mode&(ml.Window|ml.Warm|ml.Decay) != 0
	if st.Window != nil && !windowed && !once {
		return fail(st.Window, "SQ6007", "WINDOW requires TRAIN EACH WINDOW")
	}
	if windowed && st.Window == nil {
		return fail(at, "SQ6007", "TRAIN EACH WINDOW needs a WINDOW")
	}
	return nil
}

// modelScan returns the scan clause of a model: that of its source, or of the only source in its
// query.
func modelScan(st *lang.CreateModel) *lang.Scan {
	r := st.From
	for r.Query != nil && r.Scan.Empty() && r.Query.Select.From != nil {
		r = r.Query.Select.From
	}
	return &r.Scan
}

// trainingSource binds FROM. Training reads from the beginning unless the scan clause sets a start.
// TRAIN ONCE ends at the present end of the topic.
func (b *binder) trainingSource(st *lang.CreateModel, t *Training, scan *lang.Scan) (*rel, error) {
	m := persistent
	if t.Mode == ml.Once {
		m = pull
	}
	in, err := b.from(st.From, m)
	if err != nil {
		return nil, err
	}
	in = in.over(withoutNulls(in.node), in.scope)
	t.Bounded = true
	for i := range b.leaves {
		l := &b.leaves[i]
		l.Earliest = true
		if scan != nil && !scan.Empty() {
			l.Scan = *scan
		}
		t.Bounded = t.Bounded && (l.Bounded || l.Scan.Until != nil)
	}
	if in.table && t.Mode != ml.Once {
		return nil, fail(st.From, "SQ6011",
			"model type %s cannot unlearn rows, so it cannot be trained from a table with TRAIN EACH EVENT", t.Type)
	}
	if _, ok := in.scope.role(eventTime); !ok {
		return nil, unsupported(st.From, "training from rows without event time")
	}
	return in, nil
}

// target binds TARGET and WEIGHT. A weight that is an expression is computed over the input.
func (b *binder) target(st *lang.CreateModel, t *Training, typ ml.Type, in *rel, train *op.Train) (*rel, error) {
	if st.Target == nil {
		if typ.Task.Supervised() {
			return nil, fail(st, "SQ6008", "model type %s needs a TARGET", typ.Name)
		}
	} else {
		c, err := in.scope.find(b, &lang.Ident{At: st.Target.At, Name: *st.Target})
		if err != nil {
			return nil, err
		}
		t.Target = catalog.Column{Name: c.Name, Type: c.T}
		train.Target = c.Index
		number := flow.IsNumber(c.T)
		if typ.Task == ml.Regress && !number || typ.Task == ml.Classify && c.T.ID() != arrow.STRING &&
			c.T.ID() != arrow.BOOL && c.T.ID() != arrow.INT32 && c.T.ID() != arrow.INT64 {
			return nil, fail(*st.Target, "SQ6008", "TARGET %s is %s, which %s cannot predict", c.Name,
				flow.TypeName(c.T), typ.Name)
		}
	}
	if st.Weight != nil {
		x, err := b.expr(st.Weight, in.scope)
		if err != nil {
			return nil, err
		}
		if !flow.IsNumber(x.Type()) {
			return nil, fail(st.Weight, "SQ2006", "WEIGHT needs a number, not %s", flow.TypeName(x.Type()))
		}
		next, at := b.extend(in, []expr.Expr{expr.Convert(x, flow.Double)})
		in, train.Weight = next, at[0]
	}
	return in, nil
}

// learner checks the type, options and features of a model together and completes the node.
func (b *binder) learner(st *lang.CreateModel, t *Training, typ ml.Type, train *op.Train) error {
	types := make([]flow.Type, len(t.Features))
	arrays := false
	for i, f := range t.Features {
		types[i] = f.Type()
		if list, ok := types[i].(*arrow.ListType); ok {
			types[i], arrays = list.Elem(), true
		}
	}
	if t.Options.Text("prepare") != "none" {
		t.Items = ml.AutoItems(typ, t.Items, types)
	}
	if t.Options.Text("on_null") == "impute" {
		impute(t.Items, types)
	}
	prep, err := ml.NewPreparation(t.Items, types)
	where := map[string]*lang.Setting{}
	for _, s := range st.With {
		where[strings.ToLower(s.Name.Text)] = s
	}
	if err != nil {
		return optionError(st, where, err)
	}
	if typ.Check != nil && !arrays && !b.open(t) {
		spec := ml.Spec{Type: typ.Name, Features: prep.Features(), Options: t.Options}
		if err := typ.Check(spec); err != nil {
			return optionError(st, where, err)
		}
	}
	train.Features, train.Names, train.Items, train.Type, train.Options = t.Features, t.Names, t.Items, t.Type,
		t.Options
	train.Source = t.Source
	train.TargetColumn = ml.Input{Name: t.Target.Name, Type: t.Target.Type}
	train.Mode = t.Mode
	train.Statement = st.Text()
	if st.Window != nil && t.Mode != ml.Once {
		size, err := Millis(st.Window.Size)
		if err != nil {
			return err
		}
		train.Window = &op.Window{Size: size, Advance: size}
		if st.Window.Grace != nil {
			if train.Window.Grace, err = Millis(st.Window.Grace); err != nil {
				return err
			}
		}
	}
	return b.publishing(st, t, train)
}

// publishing binds PUBLISH EVERY and EVALUATE.
func (b *binder) publishing(st *lang.CreateModel, t *Training, train *op.Train) error {
	if t.Mode == ml.Event {
		train.PublishEvery = 10 * 60_000
	}
	if tr := st.Train; tr != nil {
		if tr.Rows != nil {
			train.PublishRows, train.PublishEvery = tr.Rows.N, 0
		}
		if tr.Every != nil {
			ms, err := Millis(tr.Every)
			if err != nil {
				return err
			}
			train.PublishEvery = ms
		}
		if tr.Decay != nil {
			f, err := strconv.ParseFloat(tr.Decay.Text, 64)
			if err != nil || f <= 0 || f >= 1 {
				return fail(tr.Decay, "SQ6009", "DECAY needs a number between 0 and 1")
			}
			train.Decay = f
		}
	}
	train.Evaluate = t.Mode != ml.Once
	ev := st.Evaluate
	if ev == nil {
		return nil
	}
	switch ev.Mode {
	case "NONE":
		train.Evaluate = false
	case "PREQUENTIAL":
		if t.Mode == ml.Once {
			return fail(ev, "SQ6007", "EVALUATE PREQUENTIAL requires TRAIN EACH EVENT or EACH WINDOW")
		}
		train.Evaluate = true
		if ev.Window != nil {
			train.EvaluateWindow = int(ev.Window.N)
		}
		if ev.Fading != nil {
			f, err := strconv.ParseFloat(ev.Fading.Text, 64)
			if err != nil || f <= 0 || f >= 1 {
				return fail(ev.Fading, "SQ6009", "FADING needs a number between 0 and 1")
			}
			train.EvaluateFading = f
		}
	default:
		return unsupported(ev, "EVALUATE "+string(ev.Mode))
	}
	return nil
}
