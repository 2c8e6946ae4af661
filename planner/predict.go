package planner

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

// predicted is where the result of a model function's call stands.
type predicted struct {
	name string
	t    flow.Type
}

func (p predicted) column(s *scope) expr.Expr {
	return s.column(s.index("", p.name))
}

var modelFunctions = names("PREDICT", "PREDICT_PROBA", "ANOMALY_SCORE", "IS_ANOMALY", "CLUSTER", "DISTANCE", "EXPLAIN", "EMBED", "MODEL_VERSION")

func modelFunction(name string) bool { return modelFunctions[strings.ToUpper(name)] }

// predictions puts a Predict over the input for each model the query uses: all functions of one reference share it.
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
	nodes := map[string]*op.Predict{}
	for _, c := range calls {
		text := lang.PrintExpr(c)
		if _, done := b.predicted[text]; done && in.scope.index("", b.predicted[text].name) >= 0 {
			continue
		}
		if err := b.predictCall(c, text, in, nodes); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (b *binder) predictCall(c *lang.Call, text string, in *rel, nodes map[string]*op.Predict) error {
	name := strings.ToUpper(c.Name.Text)
	if len(c.Args) == 0 {
		return fail(c, "SQ2007", "%s needs a model", name)
	}
	t, version, err := b.modelArg(c.Args[0])
	if err != nil {
		return err
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
			return fail(c, "SQ2007", "EXPLAIN needs a model, the number of parts and the features: EXPLAIN(m, 3, *)")
		}
		out.K, args = k, args[1:]
	}
	if out.Type, err = t.result(name); err != nil {
		return b.cannot(c, t, err)
	}
	if name == "MODEL_VERSION" && len(args) == 0 {
		args = []lang.Expr{&lang.Star{At: c.At}}
	}
	cols, err := b.modelInputs(c, t, args, in)
	if err != nil {
		return err
	}
	key := fmt.Sprint(t.Name, version, cols)
	n, ok := nodes[key]
	if !ok || in.node != n {
		n = &op.Predict{Input: in.node, Model: t.Name, Version: version, Columns: cols, Features: t.Features, Names: t.Names,
			Absent: t.Options.Text("on_absent"), Out: in.node.Schema()}
		in.node, nodes[key] = n, n
	}
	n.Outputs = append(n.Outputs, out)
	p := predicted{fmt.Sprintf("$predict%d", len(b.predicted)), out.Type}
	if b.predicted == nil {
		b.predicted = map[string]predicted{}
	}
	b.predicted[text] = p
	in.scope.cols = append(in.scope.cols, column{name: p.name, t: p.t, hidden: true})
	old := n.Out
	n.Out = flow.NewSchema(append(append([]arrow.Field(nil), old.Fields()...), flow.Field(p.name, p.t)), old.Key...)
	n.Out.Time, n.Out.Clock = old.Time, old.Clock
	return nil
}

func (b *binder) cannot(at lang.Node, t *Training, err error) error {
	e := fail(at, "SQ6006", "%v", err)
	e.Err = err
	return e
}

// modelArg resolves the first argument of a model function.
func (b *binder) modelArg(e lang.Expr) (*Training, int, error) {
	var name lang.Name
	version := 0
	switch e := e.(type) {
	case *lang.Ident:
		if e.Source != nil {
			return nil, 0, fail(e, "SQ6001", "%s is not a model", quote(e.Source.Text+"."+e.Name.Text))
		}
		name = e.Name
	case *lang.ModelRef:
		name, version = e.Name, e.Version.Number
		if e.Version.Alias != "" || e.Version.AsOf {
			return nil, 0, unsupported(e, "an alias or AS OF in a model reference")
		}
	default:
		return nil, 0, fail(e, "SQ6001", "the first argument is a model's name")
	}
	t, err := b.model(name)
	return t, version, err
}

func (b *binder) model(name lang.Name) (*Training, error) {
	text := b.fold(name)
	if b.Model != nil {
		if t, ok := b.Model(text); ok {
			return t, nil
		}
	}
	if err := b.unavailable(name, text); err != nil {
		return nil, err
	}
	e := fail(name, "SQ6001", "model %s does not exist", quote(text))
	var legal []string
	for _, m := range b.Catalog.Models() {
		legal = append(legal, m.Name)
	}
	if near := lang.Suggest(text, legal); near != "" {
		e.Label = "did you mean \"" + near + "\"?"
	}
	return nil, e
}

// modelInputs finds the columns a model reads: by name for * and STRUCT(..), else in their order.
func (b *binder) modelInputs(c *lang.Call, t *Training, args []lang.Expr, in *rel) ([]int, error) {
	cols := make([]int, len(t.Inputs))
	if len(args) == 1 {
		if star, ok := args[0].(*lang.Star); ok {
			for i, want := range t.Inputs {
				source := ""
				if star.Source != nil {
					source = b.fold(*star.Source)
				}
				at := in.scope.index(source, want.Name)
				if at < 0 {
					return nil, fail(c, "SQ6004", "model %s needs %d inputs: %s (%s) is missing", quote(t.Name), len(t.Inputs), want.Name, flow.TypeName(want.Type))
				}
				if err := b.inputFits(c, t, i, in.scope.cols[at].t); err != nil {
					return nil, err
				}
				cols[i] = at
			}
			return b.castInputs(t, cols, in), nil
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
					return nil, fail(st, "SQ6004", "model %s needs %d inputs: %s (%s) is missing", quote(t.Name), len(t.Inputs), want.Name, flow.TypeName(want.Type))
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
		return nil, fail(c, "SQ6004", "model %s needs %d inputs, %d are given%s", quote(t.Name), len(t.Inputs), len(values), missing)
	}
	return b.computed(c, t, values, in)
}

func (b *binder) inputFits(at lang.Node, t *Training, i int, have flow.Type) error {
	want := t.Inputs[i]
	if flow.Widens(have, want.Type) || flow.IsNumber(have) && flow.IsNumber(want.Type) {
		return nil
	}
	return fail(at, "SQ6005", "input %s of model %s is %s, not %s", want.Name, quote(t.Name), flow.TypeName(want.Type), flow.TypeName(have))
}

// castInputs puts a projection under the model where a column's type is not the one the model was trained on.
func (b *binder) castInputs(t *Training, cols []int, in *rel) []int {
	same := true
	for i, c := range cols {
		same = same && flow.SameType(in.scope.cols[c].t, t.Inputs[i].Type)
	}
	if same {
		return cols
	}
	exprs := make([]expr.Expr, len(cols))
	for i, c := range cols {
		exprs[i] = expr.Convert(in.scope.column(c), t.Inputs[i].Type)
	}
	return b.extend(in, exprs)
}

// computed puts the values a model is given under it as columns.
func (b *binder) computed(c *lang.Call, t *Training, values []lang.Expr, in *rel) ([]int, error) {
	exprs := make([]expr.Expr, len(values))
	for i, v := range values {
		x, err := b.expr(v, in.scope)
		if err != nil {
			return nil, err
		}
		if err := b.inputFits(c, t, i, x.Type()); err != nil {
			return nil, err
		}
		exprs[i] = expr.Convert(x, t.Inputs[i].Type)
	}
	return b.extend(in, exprs), nil
}

// extend appends hidden columns to a relation.
func (b *binder) extend(in *rel, exprs []expr.Expr) []int {
	old := in.node.Schema()
	p := &op.Project{Input: in.node}
	fields := append([]arrow.Field(nil), old.Fields()...)
	for i := range fields {
		p.Exprs = append(p.Exprs, in.scope.column(i))
	}
	var at []int
	for _, x := range exprs {
		if c, ok := x.(*expr.Column); ok {
			at = append(at, c.Index)
			continue
		}
		name := fmt.Sprintf("$input%d", len(fields))
		at = append(at, len(fields))
		p.Exprs = append(p.Exprs, x)
		fields = append(fields, flow.Field(name, x.Type()))
		in.scope.cols = append(in.scope.cols, column{name: name, t: x.Type(), hidden: true})
	}
	p.Out = flow.NewSchema(fields, old.Key...)
	p.Out.Time, p.Out.Clock = old.Time, old.Clock
	in.node = p
	return at
}

// prunePredict keeps what is needed above and what the model reads; outputs nobody uses stay, as they cost one column each.
func prunePredict(n *op.Predict, need columns) []int {
	width := len(n.Input.Schema().Fields())
	below := columns{}
	for c := range need {
		if c < width {
			below[c] = true
		}
	}
	below.add(n.Columns...)
	down := prune(n.Input, below)
	n.Columns = movedAll(n.Columns, down)
	return appended(n.Input.Schema(), &n.Out, width, down)
}

// result is the type of a model function.
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
		return flow.Array(flow.Struct(flow.Field("feature", flow.String), flow.Field("part", flow.Double))), nil
	case "MODEL_VERSION":
		return flow.Int, nil
	}
	return nil, has(false)
}
