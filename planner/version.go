package planner

import (
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

// trainedAs returns the training of a model as it was when a version was trained. The definition of
// the model may have been replaced since; the version contains its own features.
func (b *binder) trainedAs(at lang.Node, t *Training, version int) (*Training, error) {
	defines := b.Rows == nil // a job, which is planned again by the definition of the model
	if b.Version == nil || defines && version == 0 {
		return t, nil
	}
	v := b.Version(t.Name, version)
	if v == nil || !v.Source.Known() || v.Source.Equal(t.Source) && v.Spec.Type == t.Type {
		return t, nil
	}
	if defines {
		e := fail(at, "SQ6303", "version %d of model %s was trained with other features or another type than the model "+
			"now has", version, quote(t.Name))
		e.Hint = "a job can use the versions of the present definition; a query can use every version"
		return nil, e
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

// place returns the columns of a row's partition and offset, or nil if there are none. A table's
// state would have to store them with each row.
func (r *rel) place() []int {
	partition, ok := r.scope.role(rowPartition)
	offset, both := r.scope.role(rowOffset)
	if !ok || !both || r.table {
		return nil
	}
	return []int{partition.id, offset.id}
}
