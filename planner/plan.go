package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// Query plans a query whose result goes to the client: a pull query, or a push query if it has
// EMIT.
func Query(q *lang.Query, o Options) (*Plan, error) {
	b := newBinder(o, "")
	m := pull
	if q.Tail.Emit != nil {
		m = push
	}
	sel, err := b.query(q, m)
	if err != nil {
		return nil, err
	}
	p := &Plan{Changes: sel.table && m == push}
	identified := !p.Changes || sel.identified()
	for _, it := range sel.items {
		c := catalog.Column{Name: it.name, Type: it.t}
		if identified && (it.pos >= 0 || p.Changes && it.bound != ordinary) {
			c.Role = catalog.Key
		}
		p.Columns = append(p.Columns, c)
	}
	p.Stages, err = b.lower(sel.visible(), true, true)
	return p, err
}

// identified reports whether the items identify a row: they contain the key and, if the rows have
// windows, the start of the window. If not, a change of a row is shown as - and +.
func (s *selected) identified() bool {
	for pos := range s.key {
		if !s.hasKey(pos) {
			return false
		}
	}
	return len(s.key) > 0 && (s.window == nil ||
		slices.ContainsFunc(s.items, func(it item) bool { return it.bound == windowStart }))
}

// visible removes the columns that are not items.
func (s *selected) visible() exec.Node {
	p := &op.Project{Input: s.node}
	var cols []column
	for _, it := range s.items {
		cols, p.Exprs = append(cols, it.column), append(p.Exprs, it.ref())
	}
	p.Out = schemaOf(cols)
	return p
}

// Fill plans CREATE STREAM AS SELECT or CREATE TABLE AS SELECT: a job that writes to the new
// relation, which is Plan.Result. job is the job's name.
func Fill(st *lang.CreateSource, job string, o Options) (*Plan, error) {
	b := newBinder(o, job)
	sel, err := b.query(st.Query, persistent)
	if err != nil {
		return nil, err
	}
	name := b.fold(st.Name)
	if table := st.Kind == "TABLE"; table != sel.table {
		if table {
			return nil, fail(st, "SQ3012", "the result of the query is a stream: use CREATE STREAM, or add GROUP BY")
		}
		return nil, fail(st, "SQ3012", "the result of the query is a table: use CREATE TABLE")
	}
	if len(st.Columns) > 0 {
		return nil, fail(st.Columns[0], "SQ3012", "CREATE .. AS SELECT derives its columns from the query")
	}
	w, err := b.literals(st.With)
	if err == nil {
		err = b.choose(w)
	}
	if err != nil {
		return nil, err
	}
	r := &catalog.Relation{Name: name, Table: sel.table, With: w.text, Window: sel.window, Statement: st.Text(), Job: job}
	if !w.connector.Broker {
		r.Connector = w.connector.Name
	}
	if err := b.resultColumns(st, sel, r); err != nil {
		return nil, err
	}
	if err := b.inherit(st, r, sel, w); err != nil {
		return nil, err
	}
	if err := b.timing(st, r, w.text, w.at); err != nil {
		return nil, err
	}
	r.Window = sel.window
	if err := b.specs(st, r, w); err != nil {
		return nil, err
	}
	sink, err := b.sink(sel, r)
	if err != nil {
		return nil, err
	}
	stages, err := b.lower(sink, false, false)
	return &Plan{Result: r, Stages: stages}, err
}

// keyMissing returns an error if the projection lacks a column of the key.
func (s *selected) keyMissing(at lang.Node) error {
	for pos, k := range s.key {
		if s.hasKey(pos) {
			continue
		}
		name := "KSQL_COL_" + strconv.Itoa(pos)
		if s.from != nil {
			if c, ok := s.from.scope.column(k); ok {
				name = strings.TrimPrefix(c.name, "$")
			}
		}
		return fail(at, "SQ2018", "the key column %s is missing from the projection: add it to SELECT", quote(name))
	}
	return nil
}

// resultColumns sets the columns of the new relation: the items of the key first, in the key's
// order.
func (b *binder) resultColumns(at lang.Node, sel *selected, r *catalog.Relation) error {
	if sel.keyless != nil {
		return sel.keyless
	}
	if err := sel.keyMissing(at); err != nil {
		return err
	}
	for i, it := range sel.items {
		if pseudo(strings.ToUpper(it.name)) && it.pos < 0 {
			return fail(at, "SQ2015", "%s is a pseudo-column: rename column %d with AS", quote(it.name), i+1)
		}
	}
	if err := sel.keyTwice(at); err != nil {
		return err
	}
	sel.keyItems = sel.keyColumns(len(sel.key))
	for pos := range sel.key {
		it := sel.items[sel.itemOf(pos)]
		r.Columns = append(r.Columns, catalog.Column{Name: it.name, Type: it.t, Role: catalog.Key})
	}
	for _, it := range sel.items {
		if !slices.Contains(sel.keyItems, it.id) {
			r.Columns = append(r.Columns, catalog.Column{Name: it.name, Type: it.t})
		}
	}
	return nil
}

// keyTwice returns an error if a column of the key occurs twice in the projection, because either
// copy could be the key.
func (s *selected) keyTwice(at lang.Node) error {
	seen := map[int]string{}
	for _, it := range s.items {
		if it.pos < 0 {
			continue
		}
		if first, twice := seen[it.pos]; twice {
			return fail(at, "SQ2018",
				"the key column %s occurs in the projection more than once (%s): use AS_VALUE for a copy in the value",
				quote(first), quote(it.name))
		}
		seen[it.pos] = it.name
	}
	return nil
}

// inherit copies the properties that the WITH clause does not set from the source, and checks the clause.
func (b *binder) inherit(st lang.Node, r *catalog.Relation, sel *selected, w *with) error {
	source := sel.source
	r.Topic = first(w.text["kafka_topic"], w.text["topic"], r.Name)
	r.Partitions = 1
	var from catalog.Relation
	from.Key.Name, from.Value.Name = "KAFKA", "JSON"
	if source != nil {
		r.Partitions = b.width(sel.node)
		place, err := b.connectorOf(st, source)
		if err != nil {
			return err
		}
		if place.Shape == connect.KeyedRecords {
			from.Key, from.Value = source.Key, source.Value
		}
	}
	r.Key.Name = strings.ToUpper(first(w.text["key_format"], w.text["format"], from.Key.Name))
	r.Value.Name = strings.ToUpper(first(w.text["value_format"], w.text["format"], from.Value.Name))
	if f, ok := b.Formats.Format(r.Key.Name); ok && f.Empty && len(r.KeyColumns()) > 0 && w.text["key_format"] == "" {
		r.Key.Name = first(b.Properties["ksql.persistence.default.format.key"], "KAFKA")
	}
	if err := b.check(st, w, r.Key.Name, r.Value.Name, nil); err != nil {
		return err
	}
	if err := b.writable(st, r); err != nil {
		return err
	}
	r.Key.Options = b.handed(w, "key", r.Key.Name, from.Key)
	r.Value.Options = b.handed(w, "value", r.Value.Name, from.Value)
	return nil
}

// handed are the options of a format on one side of the records of a new relation: those that are given, else those
// of the source.
func (b *binder) handed(w *with, side, name string, from format.Spec) map[string]string {
	out := b.codecOptions(w.text, side, name)
	f, ok := b.Formats.Format(name)
	for text, v := range from.Options {
		if !ok || out[text] != "" {
			continue
		}
		if _, has := option.Find(f.Options, text); has {
			out[text] = v
		}
	}
	return out
}

// sink returns the node that writes a relation's topic.
func (b *binder) sink(sel *selected, r *catalog.Relation) (exec.Node, error) {
	s := &op.Sink{Input: sel.node, Topic: r.Topic, Partitions: max(r.Partitions, 1), Key: r.Key, Value: r.Value,
		KeyCols: sel.keyItems, Headers: -1, From1970: b.Dialect.Has(dialect.TimesFrom1970)}
	for _, it := range sel.items {
		if !slices.Contains(sel.keyItems, it.id) {
			s.ValueCols = append(s.ValueCols, it.id)
		}
	}
	if c, ok := sel.scope.role(rawHeaders); ok {
		s.Headers = c.id
	}
	if sel.window != nil {
		for _, r := range []role{windowStart, windowEnd} {
			if c, ok := sel.scope.role(r); ok {
				s.Window = append(s.Window, c.id)
			}
		}
		s.Session, s.Retention = sel.window.Size < 0, sel.retention
	}
	time, timed := sel.scope.role(eventTime)
	if r.Timestamp != "" && timed {
		for _, it := range sel.items {
			if it.name == r.Timestamp {
				var err error
				if s.Input, time, err = b.restamp(sel, r, time); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	if r.Table {
		s.Keep = append(slices.Concat(s.KeyCols, s.Window, s.ValueCols), time.id)
	}
	return s, nil
}

// restamp sets the event time of the sink's rows to one of their columns.
func (b *binder) restamp(sel *selected, r *catalog.Relation, old column) (exec.Node, column, error) {
	items := &scope{exact: true}
	for _, it := range sel.items {
		items.cols = append(items.cols, it.column)
	}
	x, err := b.eventTime(r, items)
	if err != nil {
		return nil, old, err
	}
	time := b.column(old.name, old.t, old.show, eventTime)
	p := &op.Project{Input: sel.node}
	var cols []column
	for _, c := range sel.scope.cols {
		if c.id == old.id {
			cols, p.Exprs = append(cols, time), append(p.Exprs, x)
			continue
		}
		cols, p.Exprs = append(cols, c), append(p.Exprs, c.ref())
	}
	p.Out = schemaOf(cols)
	return p, time, nil
}

// Insert plans INSERT INTO .. SELECT: a job that appends to a relation.
func Insert(st *lang.Insert, job string, o Options) (*Plan, error) {
	b := newBinder(o, job)
	r, err := b.relation(st.Into, st.Into)
	if err != nil {
		return nil, err
	}
	if r.ReadOnly {
		return nil, fail(st.Into, "SQ3013", "%s is a SOURCE, which is read-only", quote(r.Name))
	}
	if err := b.writable(st.Into, r); err != nil {
		return nil, err
	}
	sel, err := b.query(st.Query, persistent)
	if err != nil {
		return nil, err
	}
	if sel.table || r.Table {
		return nil, fail(st.Into, "SQ3012", "INSERT INTO .. SELECT can only write a stream's rows to a stream")
	}
	got := &catalog.Relation{Name: r.Name}
	if err := b.resultColumns(st, sel, got); err != nil {
		return nil, err
	}
	same := len(got.Columns) == len(r.Columns)
	for i := 0; same && i < len(r.Columns); i++ {
		same = got.Columns[i].Name == r.Columns[i].Name && flow.SameType(got.Columns[i].Type, r.Columns[i].Type) &&
			got.Columns[i].Role == r.Columns[i].Role
	}
	if !same {
		return nil, fail(st, "SQ2020", "the columns of the query differ from those of %s: %s and %s", quote(r.Name),
			got.Schema(), r.Schema())
	}
	sink, err := b.sink(sel, r)
	if err != nil {
		return nil, err
	}
	stages, err := b.lower(sink, false, false)
	return &Plan{Result: r, Stages: stages}, err
}
