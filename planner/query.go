package planner

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// rel is a relation that is being bound: a node, the scope over it, and the properties of its rows.
// Binding a clause returns a new rel.
type rel struct {
	node      exec.Node
	scope     *scope // the node's columns, in its order
	table     bool   // rows replace the row with the same key
	upsert    bool   // a table without old rows: deletions have only the key
	window    *catalog.Windowing
	source    *catalog.Relation // the relation that it reads, if it reads only one
	key       []int             // the columns of the key
	retention int64             // the retention of a windowed table's rows, ms
	names     *scope            // names that generated names must avoid; nil: those of scope
}

// over returns the relation with another node and scope.
func (r rel) over(n exec.Node, s *scope) *rel {
	r.node, r.scope = n, s
	return &r
}

// mode is the purpose of a query.
type mode int

const (
	pull       mode = iota // the present rows, to the client
	push                   // changes as they happen, to the client
	persistent             // changes, to a topic
)

// selected is a bound SELECT. Its first columns are the items, followed by the columns that a
// projection always passes.
type selected struct {
	rel
	items    []item
	keyItems []int // the columns of the items that are the key, in its order
	carried  []int // all columns of the key, selected or not; an enclosing query may need them

	keyless error // the reason why a union has no key, so that no topic can be written from it

	from *rel // the relation that the items are computed from; nil for a set operation
}

type item struct {
	column
	pos   int  // position in the key, -1: not part of it
	bound role // windowStart or windowEnd if the item is that column
}

// query binds a query without the parts of a job.
func (b *binder) query(q *lang.Query, m mode) (*selected, error) {
	if len(q.With) > 0 {
		return nil, unsupported(q.With[0], "WITH before SELECT")
	}
	emit, err := b.emission(q, m)
	if err != nil {
		return nil, err
	}
	var out *selected
	if len(q.Union) > 0 {
		out, err = b.union(q, m, emit)
	} else {
		out, err = b.selectOf(q.Select, q.OrderBy, m, emit)
	}
	if err != nil {
		return nil, err
	}
	if m == push && out.upsert && (out.identified() || !b.Dialect.Has(dialect.PushAddsOnly)) {
		// Only a row that was shown may be deleted, so the query keeps the rows.
		out.node, out.upsert = normalized(out.node, out.over(out.node, out.scope).keyed(out.carried)), false
	}
	if len(q.OrderBy) > 0 {
		if out, err = b.orderBy(q, out, m); err != nil {
			return nil, err
		}
	}
	if q.Tail.Limit != nil {
		n, err := b.limit(q.Tail.Limit)
		if err != nil {
			return nil, err
		}
		if m == persistent {
			return nil, unsupported(q.Tail.Limit, "LIMIT in a query that fills a topic")
		}
		out.node = &op.Limit{Input: out.node, N: n}
	}
	return out, nil
}

func (b *binder) emission(q *lang.Query, m mode) (op.Emission, error) {
	if q.Tail.Emit == nil {
		if m == pull {
			return op.EmitEnd, nil
		}
		return op.EmitChanges, nil
	}
	if q.Tail.Emit.Mode == "FINAL" {
		if q.Select.Window == nil {
			return 0, fail(q.Tail.Emit, "SQ3004", "EMIT FINAL needs a WINDOW")
		}
		return op.EmitFinal, nil
	}
	return op.EmitChanges, nil
}

func (b *binder) limit(l *lang.Limit) (int64, error) {
	x, err := b.expr(l.N, &scope{})
	if err != nil {
		return 0, err
	}
	lit, ok := x.(*expr.Literal)
	if ok {
		switch n := lit.Value.(type) {
		case int32:
			return int64(n), nil
		case int64:
			return n, nil
		}
	}
	return 0, fail(l, "SQ2010", "LIMIT needs a whole number")
}

// selectOf binds a SELECT. order is the ORDER BY of its query, which may call aggregates.
func (b *binder) selectOf(s *lang.Select, order []*lang.Order, m mode, emit op.Emission) (*selected, error) {
	switch {
	case s.Distinct:
		return nil, unsupported(s, "SELECT DISTINCT")
	case len(s.Joins) > 0:
		return nil, unsupported(s.Joins[0], "JOIN")
	}
	if s.Using != nil {
		n, err := versionNumber(s.Using, s.Using.Version)
		if err != nil {
			return nil, err
		}
		defer func(outer int) { b.using = outer }(b.using)
		b.using = n
	}
	in, err := b.input(s, m)
	if err != nil {
		return nil, err
	}
	in, err = b.predictions(s, in)
	if err != nil {
		return nil, err
	}
	if s.Where != nil {
		if in, err = b.where(s.Where, in); err != nil {
			return nil, err
		}
	}
	if s.PartitionBy != nil && m != persistent {
		return nil, fail(s.PartitionBy, "SQ3007", "PARTITION BY is allowed only in a query that fills a topic")
	}
	calls := b.aggregates(s, order)
	if s.GroupBy != nil || len(calls) > 0 {
		if s.PartitionBy != nil {
			return nil, fail(s.PartitionBy, "SQ3005", "GROUP BY and PARTITION BY exclude one another")
		}
		return b.grouped(s, in, calls, m, emit)
	}
	switch {
	case s.Window != nil:
		return nil, fail(s.Window, "SQ3006", "WINDOW needs GROUP BY")
	case s.Having != nil:
		return nil, fail(s.Having, "SQ3006", "HAVING needs GROUP BY")
	}
	if s.PartitionBy != nil {
		if in.table {
			return nil, fail(s.PartitionBy, "SQ3007",
				"PARTITION BY works on streams; a table is partitioned by its primary key")
		}
		return b.partitioned(s, in)
	}
	return b.project(s.Items, in, nil)
}

// input binds FROM. A SELECT without FROM reads one row without columns.
func (b *binder) input(s *lang.Select, m mode) (*rel, error) {
	if s.From != nil {
		return b.from(s.From, m)
	}
	if s.Window != nil {
		return nil, fail(s.Window, "SQ3006", "WINDOW needs FROM")
	}
	cols := []column{b.column(flow.RowTime, flow.Bigint, byName, eventTime)}
	sch := schemaOf(cols)
	one := flow.NewBatch(sch, []arrow.Array{flow.Column(flow.Bigint, int64(0))}, 1, nil)
	return &rel{node: &op.Values{Out: sch, Batch: one}, scope: &scope{cols: cols, exact: b.exact()}}, nil
}

func (b *binder) where(e lang.Expr, in *rel) (*rel, error) {
	p, err := b.condition(e, in.scope, "WHERE")
	if err != nil {
		return nil, err
	}
	return in.over(&op.Filter{Input: withoutNulls(in.node), Predicate: p, Upsert: in.upsert}, in.scope), nil
}

func (b *binder) condition(e lang.Expr, s *scope, clause string) (expr.Expr, error) {
	p, err := b.expr(e, s)
	if err != nil {
		return nil, err
	}
	if p.Type().ID() == arrow.NULL {
		p = expr.Lit(flow.Boolean, nil)
	}
	if p.Type().ID() != arrow.BOOL {
		return nil, fail(e, "SQ2006", "%s needs a BOOLEAN, not %s", clause, flow.TypeName(p.Type()))
	}
	return p, nil
}
