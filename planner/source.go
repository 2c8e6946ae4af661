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

// from binds a FROM clause.
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
		return nil, fail(r.Query.Tail.Emit, "SQ3004", "EMIT is allowed only in the outermost query")
	}
	sub, err := b.query(r.Query, m)
	if err != nil {
		return nil, err
	}
	if !r.Scan.Empty() {
		return nil, fail(&r.Scan, "SQ3008", "a scan clause must follow a source, inside the subquery")
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

// scan returns the leaf of a relation with all its columns and pseudo-columns. prune removes those
// that are not read.
func (b *binder) scan(source *catalog.Relation, r *lang.Relation, alias string, m mode) (*rel, error) {
	if source.Table && m == pull && r.Scan.Empty() {
		if source.Job != "" {
			return b.present(source, alias)
		}
		if b.Dialect.Has(dialect.PullNeedsJob) && !source.ReadOnly {
			return nil, fail(r.Source, "SQ3011",
				"%s is not materialized: a pull query needs a table that CREATE TABLE .. AS SELECT created",
				quote(source.Name))
		}
	}
	place, err := b.connectorOf(r.Source, source)
	if err != nil {
		return nil, err
	}
	if m == persistent && !place.Replays {
		return nil, fail(r.Source, "SQ3001",
			"a job over connector '%s' is not supported yet: after a failure its rows cannot be read again", place.Name)
	}
	l := &leafBinder{
		binder: b, source: source, alias: alias, mode: m, shape: place.Shape,
		scan: &op.Scan{Source: source.Name, Topic: source.Topic, Key: source.Key, Value: source.Value,
			Table: source.Table, OnError: source.OnError},
		out: &rel{scope: &scope{exact: b.exact()}, table: source.Table, upsert: source.Table, window: source.Window,
			source: source},
	}
	l.columns()
	l.pseudoColumns()
	sc, out := l.scan, l.out
	sc.Out = schemaOf(out.scope.cols)
	if source.Timestamp != "" {
		t, err := b.eventTime(source, out.scope)
		if err != nil {
			return nil, err
		}
		sc.Time, sc.From1970 = t, b.Dialect.Has(dialect.TimesFrom1970)
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

// leafBinder collects the columns of a scan and of the relation that it is bound to.
type leafBinder struct {
	*binder
	source *catalog.Relation
	alias  string
	mode   mode
	shape  connect.Shape
	scan   *op.Scan
	out    *rel
}

// add adds a column and the part of the record that it comes from.
func (l *leafBinder) add(c column, from op.ScanColumn) {
	c.source, c.key = l.alias, from.Keyed
	l.out.scope.cols, l.scan.Columns = append(l.out.scope.cols, c), append(l.scan.Columns, from)
	if c.key {
		l.out.key = append(l.out.key, c.id)
	}
}

// columns adds the declared columns. The window's bounds follow the key.
func (l *leafBinder) columns() {
	keys, values := 0, 0
	windowed := l.source.Window != nil
	for _, c := range l.source.Columns {
		if c.Role != catalog.Key && windowed {
			l.window()
			windowed = false
		}
		own := l.column(c.Name, c.Type, shown, ordinary)
		switch {
		case c.Role == catalog.Key && l.shape != connect.PlainRecords: // else a column of the key is in the value
			l.add(own, op.ScanColumn{From: op.FromKey, Index: keys, Keyed: true})
			keys++
		case c.Role == catalog.Key || c.Role == catalog.Value:
			l.add(own, op.ScanColumn{From: op.FromValue, Index: values, Keyed: c.Role == catalog.Key})
			values++
		case c.Role == catalog.Headers:
			l.add(own, op.ScanColumn{From: op.FromHeaders})
		case c.Role == catalog.Header:
			l.add(own, op.ScanColumn{From: op.FromHeader, Header: c.Header})
		}
	}
	if windowed {
		l.window()
	}
}

// window adds the bounds of a windowed key.
func (l *leafBinder) window() {
	how := shown
	if l.mode == persistent {
		how = byName
	}
	l.add(l.column(flow.WindowStart, flow.Bigint, how, windowStart), op.ScanColumn{From: op.FromWindowStart})
	l.add(l.column(flow.WindowEnd, flow.Bigint, how, windowEnd), op.ScanColumn{From: op.FromWindowEnd})
	l.scan.Windowed, l.scan.WindowSize = true, l.source.Window.Size
}

// pseudoColumns adds ROWPARTITION, ROWOFFSET, ROWTIME and the internal columns.
func (l *leafBinder) pseudoColumns() {
	l.add(l.column(flow.RowPartition, flow.Int, byName, ordinary), op.ScanColumn{From: op.FromPartition})
	l.add(l.column(flow.RowOffset, flow.Bigint, byName, ordinary), op.ScanColumn{From: op.FromOffset})
	if l.mode == persistent && !l.source.Table && l.shape == connect.KeyedRecords {
		l.scan.Nulls = op.NullsPass
		l.add(l.column(flow.RawHeaders, op.HeadersType, internal, rawHeaders), op.ScanColumn{From: op.FromRawHeaders})
	}
	l.add(l.column(flow.RowTime, flow.Bigint, byName, eventTime), op.ScanColumn{From: op.FromTime})
	l.add(l.column(flow.StreamTime, flow.Bigint, internal, streamTime), op.ScanColumn{From: op.FromClock})
}

// earliest reports whether a scan without a start begins at the beginning of its topic.
func (b *binder) earliest(m mode) bool {
	reset, set := b.Properties["auto.offset.reset"]
	return m == pull || reset == "earliest" || !set && m == persistent && !b.Dialect.Has(dialect.JobsBeginAtEnd)
}

// keyAndWindow returns the columns that identify a row of a table.
func (r *rel) keyAndWindow() []int { return r.keyed(r.key) }

// keyed returns the columns of a key and, if the rows have windows, the start of the window.
func (r *rel) keyed(key []int) []int {
	key = slices.Clone(key)
	if r.window != nil {
		if c, ok := r.scope.role(windowStart); ok {
			key = append(key, c.id)
		}
	}
	return key
}

// present returns the leaf of a pull query on a table that a job materializes.
func (b *binder) present(source *catalog.Relation, alias string) (*rel, error) {
	if _, ok := b.Catalog.Job(source.Job); !ok {
		return nil, fail(nil, "SQ3011", "%q is not materialized: the job that filled it no longer exists", source.Name)
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

// eventTime returns the expression that computes ROWTIME from the timestamp column.
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
