package op

import (
	gocontext "context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf"
)

// opened opens a node with an account.
func opened(t interface{ Fatalf(string, ...any) }, n exec.Node, a *flow.Account) exec.Operator {
	ctx := context(t, nil, nil)
	ctx.Account = a
	ctx.State.(state.Counted).Count(a)
	out, err := n.Open(ctx)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

// numbered is a stream of a key that many rows share and the row's number.
var numbered = given{flow.NewSchema([]arrow.Field{flow.Field("K", flow.String), flow.Field("N", flow.Bigint)})}

// ordered runs a sort over batches and returns the rows as text.
func ordered(t interface{ Fatalf(string, ...any) }, s *Sort, a *flow.Account, batches []*flow.Batch) string {
	op := opened(t, s, a)
	for _, b := range batches {
		if err := op.Process(0, b, nil); err != nil {
			t.Fatalf("%v", err)
		}
	}
	var out strings.Builder
	err := op.(exec.Finisher).Finish(func(b *flow.Batch) error { out.WriteString(b.Text()); return nil })
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out.String()
}

// TestFirstOfSort checks that the first n rows are those of the full sort, including ties, however
// the input is cut into batches.
func TestFirstOfSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom([]any{"a", "b", "", "ab", "zz", nil}), 0, 60).Draw(t, "keys")
		first := rapid.IntRange(1, 70).Draw(t, "first")
		var batches []*flow.Batch
		for at := 0; at < len(keys); {
			n := min(rapid.IntRange(1, 30).Draw(t, "rows"), len(keys)-at)
			var numbers []any
			for i := range n {
				numbers = append(numbers, int64(at+i))
			}
			batches = append(batches, flow.NewBatch(numbered.s,
				[]arrow.Array{flow.Column(flow.String, keys[at:at+n]...), flow.Column(flow.Bigint, numbers...)}, n,
				nil))
			at += n
		}
		by := []SortKey{{Expr: &expr.Column{Index: 0, Name: "K", T: flow.String}, Desc: rapid.Bool().Draw(t, "desc")}}
		all := ordered(t, &Sort{Input: numbered, Keys: by}, nil, batches)
		want := all
		if lines := strings.SplitAfter(all, "\n"); len(lines) > first {
			want = strings.Join(lines[:first], "")
		}
		if got := ordered(t, &Sort{Input: numbered, Keys: by, First: int64(first)}, nil, batches); got != want {
			t.Fatalf("first %d of\n%sare\n%s", first, all, got)
		}
	})
}

// TestFirstOfSortIsFlat checks that the memory for the first rows of a sort does not depend on the
// number of rows, even in the worst order.
func TestFirstOfSortIsFlat(t *testing.T) {
	peak := func(rows int) int64 {
		account := flow.NewAccount(0)
		s := &Sort{Input: numbered, First: 10, Keys: []SortKey{{Expr: &expr.Column{Index: 1, Name: "N", T: flow.Bigint},
			Desc: true}}}
		op := opened(t, s, account)
		text := strings.Repeat("x", 1000)
		for at := 0; at < rows; at += 1000 {
			n := make([]int64, 1000)
			for i := range n {
				n[i] = int64(at + i)
			}
			b := flow.NewBatch(numbered.s, []arrow.Array{flow.Repeat(flow.String, text, len(n)), bigints(n)}, len(n),
				nil)
			if err := op.Process(0, b, nil); err != nil {
				t.Fatal(err)
			}
		}
		err := op.(exec.Finisher).Finish(func(b *flow.Batch) error {
			if got := b.Column(1).(*array.Int64).Value(0); b.Rows() != 10 || got != int64(rows-1) {
				t.Errorf("%d rows, the first is %d", b.Rows(), got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return account.Peak()
	}
	for _, rows := range []int{10_000, 200_000} {
		if got := peak(rows); got > 2*cutBytes {
			t.Errorf("%d bytes were taken for %d rows", got, rows)
		}
	}
}

// TestSortKeepsToItsQuota checks that a sort without a limit fails with the quota's error.
func TestSortKeepsToItsQuota(t *testing.T) {
	op := opened(t, &Sort{Input: numbered, Keys: []SortKey{{Expr: &expr.Column{Index: 1, Name: "N", T: flow.Bigint}}}},
		flow.NewAccount(1<<20))
	b := flow.NewBatch(numbered.s, []arrow.Array{flow.Repeat(flow.String, strings.Repeat("x", 100), 4096),
		flow.Repeat(flow.Bigint, int64(1), 4096)}, 4096, nil)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = op.Process(0, b, nil)
	}
	if !errors.Is(err, flow.ErrQuota) || n > 3 {
		t.Errorf("after %d batches: %v", n, err)
	}
}

// countdown is a context that ends after a number of checks.
type countdown struct {
	gocontext.Context
	looks int
}

func (c *countdown) Err() error {
	if c.looks--; c.looks < 0 {
		return gocontext.Canceled
	}
	return nil
}

// explosion explodes a list of n numbers for each row of an input.
func explosion(t testing.TB, in *flow.Schema, n int) *Explode {
	f, _ := udf.Builtins().Table("EXPLODE")
	list := make([]any, n)
	for i := range list {
		list[i] = int64(i)
	}
	_, result, fn, err := f.Bind([]flow.Type{flow.Array(flow.Bigint)})
	if err != nil {
		t.Fatal(err)
	}
	out := flow.NewSchema(append(append([]arrow.Field(nil), in.Fields()...), flow.Field(fmt.Sprintf("E%d", n), result)))
	return &Explode{Input: given{in}, Out: out, Calls: []Explosion{{Name: "EXPLODE", Func: fn, Type: result,
		Args: []expr.Expr{expr.Lit(flow.Array(flow.Bigint), list)}}}}
}

// TestExplodeStreams checks that rows are emitted in batches, hold little memory, and end a few
// batches after the context has ended.
func TestExplodeStreams(t *testing.T) {
	const n = 10_000
	in := flow.NewSchema([]arrow.Field{flow.Field("X", flow.Bigint)})
	outer := explosion(t, in, n)
	inner := explosion(t, outer.Out, n)
	account := flow.NewAccount(64 << 20)
	account.Watch(&countdown{gocontext.Background(), 1000}, 0)
	first, second := opened(t, outer, account), opened(t, inner, account)
	rows, largest := 0, 0
	count := func(b *flow.Batch) error {
		rows, largest = rows+b.Rows(), max(largest, b.Rows())
		return nil
	}
	one := flow.NewBatch(in, []arrow.Array{flow.Column(flow.Bigint, int64(1))}, 1, nil)
	err := first.Process(0, one, func(b *flow.Batch) error { return second.Process(0, b, count) })
	if !errors.Is(err, flow.ErrStopped) {
		t.Errorf("ended with %v", err)
	}
	if rows < n || rows > 1001*pieceRows || largest > pieceRows {
		t.Errorf("%d rows, at most %d at a time", rows, largest)
	}
	if account.Peak() > 4<<20 {
		t.Errorf("%d bytes were taken", account.Peak())
	}
}

// TestExplodeKeepsOrder checks that the rows do not depend on the batches, and that shorter columns
// are padded.
func TestExplodeKeepsOrder(t *testing.T) {
	in := flow.NewSchema([]arrow.Field{flow.Field("X", flow.Bigint)})
	e := explosion(t, in, 9000)
	short := explosion(t, in, 5000)
	e.Calls = append(e.Calls, short.Calls[0])
	e.Out = flow.NewSchema(append(append([]arrow.Field(nil), e.Out.Fields()...), short.Out.Field(1)))
	op := opened(t, e, flow.NewAccount(0))
	at := 0
	err := op.Process(0, flow.NewBatch(in, []arrow.Array{flow.Column(flow.Bigint, int64(7), int64(8))}, 2, nil),
		func(b *flow.Batch) error {
			for i := range b.Rows() {
				x, long, brief := flow.Value(b.Column(0), i), flow.Value(b.Column(1), i), flow.Value(b.Column(2), i)
				k := at % 9000
				want := any(int64(k))
				if k >= 5000 {
					want = nil
				}
				if x != int64(7+at/9000) || long != int64(k) || brief != want {
					t.Fatalf("row %d is %v, %v, %v", at, x, long, brief)
				}
				at++
			}
			return nil
		})
	if err != nil || at != 18000 {
		t.Errorf("%d rows, %v", at, err)
	}
}
