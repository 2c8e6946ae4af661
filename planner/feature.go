package planner

import (
	"errors"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

// featureBinder collects the features of a model and the columns that they read.
type featureBinder struct {
	*binder
	t     *Training
	train *op.Train
	used  map[int]int // column of the source to input of the model
	known bool        // SQL alone determines the features
}

// features binds TRANSFORM. An item is an expression over the row, or a preparation step applied to
// one.
func (b *binder) features(st *lang.CreateModel, t *Training, in *rel, train *op.Train) error {
	items := st.Transform
	if len(items) == 0 {
		items = []*lang.Item{{At: lang.At{Pos: st.Name.Pos}, Expr: &lang.Star{At: lang.At{Pos: st.Name.Pos}}}}
	}
	f := &featureBinder{binder: b, t: t, train: train, used: map[int]int{}, known: true}
	for _, it := range items {
		if err := f.item(it, in); err != nil {
			return err
		}
	}
	if len(t.Features) == 0 {
		return fail(st, "SQ6004", "model %s has no features", quote(t.Name))
	}
	if !f.known {
		t.Source = ml.Source{}
		return nil
	}
	for _, c := range t.Inputs {
		t.Source.Columns = append(t.Source.Columns, ml.SourceColumn{Name: c.Name, Type: flow.TypeName(c.Type)})
	}
	return nil
}

// item binds an item of TRANSFORM. A star is a feature per column.
func (f *featureBinder) item(it *lang.Item, in *rel) error {
	if star, ok := it.Expr.(*lang.Star); ok {
		cols, err := f.starFeatures(star, f.t, in, f.train)
		if err != nil {
			return err
		}
		for _, i := range cols {
			c := in.scope.cols[i]
			id := &lang.Ident{At: it.At, Name: lang.Name{At: it.At, Text: c.name, Quoted: true}}
			if err := f.add(it, c.name, preparing{of: id}, c.ref()); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := f.step(it.Expr)
	if err != nil {
		return err
	}
	x, err := f.expr(s.of, in.scope)
	if err != nil {
		return err
	}
	if f.train.Target >= 0 && mentions(x, f.train.Target) {
		return fail(it, "SQ6008", "TARGET %s must not be in TRANSFORM", f.t.Target.Name)
	}
	name := lang.PrintExpr(s.of)
	if c, ok := x.(*expr.Column); ok {
		name = c.Name
	}
	if it.Alias != nil {
		name = f.fold(*it.Alias)
	}
	return f.add(it, name, s, x)
}

// add adds a feature, and the columns that it reads to the inputs of the model.
func (f *featureBinder) add(at lang.Node, name string, s preparing, x expr.Expr) error {
	t := f.t
	list, isList := x.Type().(*arrow.ListType)
	if isList && flow.IsNumber(list.Elem()) && t.Mode == ml.Event {
		return fail(at, "SQ6007", "feature %s is %s: TRAIN EACH EVENT does not support arrays yet", name,
			flow.TypeName(x.Type()))
	}
	if !ml.Usable(x.Type()) && !(isList && flow.IsNumber(list.Elem())) {
		return fail(at, "SQ6005",
			"feature %s is %s: a feature must be a number, an ARRAY of numbers, a STRING or a BOOLEAN", name,
			flow.TypeName(x.Type()))
	}
	expr.Columns(x, func(c *expr.Column) {
		if _, known := f.used[c.Index]; !known {
			f.used[c.Index] = len(t.Inputs)
			t.Inputs = append(t.Inputs, catalog.Column{Name: c.Name, Type: c.T})
			f.train.Columns = append(f.train.Columns, c.Index)
		}
	})
	t.Features = append(t.Features, expr.Substitute(x, func(c *expr.Column) expr.Expr {
		return &expr.Column{Index: f.used[c.Index], Name: c.Name, T: c.T}
	}))
	t.Names = append(t.Names, name)
	text := lang.PrintExpr(s.of)
	f.known = f.known && !parameterized(s.of)
	t.Items = append(t.Items, ml.Item{Input: len(t.Features) - 1, Name: name, Expr: text, Step: s.step, Args: s.args,
		Impute: s.impute})
	t.Source.Features = append(t.Source.Features, ml.SourceFeature{Name: name, Expr: text,
		Type: flow.TypeName(x.Type())})
	return nil
}

// parameterized reports whether an expression contains a parameter, whose value its text lacks.
func parameterized(e lang.Expr) bool {
	if _, ok := e.(*lang.Param); ok {
		return true
	}
	for _, x := range operands(e) {
		if x != nil && parameterized(x) {
			return true
		}
	}
	return false
}

func mentions(x expr.Expr, column int) bool {
	found := false
	expr.Columns(x, func(c *expr.Column) { found = found || c.Index == column })
	return found
}

// starFeatures returns the columns that * means: all except target, weight, keys, pseudo-columns
// and dates and times.
func (b *binder) starFeatures(star *lang.Star, t *Training, in *rel, train *op.Train) ([]int, error) {
	cols, err := b.star(star, in.scope)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, i := range cols {
		c := in.scope.cols[i]
		switch c.t.ID() {
		case arrow.DATE32, arrow.TIME32, arrow.TIMESTAMP:
			continue
		}
		if !c.key && c.id != train.Target && c.id != train.Weight {
			out = append(out, i)
		}
	}
	return out, nil
}

// preparing is an item of TRANSFORM: a preparation step with its literal arguments, the imputation
// before it, and the expression that they apply to.
type preparing struct {
	step, impute string
	args         []any
	of           lang.Expr
}

// step splits an item. An ML_IMPUTER may be the argument of another step.
func (b *binder) step(e lang.Expr) (preparing, error) {
	out, err := b.oneStep(e)
	if err != nil || out.step == "" || out.step == "ML_IMPUTER" {
		return out, err
	}
	inner, err := b.oneStep(out.of)
	if err != nil || inner.step == "" {
		return out, err
	}
	if inner.step != "ML_IMPUTER" {
		return out, fail(out.of, "SQ6009", "%s cannot be applied to %s: only ML_IMPUTER can be the argument of another "+
			"preparation", out.step, inner.step)
	}
	if out.of, out.impute = inner.of, "mean"; out.step == "ML_ONE_HOT_ENCODER" || out.step == "ML_LABEL_ENCODER" {
		out.impute = "most_frequent"
	}
	if len(inner.args) > 0 {
		text, ok := inner.args[0].(string)
		if !ok || len(inner.args) > 1 {
			return out, fail(e, "SQ6009", "ML_IMPUTER takes the column and perhaps 'mean', 'median' or 'most_frequent'")
		}
		out.impute = text
	}
	return out, nil
}

// oneStep splits an item into the outermost step and its argument.
func (b *binder) oneStep(e lang.Expr) (preparing, error) {
	c, ok := e.(*lang.Call)
	if !ok || !strings.HasPrefix(strings.ToUpper(c.Name.Text), "ML_") {
		return preparing{of: e}, nil
	}
	if _, scalar := b.Functions.Scalar(c.Name.Text); scalar {
		return preparing{of: e}, nil
	}
	s, err := ml.LookupStep(c.Name.Text)
	if err != nil || len(c.Args) == 0 {
		if err == nil {
			err = errors.New(s.Name + " needs a column")
		}
		out := fail(c, "SQ6009", "%s", err.Error())
		var option *ml.OptionError
		if errors.As(err, &option) {
			if option.Nearest != "" {
				out.Label = "did you mean " + option.Nearest + "?"
			}
			out.Hint = "the preparations are " + strings.Join(option.Legal, ", ")
		}
		return preparing{}, out
	}
	var args []any
	for _, a := range c.Args[1:] {
		v, err := optionValue(a)
		if err != nil {
			return preparing{}, err
		}
		args = append(args, v)
	}
	return preparing{step: s.Name, args: args, of: c.Args[0]}, nil
}

// impute sets the imputation of the features that do not declare one: numbers by their mean,
// categories by the most frequent one.
func impute(items []ml.Item, types []flow.Type) {
	for i := range items {
		if items[i].Impute != "" || items[i].Step == "ML_IMPUTER" {
			continue
		}
		items[i].Impute = "mean"
		if types[items[i].Input].ID() == arrow.STRING || items[i].Step == "ML_ONE_HOT_ENCODER" ||
			items[i].Step == "ML_LABEL_ENCODER" {
			items[i].Impute = "most_frequent"
		}
	}
}

// open reports whether the features are unknown until rows have been read, because encoders make
// one per level.
func (b *binder) open(t *Training) bool {
	for _, it := range t.Items {
		if it.Step == "ML_ONE_HOT_ENCODER" {
			return true
		}
	}
	return false
}
