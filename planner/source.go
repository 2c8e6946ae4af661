package planner

import (
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
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
	sub, err := b.query(r.Query, m)
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
	inner := &scope{exact: b.exact()}
	for _, c := range sub.scope.cols {
		c.source = alias
		inner.cols = append(inner.cols, c)
	}
	out := sub.over(sub.node, inner)
	out.key = sub.carried
	return out, nil
}

// scan makes the leaf of a relation with all its columns and pseudo-columns; a rule takes out those that nobody uses.
func (b *binder) scan(source *catalog.Relation, r *lang.Relation, alias string, m mode) (*rel, error) {
	if source.Table && m == pull && r.Scan.Empty() {
		if source.Job != "" {
			return b.present(source, alias)
		}
		if b.Dialect.Has(dialect.PullNeedsJob) && !source.ReadOnly {
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
	out := &rel{scope: &scope{exact: b.exact()}, table: source.Table, upsert: source.Table, window: source.Window, source: source}
	add := func(c column, from op.ScanColumn) {
		c.source, c.key = alias, from.Keyed
		out.scope.cols, sc.Columns = append(out.scope.cols, c), append(sc.Columns, from)
		if c.key {
			out.key = append(out.key, c.id)
		}
	}
	keys, values := 0, 0
	fromValue := func(keyed bool) op.ScanColumn {
		values++
		return op.ScanColumn{From: op.FromValue, Index: values - 1, Keyed: keyed}
	}
	window := func() {
		how := shown
		if m == persistent {
			how = byName
		}
		add(b.column(flow.WindowStart, flow.Bigint, how, windowStart), op.ScanColumn{From: op.FromWindowStart})
		add(b.column(flow.WindowEnd, flow.Bigint, how, windowEnd), op.ScanColumn{From: op.FromWindowEnd})
	}
	windowed := source.Window != nil
	for _, c := range source.Columns {
		if c.Role != catalog.Key && windowed {
			window()
			windowed = false
		}
		own := b.column(c.Name, c.Type, shown, ordinary)
		switch {
		case c.Role == catalog.Key && place.Shape != connect.PlainRecords: // else a column of the key is in the value
			add(own, op.ScanColumn{From: op.FromKey, Index: keys, Keyed: true})
			keys++
		case c.Role == catalog.Key || c.Role == catalog.Value:
			add(own, fromValue(c.Role == catalog.Key))
		case c.Role == catalog.Headers:
			add(own, op.ScanColumn{From: op.FromHeaders})
		case c.Role == catalog.Header:
			add(own, op.ScanColumn{From: op.FromHeader, Header: c.Header})
		}
	}
	if windowed {
		window()
	}
	add(b.column(flow.RowPartition, flow.Int, byName, ordinary), op.ScanColumn{From: op.FromPartition})
	add(b.column(flow.RowOffset, flow.Bigint, byName, ordinary), op.ScanColumn{From: op.FromOffset})
	if m == persistent && !source.Table && place.Shape == connect.KeyedRecords {
		sc.Nulls = op.NullsPass
		add(b.column(flow.RawHeaders, op.HeadersType, internal, rawHeaders), op.ScanColumn{From: op.FromRawHeaders})
	}
	add(b.column(flow.RowTime, flow.Bigint, byName, eventTime), op.ScanColumn{From: op.FromTime})
	add(b.column(flow.StreamTime, flow.Bigint, internal, streamTime), op.ScanColumn{From: op.FromClock})
	if source.Window != nil {
		sc.Windowed, sc.WindowSize = true, source.Window.Size
	}
	sc.Out = schemaOf(out.scope.cols)
	if source.Timestamp != "" {
		t, err := b.eventTime(source, out.scope)
		if err != nil {
			return nil, err
		}
		sc.Time = t
	}
	sc.Number = b.leaf(Leaf{Topic: source.Topic, Relation: source, Scan: r.Scan, Bounded: m == pull,
		Earliest: b.earliest(m)})
	out.node = sc
	if source.Table && m == pull {
		out.node = &op.Normalize{Input: sc, Key: out.keyAndWindow(), Final: true}
		out.upsert = false
	}
	return out, nil
}

// earliest reports whether a scan that does not say where it begins starts at the beginning of its topic.
func (b *binder) earliest(m mode) bool {
	reset, set := b.Properties["auto.offset.reset"]
	return m == pull || reset == "earliest" || !set && m == persistent && !b.Dialect.Has(dialect.JobsBeginAtEnd)
}

// keyAndWindow lists the columns that identify a row of a table.
func (r *rel) keyAndWindow() []int {
	key := slices.Clone(r.key)
	if r.window != nil {
		if c, ok := r.scope.role(windowStart); ok {
			key = append(key, c.id)
		}
	}
	return key
}

// present makes the leaf of a pull query on a table that a job keeps.
func (b *binder) present(source *catalog.Relation, alias string) (*rel, error) {
	if _, ok := b.Catalog.Job(source.Job); !ok {
		return nil, fail(nil, "SQ3011", "%q is not materialized: the job that filled it is gone", source.Name)
	}
	out := &rel{scope: &scope{exact: b.exact()}, table: true, window: source.Window, source: source}
	add := func(c column) {
		c.source = alias
		out.scope.cols = append(out.scope.cols, c)
	}
	windowed := source.Window != nil
	window := func() {
		add(b.column(flow.WindowStart, flow.Bigint, shown, windowStart))
		add(b.column(flow.WindowEnd, flow.Bigint, shown, windowEnd))
		windowed = false
	}
	for _, c := range source.Columns {
		own := b.column(c.Name, c.Type, shown, ordinary)
		if c.Role == catalog.Key {
			own.key = true
			out.key = append(out.key, own.id)
		} else if windowed {
			window()
		}
		add(own)
	}
	if windowed {
		window()
	}
	add(b.column(flow.RowTime, flow.Bigint, byName, eventTime))
	p := &op.Present{Relation: source.Name, Job: source.Job, Out: schemaOf(out.scope.cols)}
	if source.Window == nil {
		p.Keys = out.key
	}
	out.node = p
	return out, nil
}

// eventTime is the expression that computes ROWTIME from the timestamp column.
func (b *binder) eventTime(r *catalog.Relation, s *scope) (expr.Expr, error) {
	c := s.cols[s.index("", r.Timestamp)].ref()
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
