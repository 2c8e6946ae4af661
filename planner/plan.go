package planner

import (
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// Query plans a query whose result goes to the client: a pull query, or a push query if it says EMIT.
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
	for _, it := range sel.items {
		p.Columns = append(p.Columns, catalog.Column{Name: it.name, Type: it.t})
		if it.key >= 0 {
			p.Columns[len(p.Columns)-1].Role = catalog.Key
		}
	}
	root := visible(sel)
	p.Stages, err = b.lower(root, true)
	return p, err
}

// visible cuts the hidden columns off a result.
func visible(sel *selected) exec.Node {
	in := sel.node.Schema()
	p := &op.Project{Input: sel.node}
	var fields []arrow.Field
	for i := range sel.items {
		c := (&scope{cols: []column{{name: sel.items[i].name, t: sel.items[i].t}}}).column(0)
		c.Index = i
		p.Exprs = append(p.Exprs, c)
		fields = append(fields, in.Field(i))
	}
	p.Out = flow.NewSchema(fields)
	p.Out.Time, p.Out.Clock = -1, -1
	return p
}

// Fill plans CREATE STREAM or TABLE AS SELECT: the job that fills the new relation, which is Plan.Result. job names it.
func Fill(st *lang.CreateSource, job string, o Options) (*Plan, error) {
	b := newBinder(o, job)
	sel, err := b.query(st.Query, persistent)
	if err != nil {
		return nil, err
	}
	name := b.fold(st.Name)
	if table := st.Kind == "TABLE"; table != sel.table {
		if table {
			return nil, fail(st, "SQ3012", "the query gives a stream: use CREATE STREAM, or add GROUP BY")
		}
		return nil, fail(st, "SQ3012", "the query gives a table: use CREATE TABLE")
	}
	if len(st.Columns) > 0 {
		return nil, fail(st.Columns[0], "SQ3012", "CREATE .. AS SELECT takes its columns from the query")
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
	if err := b.inherit(st, r, sel.source, w); err != nil {
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
	p := &Plan{Result: r}
	p.Stages, err = b.lower(sink, false)
	return p, err
}

// resultColumns names the new relation's columns: the key's items first, in the key's order.
func (b *binder) resultColumns(at lang.Node, sel *selected, r *catalog.Relation) error {
	for pos, k := range sel.key {
		if !sel.hasKey(pos) {
			name := "KSQL_COL_" + strconv.Itoa(pos)
			if k < len(sel.rel.scope.cols) {
				name = strings.TrimPrefix(sel.rel.scope.cols[k].name, "$")
			}
			return fail(at, "SQ2018", "the key column %s is missing from the projection: add it to SELECT", quote(name))
		}
	}
	for i, it := range sel.items {
		if pseudo(strings.ToUpper(it.name)) && it.key < 0 {
			return fail(at, "SQ2015", "%s is a pseudo-column: give column %d another name with AS", quote(it.name), i+1)
		}
	}
	if err := sel.keyTwice(at); err != nil {
		return err
	}
	isKey := map[int]bool{}
	sel.keyItems = sel.keyColumns(len(sel.key))
	for _, i := range sel.keyItems {
		isKey[i] = true
		r.Columns = append(r.Columns, catalog.Column{Name: sel.items[i].name, Type: sel.items[i].t, Role: catalog.Key})
	}
	for i, it := range sel.items {
		if !isKey[i] {
			r.Columns = append(r.Columns, catalog.Column{Name: it.name, Type: it.t})
		}
	}
	return nil
}

// keyTwice refuses a key that stands in the projection more than once: which copy is the key?
func (s *selected) keyTwice(at lang.Node) error {
	seen := map[int]string{}
	for _, it := range s.items {
		if it.key < 0 {
			continue
		}
		if first, twice := seen[it.key]; twice {
			return fail(at, "SQ2018", "the key column %s stands in the projection more than once (%s): use AS_VALUE for a copy in the value", quote(first), quote(it.name))
		}
		seen[it.key] = it.name
	}
	return nil
}

// inherit takes from the source what the WITH clause does not say, and checks the clause.
func (b *binder) inherit(st lang.Node, r, source *catalog.Relation, w *with) error {
	r.Topic = first(w.text["kafka_topic"], w.text["topic"], r.Name)
	r.Partitions = 1
	var from catalog.Relation
	from.Key.Name, from.Value.Name = "KAFKA", "JSON"
	if source != nil {
		r.Partitions = max(source.Partitions, 1)
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

// sink makes the node that writes a relation's topic.
func (b *binder) sink(sel *selected, r *catalog.Relation) (exec.Node, error) {
	s := &op.Sink{Input: sel.node, Topic: r.Topic, Partitions: max(r.Partitions, 1), Key: r.Key, Value: r.Value, KeyCols: sel.keyItems, Headers: -1}
	isKey := map[int]bool{}
	for _, k := range sel.keyItems {
		isKey[k] = true
	}
	for i := range sel.items {
		if !isKey[i] {
			s.ValueCols = append(s.ValueCols, i)
		}
	}
	sch := sel.node.Schema()
	for i := len(sel.items); i < len(sch.Fields()); i++ {
		if sch.Field(i).Name == flow.RawHeaders {
			s.Headers = i
		}
	}
	if sel.window != nil {
		for i := len(sel.items); i < len(sch.Fields()); i++ {
			if n := strings.TrimPrefix(sch.Field(i).Name, "$"); n == flow.WindowStart || n == flow.WindowEnd {
				s.Window = append(s.Window, i)
			}
		}
		s.Session, s.Retention = sel.window.Size < 0, sel.retention
	}
	if r.Table {
		s.Keep = append(append(append([]int(nil), s.KeyCols...), s.Window...), s.ValueCols...)
		s.Keep = append(s.Keep, sch.Time)
	}
	if r.Timestamp != "" {
		for i, it := range sel.items {
			if it.name == r.Timestamp {
				return b.restamp(s, r, i)
			}
		}
	}
	return s, nil
}

// restamp gives the sink's rows the event time of one of their columns.
func (b *binder) restamp(s *op.Sink, r *catalog.Relation, at int) (exec.Node, error) {
	in := s.Input.Schema()
	sc := &scope{exact: true}
	for _, f := range in.Fields() {
		sc.cols = append(sc.cols, column{name: f.Name, t: f.Type})
	}
	x, err := b.eventTime(r, sc)
	if err != nil {
		return nil, err
	}
	p := &op.Project{Input: s.Input, Out: in}
	for i := range in.Fields() {
		if i == in.Time {
			p.Exprs = append(p.Exprs, x)
			continue
		}
		p.Exprs = append(p.Exprs, sc.column(i))
	}
	s.Input = p
	return s, nil
}

// Insert plans INSERT INTO .. SELECT: a job that appends to a relation.
func Insert(st *lang.Insert, job string, o Options) (*Plan, error) {
	b := newBinder(o, job)
	r, err := b.relation(st.Into, st.Into)
	if err != nil {
		return nil, err
	}
	if r.ReadOnly {
		return nil, fail(st.Into, "SQ3013", "%s is a SOURCE: it cannot be written", quote(r.Name))
	}
	if err := b.writable(st.Into, r); err != nil {
		return nil, err
	}
	sel, err := b.query(st.Query, persistent)
	if err != nil {
		return nil, err
	}
	if sel.table || r.Table {
		return nil, fail(st.Into, "SQ3012", "INSERT INTO .. SELECT fills streams from streams")
	}
	got := &catalog.Relation{Name: r.Name}
	if err := b.resultColumns(st, sel, got); err != nil {
		return nil, err
	}
	same := len(got.Columns) == len(r.Columns)
	for i := 0; same && i < len(r.Columns); i++ {
		same = got.Columns[i].Name == r.Columns[i].Name && flow.SameType(got.Columns[i].Type, r.Columns[i].Type) && got.Columns[i].Role == r.Columns[i].Role
	}
	if !same {
		return nil, fail(st, "SQ2020", "the query's columns are not those of %s: %s against %s", quote(r.Name), got.Schema(), r.Schema())
	}
	sink, err := b.sink(sel, r)
	if err != nil {
		return nil, err
	}
	p := &Plan{Result: r}
	p.Stages, err = b.lower(sink, false)
	return p, err
}
