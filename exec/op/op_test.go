package op

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// given is a leaf with a schema.
type given struct{ s *flow.Schema }

func (g given) Schema() *flow.Schema                      { return g.s }
func (g given) Inputs() []exec.Node                       { return nil }
func (g given) Rewire([]exec.Node, exec.Move) exec.Node   { return g }
func (g given) String() string                            { return "Given" }
func (g given) Open(*exec.Context) (exec.Operator, error) { return nil, errors.New("not to be opened") }

// written is an output that stores the records written to it.
type written struct {
	to      []topic.Partition
	records []topic.Record
}

func (w *written) Write(p topic.Partition, records ...topic.Record) error {
	for _, r := range records {
		w.to, w.records = append(w.to, p), append(w.records, r)
	}
	return nil
}

func context(t interface{ Fatalf(string, ...any) }, out exec.Output, late *int64) *exec.Context {
	return &exec.Context{Job: "j", State: state.Memory(), Out: out,
		Fail: func(f exec.Failure) { t.Fatalf("a row failed: %v", f.Err) },
		Late: func(n int64) {
			if late != nil {
				*late += n
			}
		}}
}

// event is a row of the tests' stream: a key, a value, an event time.
type event struct {
	k    any // string or nil
	v, t int64
	op   flow.Op
}

var events = given{flow.NewSchema([]arrow.Field{flow.Field("K", flow.String), flow.Field("V", flow.Bigint),
	flow.Field(flow.RowTime, flow.Bigint), flow.Field(flow.StreamTime, flow.Bigint)})}

// batch makes a batch of events and advances the clock to their maximum time.
func batch(list []event, clock *int64) *flow.Batch {
	var cols [4][]any
	var ops []flow.Op
	for _, e := range list {
		*clock = max(*clock, e.t)
		for c, v := range []any{e.k, e.v, e.t, *clock} {
			cols[c] = append(cols[c], v)
		}
		if e.op == 0 {
			e.op = flow.Insert
		}
		ops = append(ops, e.op)
	}
	var out []arrow.Array
	for c, f := range events.s.Fields() {
		out = append(out, flow.Column(f.Type, cols[c]...))
	}
	if !slices.ContainsFunc(ops, flow.Op.Gone) {
		ops = nil
	}
	return flow.NewBatch(events.s, out, len(list), ops)
}

// lines prints a batch, a line per row: its weight and its values.
func lines(b *flow.Batch) (out []string) {
	for i := range b.Rows() {
		s := map[flow.Op]string{flow.Insert: "+", flow.Retract: "-", flow.Before: "b"}[b.Op(i)]
		for c, f := range b.Schema.Fields() {
			if f.Name != flow.StreamTime {
				s += " " + fmt.Sprint(flow.Value(b.Column(c), i))
			}
		}
		out = append(out, s)
	}
	return out
}

func call(t testing.TB, name string, args ...int) AggregateCall {
	t.Helper()
	f, ok := udf.Builtins().Aggregate(name)
	if !ok {
		t.Fatalf("no aggregate %s", name)
	}
	types := make([]flow.Type, len(args))
	for i, a := range args {
		types[i] = events.s.Field(a).Type
	}
	b, err := f.Bind(types, make([]any, len(args)))
	if err != nil {
		t.Fatal(err)
	}
	return AggregateCall{Name: name, Args: args, Bound: b}
}

// totals returns an aggregate that counts, sums and lists V by K.
func totals(t testing.TB, in exec.Node, w *Window, emit Emission, retract bool, calls ...AggregateCall) *Aggregate {
	fields := []arrow.Field{flow.Field("K", flow.String)}
	if w != nil {
		fields = append(fields, flow.Field(flow.WindowStart, flow.Bigint), flow.Field(flow.WindowEnd, flow.Bigint))
	}
	for _, c := range calls {
		fields = append(fields, flow.Field(c.Name, c.Result))
	}
	fields = append(fields, flow.Field(flow.RowTime, flow.Bigint), flow.Field(flow.StreamTime, flow.Bigint))
	return &Aggregate{Input: in, Keys: []int{0}, Calls: calls, Window: w, Emit: emit, Retract: retract,
		Out: flow.NewSchema(fields)}
}

func drawEvents(t *rapid.T) []event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
		return event{k: rapid.SampledFrom([]any{"a", "b", "c", nil}).Draw(t, "k"),
			v: rapid.Int64Range(-9, 9).Draw(t, "v"), t: rapid.Int64Range(-20, 60).Draw(t, "t")}
	}), 0, 40).Draw(t, "events")
}

// cuts passes events in random batches and advances stream time after each, as a task does.
func cuts(t *rapid.T, op exec.Operator, list []event, emit exec.Emit) {
	clock := int64(math.MinInt64)
	for len(list) > 0 {
		n := rapid.IntRange(1, len(list)).Draw(t, "cut")
		if err := op.Process(0, batch(list[:n], &clock), emit); err != nil {
			t.Fatal(err)
		}
		if timed, ok := op.(exec.Timed); ok {
			if err := timed.Advance(flow.Time(clock), emit); err != nil {
				t.Fatal(err)
			}
		}
		list = list[n:]
	}
	if f, ok := op.(exec.Finisher); ok {
		if err := f.Finish(emit); err != nil {
			t.Fatal(err)
		}
	}
}

// However the input is cut, windows have the results of a loop over all rows. Late rows are dropped
// and counted. EMIT FINAL emits each window once, ordered by start and key. EMIT CHANGES emits
// every change, with the old row before the new one if Retract is set.
func TestWindows(t *testing.T) {
	calls := []AggregateCall{call(t, "COUNT"), call(t, "SUM", 1), call(t, "COLLECT_LIST", 1)}
	rapid.Check(t, func(rt *rapid.T) {
		list := drawEvents(rt)
		w := &Window{Size: 10, Advance: rapid.SampledFrom([]int64{10, 5, 3}).Draw(rt, "advance"),
			Grace: rapid.SampledFrom([]int64{0, 7, 100}).Draw(rt, "grace"), From1970: rapid.Bool().Draw(rt, "from 1970")}
		emit := rapid.SampledFrom([]Emission{EmitChanges, EmitFinal, EmitEnd}).Draw(rt, "emit")
		retract := emit == EmitChanges && rapid.Bool().Draw(rt, "retract")

		type group struct {
			start int64
			k     string
		}
		members := map[group][]event{}
		line := func(g group) string {
			sum, values, at := int64(0), []any{}, int64(math.MinInt64)
			for _, e := range members[g] {
				sum, values, at = sum+e.v, append(values, e.v), max(at, e.t)
			}
			return fmt.Sprint(g.k, " ", g.start, " ", g.start+10, " ", len(values), " ", sum, " ", values, " ", at)
		}
		var want []string
		clock, wantLate := int64(math.MinInt64), int64(0)
		for _, e := range list {
			if clock = max(clock, e.t); e.k == nil {
				continue
			}
			for start := -30 * w.Advance; start <= e.t; start += w.Advance {
				if w.From1970 && start < 0 {
					continue
				}
				g := group{start, e.k.(string)}
				switch {
				case start+w.Size <= e.t:
					continue
				case start+w.Size+w.Grace <= clock:
					wantLate++
					continue
				}
				if old := len(members[g]) > 0; old && retract {
					before := line(g)
					// Both rows of an update have the new row's time.
					at := e.t
					for _, m := range members[g] {
						at = max(at, m.t)
					}
					want = append(want, "b "+before[:strings.LastIndexByte(before, ' ')]+fmt.Sprint(" ", at))
				}
				members[g] = append(members[g], e)
				want = append(want, "+ "+line(g))
			}
		}
		if emit != EmitChanges {
			want = nil
			var groups []group
			for g := range members {
				groups = append(groups, g)
			}
			sort.Slice(groups, func(i, j int) bool {
				return cmp.Or(cmp.Compare(groups[i].start, groups[j].start), cmp.Compare(groups[i].k, groups[j].k)) < 0
			})
			for _, g := range groups {
				want = append(want, "+ "+line(g))
			}
		}
		late := int64(0)
		op, err := totals(t, events, w, emit, retract, calls...).Open(context(rt, nil, &late))
		if err != nil {
			rt.Fatal(err)
		}
		var got []string
		cuts(rt, op, list, func(b *flow.Batch) error { got = append(got, lines(b)...); return nil })
		if !slices.Equal(got, want) || late != wantLate {
			rt.Fatalf("%d late rows, want %d;\n%s\nwant\n%s", late, wantLate, strings.Join(got, "\n"),
				strings.Join(want, "\n"))
		}
	})
}

// Normalizing a table's upserts and grouping them by a column that changes has the result of
// grouping the present rows.
func TestTableAggregation(t *testing.T) {
	calls := []AggregateCall{call(t, "COUNT"), call(t, "SUM", 1)}
	table := given{flow.NewSchema([]arrow.Field{flow.Field("K", flow.String), flow.Field("V", flow.Bigint),
		flow.Field(flow.RowTime, flow.Bigint), flow.Field(flow.StreamTime, flow.Bigint)})}
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context(rt, nil, nil)
		norm, err := (&Normalize{Input: table, Key: []int{1}}).Open(ctx) // V is the key, K moves
		if err != nil {
			rt.Fatal(err)
		}
		retract := rapid.Bool().Draw(rt, "retract")
		agg, err := totals(t, table, nil, EmitChanges, retract, calls...).Open(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		list := drawEvents(rt)
		present, got := map[int64]any{}, map[string]string{}
		for i, e := range list {
			if rapid.IntRange(0, 4).Draw(rt, "deletes") == 0 {
				list[i].op = flow.Retract
				delete(present, e.v)
				continue
			}
			present[e.v] = e.k
		}
		cuts(rt, norm, list, func(b *flow.Batch) error {
			return agg.Process(0, b, func(b *flow.Batch) error {
				for i, l := range lines(b) {
					k := flow.Value(b.Column(0), i).(string)
					if b.Op(i) == flow.Before {
						if next := flow.Value(b.Column(0), i+1); next != k || b.Op(i+1) != flow.Insert {
							rt.Fatalf("an old row of %s without its new one: %v", k, next)
						}
						if was, _, _ := strings.Cut(l[2:], " @"); !strings.HasPrefix(was, got[k]) {
							rt.Fatalf("the old row is %q, was %q", was, got[k])
						}
						continue
					}
					got[k] = fmt.Sprint(k, " ", flow.Value(b.Column(1), i), " ", flow.Value(b.Column(2), i))
				}
				return nil
			})
		})
		want := map[string][2]int64{}
		for v, k := range present {
			if k, ok := k.(string); ok {
				want[k] = [2]int64{want[k][0] + 1, want[k][1] + v}
			}
		}
		for k, g := range got {
			w := want[k]
			if !strings.HasPrefix(g, fmt.Sprint(k, " ", w[0])) || w[0] > 0 && g != fmt.Sprint(k, " ", w[0], " ", w[1]) {
				rt.Fatalf("group %s is %q, want %v", k, g, w)
			}
		}
		if len(got) < len(want) {
			rt.Fatalf("groups %v, want %v", got, want)
		}
	})
}

func TestNormalize(t *testing.T) {
	list := []event{{k: "a", v: 1, t: 1}, {k: "b", v: 2, t: 2}, {k: "a", v: 3, t: 3}, {k: "c", t: 4, op: flow.Retract},
		{k: "a", t: 5, op: flow.Retract}, {k: "a", v: 6, t: 6}}
	run := func(final bool) (got []string) {
		op, err := (&Normalize{Input: events, Key: []int{0}, Final: final}).Open(context(t, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		emit := func(b *flow.Batch) error { got = append(got, lines(b)...); return nil }
		clock := int64(0)
		for i := range list {
			if err := op.Process(0, batch(list[i:i+1], &clock), emit); err != nil {
				t.Fatal(err)
			}
		}
		if err := op.(exec.Finisher).Finish(emit); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := fmt.Sprint(run(false)); got != "[+ a 1 1 + b 2 2 b a 1 3 + a 3 3 - a 3 5 + a 6 6]" {
		t.Errorf("changes: %s", got)
	}
	if got := fmt.Sprint(run(true)); got != "[+ a 6 6 + b 2 2]" {
		t.Errorf("present rows: %s", got)
	}
}

func TestMurmur2(t *testing.T) {
	for text, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string":                       -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(text))); got != want {
			t.Errorf("murmur2 of %q is %d, Kafka's clients have %d", text, got, want)
		}
		if got, want := PartitionOf([]byte(text), 7), (want&0x7fffffff)%7; got != want {
			t.Errorf("%q goes to partition %d, want %d", text, got, want)
		}
	}
	if PartitionOf([]byte("x"), 1) != 0 || PartitionOf(nil, 0) != 0 {
		t.Error("one partition takes everything")
	}
}

func sinkOf(window []int, session bool) *Sink {
	return &Sink{Input: events, Topic: "out", Partitions: 5, Headers: -1, KeyCols: []int{0}, ValueCols: []int{1},
		Window: window, Session: session,
		Key: format.Spec{Name: "KAFKA", Fields: []arrow.Field{flow.Field("K", flow.String)}, Unwrapped: true,
			Options: map[string]string{}},
		Value: format.Spec{Name: "JSON", Fields: []arrow.Field{flow.Field("V", flow.Bigint)},
			Options: map[string]string{}}}
}

// Changes become upserts and tombstones. An update that keeps its key is one upsert; one that
// changes its key is a tombstone and an upsert.
func TestSink(t *testing.T) {
	out := &written{}
	ctx := context(t, out, nil)
	ctx.Partition = 3
	s := sinkOf(nil, false)
	s.Keep = []int{0, 1, 2}
	op, err := s.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	clock := int64(0)
	in := batch([]event{{k: "a", v: 1, t: 1}, {k: "a", v: 1, t: 1, op: flow.Before}, {k: "a", v: 2, t: 2},
		{k: "a", v: 2, t: 3, op: flow.Before}, {k: "b", v: 2, t: 3}, {k: "b", v: 2, t: 4, op: flow.Retract},
		{k: nil, v: 7, t: 5}, {k: "", v: 8, t: 6}}, &clock)
	rows := 0
	if err := op.Process(0, in, func(b *flow.Batch) error { rows += b.Rows(); return nil }); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range out.records {
		got = append(got, fmt.Sprintf("%q=%s@%d", r.Key, r.Value, r.Time))
		want := int32(3)
		if r.Key != nil {
			want = PartitionOf(r.Key, 5)
		}
		if out.to[i].ID != want || out.to[i].Topic != "out" {
			t.Errorf("%s went to %v, want partition %d", got[i], out.to[i], want)
		}
		if tomb := r.Value == nil; tomb != (i == 2 || i == 4) {
			t.Errorf("record %d: a tombstone %v", i, tomb)
		}
	}
	want := `["a"={"V":1}@1 "a"={"V":2}@2 "a"=@3 "b"={"V":2}@3 "b"=@4 ""={"V":7}@5 ""={"V":8}@6]`
	if fmt.Sprint(got) != want {
		t.Errorf("wrote\n%s, want\n%s", got, want)
	}
	if out.records[5].Key != nil || out.records[6].Key == nil || rows != in.Rows() {
		t.Error("a NULL key is null bytes, an empty one is not")
	}
	kept := 0
	for _, err := range ctx.State.Keyspace(Rows).Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		kept++
	}
	if kept != 2 {
		t.Errorf("%d rows are kept, want 2: the NULL key's and the empty one's", kept)
	}
}

func TestSinkWindowedKeys(t *testing.T) {
	for _, c := range []struct {
		session bool
		want    []byte
	}{
		{false, []byte{'a', 0, 0, 0, 0, 0, 0, 0, 5}},
		{true, []byte{'a', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5}},
	} {
		out := &written{}
		op, err := sinkOf([]int{1, 2}, c.session).Open(context(t, out, nil)) // V is the window's start, ROWTIME its end
		if err != nil {
			t.Fatal(err)
		}
		clock := int64(0)
		if err := op.Process(0, batch([]event{{k: "a", v: 5, t: 9}}, &clock),
			func(*flow.Batch) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.records[0].Key, c.want) {
			t.Errorf("session %v: key % x, want % x", c.session, out.records[0].Key, c.want)
		}
		if out.to[0].ID != PartitionOf([]byte("a"), 5) {
			t.Error("windows of one key are in different partitions")
		}
	}
}

func fetchOf(p topic.Partition, values ...[]byte) *topic.Fetch {
	f := &topic.Fetch{Partition: p, Next: topic.Offset(len(values))}
	for i, v := range values {
		f.Offsets, f.Times = append(f.Offsets, topic.Offset(i)), append(f.Times, int64(i))
		f.Key.Append(nil)
		f.Value.Append(v)
	}
	return f
}

// Rows arrive from an exchange unchanged and in order within a key's partition. Old rows arrive as
// retractions.
func TestExchange(t *testing.T) {
	received := &Received{Topic: "x", Out: events.s}
	rapid.Check(t, func(rt *rapid.T) {
		list := drawEvents(rt)
		for i := range list {
			list[i].op = rapid.SampledFrom([]flow.Op{flow.Insert, flow.Retract}).Draw(rt, "op")
		}
		out := &written{}
		op, err := (&Exchange{Input: events, Keys: []int{0}, Topic: "x", Partitions: 3}).Open(context(rt, out, nil))
		if err != nil {
			rt.Fatal(err)
		}
		cuts(rt, op, list, nil)
		want := map[topic.Partition][]string{}
		sent := map[topic.Partition][][]byte{}
		for i, p := range out.to {
			clock := int64(0)
			l := lines(batch(list[i:i+1], &clock))[0]
			want[p], sent[p] = append(want[p], l), append(sent[p], out.records[i].Value)
			if out.records[i].Time != list[i].t || p.ID != PartitionOf(out.records[i].Key, 3) {
				rt.Fatalf("record %d went to %v at %d", i, p, out.records[i].Time)
			}
		}
		for p, values := range sent {
			b, err := received.Decode(fetchOf(p, values...))
			if err != nil {
				rt.Fatal(err)
			}
			if got := lines(b); !slices.Equal(got, want[p]) {
				rt.Fatalf("partition %d has\n%v, want\n%v", p.ID, got, want[p])
			}
		}
	})
	out := &written{}
	op, _ := (&Exchange{Input: events, Keys: []int{0}, Topic: "x", Partitions: 1}).Open(context(t, out, nil))
	clock := int64(0)
	_ = op.Process(0, batch([]event{{k: "a", v: 1, t: 1, op: flow.Before}, {k: "a", v: 2, t: 1}}, &clock), nil)
	b, err := received.Decode(fetchOf(topic.Partition{}, out.records[0].Value, out.records[1].Value))
	if err != nil || b.Op(0) != flow.Retract || b.Op(1) != flow.Insert {
		t.Errorf("the old row came as %d, %v", b.Op(0), err)
	}
	good := out.records[1].Value
	for i := range good {
		for _, bad := range [][]byte{good[:i], append(bytes.Clone(good[:i]), 0xff),
			append(bytes.Clone(good), good[i])} {
			if b, err := received.Decode(fetchOf(topic.Partition{Topic: "x"}, good, bad)); err == nil &&
				!slices.Equal(bad, good) {
				t.Errorf("% x was read as %v", bad, lines(b))
			} else if err != nil && !strings.Contains(err.Error(), "x[0] offset 1") {
				t.Errorf("%v does not say where", err)
			}
		}
	}
}

// Bytes that no exchange of this schema wrote are an error, never a panic.
func FuzzReceived(f *testing.F) {
	received := &Received{Topic: "x", Out: events.s}
	f.Add([]byte{})
	f.Add([]byte("not a row of an exchange"))
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := received.Decode(fetchOf(topic.Partition{}, raw))
		if err == nil && b.Rows() != 1 {
			t.Errorf("%d rows of one record", b.Rows())
		}
	})
}

// NULL sorts last, or first with DESC. Equal rows keep their order.
func TestSort(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := drawEvents(rt)
		for i := range list {
			list[i].v, list[i].t = list[i].v%3, int64(i)
		}
		desc := [2]bool{rapid.Bool().Draw(rt, "desc"), rapid.Bool().Draw(rt, "desc")}
		op, err := (&Sort{Input: events, Keys: []SortKey{{&expr.Column{Index: 0, Name: "K", T: flow.String}, desc[0]},
			{&expr.Column{Index: 1, Name: "V", T: flow.Bigint}, desc[1]}}}).Open(context(rt, nil, nil))
		if err != nil {
			rt.Fatal(err)
		}
		var got []string
		cuts(rt, op, list, func(b *flow.Batch) error { got = append(got, lines(b)...); return nil })
		rank := func(k any) string {
			if k == nil {
				return "\xff"
			}
			return k.(string)
		}
		sign := func(c int, desc bool) int {
			if desc {
				return -c
			}
			return c
		}
		slices.SortStableFunc(list, func(a, b event) int {
			return cmp.Or(sign(cmp.Compare(rank(a.k), rank(b.k)), desc[0]), sign(cmp.Compare(a.v, b.v), desc[1]))
		})
		clock := int64(0)
		if want := lines(batch(list, &clock)); !slices.Equal(got, want) {
			rt.Fatalf("sorted\n%v, want\n%v", got, want)
		}
	})
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		n    int64
		ops  []flow.Op
		want string
		done bool
	}{
		{2, []flow.Op{1, 1, 1}, "++", true}, {5, []flow.Op{1, 1}, "++", false},
		{1, []flow.Op{flow.Before, 1, 1}, "b+", true}, {2, []flow.Op{1, flow.Before, 1}, "+b+", true},
		{1, []flow.Op{flow.Retract, flow.Before, 1}, "-", true}, {0, []flow.Op{1}, "", true},
	} {
		op, _ := (&Limit{Input: events, N: c.n}).Open(nil)
		var list []event
		for _, o := range c.ops {
			list = append(list, event{k: "a", op: o})
		}
		clock, got := int64(0), ""
		err := op.Process(0, batch(list, &clock), func(b *flow.Batch) error {
			for _, l := range lines(b) {
				got += l[:1]
			}
			return nil
		})
		if got != c.want || errors.Is(err, exec.ErrDone) != c.done {
			t.Errorf("LIMIT %d of %v gave %q, %v; want %q", c.n, c.ops, got, err, c.want)
		}
	}
}

// A sample has the same rows however the input is cut: at most max, and all of them if they fit.
func TestSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, most := rapid.IntRange(0, 200).Draw(t, "rows"), rapid.IntRange(1, 60).Draw(t, "max")
		seed := rapid.Uint64().Draw(t, "seed")
		rows := make([]any, n)
		for i := range rows {
			rows[i] = int64(i)
		}
		take := func(cut func(left int) int) []int64 {
			s := &sample{max: most, seed: seed}
			for at := 0; at < n; {
				k := cut(n - at)
				s.add(part{cols: []arrow.Array{flow.Column(flow.Bigint, rows[at:at+k]...)}, rows: k, from: int64(at),
					to: int64(at + k - 1)})
				at += k
			}
			s.cut()
			if n > 0 && (s.from != 0 || s.to != int64(n-1) || s.seen != int64(n)) {
				t.Fatalf("the sample covers %d to %d of %d rows", s.from, s.to, s.seen)
			}
			var out []int64
			for _, p := range s.parts {
				for i := range p.rows {
					out = append(out, flow.Value(p.cols[0], i).(int64))
				}
			}
			return out
		}
		want := take(func(left int) int { return left })
		got := take(func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
		if !slices.Equal(got, want) || len(want) != min(n, most) || !slices.IsSorted(want) {
			t.Fatalf("%d of %d: %v, want %v", most, n, got, want)
		}
	})
}

// coreLimit is the rate at which one server core upserts rows into a table of this many keys, in
// rows/s. A keyed aggregate is compared with it.
var coreLimit = map[int]float64{1_000: 107e6, 1_000_000: 13e6}

func BenchmarkKeyedAggregate(b *testing.B) {
	for _, keys := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			s := flow.NewSchema([]arrow.Field{flow.Field("K", flow.Bigint), flow.Field("V", flow.Bigint),
				flow.Field(flow.RowTime, flow.Bigint)})
			const rows = 4096
			var batches []*flow.Batch
			x := uint64(1)
			for range max(64, 2*keys/rows) {
				k, v := make([]int64, rows), make([]int64, rows)
				for i := range k {
					x = mix(x)
					k[i], v[i] = int64(x%uint64(keys)), int64(i)
				}
				batches = append(batches, flow.NewBatch(s, []arrow.Array{bigints(k), bigints(v), bigints(v)}, rows,
					nil))
			}
			out := flow.NewSchema([]arrow.Field{s.Field(0), flow.Field("S", flow.Bigint),
				flow.Field(flow.RowTime, flow.Bigint)})
			agg := &Aggregate{Input: given{s}, Keys: []int{0}, Calls: []AggregateCall{call(b, "SUM", 1)}, Emit: EmitEnd,
				Out: out}
			op := opened(b, agg, flow.NewAccount(1<<30))
			// All keys exist before the measurement begins.
			for _, in := range batches {
				if err := op.Process(0, in, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if err := op.Process(0, batches[i%len(batches)], nil); err != nil {
					b.Fatal(err)
				}
			}
			rate := rows * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "rows/s")
			b.ReportMetric(100*rate/coreLimit[keys], "%limit")
		})
	}
}
