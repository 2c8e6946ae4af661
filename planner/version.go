package planner

import (
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

// trainedAs returns the training of a model as it was when a version was trained. The definition of
// the model may have been replaced since; the version contains its own features.
func (b *binder) trainedAs(at lang.Node, t *Training, version int) (*Training, error) {
	if b.Version == nil {
		return t, nil
	}
	v := b.Version(t.Name, version)
	if v == nil || !v.Source.Known() || v.Source.Equal(t.Source) && v.Spec.Type == t.Type {
		return t, nil
	}
	out := &Training{Name: t.Name, Type: v.Spec.Type, Options: v.Spec.Options, Source: v.Source,
		Target: catalog.Column{Name: v.Target.Name, Type: v.Target.Type}}
	if err := b.bindSource(out, v); err != nil {
		e := fail(at, "SQ6303", "the features of version %d of model %s cannot be computed: %v", version, quote(t.Name),
			err)
		e.Err = err
		return nil, e
	}
	return out, nil
}

// TrainedAs returns the training of a model as it was when the version with the number was trained.
func TrainedAs(t *Training, version int, o Options) (*Training, error) {
	return newBinder(o, "").trainedAs(nil, t, version)
}

// bindSource binds the features of a version over its columns. It reads their SQL as a query that
// first casts to the types of the columns.
func (b *binder) bindSource(t *Training, v *ml.Bundle) error {
	var items []string
	for _, c := range v.Source.Columns {
		items = append(items, "CAST(NULL AS "+c.Type+")")
	}
	for _, f := range v.Source.Features {
		items = append(items, f.Expr)
	}
	list, err := lang.Parse("SELECT " + strings.Join(items, ", ") + ";")
	if err != nil {
		return err
	}
	sel := list[0].(*lang.QueryStatement).Query.Select
	over := &scope{exact: b.exact()}
	for i, c := range v.Source.Columns {
		typ, err := b.typeOf(sel.Items[i].Expr.(*lang.Cast).Type)
		if err != nil {
			return err
		}
		t.Inputs = append(t.Inputs, catalog.Column{Name: c.Name, Type: typ})
		over.cols = append(over.cols, column{id: i, name: c.Name, t: typ})
	}
	for i, f := range v.Source.Features {
		x, err := b.expr(sel.Items[len(v.Source.Columns)+i].Expr, over)
		if err != nil {
			return err
		}
		t.Features, t.Names = append(t.Features, x), append(t.Names, f.Name)
	}
	return nil
}

// place returns the columns of a row's partition and offset, or nil if the scope has none.
func (s *scope) place() []int {
	var out []int
	for _, name := range []string{flow.RowPartition, flow.RowOffset} {
		for _, c := range s.cols {
			if c.name == name && c.show == byName {
				out = append(out, c.id)
				break
			}
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}
