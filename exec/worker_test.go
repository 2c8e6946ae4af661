package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"go.uber.org/goleak"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/local"
)

// TestMain fails if a test leaves a goroutine running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// numbers decodes records whose values are numbers; all others are dead letters.
type numbers struct{ ctx *Context }

var numbersSchema = flow.NewSchema(
	[]arrow.Field{flow.Field("K", flow.String), flow.Field("V", flow.Bigint), flow.Field(flow.RowTime, flow.Bigint)},
)

func (n *numbers) Schema() *flow.Schema                           { return numbersSchema }
func (n *numbers) Inputs() []Node                                 { return nil }
func (n *numbers) Rewire([]Node, Move) Node                       { return n }
func (n *numbers) String() string                                 { return "Numbers" }
func (n *numbers) Open(c *Context) (Operator, error)              { return &numbers{c}, nil }
func (n *numbers) Process(_ int, in *flow.Batch, emit Emit) error { return emit(in) }
func (n *numbers) Decode(f *topic.Fetch) (*flow.Batch, error) {
	var keys, values, times []any
	for i := range f.Rows() {
		v, err := strconv.ParseInt(string(f.Value.At(i)), 10, 64)
		if err != nil {
			n.ctx.Fail(
				Failure{
					Code:      "SQ5102",
					Err:       err,
					Source:    "in",
					Partition: f.Partition,
					Offset:    f.Offsets[i],
					Side:      "value",
					Record:    &topic.Record{Key: f.Key.At(i), Value: f.Value.At(i), Time: f.Times[i]},
				},
			)
			continue
		}
		keys, values, times = append(keys, string(f.Key.At(i))), append(values, v), append(times, f.Times[i])
	}
	cols := []arrow.Array{
		flow.Column(flow.String, keys...),
		flow.Column(flow.Bigint, values...),
		flow.Column(flow.Bigint, times...),
	}
	return flow.NewBatch(numbersSchema, cols, len(keys), nil), nil
}

// sums writes the running sum of each key to topic "out". It panics at 666, fails a row at 13,
// and holds rows while hold reports true.
type sums struct {
	in   Node
	hold *bool
	stop int // number of rows after which it needs no more
}

func (s *sums) Schema() *flow.Schema { return numbersSchema }
func (s *sums) Inputs() []Node       { return []Node{s.in} }
func (s *sums) Rewire(in []Node, _ Move) Node {
	return &sums{in: in[0], hold: s.hold, stop: s.stop}
}
func (s *sums) String() string { return "Sums" }
func (s *sums) Open(c *Context) (Operator, error) {
	return &summing{sums: s, ctx: c, keep: c.Keyspace("sums")}, nil
}

type summing struct {
	*sums
	ctx  *Context
	keep state.Keyspace
	seen int
}

func (s *summing) Process(_ int, in *flow.Batch, emit Emit) error {
	for i := range in.Rows() {
		key, v := []byte(flow.Value(in.Column(0), i).(string)), flow.Value(in.Column(1), i).(int64)
		switch v {
		case 666:
			panic("the number of the beast")
		case 13:
			s.ctx.RowFailed("sums")(i, errors.New("unlucky"))
		}
		old, _, err := s.keep.Get(key)
		if err != nil {
			return err
		}
		sum, _ := strconv.ParseInt(string(old), 10, 64)
		text := strconv.AppendInt(nil, sum+v, 10)
		if err := s.keep.Put(key, text); err != nil {
			return err
		}
		if err := s.ctx.Out.Write(topic.Partition{Topic: "out"}, topic.Record{Key: key, Value: text, Time: in.Times()[i]}); err != nil {
			return err
		}
		if s.seen++; s.seen == s.stop {
			return ErrDone
		}
	}
	return emit(in)
}

func (s *summing) Holds() bool { return s.hold != nil && *s.hold }

// world is a broker in memory with the topics in (two partitions), out and errors.
type world struct {
	testing.TB
	b   *local.Broker
	env Env
}

func newWorld(t testing.TB, poll int) *world {
	t.Helper()
	b, err := local.Open("", local.PollRecords(poll))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, b: b}
	for name, n := range map[string]int32{"in": 2, "out": 1, "errors": 1} {
		if err := b.Create(ctx, name, topic.Config{Partitions: n, RetentionMs: -1}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	w.env = Env{
		Broker: b,
		Source: func(string) topic.Source { return b },
		Store:  func(task string) (state.Store, error) { return state.Open(b.DB(), task) },
		Now:    time.Now,
		Errors: "errors",
	}
	return w
}

// put writes values alternately to the two partitions, with the keys a, b, c in rotation and
// timestamps 1 ms apart.
func (w *world) put(values ...string) {
	w.Helper()
	txn, err := w.b.Begin(ctx, "put")
	for i, v := range values {
		if err == nil {
			err = txn.Write(
				topic.Partition{Topic: "in", ID: int32(i % 2)},
				topic.Record{Key: []byte{"abc"[i%3]}, Value: []byte(v), Time: int64(i)},
			)
		}
	}
	if err == nil {
		err = txn.Commit(ctx, nil)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) stage(s *sums, to topic.Offset, gather bool) Stage {
	leaf := &numbers{}
	s.in = leaf
	return Stage{Root: s, Order: []Node{leaf}, Gather: gather, Spans: map[Node][]topic.Span{leaf: {
		{Partition: topic.Partition{Topic: "in"}, To: to}, {Partition: topic.Partition{Topic: "in", ID: 1}, To: to}}}}
}

func (w *world) job(s *sums, to topic.Offset, gather bool) *Job {
	w.Helper()
	j, err := New(ctx, "j", []Stage{w.stage(s, to, gather)}, w.env)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

// read returns the committed records of a topic as key=value.
func (w *world) read(name string) []string {
	w.Helper()
	out := []string{}
	for _, r := range w.records(name) {
		out = append(out, string(r.Key)+"="+string(r.Value))
	}
	return out
}

func (w *world) records(name string) (out []topic.Record) {
	w.Helper()
	d, err := w.b.Describe(ctx, name)
	if err != nil {
		w.Fatal(err)
	}
	r, err := w.b.Open(ctx, d.Partitions)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	for {
		fetches, err := r.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			w.Fatal(err)
		}
		for _, f := range fetches {
			for i := range f.Rows() {
				rec := topic.Record{
					Key:   bytes.Clone(f.Key.At(i)),
					Value: bytes.Clone(f.Value.At(i)),
					Time:  f.Times[i],
				}
				if f.Headers != nil {
					rec.Headers = f.Headers[i]
				}
				out = append(out, rec)
			}
		}
	}
}

func header(r topic.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func someValues(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(1 + i*i%17)
	}
	return out
}

// keyed groups the values by key in their order, which must not depend on how the partitions
// were interleaved.
func keyed(records []string) map[string][]string {
	out := map[string][]string{}
	for _, r := range records {
		k, v, _ := strings.Cut(r, "=")
		out[k] = append(out[k], v)
	}
	return out
}

// TestCrashes: results are the same for every fetch size and however often the worker crashes
// between commits.
func TestCrashes(t *testing.T) {

	values := someValues(60)
	values[20], values[31] = "bad", "13"
	answer := func(t *testing.T, poll int, gather bool, seed uint64) ([]string, []string) {
		w := newWorld(t, poll)
		w.put(values...)
		random := rand.New(rand.NewPCG(seed, 1))
		j := w.job(&sums{}, topic.End, gather)
		crashes, dead := 0, errors.New("killed")
		for {
			err := j.Drain(ctx, func() error {
				if seed > 0 && crashes < 25 && random.IntN(3) == 0 {
					crashes++
					return dead
				}
				return nil
			})
			if err == nil {
				break
			}
			if !errors.Is(err, dead) {
				t.Fatal(err)
			}
			if err := j.Crash(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if seed > 0 && crashes == 0 {
			t.Error("nothing crashed")
		}
		var deadLetters []string
		for _, r := range w.records("errors") {
			deadLetters = append(
				deadLetters,
				fmt.Sprintf(
					"%s %q %s[%s]@%s x%s %s",
					header(r, "streamql.code"),
					r.Value,
					header(r, "streamql.topic"),
					header(r, "streamql.partition"),
					header(r, "streamql.offset"),
					header(r, "streamql.count"),
					header(r, "streamql.message"),
				),
			)
		}
		slices.Sort(deadLetters)
		if err := j.Close(ctx); err != nil {
			t.Error(err)
		}
		return w.read("out"), deadLetters
	}
	for _, gather := range []bool{false, true} {
		want, deadLetters := answer(t, 1000, gather, 0)
		if len(want) != 59 || len(deadLetters) != 2 ||
			!strings.Contains(deadLetters[1], `SQ5102 "bad" in[0]@10 x1`) ||
			!strings.Contains(deadLetters[0], `SQ4001 "" [0]@0 x1 unlucky`) {
			t.Fatalf("%d results, deadLetters %q", len(want), deadLetters)
		}
		for _, poll := range []int{1, 3, 7, 1000} {
			for seed := range uint64(4) {
				got, l := answer(t, poll, gather, seed)
				if gather && !slices.Equal(got, want) {
					t.Errorf("poll %d, seed %d: one task gave\n%v, want\n%v", poll, seed, got, want)
				}
				if fmt.Sprint(keyed(got)) != fmt.Sprint(keyed(want)) && gather {
					t.Errorf("poll %d, seed %d: %v, want %v", poll, seed, keyed(got), keyed(want))
				}
				slices.Sort(got)
				sorted := slices.Sorted(slices.Values(want))
				if !slices.Equal(got, sorted) {
					t.Errorf("gather %v, poll %d, seed %d: %v, want %v", gather, poll, seed, got, sorted)
				}
				if !slices.Equal(l, deadLetters) {
					t.Errorf(
						"gather %v, poll %d, seed %d: deadLetters %q, want %q",
						gather,
						poll,
						seed,
						l,
						deadLetters,
					)
				}
			}
		}
	}
}

// elsewhere returns records from one offset after the requested one.
type elsewhere struct {
	topic.Source
}

func (e elsewhere) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	spans = slices.Clone(spans)
	for i := range spans {
		spans[i].From++
	}
	return e.Source.Open(ctx, spans)
}

func TestPositionGuard(t *testing.T) {
	w := newWorld(t, 10)
	w.put(someValues(6)...)
	w.env.Source = func(string) topic.Source { return elsewhere{w.b} }
	j := w.job(&sums{}, topic.End, true)
	defer j.Close(ctx)
	if err := j.Drain(ctx, nil); err == nil ||
		!strings.Contains(err.Error(), "in[0]: the reader is at offset 1, the task at 0") {
		t.Errorf("a reader that left out a record gave %v", err)
	}
	if got := w.read("out"); len(got) != 0 {
		t.Errorf("%v was committed", got)
	}
}

// TestNothingIsCommittedWhileHeld: while an operator holds rows outside its state, nothing is
// committed, including the work of other operators.
func TestNothingIsCommittedWhileHeld(t *testing.T) {
	w := newWorld(t, 1)
	w.put("1", "2", "3", "4")
	hold := true
	s := &sums{hold: &hold}
	j := w.job(s, topic.End, false)
	if err := j.Drain(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.read("out"); len(got) != 0 {
		t.Fatalf("%v was committed", got)
	}
	if err := j.Crash(ctx); err != nil { // everything is processed again
		t.Fatal(err)
	}
	hold = false
	if err := j.Drain(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.read("out")); got != "[a=1 c=3 b=2 a=4]" {
		t.Errorf("got %s", got)
	}
	w.put("10")
	if err := errors.Join(j.Close(ctx), nil); err != nil {
		t.Fatal(err)
	}
	j = w.job(&sums{}, topic.End, false) // a later run continues from the last commit
	defer j.Close(ctx)
	if err := j.Drain(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.read("out"); len(got) != 5 || got[4] != "a=11" {
		t.Errorf("after a restart %v", got)
	}
}

// TestPanic: a panic in an operator fails the job with its stack. The process continues, and
// committed output stays.
func TestPanic(t *testing.T) {

	w := newWorld(t, 2)
	w.put("1", "2", "3", "4", "666", "5")
	j := w.job(&sums{}, 3, false)
	j.Start(ctx)
	err := j.Wait(ctx)
	var bug *PanicError
	if !errors.As(err, &bug) || bug.Value != "the number of the beast" ||
		!bytes.Contains(bug.Stack, []byte("Process")) {
		t.Fatalf("got %v", err)
	}
	if s, _, _ := j.Status(); s != Failed {
		t.Errorf("the job is %s", s)
	}
	if got := fmt.Sprint(w.read("out")); got != "[a=1 c=3]" {
		t.Errorf("committed: %s", got)
	}
}

// TestStopCommits: Stop commits the work of a live job, another job continues from there, and
// no goroutine is left.
func TestStopCommits(t *testing.T) {

	w := newWorld(t, 3)
	w.env.Interval = time.Hour // no commit by the clock
	read := make(chan int64, 100)
	w.env.Read = func(n int64) { read <- n }
	w.put(someValues(10)...)
	run := func(rows int64) {
		j := w.job(&sums{}, topic.End, false)
		j.Start(ctx)
		for rows > 0 {
			select {
			case n := <-read:
				rows -= n
			case <-time.After(10 * time.Second):
				t.Fatal("the rows were not read")
			}
		}
		if s, _, _ := j.Status(); s != Running {
			t.Errorf("the job is %s", s)
		}
		j.Stop()
		if s, _, err := j.Status(); s != Stopped || err != nil {
			t.Errorf("the job is %s, %v", s, err)
		}
	}
	run(10)
	first := w.read("out")
	if len(first) != 10 {
		t.Fatalf("%d results after a stop", len(first))
	}
	w.put("100", "200")
	run(2)
	if got := w.read("out"); len(got) != 12 || !slices.Equal(got[:10], first) {
		t.Errorf("got %v", got)
	}
}

// ending counts its calls to Finish.
type ending struct {
	Node
	times *int
}

func (e *ending) Inputs() []Node                                 { return []Node{e.Node} }
func (e *ending) Rewire(in []Node, _ Move) Node                  { return &ending{in[0], e.times} }
func (e *ending) Open(*Context) (Operator, error)                { return e, nil }
func (e *ending) Process(_ int, in *flow.Batch, emit Emit) error { return emit(in) }
func (e *ending) Finish(emit Emit) error                         { *e.times++; return nil }

// TestEndsOnce: a bounded job that has committed its end, and was stopped before that was
// noted, does not end a second time.
func TestEndsOnce(t *testing.T) {
	w := newWorld(t, 2)
	w.put("1", "2", "3")
	times := 0
	leaf := &numbers{}
	p := topic.Partition{Topic: "in"}
	stage := Stage{
		Root:  &ending{leaf, &times},
		Order: []Node{leaf},
		Spans: map[Node][]topic.Span{leaf: {{Partition: p, To: 2}}},
	}
	j, err := New(ctx, "j", []Stage{stage}, w.env)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(ctx)
	for range 3 {
		if err := j.Drain(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := j.Crash(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if times != 1 {
		t.Errorf("it ended %d times", times)
	}
}

// TestFenced: a worker that is fenced by a newer one commits nothing.
func TestFenced(t *testing.T) {
	w := newWorld(t, 2)
	w.put("1", "2")
	j := w.job(&sums{}, topic.End, false)
	defer j.Close(ctx)
	err := j.Drain(ctx, func() error {
		_, err := w.b.Begin(ctx, "streamql.j")
		return err
	})
	if !errors.Is(err, topic.ErrFenced) {
		t.Errorf("the older worker's commit gave %v", err)
	}
	if got := w.read("out"); len(got) != 0 {
		t.Errorf("%v was committed", got)
	}
}

// TestTransient: a transient query returns its rows to the client, writes nothing, and ends
// when no more rows are needed.
func TestTransient(t *testing.T) {
	w := newWorld(t, 2)
	w.put(someValues(8)...)
	rows, failed := 0, 0
	w.env.Transient = true
	w.env.Store = func(string) (state.Store, error) { return state.Memory(), nil }
	w.env.Rows = func(b *flow.Batch) error { rows += b.Rows(); return nil }
	w.env.Fail = func(_ string, f Failure) { failed++ }
	for _, c := range []struct{ stop, rows int }{{0, 8}, {5, 4}} {
		rows = 0
		j := w.job(&sums{stop: c.stop}, 4, true)
		if !j.Bounded() {
			t.Error("spans that end make a bounded job")
		}
		j.Start(ctx)
		if err := j.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if s, _, _ := j.Status(); s != Done || rows != c.rows {
			t.Errorf("%d rows, %s; want %d", rows, s, c.rows)
		}
	}
	w.put("bad", "1")
	j := w.job(&sums{}, 5, true)
	if err := j.Run(ctx); err != nil || failed != 1 {
		t.Errorf("%d failures were reported, %v", failed, err)
	}
	if out, deadLetters := w.read("out"), w.read("errors"); len(out)+len(deadLetters) != 0 {
		t.Errorf("a query wrote %v %v", out, deadLetters)
	}
}

// TestLetters: failures of one kind become one dead letter with a count, kinds beyond the limit
// count on the last one, and a large record is truncated.
func TestLetters(t *testing.T) {
	w := newWorld(t, 10)
	m, err := w.b.Join(ctx, topic.Group{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	worker := &Worker{job: "j", env: w.env, member: m}
	worker.out.w = worker
	l := &deadLetters{w: worker}
	for i := range 250 {
		l.fail(Failure{Code: "SQ4001", Err: fmt.Errorf("kind %d", i%(maxKinds+20)), Source: "s", Side: "row"})
	}
	big := strings.Repeat("x", MaxLetter+5)
	l.fail(
		Failure{
			Code:      "SQ5102",
			Err:       errors.New("bad"),
			Partition: topic.Partition{Topic: "in", ID: 1},
			Offset:    7,
			Record: &topic.Record{Key: []byte("k"), Value: []byte(big), Time: 42,
				Headers: []topic.Header{{Key: "h", Value: []byte("v")}}},
		},
	)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if got := w.read("errors"); len(got) != 0 {
		t.Error("deadLetters are seen before their transaction is")
	}
	if err := l.w.out.txn.Commit(ctx, nil); err != nil {
		t.Fatal(err)
	}
	total, records := 0, w.records("errors")
	for _, r := range records[:maxKinds] {
		n, _ := strconv.Atoi(header(r, "streamql.count"))
		total += n
	}
	if total != 250 || len(records) != maxKinds+1 {
		t.Errorf("%d failures in %d deadLetters", total, len(records))
	}
	last := records[maxKinds]
	if len(last.Value) != MaxLetter || header(last, "streamql.truncated") != strconv.Itoa(len(big)) ||
		header(last, "h") != "v" ||
		string(last.Key) != "k" ||
		last.Time != 42 ||
		header(last, "streamql.offset") != "7" {
		t.Errorf("the cut letter has %d bytes and headers %v", len(last.Value), last.Headers)
	}
}
