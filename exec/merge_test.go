package exec

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

var timed = flow.NewSchema(
	[]arrow.Field{
		flow.Field("ID", flow.Bigint),
		flow.Field(flow.RowTime, flow.Bigint),
		flow.Field(flow.StreamTime, flow.Bigint),
	},
)

type tuple struct{ id, time int64 }

func batchOf(events ...tuple) *flow.Batch {
	ids, times := make([]int64, len(events)), make([]int64, len(events))
	for i, e := range events {
		ids[i], times[i] = e.id, e.time
	}
	column := func(v []int64) arrow.Array {
		return flow.Fixed(flow.Bigint, v, arrow.Int64Traits.CastToBytes, flow.Valid(len(v)))
	}
	return flow.NewBatch(
		timed,
		[]arrow.Array{column(ids), column(times), column(slices.Clone(times))},
		len(events),
		nil,
	)
}

func ids(b *flow.Batch) []int64 {
	out := make([]int64, b.Rows())
	for i := range out {
		out[i] = flow.Value(b.Column(0), i).(int64)
	}
	return out
}

// order is the specification of merge: repeatedly the earliest of the lanes' first rows, the
// lower lane's on a tie.
func order(lanes [][]tuple) []int64 {
	lanes = slices.Clone(lanes)
	out := []int64{}
	for {
		best := -1
		for i, l := range lanes {
			if len(l) > 0 && (best < 0 || l[0].time < lanes[best][0].time) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, lanes[best][0].id)
		lanes[best] = lanes[best][1:]
	}
}

// TestMergeOrder: rows leave in one order, however the lanes are divided into fetches and in
// whatever order these arrive.
func TestMergeOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := make([][]tuple, rapid.IntRange(1, 4).Draw(t, "lanes"))
		left := make([][]tuple, len(all))
		m := merge{}
		for i := range all {
			for k := range rapid.IntRange(0, 12).Draw(t, "rows") {
				// not sorted: rows come late
				all[i] = append(all[i], tuple{int64(100*i + k), rapid.Int64Range(0, 6).Draw(t, "time")})
			}
			left[i] = all[i]
			m.lanes = append(m.lanes, &lane{part: topic.Partition{Topic: "t", ID: int32(i)}})
		}
		got := []int64{}
		drain := func() {
			for {
				r, ok := m.next(true)
				if !ok {
					return
				}
				got = append(got, ids(r.batch)...)
			}
		}
		for open := len(all); open > 0; {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "lane")
			l := m.lanes[i]
			switch {
			case l.ended:
				continue
			case len(left[i]) == 0:
				l.ended = true
				open--
			default:
				n := rapid.IntRange(1, len(left[i])).Draw(t, "cut")
				l.queue = append(l.queue, batchOf(left[i][:n]...))
				left[i] = left[i][n:]
			}
			if rapid.Bool().Draw(t, "run") {
				drain()
			}
		}
		drain()
		if want := order(all); !slices.Equal(got, want) {
			t.Fatalf("lanes %v go as %v, want %v", all, got, want)
		}
		if m.held() {
			t.Fatal("rows are held though every lane has ended")
		}
	})
}

func TestMergeWaits(t *testing.T) {
	p := func(id int32) topic.Partition { return topic.Partition{Topic: "t", ID: id} }
	a, b := &lane{part: p(0)}, &lane{part: p(1)}
	m := merge{lanes: []*lane{a, b}}
	a.queue = append(a.queue, batchOf(tuple{1, 5}, tuple{2, 9}))
	if _, ok := m.next(true); ok {
		t.Fatal("a row went while another lane had not shown its next")
	}
	if !m.held() || m.wants(p(0)) || !m.wants(p(1)) {
		t.Error("the lane that is empty is the one to read")
	}
	b.queue = append(b.queue, batchOf(tuple{3, 5}, tuple{4, 7}))
	for _, want := range [][]int64{{1}, {3, 4}} {
		if r, ok := m.next(true); !ok || !slices.Equal(ids(r.batch), want) {
			t.Fatalf("want %v, got %v", want, r)
		}
	}
	if _, ok := m.next(true); ok {
		t.Error("row 2 has to wait for lane 1")
	}
	if r, ok := m.next(false); !ok || !slices.Equal(ids(r.batch), []int64{2}) {
		t.Error("a live input does not wait")
	}
	if m.held() {
		t.Error("nothing is left")
	}
	b.ended = true
	a.queue = append(a.queue, batchOf(tuple{5, 1}))
	if r, ok := m.next(true); !ok || r.lane != a {
		t.Error("a lane that has ended holds nothing back")
	}
	if m.lane(0, p(1)) != b || m.lane(1, p(1)) != nil {
		t.Error("a lane is found by its input and partition")
	}
}

// TestClock: stream time is the running maximum row by row, and its last sealed value survives.
func TestClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state.Memory()
		c, err := openClock(s)
		if err != nil || c.now != noTime {
			t.Fatal(err, c.now)
		}
		now := int64(noTime)
		for k := range rapid.IntRange(1, 5).Draw(t, "batches") {
			var events []tuple
			for i := range rapid.IntRange(1, 5).Draw(t, "rows") {
				events = append(events, tuple{int64(10*k + i), rapid.Int64Range(-5, 50).Draw(t, "time")})
			}
			in := batchOf(events...)
			out := c.stamp(in)
			for i, e := range events {
				now = max(now, e.time)
				if got := flow.Value(out.Column(2), i); got != now {
					t.Fatalf("stream time of row %d is %v, want %d", i, got, now)
				}
				if flow.Value(in.Column(2), i) != e.time || out.Times()[i] != e.time {
					t.Fatal("the batch that came in was changed, or event time was")
				}
			}
			if rapid.Bool().Draw(t, "seal") {
				if err := c.seal(); err != nil {
					t.Fatal(err)
				}
				again, err := openClock(s)
				if err != nil || int64(again.now) != now {
					t.Fatalf("the clock came back at %d, want %d (%v)", again.now, now, err)
				}
			}
		}
	})
	c, _ := openClock(state.Memory())
	plain := flow.NewSchema([]arrow.Field{flow.Field(flow.RowTime, flow.Bigint)})
	c.stamp(flow.NewBatch(plain, []arrow.Array{flow.Column(flow.Bigint, int64(3), int64(2))}, 2, nil))
	if c.now != 3 {
		t.Errorf("without a column for it, stream time is %d", c.now)
	}
	timeless := flow.NewSchema([]arrow.Field{flow.Field("a", flow.Int)})
	if b := flow.NewBatch(timeless, []arrow.Array{flow.Repeat(flow.Int, int32(1), 1)}, 1, nil); c.stamp(b) != b ||
		c.now != 3 {
		t.Error("rows without a time move the clock")
	}
}

// steps records the calls that a pipeline makes to its operators.
type steps struct {
	name string
	in   []Node
	log  *[]string
	held bool
}

func (s *steps) Schema() *flow.Schema     { return timed }
func (s *steps) Inputs() []Node           { return s.in }
func (s *steps) Rewire([]Node, Move) Node { return s }
func (s *steps) String() string           { return s.name }
func (s *steps) Open(*Context) (Operator, error) {
	*s.log = append(*s.log, "open "+s.name)
	return s, nil
}
func (s *steps) note(what string) error { *s.log = append(*s.log, what+" "+s.name); return nil }
func (s *steps) Process(port int, in *flow.Batch, emit Emit) error {
	_ = s.note(fmt.Sprintf("process %d", port))
	return emit(in)
}
func (s *steps) Advance(now flow.Time, emit Emit) error {
	return s.note(fmt.Sprintf("advance %d", now))
}
func (s *steps) Finish(emit Emit) error { _ = s.note("finish"); return emit(batchOf(tuple{1, 1})) }
func (s *steps) Seal() error            { return s.note("seal") }
func (s *steps) Holds() bool            { return s.held }
func (s *steps) Decode(*topic.Fetch) (*flow.Batch, error) {
	return batchOf(tuple{1, 1}), nil
}

// TestPipeline: inputs are notified before the operators that read them, and empty batches are
// not passed on.
func TestPipeline(t *testing.T) {
	var log []string
	leaf := &steps{name: "leaf", log: &log}
	other := &steps{name: "other", log: &log}
	root := &steps{name: "root", in: []Node{leaf, other}, log: &log}
	rows := 0
	p, err := Wire(root, &Context{State: state.Memory()}, func(b *flow.Batch) error { rows += b.Rows(); return nil })
	if err != nil || len(p.leaves) != 2 {
		t.Fatal(err, p)
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(log, want) {
			t.Errorf("got %q, want %q", log, want)
		}
		log = nil
	}
	expect("open root", "open leaf", "open other")
	_ = p.leaves[1].push(batchOf(tuple{1, 1}, tuple{2, 2}))
	_ = p.leaves[0].push(batchOf())
	expect("process 0 other", "process 1 root", "process 0 leaf")
	_ = p.Advance(7)
	expect("advance 7 leaf", "advance 7 other", "advance 7 root")
	_ = p.Finish()
	expect("finish leaf", "process 0 root", "finish other", "process 1 root", "finish root")
	_ = p.Seal()
	expect("seal leaf", "seal other", "seal root")
	if rows != 5 {
		t.Errorf("%d rows came out, want 5", rows)
	}
	if other.held = true; !p.Holds() {
		t.Error("one operator that holds rows makes the pipeline hold")
	}
}
