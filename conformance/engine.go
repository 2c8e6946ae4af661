package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// Now is what the clock of every case shows; it stands still.
var Now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// machine is one case's engine and what the runner knows about it.
type machine struct {
	c         *Case
	o         *Options
	engine    *streamql.Engine
	relations map[string][]*catalog.Relation // by topic, in the order they were first seen
	formats   map[string]*Topic
	parts     map[string]*[2]part // key and value by topic, of inputs
	wrote     map[topic.Partition][]topic.Span
	last      int // the number of statements
	steps     int
	crashed   bool
	crashes   int
	got       *actual
}

// failure is an error that a statement met.
type failure struct {
	Statement int    `json:"statement"`
	Stage     string `json:"stage"`
	Message   string `json:"message"`
	line      int    // of the test file
	err       error
}

// execute runs a case and says what happened. The error is for what no statement is to blame for.
func execute(ctx context.Context, c *Case, o *Options) (got *actual, err error) {
	m := &machine{c: c, o: o, relations: map[string][]*catalog.Relation{}, formats: map[string]*Topic{}, parts: map[string]*[2]part{},
		wrote: map[topic.Partition][]topic.Span{}, got: &actual{}}
	m.engine, err = streamql.Open(ctx, streamql.WithManualJobs(), streamql.WithDialect(o.Dialect), streamql.WithPollRecords(o.poll()),
		streamql.WithClock(func() time.Time { return Now }))
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := m.engine.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("close the engine: %w", cerr)
		}
	}()
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	if err := m.play(ctx); err != nil {
		return nil, err
	}
	m.got.last = m.last
	m.got.steps, m.got.crashes = m.steps, m.crashes
	return m.got, m.collect(ctx)
}

// prepare sets the properties and makes the topics.
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
		err := m.engine.Broker().(topic.Admin).Create(ctx, t.Name, topic.Config{Partitions: max(t.Partitions, 1), RetentionMs: -1})
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

// statements runs the statements in order until one fails. A query that is the last one is handed back: it comes after the inputs.
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

// fail notes the error of statement n; line is the line of the file that its text starts at.
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

// look notes which relations there are now.
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

// specs says how a topic's records are written: as its first relation reads them, of sinks as its job writes them; without a relation
// as the section topics says.
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

// feed writes inputs and works off the jobs: all inputs first, or each by itself.
func (m *machine) feed(ctx context.Context, inputs []Record) error {
	step := len(inputs)
	if m.o.Schedule == "record" {
		step = 1
	}
	for from := 0; from < len(inputs) || from == 0; from += max(step, 1) {
		if err := m.write(ctx, inputs[from:min(from+step, len(inputs))]); err != nil {
			return err
		}
		if err := m.engine.Drain(ctx, m.step); err != nil {
			if ctx.Err() != nil {
				return err
			}
			m.fail(err, m.last, m.c.SQL.Line)
			return nil
		}
	}
	return nil
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

func (m *machine) write(ctx context.Context, inputs []Record) error {
	if len(inputs) == 0 {
		return nil
	}
	broker := m.engine.Broker()
	txn, err := broker.Begin(ctx, "test")
	if err != nil {
		return err
	}
	next := map[topic.Partition]topic.Offset{}
	for i := range inputs {
		p, r, err := m.record(ctx, &inputs[i])
		if err == nil {
			err = m.mark(ctx, p, next)
		}
		if err == nil {
			err = txn.Write(p, r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("line %d: input: %w", inputs[i].Line, err), txn.Abort(ctx))
		}
		next[p]++
	}
	if err := txn.Commit(ctx, nil); err != nil {
		return err
	}
	for p, to := range next {
		spans := m.wrote[p]
		spans[len(spans)-1].To = to
	}
	return nil
}

// mark notes where inputs begin in a partition.
func (m *machine) mark(ctx context.Context, p topic.Partition, next map[topic.Partition]topic.Offset) error {
	if _, ok := next[p]; ok {
		return nil
	}
	d, err := m.engine.Broker().Describe(ctx, p.Topic)
	if err != nil {
		return err
	}
	if int(p.ID) >= len(d.Partitions) || p.ID < 0 {
		return fmt.Errorf("topic %s has %d partitions, number %d is not one of them", p.Topic, len(d.Partitions), p.ID)
	}
	next[p] = d.Partitions[p.ID].To
	m.wrote[p] = append(m.wrote[p], topic.Span{Partition: p, From: next[p]})
	return nil
}

// record makes the bytes of an input and chooses its partition as a producer does.
func (m *machine) record(ctx context.Context, in *Record) (topic.Partition, topic.Record, error) {
	p := topic.Partition{Topic: in.Topic}
	var out topic.Record
	parts := m.parts[in.Topic]
	if parts == nil {
		key, value, _ := m.specs(in.Topic, false)
		parts = &[2]part{{spec: key}, {spec: value}}
		m.parts[in.Topic] = parts
	}
	var err error
	if out.Key = in.KeyBytes; out.Key == nil {
		if out.Key, err = parts[0].encode(in.Key); err != nil {
			return p, out, fmt.Errorf("key: %w", err)
		}
	}
	if out.Value = in.ValueBytes; out.Value == nil {
		if out.Value, err = parts[1].encode(in.Value); err != nil {
			return p, out, fmt.Errorf("value: %w", err)
		}
	}
	d, err := m.ensure(ctx, in.Topic)
	if err != nil {
		return p, out, err
	}
	if out.Key != nil {
		p.ID = op.PartitionOf(out.Key, int32(len(d.Partitions)))
	}
	if in.Partition != nil {
		p.ID = *in.Partition
	}
	if w := in.Window; w != nil && out.Key != nil {
		if w.Type == "SESSION" {
			out.Key = binary.BigEndian.AppendUint64(out.Key, uint64(w.End))
		}
		out.Key = binary.BigEndian.AppendUint64(out.Key, uint64(w.Start))
	}
	if in.Timestamp != nil {
		out.Time = *in.Timestamp
	}
	for _, h := range in.Headers {
		out.Headers = append(out.Headers, topic.Header{Key: h.Key, Value: h.Value})
	}
	return p, out, nil
}

// ensure describes a topic and makes it if no statement has.
func (m *machine) ensure(ctx context.Context, name string) (topic.Topic, error) {
	d, err := m.engine.Broker().Describe(ctx, name)
	if errors.Is(err, topic.ErrUnknownTopic) {
		if err := m.engine.Broker().(topic.Admin).Create(ctx, name, topic.Config{Partitions: 1, RetentionMs: -1}); err != nil {
			return d, err
		}
		return m.engine.Broker().Describe(ctx, name)
	}
	return d, err
}

// queries opens the queries, feeds what comes after their start, and reads their rows.
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

// collect reads what all topics hold and which relations there are.
func (m *machine) collect(ctx context.Context) error {
	for _, r := range m.engine.Catalog().Relations() {
		if strings.HasPrefix(r.Name, "streamql.") {
			continue
		}
		m.got.sources = append(m.got.sources, Source{Name: r.Name, Type: r.Kind(), Schema: strings.ReplaceAll(r.Schema(), " PRIMARY KEY", " KEY"), KeyFormat: formatName(r.Key),
			ValueFormat: formatName(r.Value)})
	}
	topics, err := m.engine.Broker().(topic.Admin).Topics(ctx)
	if err != nil {
		return err
	}
	sort.Slice(topics, func(i, j int) bool { return topics[i].Name < topics[j].Name })
	m.got.topics = map[string]int{}
	for _, t := range topics {
		m.got.topics[t.Name] = len(t.Partitions)
		if strings.HasPrefix(t.Name, "streamql.") && !m.c.expects(t.Name) {
			continue
		}
		if err := m.outputs(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func formatName(s format.Spec) string { return strings.ToUpper(s.Name) }

// outputs reads the records of a topic that were not fed as inputs, partition by partition.
func (m *machine) outputs(ctx context.Context, t topic.Topic) error {
	key, value, window := m.specs(t.Name, true)
	parts := [2]part{{spec: key}, {spec: value}}
	for _, span := range t.Partitions {
		r, err := m.engine.Broker().Open(ctx, []topic.Span{span})
		if err != nil {
			return err
		}
		err = each(ctx, r, func(f *topic.Fetch, i int) error {
			for _, w := range m.wrote[span.Partition] {
				if f.Offsets[i] >= w.From && f.Offsets[i] < w.To {
					return nil
				}
			}
			out, err := decode(&parts, window, f, i)
			if err != nil {
				return fmt.Errorf("record %d of %s: %w", f.Offsets[i], span.Partition, err)
			}
			m.got.outputs = append(m.got.outputs, out)
			return nil
		})
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func each(ctx context.Context, r topic.Reader, do func(*topic.Fetch, int) error) error {
	for {
		fetches, err := r.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range fetches {
			for k := range fetches[i].Rows() {
				if err := do(&fetches[i], k); err != nil {
					return err
				}
			}
		}
	}
}

// decode reads a record of a sink.
func decode(parts *[2]part, window *catalog.Windowing, f *topic.Fetch, i int) (output, error) {
	out := output{Topic: f.Topic, Timestamp: f.Times[i]}
	key := f.Key.At(i)
	if window != nil && key != nil {
		tail := 8
		if window.Size < 0 {
			tail = 16
		}
		if len(key) < tail {
			return out, fmt.Errorf("the windowed key has only %d bytes", len(key))
		}
		out.Window = &Window{Type: "TIME", Start: int64(binary.BigEndian.Uint64(key[len(key)-8:]))}
		out.Window.End = out.Window.Start + window.Size
		if tail == 16 {
			out.Window.Type, out.Window.End = "SESSION", int64(binary.BigEndian.Uint64(key[len(key)-16:]))
		}
		key = key[:len(key)-tail]
	}
	var err error
	if out.Key, out.keyType, err = parts[0].decode(key); err != nil {
		return out, fmt.Errorf("key: %w", err)
	}
	if out.Value, out.valueType, err = parts[1].decode(f.Value.At(i)); err != nil {
		return out, fmt.Errorf("value: %w", err)
	}
	if f.Headers != nil {
		for _, h := range f.Headers[i] {
			out.Headers = append(out.Headers, Header{h.Key, h.Value})
		}
	}
	return out, nil
}
