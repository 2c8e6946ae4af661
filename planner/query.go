package planner

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/state"
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
		scope: &scope{cols: []column{{name: flow.RowTime, t: flow.Bigint, hidden: true}}, exact: b.Upper}}
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

// from binds what a query reads.
func (b *binder) from(r *lang.Relation, m mode) (*rel, error) {
	switch {
	case r.Query != nil:
		return b.subquery(r, m)
	case r.Call != nil:
		return b.tableCall(r)
	}
	if r.Source.Schema != nil {
		return b.system(r, m)
	}
	source, err := b.relation(r.Source, r.Source.Name)
	if err != nil {
		if out, ok, err := b.modelVersions(r); ok {
			return out, err
		}
		return nil, err
	}
	alias := source.Name
	if r.Alias != nil {
		alias = b.fold(r.Alias.Name)
	}
	return b.scan(source, r, alias, m)
}

func (b *binder) subquery(r *lang.Relation, m mode) (*rel, error) {
	if r.Query.Tail.Emit != nil {
		return nil, fail(r.Query.Tail.Emit, "SQ3004", "EMIT belongs to the outermost query")
	}
	inner := m
	sub, err := b.query(r.Query, inner)
	if err != nil {
		return nil, err
	}
	if !r.Scan.Empty() {
		return nil, fail(&r.Scan, "SQ3008", "a scan clause belongs to a source, inside the subquery")
	}
	alias := ""
	if r.Alias != nil {
		alias = b.fold(r.Alias.Name)
	}
	sub.scope = &scope{exact: b.Upper}
	for _, it := range sub.items {
		sub.scope.cols = append(sub.scope.cols, column{source: alias, name: it.name, t: it.t, key: it.key >= 0})
	}
	for _, f := range sub.node.Schema().Fields()[len(sub.items):] {
		sub.scope.cols = append(sub.scope.cols, column{source: alias, name: f.Name, t: f.Type, hidden: true})
	}
	return &sub.rel, nil
}

// scan makes the leaf of a relation with all its columns and pseudo-columns; those nobody uses are pruned later.
func (b *binder) scan(source *catalog.Relation, r *lang.Relation, alias string, m mode) (*rel, error) {
	if source.Table && m == pull && r.Scan.Empty() {
		if source.Job != "" {
			return b.present(source, alias)
		}
		if b.Strict && !source.ReadOnly {
			return nil, fail(r.Source, "SQ3011", "%s is not materialized: a pull query needs a table made by CREATE TABLE .. AS SELECT", quote(source.Name))
		}
	}
	sc := &op.Scan{Source: source.Name, Topic: source.Topic, Key: source.Key, Value: source.Value, Table: source.Table, OnError: source.OnError}
	out := &rel{node: sc, scope: &scope{exact: b.Upper}, table: source.Table, upsert: source.Table, window: source.Window, source: source}
	var fields []arrow.Field
	add := func(name string, t flow.Type, key, hidden bool, c op.ScanColumn) {
		out.scope.cols = append(out.scope.cols, column{alias, name, t, key, hidden})
		fields = append(fields, flow.Field(name, t))
		sc.Columns = append(sc.Columns, c)
	}
	keys, values := 0, 0
	window := func(hidden bool) {
		add(flow.WindowStart, flow.Bigint, false, hidden, op.ScanColumn{From: op.FromWindowStart})
		add(flow.WindowEnd, flow.Bigint, false, hidden, op.ScanColumn{From: op.FromWindowEnd})
	}
	windowed := source.Window != nil
	for _, c := range source.Columns {
		if c.Role != catalog.Key && windowed {
			window(m == persistent)
			windowed = false
		}
		switch c.Role {
		case catalog.Key:
			out.key = append(out.key, len(fields))
			if source.Connector == "files" {
				add(c.Name, c.Type, true, false, op.ScanColumn{From: op.FromValue, Index: values})
				values++
				continue
			}
			add(c.Name, c.Type, true, false, op.ScanColumn{From: op.FromKey, Index: keys})
			keys++
		case catalog.Value:
			add(c.Name, c.Type, false, false, op.ScanColumn{From: op.FromValue, Index: values})
			values++
		case catalog.Headers:
			add(c.Name, c.Type, false, false, op.ScanColumn{From: op.FromHeaders})
		case catalog.Header:
			add(c.Name, c.Type, false, false, op.ScanColumn{From: op.FromHeader, Header: c.Header})
		}
	}
	if windowed {
		window(m == persistent)
	}
	add(flow.RowPartition, flow.Int, false, true, op.ScanColumn{From: op.FromPartition})
	add(flow.RowOffset, flow.Bigint, false, true, op.ScanColumn{From: op.FromOffset})
	if m == persistent && !source.Table && source.Connector == "" {
		sc.Nulls = op.NullsPass
		add(flow.RawHeaders, op.HeadersType, false, true, op.ScanColumn{From: op.FromRawHeaders})
	}
	add(flow.RowTime, flow.Bigint, false, true, op.ScanColumn{From: op.FromTime})
	add(flow.StreamTime, flow.Bigint, false, true, op.ScanColumn{From: op.FromClock})
	if source.Window != nil {
		sc.Windowed, sc.WindowSize = true, source.Window.Size
	}
	sc.Out = flow.NewSchema(fields, out.key...)
	if source.Timestamp != "" {
		t, err := b.eventTime(source, out.scope)
		if err != nil {
			return nil, err
		}
		sc.Time = t
	}
	b.leaves = append(b.leaves, Leaf{Node: sc, Topic: source.Topic, Relation: source, Scan: r.Scan, Bounded: m == pull,
		Earliest: m == pull || b.Properties["auto.offset.reset"] == "earliest"})
	if source.Table && m == pull {
		out.node = &op.Normalize{Input: sc, Key: keyAndWindow(out), Final: true}
		out.upsert = false
	}
	return out, nil
}

func keyAndWindow(r *rel) []int {
	key := append([]int(nil), r.key...)
	if r.window != nil {
		key = append(key, r.scope.index("", flow.WindowStart))
	}
	return key
}

// present makes the leaf of a pull query on a table that a job keeps.
func (b *binder) present(source *catalog.Relation, alias string) (*rel, error) {
	out := &rel{scope: &scope{exact: b.Upper}, table: true, window: source.Window, source: source}
	p := &op.Present{Relation: source.Name, Views: func() ([]state.View, error) { return b.Views(source) }}
	var fields []arrow.Field
	add := func(name string, t flow.Type, key, hidden bool) {
		out.scope.cols = append(out.scope.cols, column{alias, name, t, key, hidden})
		fields = append(fields, flow.Field(name, t))
	}
	windowed := source.Window != nil
	window := func() {
		add(flow.WindowStart, flow.Bigint, false, false)
		add(flow.WindowEnd, flow.Bigint, false, false)
		windowed = false
	}
	for _, c := range source.Columns {
		if c.Role == catalog.Key {
			out.key = append(out.key, len(fields))
		} else if windowed {
			window()
		}
		add(c.Name, c.Type, c.Role == catalog.Key, false)
	}
	if windowed {
		window()
	}
	add(flow.RowTime, flow.Bigint, false, true)
	p.Out = hiddenTail(fields, len(fields)-1)
	out.node = p
	return out, nil
}

// lookup finds the one row a condition asks for, if it names a value for each column of the key.
func (b *binder) lookup(p expr.Expr, in *rel) {
	leaf, ok := in.node.(*op.Present)
	if !ok || in.window != nil {
		return
	}
	values := map[int]*expr.Literal{}
	terms := []expr.Expr{p}
	if l, ok := p.(*expr.Logic); ok && l.And {
		terms = l.Args
	}
	for _, t := range terms {
		c, ok := t.(*expr.Compare)
		if !ok || c.Op != expr.Equal || c.Distinct {
			continue
		}
		for _, side := range [][2]expr.Expr{{c.L, c.R}, {c.R, c.L}} {
			col, ok1 := side[0].(*expr.Column)
			lit, ok2 := side[1].(*expr.Literal)
			if ok1 && ok2 && lit.Value != nil {
				values[col.Index] = lit
			}
		}
	}
	var key []byte
	for _, k := range in.key {
		lit, ok := values[k]
		if !ok {
			return
		}
		key = state.AppendKey(key, flow.Column(lit.T, lit.Value), 0)
	}
	leaf.Key = key
}

// eventTime is the expression that computes ROWTIME from the timestamp column.
func (b *binder) eventTime(r *catalog.Relation, s *scope) (expr.Expr, error) {
	c := s.column(s.index("", r.Timestamp))
	switch c.T.ID() {
	case arrow.INT64:
		return c, nil
	case arrow.TIMESTAMP:
		return &expr.Millis{X: c}, nil
	}
	if r.TimestampFormat == "" {
		return &expr.Millis{X: expr.Convert(c, flow.Timestamp)}, nil
	}
	return b.function(nil, "STRINGTOTIMESTAMP", []expr.Expr{c, expr.Lit(flow.String, r.TimestampFormat)})
}

// expand replaces stars by columns.
func (b *binder) expand(items []*lang.Item, s *scope) ([]*lang.Item, []expr.Expr, error) {
	var out []*lang.Item
	var bound []expr.Expr
	for _, it := range items {
		switch e := it.Expr.(type) {
		case *lang.Star:
			cols, err := b.star(e, s)
			if err != nil {
				return nil, nil, err
			}
			for _, i := range cols {
				out = append(out, &lang.Item{At: it.At, Expr: &lang.Ident{At: e.At, Name: lang.Name{At: e.At, Text: s.cols[i].name, Quoted: true}}})
				bound = append(bound, s.column(i))
			}
			continue
		case *lang.Field:
			if e.Star {
				x, err := b.expr(e.X, s)
				if err != nil {
					return nil, nil, err
				}
				t, ok := x.Type().(*arrow.StructType)
				if !ok {
					return nil, nil, fail(e, "SQ2006", "->* needs a STRUCT, not %s", flow.TypeName(x.Type()))
				}
				for i, f := range t.Fields() {
					out = append(out, &lang.Item{At: it.At, Expr: &lang.Ident{At: e.At, Name: lang.Name{At: e.At, Text: f.Name, Quoted: true}}})
					bound = append(bound, &expr.Field{X: x, Index: i, T: f.Type})
				}
				continue
			}
		}
		out = append(out, it)
		bound = append(bound, nil)
	}
	return out, bound, nil
}

// star lists the columns of a star.
func (b *binder) star(e *lang.Star, s *scope) ([]int, error) {
	var out []int
	source := ""
	if e.Source != nil {
		source = b.fold(*e.Source)
	}
	except := map[int]bool{}
	for _, n := range e.Except {
		c, err := s.find(b, &lang.Ident{At: n.At, Name: n})
		if err != nil {
			return nil, err
		}
		except[c.Index] = true
	}
	found := false
	for i, c := range s.cols {
		if source != "" && !s.same(c.source, source) {
			continue
		}
		found = true
		if !c.hidden && !except[i] {
			out = append(out, i)
		}
	}
	if !found {
		return nil, fail(e, "SQ2004", "%q is not a source of this query", source)
	}
	return out, nil
}

// project binds the items of a SELECT. keyed, if given, are the expressions of a new key (PARTITION BY).
func (b *binder) project(list []*lang.Item, in *rel, keyed []expr.Expr) (*selected, error) {
	items, bound, err := b.expand(list, in.scope)
	if err != nil {
		return nil, err
	}
	if t := b.explodes(items); t {
		if in, items, bound, err = b.explode(items, bound, in); err != nil {
			return nil, err
		}
	}
	out := &selected{rel: *in}
	p := &op.Project{Input: in.node}
	var fields []arrow.Field
	names := in.scope
	if in.names != nil {
		names = in.names
	}
	namer := newNamer(names)
	taken := map[string]bool{}
	for i, it := range items {
		x := bound[i]
		if x == nil {
			if x, err = b.expr(it.Expr, in.scope); err != nil {
				return nil, err
			}
		}
		name := namer.name(b, it, x)
		if taken[name] {
			return nil, fail(it, "SQ2015", "column %s stands twice in the projection: give one another name with AS", quote(name))
		}
		taken[name] = true
		t := x.Type()
		if t.ID() == arrow.NULL {
			if b.Strict {
				return nil, fail(it, "SQ2006", "the type of NULL cannot be told: CAST it")
			}
			t = flow.String
			x = expr.Lit(t, nil)
		}
		p.Exprs = append(p.Exprs, x)
		fields = append(fields, flow.Field(name, t))
		out.items = append(out.items, item{name, t, b.keyPosition(x, in, keyed)})
	}
	if len(fields) == 0 {
		return nil, fail(list[0], "SQ2015", "the projection is empty")
	}
	for _, hidden := range []string{flow.WindowStart, flow.WindowEnd, flow.RawHeaders, flow.RowTime, flow.StreamTime} {
		i := in.scope.index("", hidden)
		if i < 0 || (hidden == flow.WindowStart || hidden == flow.WindowEnd) && in.window == nil {
			continue
		}
		p.Exprs = append(p.Exprs, in.scope.column(i))
		if taken[hidden] {
			hidden = "$" + hidden
		}
		fields = append(fields, flow.Field(hidden, in.scope.cols[i].t))
	}
	p.Out = hiddenTail(fields, len(out.items))
	out.node, out.project, out.from, out.hook = p, p, in, b.replace
	return out, nil
}

// hiddenTail makes a schema whose time and clock are looked for behind the visible columns only.
func hiddenTail(fields []arrow.Field, visible int) *flow.Schema {
	s := flow.NewSchema(fields)
	s.Time, s.Clock = -1, -1
	for i := visible; i < len(fields); i++ {
		switch strings.TrimPrefix(fields[i].Name, "$") {
		case flow.RowTime:
			s.Time = i
		case strings.TrimPrefix(flow.StreamTime, "$"):
			s.Clock = i
		}
	}
	return s
}

// keyPosition says which part of the key an item is: the same expression as a new key's, else a column of the old key.
func (b *binder) keyPosition(x expr.Expr, in *rel, keyed []expr.Expr) int {
	if keyed != nil {
		for i, k := range keyed {
			if expr.Same(x, k) {
				return i
			}
		}
		return -1
	}
	if c, ok := x.(*expr.Column); ok {
		for i, k := range in.key {
			if c.Index == k {
				return i
			}
		}
	}
	return -1
}

// partitioned binds PARTITION BY: a new key, which must be in the projection.
func (b *binder) partitioned(s *lang.Select, in *rel) (*selected, error) {
	var keyed []expr.Expr
	for _, e := range s.PartitionBy.By {
		if _, null := e.(*lang.NullLit); null {
			if len(s.PartitionBy.By) > 1 {
				return nil, fail(e, "SQ2019", "PARTITION BY NULL stands alone")
			}
			keyed = []expr.Expr{}
			break
		}
		x, err := b.expr(e, in.scope)
		if err != nil {
			return nil, err
		}
		keyed = append(keyed, x)
	}
	items, err := b.withKeys(s, in, keyed)
	if err != nil {
		return nil, err
	}
	out, err := b.project(items, in, keyed)
	if err != nil {
		return nil, err
	}
	for i, k := range keyed {
		if !out.hasKey(i) {
			return nil, fail(s.PartitionBy.By[i], "SQ2018", "the key %s is missing from the projection: add it to SELECT", k)
		}
	}
	out.key = out.keyColumns(len(keyed))
	return out, nil
}

// withKeys adds the new key to SELECT *: its columns come first, the old key's after the value's.
func (b *binder) withKeys(s *lang.Select, in *rel, keyed []expr.Expr) ([]*lang.Item, error) {
	if len(s.Items) != 1 {
		return s.Items, nil
	}
	star, ok := s.Items[0].Expr.(*lang.Star)
	if !ok || star.Source != nil || len(star.Except) > 0 {
		return s.Items, nil
	}
	var first, values, old []*lang.Item
	named := map[int]bool{}
	for i, k := range keyed {
		item := &lang.Item{At: s.Items[0].At, Expr: s.PartitionBy.By[i]}
		if c, ok := k.(*expr.Column); ok {
			named[c.Index] = true
			if c := in.scope.cols[c.Index]; c.hidden {
				item.Alias = &lang.Name{At: item.At, Text: c.name, Quoted: true}
			}
		}
		first = append(first, item)
	}
	for i, c := range in.scope.cols {
		if c.hidden || named[i] {
			continue
		}
		item := &lang.Item{At: s.Items[0].At, Expr: &lang.Ident{At: star.At, Name: lang.Name{At: star.At, Text: c.name, Quoted: true}}}
		if c.key {
			old = append(old, item)
		} else {
			values = append(values, item)
		}
	}
	return append(append(first, values...), old...), nil
}

func (s *selected) hasKey(pos int) bool {
	for _, it := range s.items {
		if it.key == pos {
			return true
		}
	}
	return false
}

// keyColumns lists the items of the key in the key's order; of several copies the first counts.
func (s *selected) keyColumns(n int) []int {
	out := make([]int, 0, n)
	for pos := range n {
		for i, it := range s.items {
			if it.key == pos {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

// namer names items: the alias, the column's or field's own name, else KSQL_COL_n.
type namer struct {
	next   int
	fields map[string]int
	taken  map[string]bool
}

func newNamer(s *scope) *namer {
	n := &namer{fields: map[string]int{}, taken: map[string]bool{}}
	for _, c := range s.cols {
		n.taken[c.name] = true
	}
	return n
}

func (n *namer) name(b *binder, it *lang.Item, x expr.Expr) string {
	if it.Alias != nil {
		return b.fold(*it.Alias)
	}
	switch e := it.Expr.(type) {
	case *lang.Ident:
		if c, ok := x.(*expr.Column); ok && !strings.HasPrefix(c.Name, "$") {
			return c.Name
		}
		return b.fold(e.Name)
	case *lang.Field:
		name := b.fold(e.Name)
		if f, ok := x.(*expr.Field); ok {
			name = f.X.Type().(*arrow.StructType).Field(f.Index).Name
		}
		n.fields[name]++
		k := n.fields[name]
		if n.taken[name] {
			k++
		}
		if k > 1 {
			return name + "_" + strconv.Itoa(k-1)
		}
		return name
	}
	for {
		name := fmt.Sprintf("KSQL_COL_%d", n.next)
		n.next++
		if !n.taken[name] {
			return name
		}
	}
}

// orderBy sorts a bounded result by items or by columns of what it reads.
func (b *binder) orderBy(q *lang.Query, out *selected, m mode) error {
	if m != pull && !b.untilEverywhere() {
		return fail(q.OrderBy[0], "SQ3010", "ORDER BY needs a query that ends: leave EMIT CHANGES out or give UNTIL")
	}
	s := &scope{exact: b.Upper}
	for _, it := range out.items {
		s.cols = append(s.cols, column{name: it.name, t: it.t})
	}
	sort := &op.Sort{Input: out.node}
	for _, o := range q.OrderBy {
		if n, ok := o.Expr.(*lang.Number); ok {
			if i, err := strconv.Atoi(n.Text); err == nil && i >= 1 && i <= len(out.items) {
				sort.Keys = append(sort.Keys, op.SortKey{Expr: s.column(i - 1), Desc: o.Desc})
				continue
			}
			return fail(n, "SQ2010", "ORDER BY %s: there are %d columns", n.Text, len(out.items))
		}
		x, err := b.sortKey(o.Expr, s, out)
		if err != nil {
			return err
		}
		sort.Keys = append(sort.Keys, op.SortKey{Expr: x, Desc: o.Desc})
	}
	out.node = sort
	return nil
}

// sortKey binds an item of ORDER BY: over the result's columns, else over what the query reads, as a hidden column of the result.
func (b *binder) sortKey(e lang.Expr, s *scope, out *selected) (expr.Expr, error) {
	if x, err := b.expr(e, s); err == nil {
		return x, nil
	}
	b.replace = out.hook
	x, err := b.expr(e, out.from.scope)
	b.replace = nil
	if err != nil {
		return nil, err
	}
	p := out.project
	at := len(p.Exprs)
	p.Exprs = append(p.Exprs, x)
	old := p.Out
	p.Out = flow.NewSchema(append(append([]arrow.Field(nil), old.Fields()...), flow.Field(fmt.Sprintf("$order%d", at), x.Type())), old.Key...)
	p.Out.Time, p.Out.Clock = old.Time, old.Clock
	return &expr.Column{Index: at, Name: lang.PrintExpr(e), T: x.Type()}, nil
}

func (b *binder) untilEverywhere() bool {
	for _, l := range b.leaves {
		if l.Scan.Until == nil && !l.Bounded {
			return false
		}
	}
	return true
}
