package reference_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
)

// TestRandom generates relations, rows and jobs at random. It runs them on an engine with random fetch sizes
// and crashes, and compares the output with that of the reference evaluator, to the byte.
func TestRandom(t *testing.T) {
	compared, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := &maker{t: t}
		g.declare()
		for i := range g.upTo("jobs", 2) + 1 {
			g.job(i)
		}
		script := g.text.String()
		s, err := reference.Plan(script, reference.Options{})
		if err != nil {
			refused++ // mostly types that do not match
			if u := new(reference.Uncovered); errors.As(err, &u) {
				t.Fatalf("%v\n%s", err, script)
			}
			return
		}
		inputs := g.records()
		want, err := s.Evaluate(inputs)
		if err != nil {
			t.Fatalf("%v\n%s", err, script)
		}
		got, err := g.engine(script, inputs, want)
		if err != nil {
			t.Fatalf("%v\n%s", err, script)
		}
		if d := reference.Diff(want, got); d != "" {
			t.Fatalf("%s\n%s%s", d, script, spellInputs(inputs))
		}
		compared++
	})
	t.Logf("%d compared, %d refused by the planner", compared, refused)
	if compared < refused {
		t.Errorf("only %d of %d were compared", compared, compared+refused)
	}
}

func spellInputs(inputs map[topic.Partition][]reference.Record) string {
	var out strings.Builder
	for p, list := range inputs {
		for _, r := range list {
			fmt.Fprintf(&out, "%s@%d %s\n", p, r.Offset, reference.Output{Partition: p.ID, Record: r.Record})
		}
	}
	return out.String()
}

// maker generates a script and its inputs.
type maker struct {
	t          *rapid.T
	text       strings.Builder
	table      bool
	textKey    bool
	partitions int
}

func (g *maker) upTo(what string, n int) int { return rapid.IntRange(0, n).Draw(g.t, what) }
func (g *maker) one(what string, n int) bool { return g.upTo(what, n) == 0 }
func (g *maker) pick(what string, list ...string) string {
	return rapid.SampledFrom(list).Draw(g.t, what)
}

func (g *maker) declare() {
	g.table, g.textKey = g.one("table", 3), g.one("text key", 1)
	g.partitions = g.upTo("partitions", 2) + 1
	kind, key, typ := "STREAM", "KEY", "INT"
	if g.table {
		kind, key = "TABLE", "PRIMARY KEY"
	}
	if g.textKey {
		typ = "STRING"
	}
	stamp := g.pick("timestamp", "", "", ", timestamp='ts'")
	fmt.Fprintf(&g.text, "CREATE %s s (k %s %s, a INT, b BIGINT, x DOUBLE, d DECIMAL(8, 2), t STRING, f BOOLEAN, l ARRAY<INT>, m MAP<STRING, BIGINT>, ts BIGINT) "+
		"WITH (kafka_topic='s', partitions=%d%s);\n", kind, typ, key, g.partitions, stamp)
}

// job generates a CREATE .. AS SELECT over s.
func (g *maker) job(n int) {
	where := ""
	if g.one("where", 1) {
		where = " WHERE " + g.expr("BOOLEAN", 2)
	}
	kind, query := "TABLE", ""
	switch {
	case g.one("rows", 2):
		items := "k"
		for i := range g.upTo("items", 3) + 1 {
			items += fmt.Sprintf(", %s AS c%d", g.expr(g.typ(), 3), i)
		}
		if !g.table {
			kind = "STREAM"
			if g.one("explode", 3) {
				items += ", EXPLODE(" + g.expr("LIST", 2) + ") AS e"
			}
		}
		query = "SELECT " + items + " FROM s" + where
		if !g.table && g.one("partition by", 3) {
			typ := g.pick("partition type", "INT", "BIGINT", "STRING")
			p := g.expr(typ, 1)
			query = fmt.Sprintf("SELECT %s AS p, k AS c, a, t FROM s%s PARTITION BY %s", p, where, p)
		}
	default:
		query = g.grouped(where)
	}
	if !g.table && g.one("another partitions", 4) {
		fmt.Fprintf(&g.text, "CREATE %s o%d WITH (partitions=%d) AS %s EMIT CHANGES;\n", kind, n,
			g.upTo("partitions of the sink", 2)+1, query)
		return
	}
	emit := " EMIT CHANGES"
	if strings.Contains(query, "TUMBLING") || strings.Contains(query, "HOPPING") {
		emit = g.pick("emit", emit, " EMIT FINAL")
	}
	with := ""
	// which the format KAFKA cannot encode
	if strings.Contains(query, "GROUP BY f") || strings.Contains(query, "GROUP BY k, f") {
		with = " WITH (key_format='JSON')"
	}
	fmt.Fprintf(&g.text, "CREATE %s o%d%s AS %s%s;\n", kind, n, with, query, emit)
	if kind == "STREAM" || !g.one("another job", 2) {
		return
	}
	next := "SELECT * FROM o%d"
	if !strings.Contains(query, "WINDOW") && !strings.Contains(query, "PARTITION") {
		next = g.pick("next", next, "SELECT c0, COUNT(*) AS n FROM o%d GROUP BY c0",
			"SELECT c0, COUNT(c0) AS n FROM o%d WHERE c0 IS NOT NULL GROUP BY c0 HAVING COUNT(*) > 1")
	}
	fmt.Fprintf(&g.text, "CREATE TABLE z%d AS "+next+";\n", n, n)
}

func (g *maker) grouped(where string) string {
	by := g.pick("group by", "k", "k", "k", "a", "t", "f", "k, f")
	if g.one("group by an expression", 5) {
		by = g.expr(g.pick("group type", "INT", "BIGINT", "STRING"), 1)
	}
	items := by + ", "
	if strings.ContainsAny(by, "( '-0123456789") && by != "k, f" {
		items = by + " AS g, "
	}
	calls := []string{"COUNT(*)", "COUNT(a)", "SUM(a)", "SUM(b)", "SUM(x)", "SUM(d)", "AVG(x)", "AVG(a)",
		"COLLECT_LIST(t)", "COLLECT_LIST(a)", "COLLECT_LIST(l)"}
	if !g.table {
		calls = append(calls, "MIN(x)", "MAX(b)", "MIN(t)", "MAX(d)", "LATEST_BY_OFFSET(a)", "LATEST_BY_OFFSET(t, 2)",
			"EARLIEST_BY_OFFSET(t)", "EARLIEST_BY_OFFSET(d, 2)",
			"LATEST_BY_OFFSET(x, FALSE)", "COLLECT_SET(f)", "SUM("+g.expr("INT", 1)+")", "COUNT("+g.expr("STRING", 1)+")")
	}
	for i := range g.upTo("calls", 3) + 1 {
		items += fmt.Sprintf("%s AS c%d, ", g.pick("call", calls...), i)
	}
	window := ""
	if !g.table {
		switch g.upTo("window", 3) {
		case 1:
			window = fmt.Sprintf(" WINDOW TUMBLING (SIZE %d SECONDS%s)", g.upTo("size", 20)+1, g.grace())
		case 2:
			size := g.upTo("size", 20) + 2
			window = fmt.Sprintf(" WINDOW HOPPING (SIZE %d SECONDS, ADVANCE BY %d SECONDS%s)", size, g.upTo("advance", size-1)+
				1, g.grace())
		case 3:
			window = fmt.Sprintf(" WINDOW SESSION (%d SECONDS%s)", g.upTo("gap", 10)+1, g.grace())
		}
	}
	having := ""
	if g.one("having", 2) {
		having = " HAVING " + g.pick("condition", "COUNT(*) > 1", "COUNT(*) % 2 = 1", "SUM(a) > 0 OR COUNT(*) > 3",
			"AVG(x) < 100", "COUNT(a) BETWEEN 1 AND 2")
	}
	return "SELECT " + strings.TrimSuffix(items, ", ") + " FROM s" + window + where + " GROUP BY " + by + having
}

func (g *maker) grace() string {
	if g.one("grace by default", 2) {
		return ""
	}
	return fmt.Sprintf(", GRACE PERIOD %d SECONDS", g.upTo("grace", 20))
}

func (g *maker) typ() string {
	return g.pick("type", "INT", "BIGINT", "DOUBLE", "DECIMAL", "STRING", "BOOLEAN")
}

// records generates the records of s: with NULLs, out of order, some without a value or a key.
func (g *maker) records() map[topic.Partition][]reference.Record {
	out := map[topic.Partition][]reference.Record{}
	now := int64(0)
	for range g.upTo("rows", 40) {
		now += int64(g.upTo("step", 8)) * 500
		r := topic.Record{Time: max(now-int64(g.upTo("late", 5)*g.upTo("very", 5))*1000, 0)}
		switch k := g.upTo("key", 9); {
		case k == 9:
		case g.textKey:
			r.Key = []byte(fmt.Sprint("k", k%4))
		default:
			r.Key = binary.BigEndian.AppendUint32(nil, uint32(k%4))
		}
		if !g.one("no value", 9) {
			r.Value = []byte(fmt.Sprintf(`{"a":%s,"b":%s,"x":%s,"d":%s,"t":%s,"f":%s,"l":%s,"m":%s,"ts":%d}`,
				g.pick("a", "null", "0", "1", "2", "3", "-7", "2147483647", "-2147483648"),
				g.pick("b", "null", "0", "1", "-3", "12", "9223372036854775807", "-9223372036854775808", "3000000000"),
				g.pick("x", "null", "0.0", "-0.0", "0.1", "0.2", "2.5", "-3.5", "1e10", "1.0E300", "7"),
				g.pick("d", "null", "0.00", "1.25", "-1.25", "0.05", "999999.99", "10"),
				g.pick("t", "null", `""`, `"a"`, `"B"`, `"12"`, `"a_%b"`, `"-3.75"`, `"hé llo"`, `" x "`),
				g.pick("f", "null", "true", "false"),
				g.pick("l", "null", "[]", "[1]", "[1,null,3]", "[-5,2147483647]"),
				g.pick("m", "null", "{}", `{"a":1}`, `{"b":null,"a":-2}`),
				r.Time+int64(g.upTo("ts", 4)-1)*1000))
		}
		p := topic.Partition{Topic: "s"}
		if r.Key != nil {
			p.ID = op.PartitionOf(r.Key, int32(g.partitions))
		} else {
			p.ID = int32(g.upTo("partition", g.partitions-1))
		}
		out[p] = append(out[p], reference.Record{Offset: topic.Offset(len(out[p])), Record: r})
	}
	return out
}

// engine runs a script on an engine and returns the records of the topics in want.
func (g *maker) engine(script string, inputs map[topic.Partition][]reference.Record,
	want map[string][]reference.Output) (map[string][]reference.Output, error) {
	ctx := context.Background()
	e, err := streamql.Open(ctx, streamql.WithManualJobs(),
		streamql.WithPollRecords(rapid.SampledFrom([]int{1, 3, 1024}).Draw(g.t, "poll")))
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if err := e.Exec(ctx, "SET 'auto.offset.reset' = 'earliest';\n"+script); err != nil {
		return nil, err
	}
	half := 100 // records from this offset on are written later
	if g.partitions == 1 {
		half = g.upTo("half", 40)
	}
	steps, crash := 0, g.upTo("crash", 6)
	for _, later := range []bool{false, true} {
		if err := write(ctx, e.Broker(), inputs, func(o topic.Offset) bool { return int(o) >= half == later }); err != nil {
			return nil, err
		}
		err = e.Drain(ctx, func(string) error {
			if steps++; steps == crash {
				return streamql.ErrCrash
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	got := map[string][]reference.Output{}
	topics, err := e.Broker().(topic.Admin).Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range topics {
		if d.Name == "s" || strings.HasPrefix(d.Name, "streamql.") {
			continue
		}
		err := topic.Each(ctx, e.Broker(), d.Partitions, func(f *topic.Fetch, i int) error {
			o := reference.Output{Partition: f.ID, Record: topic.Record{Key: f.Key.At(i), Value: f.Value.At(i),
				Time: f.Times[i]}}
			if f.Headers != nil {
				o.Headers = f.Headers[i]
			}
			got[d.Name] = append(got[d.Name], o)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return got, nil
}

func write(ctx context.Context, b topic.Broker, inputs map[topic.Partition][]reference.Record,
	which func(topic.Offset) bool) error {
	txn, err := b.Begin(ctx, "test")
	if err != nil {
		return err
	}
	for p, list := range inputs {
		for _, r := range list {
			if !which(r.Offset) {
				continue
			}
			if err := txn.Write(p, r.Record); err != nil {
				return err
			}
		}
	}
	return txn.Commit(ctx, nil)
}
