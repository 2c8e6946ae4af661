package planner

import (
	"math"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// relation under work: a node, what its columns are called, and what kind of thing it is.
type rel struct {
	node      exec.Node
	scope     *scope
	table     bool // rows have a key that they replace
	upsert    bool // a table whose old rows are not known: deletions carry the key alone
	window    *catalog.Windowing
	source    *catalog.Relation // the one relation it reads, if it is one
	key       []int             // columns of the key
	retention int64             // of a windowed table's rows, ms
	names     *scope            // whose names generated ones must not be; nil: scope's
}

// mode is what a query is for.
type mode int

const (
	pull       mode = iota // what is there now
	push                   // changes as they come, to the client
	persistent             // into a topic
)

// selected is a bound SELECT: the node's first columns are the items, then ROWTIME and perhaps stream time.
type selected struct {
	rel
	items    []item
	keyItems []int // the items that are the key, in its order
	carried  []int // the key's columns in the node, items or hidden ones: a query around this one may need them

	project *op.Project // what makes the items, over from; ORDER BY may add to it
	from    *rel
	hook    func(lang.Expr) (expr.Expr, bool, error)
}

type item struct {
	name string
	t    flow.Type
	key  int // position in the key, -1: not part of it
}

// query binds a query without what makes it a job.
func (b *binder) query(q *lang.Query, m mode) (*selected, error) {
	switch {
	case len(q.With) > 0:
		return nil, unsupported(q.With[0], "WITH before SELECT")
	case len(q.Union) > 0:
		return nil, unsupported(q.Union[0], "UNION")
	}
	emit, err := b.emission(q, m)
	if err != nil {
		return nil, err
	}
	b.order = q.OrderBy
	out, err := b.selectOf(q.Select, m, emit)
	if err != nil {
		return nil, err
	}
	if len(q.OrderBy) > 0 {
		if err := b.orderBy(q, out, m); err != nil {
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
		if sort, ok := out.node.(*op.Sort); ok && n <= math.MaxInt32 {
			sort.First = max(n, 1) // LIMIT 0 wants none, which Limit sees to
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

func (b *binder) selectOf(s *lang.Select, m mode, emit op.Emission) (*selected, error) {
	switch {
	case s.Distinct:
		return nil, unsupported(s, "SELECT DISTINCT")
	case len(s.Joins) > 0:
		return nil, unsupported(s.Joins[0], "JOIN")
	case s.From == nil:
		return b.constants(s)
	}
	in, err := b.from(s.From, m)
	if err != nil {
		return nil, err
	}
	in, err = b.predictions(s, in)
	if err != nil {
		return nil, err
	}
	if s.Where != nil {
		if err := b.where(s.Where, in); err != nil {
			return nil, err
		}
	}
	if s.PartitionBy != nil && m != persistent {
		return nil, fail(s.PartitionBy, "SQ3007", "PARTITION BY belongs to a query that fills a topic")
	}
	calls := b.aggregates(s)
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
			return nil, fail(s.PartitionBy, "SQ3007", "PARTITION BY is for streams; a table is partitioned by its primary key")
		}
		return b.partitioned(s, in)
	}
	return b.project(s.Items, in, nil)
}

// constants binds SELECT without FROM: one row.
func (b *binder) constants(s *lang.Select) (*selected, error) {
	sch := flow.NewSchema([]arrow.Field{flow.Field(flow.RowTime, flow.Bigint)})
	in := &rel{node: &op.Values{Out: sch, Batch: flow.NewBatch(sch, []arrow.Array{flow.Column(flow.Bigint, int64(0))}, 1, nil)},
		scope: &scope{cols: []column{{name: flow.RowTime, t: flow.Bigint, hidden: true}}, exact: b.exact()}}
	return b.project(s.Items, in, nil)
}

func (b *binder) where(e lang.Expr, in *rel) error {
	p, err := b.condition(e, in.scope, "WHERE")
	if err != nil {
		return err
	}
	b.lookup(p, in)
	dropNulls(in.node)
	in.node = &op.Filter{Input: in.node, Predicate: p, Upsert: in.upsert}
	return nil
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
