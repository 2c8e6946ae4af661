package planner

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// system binds streamql.NAME, a relation of the engine over a topic of that name or over rows that
// are computed when the query runs.
func (b *binder) system(r *lang.Relation, m mode) (*rel, error) {
	schema, name := strings.ToLower(r.Source.Schema.Text), strings.ToLower(r.Source.Name.Text)
	if schema != "streamql" {
		return nil, fail(r.Source, "SQ2001", "%q is not a schema; the only schema is streamql", r.Source.Schema.Text)
	}
	full := schema + "." + name
	if source, ok := b.Catalog.Relation(full, true); ok {
		out, err := b.scan(source, r, alias(b, r, full), m)
		if err != nil || full != "streamql.training" {
			return out, err
		}
		return b.numbered(out)
	}
	return b.rows(r, full, nil)
}

// numbered adds the version number to the rows of streamql.training. The topic contains the
// version's id, because the number is known only where the model's topic is read. Rows that early
// versions of the engine wrote contain the number itself.
func (b *binder) numbered(in *rel) (*rel, error) {
	const number = "MODEL_VERSION_NUMBER"
	at := map[string]column{}
	for _, name := range []string{"model", "version_id", "version"} {
		i := in.scope.index("", name)
		if i < 0 {
			return in, nil
		}
		at[name] = in.scope.cols[i]
	}
	if _, ok := b.Functions.Scalar(number); !ok {
		return in, nil
	}
	known, err := b.function(nil, number, []expr.Expr{at["model"].ref(), at["version_id"].ref()})
	if err != nil {
		return nil, err
	}
	known, err = b.function(nil, "COALESCE", []expr.Expr{known, at["version"].ref()})
	if err != nil {
		return nil, err
	}
	p := &op.Project{Input: in.node}
	out := &scope{exact: in.scope.exact}
	for _, c := range in.scope.cols {
		x := expr.Expr(c.ref())
		if c.id == at["version"].id {
			own := b.column(c.name, known.Type(), c.show, c.role)
			own.source, c, x = c.source, own, known
		}
		out.cols, p.Exprs = append(out.cols, c), append(p.Exprs, x)
	}
	p.Out = schemaOf(out.cols)
	return in.over(p, out), nil
}

func alias(b *binder, r *lang.Relation, name string) string {
	if r.Alias != nil {
		return b.fold(r.Alias.Name)
	}
	return name
}

// tableCall binds a table function in FROM, such as ML_TRAINING_INFO(m).
func (b *binder) tableCall(r *lang.Relation) (*rel, error) {
	c := r.Call
	var args []any
	for i, a := range c.Args {
		if id, ok := a.(*lang.Ident); ok && i == 0 && b.using > 0 && id.Source == nil {
			a = &lang.ModelRef{At: id.At, Name: id.Name, Version: lang.VersionRef{Number: b.using}}
		}
		switch a := a.(type) {
		case *lang.Ident:
			args = append(args, b.fold(a.Name))
		case *lang.ModelRef:
			args = append(args, a)
		case *lang.TableRef:
			args = append(args, b.fold(a.Name))
		case *lang.RelationArg:
			args = append(args, a.Relation)
		default:
			v, err := optionValue(a)
			if err != nil {
				return nil, err
			}
			args = append(args, v)
		}
	}
	for _, n := range c.Named {
		return nil, unsupported(n.Name, "a named argument here")
	}
	name := strings.ToUpper(c.Name.Text)
	if name == "ML_EVALUATE" && len(args) == 2 {
		args = append(args, &r.Scan)
		out, err := b.rows(&lang.Relation{At: r.At, Call: c, Alias: r.Alias}, name, args)
		return out, err
	}
	return b.rows(r, name, args)
}

// rows returns a leaf of rows that are computed when the query runs.
func (b *binder) rows(r *lang.Relation, name string, args []any) (*rel, error) {
	if b.Rows == nil {
		return nil, fail(r, "SQ2001", "%q does not exist", name)
	}
	if !r.Scan.Empty() {
		return nil, fail(&r.Scan, "SQ3008", "a scan clause must follow a stream or table; %s has no topic", name)
	}
	made, ok, err := b.Rows(name, args)
	if err != nil {
		if e, isOurs := err.(*lang.Error); isOurs {
			if e.Pos.Line == 0 {
				e.Pos, e.Len = r.Position(), 1
			}
			return nil, e
		}
		return nil, fail(r, "SQ2007", "%s: %v", name, err)
	}
	if !ok && plannedFunctions[name] {
		return nil, unsupported(r, name)
	}
	if !ok {
		return nil, fail(r, "SQ2001", "%q does not exist", name)
	}
	out := &rel{scope: &scope{exact: b.exact()}}
	for _, f := range made.Fields {
		c := b.column(f.Name, f.Type, shown, ordinary)
		c.source = alias(b, r, name)
		out.scope.cols = append(out.scope.cols, c)
	}
	out.scope.cols = append(out.scope.cols, b.column(flow.RowTime, flow.Bigint, byName, eventTime))
	sch := schemaOf(out.scope.cols)
	out.node = &op.Values{Name: name, Out: sch, Make: func() (*flow.Batch, error) {
		batch, err := made.Rows()
		if err != nil {
			return nil, err
		}
		cols := append(append([]arrow.Array(nil), batch.Columns()...), flow.Repeat(flow.Bigint, int64(0), batch.Rows()))
		return flow.NewBatch(sch, cols, batch.Rows(), nil), nil
	}}
	return out, nil
}

// modelVersions binds a model in FROM, which is the table of its versions.
func (b *binder) modelVersions(r *lang.Relation) (*rel, bool, error) {
	if _, ok := b.Catalog.Model(b.fold(r.Source.Name), b.exact()); !ok {
		return nil, false, nil
	}
	if b.using > 0 {
		return nil, true, unsupported(r, "USING VERSION over the versions of a model")
	}
	out, err := b.rows(r, "versions", []any{b.fold(r.Source.Name)})
	return out, true, err
}
