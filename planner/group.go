package planner

import (
	"fmt"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// aggregates returns the distinct aggregate calls in the items, HAVING and ORDER BY.
func (b *binder) aggregates(s *lang.Select, order []*lang.Order) []*lang.Call {
	var out []*lang.Call
	seen := map[string]bool{}
	var walk func(e lang.Expr)
	walk = func(e lang.Expr) {
		if c, ok := e.(*lang.Call); ok && b.isAggregate(c) {
			if text := lang.PrintExpr(c); !seen[text] {
				seen[text] = true
				out = append(out, c)
			}
			return
		}
		for _, in := range operands(e) {
			walk(in)
		}
	}
	for _, it := range s.Items {
		walk(it.Expr)
	}
	if s.Having != nil {
		walk(s.Having)
	}
	for _, o := range order {
		walk(o.Expr)
	}
	return out
}

// isAggregate reports whether a call is an aggregate.
func (b *binder) isAggregate(c *lang.Call) bool {
	_, agg := b.Functions.Aggregate(c.Name.Text)
	return agg && !modelFunction(c.Name.Text)
}

// maxPanes is the maximum number of windows that one row may belong to. Each of them is a group,
// which every row updates.
const maxPanes = 100_000

// defaultGrace is the grace of a WINDOW clause without GRACE PERIOD, in ms.
const defaultGrace = 24 * 3_600_000

// grouped binds GROUP BY: a projection to keys and arguments, the aggregate, HAVING, and the items
// over the aggregate's results.
func (b *binder) grouped(s *lang.Select, in *rel, calls []*lang.Call, m mode, emit op.Emission) (*selected, error) {
	if s.GroupBy == nil && m == persistent {
		return nil, fail(calls[0], "SQ3006", "aggregate %s needs GROUP BY in a query that fills a topic",
			calls[0].Name.Text)
	}
	window, err := b.window(s, in)
	if err != nil {
		return nil, err
	}
	if window != nil && window.Gap > 0 && emit == op.EmitFinal {
		return nil, unsupported(s.Window, "EMIT FINAL over sessions")
	}
	g := &grouping{b: b, in: in, calls: calls, window: window, emit: emit, retract: s.Having != nil || in.table ||
		m == push && !b.Dialect.Has(dialect.PushAddsOnly)}
	if s.GroupBy != nil {
		if err := g.keys(s); err != nil {
			return nil, err
		}
	}
	agg, cols, err := g.aggregate(m)
	if err != nil {
		return nil, err
	}
	return g.finish(s, agg, cols)
}

func (b *binder) window(s *lang.Select, in *rel) (*op.Window, error) {
	if s.Window == nil {
		return nil, nil
	}
	if in.table {
		return nil, fail(s.Window, "SQ3006", "WINDOW works on streams, not on tables")
	}
	size, err := Millis(s.Window.Size)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fail(s.Window.Size, "SQ2010", "the size of a window must not be 0")
	}
	w := &op.Window{Size: size, Advance: size, Grace: defaultGrace, From1970: b.Dialect.Has(dialect.TimesFrom1970)}
	if s.Window.Kind == lang.Session {
		w = &op.Window{Gap: size, Grace: defaultGrace}
	}
	if s.Window.Advance != nil {
		if w.Advance, err = Millis(s.Window.Advance); err != nil {
			return nil, err
		}
		if w.Advance == 0 || w.Advance > size {
			return nil, fail(s.Window.Advance, "SQ2010", "a window must advance by more than 0 and at most its size")
		}
		if n := w.Panes(); n > maxPanes {
			return nil, fail(s.Window.Advance, "SQ2010",
				"each row would be in %d windows, at most %d are allowed: use a larger ADVANCE BY", n, maxPanes)
		}
	}
	if s.Window.Grace != nil {
		if w.Grace, err = Millis(s.Window.Grace); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// grouping is the state of binding a GROUP BY.
type grouping struct {
	b       *binder
	in      *rel
	calls   []*lang.Call
	window  *op.Window
	emit    op.Emission
	retract bool

	by    []expr.Expr // group keys over the input
	names []string
	texts []string // the calls, as printed
}

func (g *grouping) keys(s *lang.Select) error {
	for _, e := range s.GroupBy.By {
		e, err := g.item(e, s.Items)
		if err != nil {
			return err
		}
		x, err := g.b.expr(e, g.in.scope)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("KSQL_COL_%d", len(g.by))
		if c, ok := x.(*expr.Column); ok {
			name = c.Name
		} else if f, ok := e.(*lang.Field); ok {
			name = g.b.fold(f.Name)
		}
		g.by, g.names = append(g.by, x), append(g.names, name)
	}
	return nil
}

// aggregate returns the aggregate, over a projection of its inputs, and the aggregate's columns.
func (g *grouping) aggregate(m mode) (*op.Aggregate, []column, error) {
	p := &op.Project{Input: g.input()}
	var cols, out []column
	add := func(c column, x expr.Expr) int {
		cols, p.Exprs = append(cols, c), append(p.Exprs, x)
		return c.id
	}
	agg := &op.Aggregate{Window: g.window, Emit: g.emit, Retract: g.retract}
	for i, k := range g.by {
		agg.Keys = append(agg.Keys, add(g.b.column(fmt.Sprintf("$key%d", i), k.Type(), internal, ordinary), k))
		c := g.b.column(g.names[i], k.Type(), shown, ordinary)
		c.key = true
		out = append(out, c)
	}
	if g.window != nil {
		out = append(out, g.b.column(flow.WindowStart, flow.Bigint, byName, windowStart),
			g.b.column(flow.WindowEnd, flow.Bigint, byName, windowEnd))
	}
	for i, c := range g.calls {
		call, args, err := g.call(c)
		if err != nil {
			return nil, nil, err
		}
		for j, a := range args {
			call.Args = append(call.Args, add(g.b.column(fmt.Sprintf("$arg%d_%d", i, j), a.Type(), internal, ordinary),
				a))
		}
		agg.Calls = append(agg.Calls, call)
		g.texts = append(g.texts, lang.PrintExpr(c))
		out = append(out, g.b.column(fmt.Sprintf("$agg%d", i), call.Result, internal, ordinary))
	}
	for _, r := range []role{eventTime, streamTime} {
		if c, ok := g.in.scope.role(r); ok {
			add(c, c.ref())
			out = append(out, g.b.column(c.name, c.t, c.show, r))
		}
	}
	p.Out = schemaOf(cols)
	agg.Input = p
	if g.exchanged(m) {
		agg.Input = g.b.exchange(p, agg.Keys)
	}
	// A group always has an event time, which is NULL if its rows have none.
	if _, ok := g.in.scope.role(eventTime); !ok {
		out = append(out, g.b.column(flow.RowTime, flow.Bigint, byName, eventTime))
	}
	agg.Out = schemaOf(out)
	return agg, out, nil
}

// input returns the aggregate's input. For a table it emits the old row of each change too, because
// an aggregate must retract the old row before it adds the new one.
func (g *grouping) input() exec.Node {
	in := withoutNulls(g.in.node)
	if g.in.upsert {
		return normalized(in, g.in.keyAndWindow())
	}
	return in
}

// withoutNulls drops a stream's records without a value.
func withoutNulls(n exec.Node) exec.Node {
	return bottomUp(n, func(n exec.Node) exec.Node {
		s, ok := n.(*op.Scan)
		if !ok || s.Nulls != op.NullsPass {
			return n
		}
		out := *s
		out.Nulls = op.NullsAreDropped
		return &out
	})
}

// normalized adds a Normalize over the scan and below the filters, which then receive old rows too.
// Predictions and computed columns are below the Normalize: they are stored with the row and
// retracted with the same values.
func normalized(n exec.Node, key []int) exec.Node {
	if f, ok := n.(*op.Filter); ok {
		return &op.Filter{Input: normalized(f.Input, key), Predicate: f.Predicate}
	}
	return &op.Normalize{Input: n, Key: key}
}

// exchanged reports whether the rows of one group may be in several partitions.
func (g *grouping) exchanged(m mode) bool {
	if m != persistent || g.b.width(g.in.node) == 1 {
		return false
	}
	if len(g.by) != len(g.in.key) {
		return true
	}
	for i, x := range g.by {
		if c, ok := x.(*expr.Column); !ok || c.Index != g.in.key[i] {
			return true
		}
	}
	return false
}

// call binds one aggregate call and its arguments.
func (g *grouping) call(c *lang.Call) (op.AggregateCall, []expr.Expr, error) {
	none := op.AggregateCall{}
	f, _ := g.b.Functions.Aggregate(c.Name.Text)
	switch {
	case c.Distinct:
		return none, nil, unsupported(c, "DISTINCT in an aggregate")
	case c.Filter != nil:
		return none, nil, unsupported(c.Filter, "FILTER")
	case c.Over != nil:
		return none, nil, unsupported(c.Over, "OVER")
	case len(c.Named) > 0:
		return none, nil, unsupported(c.Named[0].Name, "a named argument")
	}
	args, err := g.b.list(c.Args, g.in.scope)
	if err != nil {
		return none, nil, err
	}
	types, literals := make([]flow.Type, len(args)), make([]any, len(args))
	for i, a := range args {
		args[i] = g.b.folder.Fold(a)
		types[i] = a.Type()
		if l, ok := args[i].(*expr.Literal); ok {
			literals[i] = l.Value
		}
	}
	bind := f.Bind
	ksql := f.KSQL != nil && g.b.Dialect.Has(dialect.SumsAsKSQL)
	if ksql {
		bind = f.KSQL
	}
	bound, err := bind(types, literals)
	if err != nil {
		_, err = at(c, "SQ2007", nil, err)
		return none, nil, err
	}
	if _, merges := bound.New().(udf.Merger); g.window != nil && g.window.Gap > 0 && !merges {
		return none, nil, fail(c, "SQ3009", "aggregate %s cannot merge sessions", f.Name)
	}
	if g.in.table && !bound.Retracts && g.emit != op.EmitEnd {
		return none, nil, fail(c, "SQ3009", "aggregate %s cannot retract rows, so it does not work on a table", f.Name)
	}
	cast := make([]expr.Expr, len(bound.Args))
	for i := range bound.Args {
		cast[i] = expr.Typed(expr.Convert(args[i], bound.Args[i]))
	}
	return op.AggregateCall{Name: g.text(c), Bound: bound, KSQL: ksql}, cast, nil
}

func (g *grouping) text(c *lang.Call) string { return lang.PrintExpr(c) }

// finish binds HAVING and the items over the aggregate's output.
func (g *grouping) finish(s *lang.Select, agg *op.Aggregate, cols []column) (*selected, error) {
	over := &rel{node: agg, scope: &scope{cols: cols, exact: g.b.exact()}, table: true, names: g.in.scope}
	if g.window != nil {
		over.window = &catalog.Windowing{Kind: string(s.Window.Kind), Size: g.window.Size}
		if g.window.Gap > 0 {
			over.window.Size = -1
		} else {
			over.retention = g.window.Size + g.window.Grace
		}
		if s.Window.Retention != nil {
			var err error
			if over.retention, err = Millis(s.Window.Retention); err != nil {
				return nil, err
			}
			if over.retention < g.window.Size+g.window.Gap+g.window.Grace {
				return nil, fail(s.Window.Retention, "SQ2010", "RETENTION must be at least the sum of the size, the gap and the grace of the window")
			}
		}
	}
	for _, c := range cols[:len(g.by)] {
		over.key = append(over.key, c.id)
	}
	over.scope.replace = g.replace(over.scope)
	if s.Having != nil {
		p, err := g.b.condition(s.Having, over.scope, "HAVING")
		if err != nil {
			return nil, err
		}
		over.node = &op.Filter{Input: over.node, Predicate: p}
	}
	out, err := g.b.project(s.Items, over, nil)
	if err != nil {
		return nil, err
	}
	out.source = g.in.source
	return out, nil
}

// replace maps expressions of the items to columns of the aggregate. It finds calls by their text,
// and keys by equality of the bound expressions.
func (g *grouping) replace(s *scope) func(lang.Expr) (expr.Expr, bool, error) {
	first := len(g.by)
	if g.window != nil {
		first += 2
	}
	return func(e lang.Expr) (expr.Expr, bool, error) {
		switch e := e.(type) {
		case *lang.Call:
			if g.b.isAggregate(e) {
				text := lang.PrintExpr(e)
				for i, t := range g.texts {
					if t == text {
						return s.cols[first+i].ref(), true, nil
					}
				}
			}
		}
		if x, ok := g.same(e); ok {
			for i, k := range g.by {
				if expr.Same(x, k) {
					return s.cols[i].ref(), true, nil
				}
			}
		}
		id, ok := e.(*lang.Ident)
		if !ok {
			return nil, false, nil
		}
		if g.window != nil {
			if i := s.index("", g.b.fold(id.Name)); i >= len(g.by) && i < first {
				return s.cols[i].ref(), true, nil
			}
		}
		if _, err := g.in.scope.find(g.b, id); err != nil {
			return nil, false, err
		}
		if i := s.index("", g.b.fold(id.Name)); i >= 0 && s.cols[i].role == eventTime {
			return s.cols[i].ref(), true, nil
		}
		return nil, false, fail(id, "SQ2009", "column %q must be in GROUP BY or in an aggregate", id.Name.Text)
	}
}

// same binds an expression over the aggregate's input. It returns false if that fails.
func (g *grouping) same(e lang.Expr) (expr.Expr, bool) {
	x, err := g.b.expr(e, g.in.scope)
	return x, err == nil
}
