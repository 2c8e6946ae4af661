package flow

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"
)

// TestAccount: the first refusal is permanent, released memory can be taken again, and a nil
// account refuses nothing.
func TestAccount(t *testing.T) {
	a := NewAccount(100)
	if !a.Grow(60) || a.Err() != nil {
		t.Fatal("60 of 100 are refused")
	}
	before := a.Used()
	if !a.Grow(40) {
		t.Fatal("100 of 100 are refused")
	}
	if a.Settle(before, 10); a.Used() != 70 || a.Peak() != 100 {
		t.Errorf("%d are taken, %d at most", a.Used(), a.Peak())
	}
	if a.Fits(31) || !errors.Is(a.Err(), ErrQuota) {
		t.Errorf("101 of 100 fit: %v", a.Err())
	}
	if a.Release(70); a.Grow(1) {
		t.Error("a refusal does not stick")
	}
	a.Watch(context.Background(), 0)
	if !a.Grow(100) || a.Grow(1) || !errors.Is(a.Err(), ErrQuota) {
		t.Errorf("anew: %v", a.Err())
	}
	var none *Account
	if !none.Grow(1<<62) || !none.Fits(1<<62) || !none.Work(1<<62) || none.Err() != nil || none.Used() != 0 {
		t.Error("no account refuses something")
	}
}

// TestAccountLooks: the context is checked every 4,096 steps, and a budget of steps ends.
func TestAccountLooks(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	a := NewAccount(0)
	a.Watch(ctx, 0)
	cancel()
	n := 0
	for a.Work(0) {
		n++
	}
	if n != lookEvery/Step-1 || !errors.Is(a.Err(), ErrStopped) || errors.Is(a.Err(), context.Canceled) {
		t.Errorf("%d steps, %v", n, a.Err())
	}
	a.Watch(ctx, 3)
	for n = 0; a.Work(lookEvery); n++ {
	}
	if n != 3 {
		t.Errorf("with patience for 3 looks there were %d", n)
	}
	b := NewBudget(context.Background(), 0, 1<<20)
	for n = 0; b.Work(0); n++ {
	}
	if n < 1<<20/Step || n > 2<<20/Step || !errors.Is(b.Err(), ErrWork) || b.Steps() < 1<<20 {
		t.Errorf("%d steps, %v", n, b.Err())
	}
}

// TestSizesAddUp: the sizes of the slices of a column add up to the size of the whole, except
// for the rounding of bits.
func TestSizesAddUp(t *testing.T) {
	entry := Entry{"k", int32(1)}
	for _, c := range []arrow.Array{
		Column(Bigint, int64(1), nil, int64(3), int64(4), int64(5)), Column(String, "a", "bcd", nil, "", "héllo"), Column(Bytes, []byte("a"), nil, []byte("xyz"), []byte{}, []byte("b")),
		Column(Array(String), []any{"a", "b"}, nil, []any{}, []any{"cde"}, []any{nil}), Column(Map(String, Int), []Entry{entry, {"l", nil}}, nil, []Entry{}, []Entry{entry}, []Entry{entry}),
		Column(Struct(Field("X", Bigint), Field("Y", String)), []any{int64(1), "a"}, nil, []any{nil, "bcd"}, []any{int64(2), nil}, []any{int64(3), "e"}), Column(Boolean, true, false, nil, true, true),
	} {
		rapid.Check(t, func(t *rapid.T) {
			cut := rapid.IntRange(0, c.Len()).Draw(t, "cut")
			b := NewBatch(NewSchema([]arrow.Field{Field("C", c.DataType())}), []arrow.Array{c}, c.Len(), nil)
			whole, parts := b.Size(), b.Slice(0, cut).Size()+b.Slice(cut, c.Len()).Size()
			if parts > whole || parts < whole-4 {
				t.Fatalf("%s: %d is cut into %d", c.DataType(), whole, parts)
			}
			rows := make([]int32, 2*c.Len())
			for i := range rows {
				rows[i] = int32(i % c.Len())
			}
			if got, want := TakenSize(c, rows), Size(Take(c, rows)); got > want+8 || got < want-16 {
				t.Fatalf("%s: %d is taken for %d", c.DataType(), got, want)
			}
		})
	}
}
