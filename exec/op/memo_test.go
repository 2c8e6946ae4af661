package op

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// However the input is cut, a retraction has the value of its insertion, although another value is
// computed for it. The state contains the values of the present rows and no others.
func TestMemo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		op, err := (&Memo{Input: events, Key: []int{0}, Columns: []int{1}}).Open(context(rt, nil, nil))
		if err != nil {
			rt.Fatal(err)
		}
		list, want := drawChanges(rt)
		var got []string
		cuts(rt, op, list, func(b *flow.Batch) error {
			got = append(got, lines(b)...)
			return nil
		})
		if !slices.Equal(got, want) {
			rt.Fatalf("got\n%q\nwant\n%q", got, want)
		}
		present := 0
		for _, e := range op.(*memo).kept.Scan(nil, nil) {
			if e != nil {
				rt.Fatal(e)
			}
			present++
		}
		alive := map[any]bool{}
		for _, e := range list {
			if alive[e.k] = !e.op.Gone(); !alive[e.k] {
				delete(alive, e.k)
			}
		}
		if present != len(alive) {
			rt.Fatalf("%d rows are kept, %d are there", present, len(alive))
		}
	})
}

// drawChanges draws updates of a few keys, with a different value in each row, and returns the
// expected output as text.
func drawChanges(t *rapid.T) (list []event, want []string) {
	has := map[any]int64{}
	line := func(op string, k any, v, at int64) { want = append(want, fmt.Sprint(op, " ", k, " ", v, " ", at)) }
	for i := range rapid.IntRange(0, 40).Draw(t, "n") {
		k, v, at := rapid.SampledFrom([]any{"a", "b", "c"}).Draw(t, "k"), int64(10*i), int64(i)
		gone := rapid.Bool().Draw(t, "gone")
		if old, ok := has[k]; ok {
			weight, sign := flow.Before, "b"
			if gone {
				weight, sign = flow.Retract, "-"
			}
			list = append(list, event{k: k, v: v + 1, t: at, op: weight})
			line(sign, k, old, at)
			delete(has, k)
		}
		if gone {
			continue
		}
		has[k] = v
		list = append(list, event{k: k, v: v, t: at, op: flow.Insert})
		line("+", k, v, at)
	}
	return list, want
}

// TestMemoOfWindows checks that rows of a window that can no longer change are deleted. The first
// column of the key is the window's end.
func TestMemoOfWindows(t *testing.T) {
	node := &Memo{Input: events, Key: []int{1, 0}, Columns: []int{2}, Window: true, Lasts: 5}
	op, err := node.Open(context(t, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	kept := func() (n int) {
		for _, err := range op.(*memo).kept.Scan(nil, nil) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	clock := int64(0)
	for _, step := range []struct {
		end, at int64
		want    int
	}{{10, 1, 1}, {20, 2, 2}, {20, 14, 2}, {30, 15, 2}, {40, 24, 3}, {50, 60, 0}} {
		emit := func(*flow.Batch) error { return nil }
		if err := op.Process(0, batch([]event{{k: "k", v: step.end, t: step.at}}, &clock), emit); err != nil {
			t.Fatal(err)
		}
		if err := op.(exec.Timed).Advance(flow.Time(clock), emit); err != nil {
			t.Fatal(err)
		}
		if n := kept(); n != step.want {
			t.Errorf("at %d %d rows are kept, want %d", clock, n, step.want)
		}
	}
}

// A retraction whose insertion is not stored, as in the state of a version without Memo, has the
// value that is computed for it.
func TestMemoUnknown(t *testing.T) {
	op, err := (&Memo{Input: events, Key: []int{0}, Columns: []int{1}}).Open(context(t, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	clock := int64(0)
	err = op.Process(0, batch([]event{{k: "a", v: 7, t: 1, op: flow.Retract}}, &clock), func(b *flow.Batch) error {
		if got := lines(b); !slices.Equal(got, []string{"- a 7 1"}) {
			t.Errorf("got %q", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkMemo stores a value of each row and retracts every second row.
func BenchmarkMemo(b *testing.B) {
	const rows, keys = 4096, 1000
	k, v, ops := make([]int64, rows), make([]int64, rows), make([]flow.Op, rows)
	for i := range rows {
		k[i], v[i], ops[i] = int64(i/2%keys), int64(i), flow.Before
		if i%2 == 1 {
			ops[i] = flow.Insert
		}
	}
	s := flow.NewSchema([]arrow.Field{flow.Field("K", flow.Bigint), flow.Field("V", flow.Bigint)})
	in := flow.NewBatch(s, []arrow.Array{bigints(k), bigints(v)}, rows, ops)
	op, err := (&Memo{Input: given{s}, Key: []int{0}, Columns: []int{1}}).Open(context(b, nil, nil))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := op.Process(0, in, func(*flow.Batch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
