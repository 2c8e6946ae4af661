package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

var modelFunctions = names("PREDICT", "PREDICT_PROBA", "ANOMALY_SCORE", "IS_ANOMALY", "CLUSTER", "DISTANCE", "EXPLAIN",
	"EMBED", "MODEL_VERSION")

// plannedFunctions are functions of models that are not supported yet.
var plannedFunctions = names("MODEL_INFO", "PREDICT_INTERVAL", "RECONSTRUCT", "RECOMMEND", "ML_PREDICT", "ML_COMPARE",
	"ML_CONFUSION_MATRIX", "ML_ROC_CURVE", "ML_WEIGHTS", "ML_CENTROIDS", "ML_FEATURE_IMPORTANCE", "ML_TREE",
	"ML_FEATURE_INFO", "ML_DESCRIBE_DATA", "ML_LINEAGE", "ML_FORECAST", "ML_DRIFT")

// plannedCall returns an error for a function of models that is not supported yet, and for a
// preparation outside TRANSFORM. Without it, the error would be about the column m of f(m).
func (b *binder) plannedCall(c *lang.Call, name string) error {
	name = strings.ToUpper(name)
	if _, known := b.Functions.Scalar(name); known {
		return nil
	}
	if plannedFunctions[name] {
		return unsupported(c, name)
	}
	if _, err := ml.LookupStep(name); err == nil && name != "" {
		return fail(c, "SQ2008", "preparation %s is allowed only as an item of TRANSFORM", name)
	}
	return nil
}

func modelFunction(name string) bool { return modelFunctions[strings.ToUpper(name)] }

// predictions adds a Predict over the input for each model that the query uses. All functions of
// one model and the same inputs share it.
func (b *binder) predictions(s *lang.Select, in *rel) (*rel, error) {
	var calls []*lang.Call
	var walk func(lang.Expr)
	walk = func(e lang.Expr) {
		if e == nil {
			return
		}
		if c, ok := e.(*lang.Call); ok && modelFunction(c.Name.Text) {
			calls = append(calls, c)
			return
		}
		for _, x := range operands(e) {
			walk(x)
		}
	}
	for _, it := range s.Items {
		walk(it.Expr)
	}
	walk(s.Where)
	if s.GroupBy != nil {
		for _, e := range s.GroupBy.By {
			walk(e)
		}
	}
	last := "" // the model and inputs of the topmost Predict
	for _, c := range calls {
		if _, done := in.scope.calls[lang.PrintExpr(c)]; done {
			continue
		}
		var err error
		if in, last, err = b.predictCall(c, in, last); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// predictCall adds a call of a model function over the input. It becomes one more output of the
// topmost Predict if that has the same model and columns, which last describes.
func (b *binder) predictCall(c *lang.Call, in *rel, last string) (*rel, string, error) {
	bad := func(err error) (*rel, string, error) { return nil, "", err }
	name := strings.ToUpper(c.Name.Text)
	if len(c.Args) == 0 {
		return bad(fail(c, "SQ2007", "%s needs a model", name))
	}
	t, version, err := b.modelArg(c.Args[0])
	if err != nil {
		return bad(err)
	}
	if t, err = b.trainedAs(c, t, version); err != nil {
		return bad(err)
	}
	args := c.Args[1:]
	out := op.PredictOutput{Func: name}
	if name == "EXPLAIN" {
		k, ok := 0, false
		if len(args) > 0 {
			if n, isNumber := args[0].(*lang.Number); isNumber {
				_, err := fmt.Sscan(n.Text, &k)
				ok = err == nil && k > 0
			}
		}
		if !ok {
			return bad(fail(c, "SQ2007",
				"EXPLAIN needs a model, the number of parts and the features: EXPLAIN(m, 3, *)"))
		}
		out.K, args = k, args[1:]
	}
	if out.Type, err = t.result(name); err != nil {
		return bad(b.cannot(c, t, err))
	}
	if name == "MODEL_VERSION" && len(args) == 0 {
		args = []lang.Expr{&lang.Star{At: c.At}}
	}
	in, cols, err := b.modelInputs(c, t, args, in)
	if err != nil {
		return bad(err)
	}
	col := b.column(fmt.Sprintf("$predict%d", len(in.scope.calls)), out.Type, internal, ordinary)
	next := in.scope.calling(lang.PrintExpr(c), col)
	key := fmt.Sprint(t.Name, version, cols)
	n := &op.Predict{Input: in.node, Model: t.Name, Version: version, Columns: cols,
		Features: t.Features, Names: t.Names, Type: t.Type, Target: t.Target.Type, Source: t.Source,
		Place: in.scope.place(), Absent: t.Options.Text("on_absent"), Outputs: []op.PredictOutput{out}, Out: schemaOf(next.cols)}
	if top, ok := in.node.(*op.Predict); ok && key == last {
		n.Input, n.Outputs = top.Input, append(slices.Clip(top.Outputs), out)
	}
	return in.over(n, next), key, nil
}

func (b *binder) cannot(at lang.Node, t *Training, err error) error {
	e := fail(at, "SQ6006", "%v", err)
	e.Err = err
	return e
}

// modelArg resolves the first argument of a model function. It returns the model and the version, 0
// for the serving version.
func (b *binder) modelArg(e lang.Expr) (*Training, int, error) {
	var name lang.Name
	version := b.using
	switch e := e.(type) {
	case *lang.Ident:
		if e.Source != nil {
			return nil, 0, fail(e, "SQ6001", "%s is not a model", quote(e.Source.Text+"."+e.Name.Text))
		}
		name = e.Name
	case *lang.ModelRef:
		name = e.Name
		if e.Version != (lang.VersionRef{}) {
			var err error
			if version, err = versionNumber(e, e.Version); err != nil {
				return nil, 0, err
			}
		}
	default:
		return nil, 0, fail(e, "SQ6001", "the first argument must be the name of a model")
	}
	t, err := b.model(name)
	return t, version, err
}

// versionNumber returns the number of the version that a reference selects. It is 0 for the serving
// version, which DEFAULT and LATEST mean: every version is promoted when it is published.
func versionNumber(at lang.Node, v lang.VersionRef) (int, error) {
	switch {
	case v.Alias != "":
		return 0, unsupported(at, "an alias of a model's version")
	case v.AsOf:
		return 0, unsupported(at, "VERSION AS OF ROWTIME")
	}
	return v.Number, nil
}

func (b *binder) model(name lang.Name) (*Training, error) {
	text := b.fold(name)
	if b.Model != nil {
		if t, ok := b.Model(text); ok {
			return t, nil
		}
	}
	name.Text = text
	return nil, NoModel(b.Catalog, name)
}

// modelInputs returns the columns that a model reads. It finds them by name for * and STRUCT(..),
// else by position, and adds a projection for inputs that are expressions.
func (b *binder) modelInputs(c *lang.Call, t *Training, args []lang.Expr, in *rel) (*rel, []int, error) {
	if len(args) == 1 {
		if star, ok := args[0].(*lang.Star); ok {
			return b.starInputs(c, star, t, in)
		}
	}
	values := args
	if len(args) == 1 {
		if st, ok := args[0].(*lang.StructLit); ok {
			values = make([]lang.Expr, len(t.Inputs))
			for i, want := range t.Inputs {
				for j, n := range st.Names {
					if strings.EqualFold(n.Text, want.Name) {
						values[i] = st.Values[j]
					}
				}
				if values[i] == nil {
					return nil, nil, missingInput(st, t, i)
				}
			}
		}
	}
	if len(values) != len(t.Inputs) {
		missing := ""
		if len(values) < len(t.Inputs) {
			w := t.Inputs[len(values)]
			missing = fmt.Sprintf(": %s (%s) is missing", w.Name, flow.TypeName(w.Type))
		}
		return nil, nil, fail(c, "SQ6004", "model %s needs %d inputs, not %d%s", quote(t.Name), len(t.Inputs),
			len(values), missing)
	}
	exprs := make([]expr.Expr, len(values))
	for i, v := range values {
		x, err := b.expr(v, in.scope)
		if err != nil {
			return nil, nil, err
		}
		if exprs[i], err = b.modelInput(c, t, i, x); err != nil {
			return nil, nil, err
		}
	}
	next, cols := b.extend(in, exprs)
	return next, cols, nil
}

// starInputs finds the inputs of a model by name.
func (b *binder) starInputs(c *lang.Call, star *lang.Star, t *Training, in *rel) (*rel, []int, error) {
	source := ""
	if star.Source != nil {
		source = b.fold(*star.Source)
	}
	exprs := make([]expr.Expr, len(t.Inputs))
	for i, want := range t.Inputs {
		at := in.scope.index(source, want.Name)
		if at < 0 {
			return nil, nil, missingInput(c, t, i)
		}
		var err error
		if exprs[i], err = b.modelInput(c, t, i, in.scope.cols[at].ref()); err != nil {
			return nil, nil, err
		}
	}
	next, cols := b.extend(in, exprs)
	return next, cols, nil
}

func missingInput(at lang.Node, t *Training, i int) error {
	want := t.Inputs[i]
	return fail(at, "SQ6004", "model %s needs %d inputs: %s (%s) is missing", quote(t.Name), len(t.Inputs), want.Name,
		flow.TypeName(want.Type))
}

// modelInput converts an expression to the type of a model's input. It returns an error if the type
// does not fit.
func (b *binder) modelInput(at lang.Node, t *Training, i int, x expr.Expr) (expr.Expr, error) {
	want, have := t.Inputs[i], x.Type()
	if flow.Widens(have, want.Type) || flow.IsNumber(have) && flow.IsNumber(want.Type) {
		return expr.Convert(x, want.Type), nil
	}
	return nil, fail(at, "SQ6005", "input %s of model %s is %s, not %s", want.Name, quote(t.Name),
		flow.TypeName(want.Type), flow.TypeName(have))
}

// extend adds expressions to a relation as internal columns, and returns their identities. An
// expression that is a column is not added.
func (b *binder) extend(in *rel, exprs []expr.Expr) (*rel, []int) {
	out := in.scope
	var more []expr.Expr
	var names []string
	var ids []int
	at := make([]int, len(exprs))
	for i, x := range exprs {
		if c, ok := x.(*expr.Column); ok {
			at[i] = c.Index
			continue
		}
		c := b.column(fmt.Sprintf("$input%d", len(out.cols)), x.Type(), internal, ordinary)
		at[i], out = c.id, out.with(c)
		more, names, ids = append(more, x), append(names, c.name), append(ids, c.id)
	}
	if len(more) == 0 {
		return in, at
	}
	return in.over(op.Extend(in.node, more, names, ids), out), at
}

// result returns the type of a model function's result.
func (t *Training) result(name string) (flow.Type, error) {
	typ, err := ml.Lookup(t.Type)
	if err != nil {
		return nil, err
	}
	has := func(ok bool) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s is not a function of model type %s", name, typ.Name)
	}
	switch name {
	case "PREDICT":
		switch typ.Task {
		case ml.Classify:
			return t.Target.Type, nil
		case ml.Cluster:
			return flow.Int, nil
		}
		return flow.Double, nil
	case "PREDICT_PROBA":
		return flow.Map(flow.String, flow.Double), has(typ.Task == ml.Classify)
	case "ANOMALY_SCORE":
		return flow.Double, has(typ.Task == ml.Anomaly || typ.Task == ml.Cluster)
	case "IS_ANOMALY":
		return flow.Boolean, has(typ.Task == ml.Anomaly || typ.Task == ml.Cluster)
	case "CLUSTER":
		return flow.Int, has(typ.Task == ml.Cluster)
	case "DISTANCE":
		return flow.Double, has(typ.Task == ml.Cluster)
	case "EMBED":
		return flow.Array(flow.Double), has(typ.Task == ml.Anomaly)
	case "EXPLAIN":
		return ml.ExplainType, nil
	case "MODEL_VERSION":
		return flow.Int, nil
	}
	return nil, has(false)
}
