package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// Now is the time of every case's clock, which does not advance.
var Now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// machine is the engine of one case and the runner's state.
type machine struct {
	c         *Case
	o         *Options
	engine    *streamql.Engine
	relations map[string][]*catalog.Relation // by topic, in the order of their first appearance
	formats   map[string]*Topic
	parts     map[string]*[2]part // key and value by topic, of inputs
	wrote     map[topic.Partition][]topic.Span
	last      int // the number of statements
	steps     int
	crashed   bool
	crashes   int
	got       *actual
	own       string   // prefix of the names of the engine's own topics
	names     []string // on a cluster: the other topics that the case creates
	ours      bool     // and the case has created them
}

// failure is the error of a statement.
type failure struct {
	Statement int    `json:"statement"`
	Stage     string `json:"stage"`
	Message   string `json:"message"`
	line      int    // of the test file
	err       error
}

// execute runs a case and returns its results. An error means that the case could not be run, and not that a
// statement failed.
func execute(ctx context.Context, c *Case, o *Options) (got *actual, err error) {
	m := &machine{c: c, o: o, relations: map[string][]*catalog.Relation{}, formats: map[string]*Topic{},
		parts: map[string]*[2]part{},
		wrote: map[topic.Partition][]topic.Span{}, got: &actual{}, own: embedded}
	options := []streamql.Option{streamql.WithManualJobs(), streamql.WithDialect(cmp.Or(c.Dialect, o.Dialect)),
		streamql.WithPollRecords(o.poll()),
		streamql.WithClock(func() time.Time { return Now })}
	if o.Kafka != nil {
		if m.names, err = rehearse(ctx, c, o); err != nil {
			return nil, err
		}
		options = append(options, streamql.WithKafka(m.application()))
	}
	m.engine, err = streamql.Open(ctx, options...)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, m.leave(context.WithoutCancel(ctx)))
		if cerr := m.engine.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("cannot close the engine: %w", cerr)
		}
	}()
	if err := m.free(ctx); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	if err := m.play(ctx); err != nil {
		return nil, err
	}
	m.got.last = m.last
	m.got.steps, m.got.crashes = m.steps, m.crashes
	err = m.collect(ctx)
	m.got.names = m.used()
	return m.got, err
}

// prepare sets the properties and creates the topics.
func (m *machine) prepare(ctx context.Context) error {
	set := func(name, value string) error {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
		return m.engine.Exec(ctx, "SET "+quote(name)+" = "+quote(value)+";")
	}
	if err := set("auto.offset.reset", "earliest"); err != nil {
		return err
	}
	for _, p := range m.c.Properties {
		if err := set(p.Name, p.Value); err != nil {
			return fmt.Errorf("line %d: property %s: %w", p.Line, p.Name, err)
		}
	}
	for i := range m.c.Topics {
		t := &m.c.Topics[i]
		m.formats[t.Name] = t
		err := m.engine.Broker().(topic.Admin).Create(ctx, t.Name, topic.Config{Partitions: max(t.Partitions, 1),
			RetentionMs: -1})
		if err != nil {
			return fmt.Errorf("line %d: %w", t.Line, err)
		}
	}
	return nil
}

// play runs the statements, feeds the inputs and reads the queries' rows.
func (m *machine) play(ctx context.Context) error {
	query, failed := m.statements(ctx)
	if failed != nil {
		m.got.err = failed
		return nil
	}
	if err := m.keep(ctx); err != nil {
		return err
	}
	if err := m.feed(ctx, m.c.Input); err != nil || m.got.err != nil {
		return err
	}
	if query != nil {
		if r, err := m.engine.Run(ctx, query); err != nil {
			m.fail(err, m.last, m.c.SQL.Line)
			return nil
		} else if r.Rows != nil {
			if _, err := m.read(r.Rows); err != nil {
				m.fail(err, m.last, m.c.SQL.Line)
				return nil
			}
		}
	}
	return m.queries(ctx)
}

// statements runs the statements in order until one fails. A query at the end is returned instead of run,
// because it runs after the inputs.
func (m *machine) statements(ctx context.Context) (lang.Statement, *failure) {
	list, err := m.engine.Parse(m.c.SQL.SQL)
	bad := lang.AsErrors(err)
	for _, st := range list {
		m.last = max(m.last, st.Number())
	}
	for _, e := range bad {
		m.last = max(m.last, e.Stmt)
	}
	for _, st := range list {
		if len(bad) > 0 && bad[0].Stmt < st.Number() {
			break
		}
		if q, ok := st.(*lang.QueryStatement); ok && st.Number() == m.last {
			return q, nil
		}
		r, err := m.engine.Run(ctx, st)
		if err == nil && r.Rows != nil {
			_, err = m.read(r.Rows)
		}
		if err != nil {
			m.fail(err, st.Number(), m.c.SQL.Line)
			return nil, m.got.err
		}
		m.look()
	}
	if err != nil {
		n := m.last
		if len(bad) > 0 && bad[0].Stmt > 0 {
			n = bad[0].Stmt
		}
		m.fail(err, n, m.c.SQL.Line)
	}
	return nil, m.got.err
}

// fail stores the error of statement n; line is the line of the file at which its text starts.
func (m *machine) fail(err error, n, line int) {
	f := &failure{Statement: n, Stage: string(lang.StageRun), Message: err.Error(), line: line, err: err}
	if list := lang.AsErrors(err); len(list) > 0 {
		e := list[0]
		f.Stage = string(e.Stage)
		f.Message = e.Error()
		for _, more := range append([]string{e.Hint}, e.Notes...) {
			if more != "" {
				f.Message += "; " + more
			}
		}
		if e.Pos.Line > 0 {
			f.line = line + e.Pos.Line - 1
		}
	}
	m.got.err = f
}

// look stores the present relations.
func (m *machine) look() {
	for _, r := range m.engine.Catalog().Relations() {
		list := m.relations[r.Topic]
		known := false
		for i, old := range list {
			if old.Name == r.Name {
				list[i], known = r, true
			}
		}
		if !known {
			m.relations[r.Topic] = append(list, r)
		}
	}
}

// specs returns the formats of a topic's records: those of its first relation, or for a sink those of its
// job. Without a relation they are those of the section topics.
func (m *machine) specs(name string, sink bool) (key, value format.Spec, window *catalog.Windowing) {
	list := m.relations[name]
	if len(list) == 0 {
		value = format.Spec{Name: "JSON"}
		if t := m.formats[name]; t != nil {
			key.Name = t.KeyFormat
			if t.ValueFormat != "" {
				value.Name = t.ValueFormat
			}
		}
		return key, value, nil
	}
	r := list[0]
	for i := len(list) - 1; sink && i >= 0; i-- {
		if list[i].Job != "" {
			r = list[i]
		}
	}
	return r.Key, r.Value, r.Window
}

// step is called before each commit of a job.
func (m *machine) step(string) error {
	if m.crashes < -m.o.Crash {
		if m.crashed = !m.crashed; m.crashed {
			m.crashes++
			return streamql.ErrCrash
		}
		m.steps++
		return nil
	}
	m.steps++
	if m.steps == m.o.Crash {
		m.crashes++
		return streamql.ErrCrash
	}
	return nil
}

// queries starts the queries, feeds the later inputs, and reads the rows.
func (m *machine) queries(ctx context.Context) error {
	var open []*streamql.Rows
	for i, q := range m.c.Queries {
		rows, err := m.engine.Query(ctx, q.SQL)
		if err != nil {
			m.fail(err, m.last+i+1, q.Line)
			return nil
		}
		open = append(open, rows)
	}
	if len(m.c.After) > 0 {
		if err := m.feed(ctx, m.c.After); err != nil || m.got.err != nil {
			return err
		}
	}
	for i, rows := range open {
		got, err := m.read(rows)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			m.fail(err, m.last+i+1, m.c.Queries[i].Line)
			return nil
		}
		m.got.rows = append(m.got.rows, got)
	}
	return nil
}
