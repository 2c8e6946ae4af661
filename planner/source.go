package planner

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/state"
)

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
	sub.rel.key = sub.carried
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
	place, err := b.connectorOf(r.Source, source)
	if err != nil {
		return nil, err
	}
	if m == persistent && !place.Replays {
		return nil, fail(r.Source, "SQ3001",
			"a job over connector '%s', whose rows cannot be read again after a failure, is not supported yet", place.Name)
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
			if place.Shape == connect.PlainRecords { // a column of the key is in the value
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
	if m == persistent && !source.Table && place.Shape == connect.KeyedRecords {
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
	open, err := b.Views(source)
	if err != nil {
		return nil, err
	}
	p := &op.Present{Relation: source.Name, Rows: open}
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
	var asked []op.KeyValue
	for _, k := range in.key {
		lit, ok := values[k]
		if !ok {
			return
		}
		key = state.AppendKey(key, flow.Column(lit.T, lit.Value), 0)
		asked = append(asked, op.KeyValue{Column: leaf.Out.Field(k).Name, Value: lit.Value})
	}
	leaf.Key, leaf.Asked = key, asked
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
