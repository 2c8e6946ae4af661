package expr

import (
	"context"
	"strings"
	"testing"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// called returns a call of a built-in function over literals.
func called(t *testing.T, name string, args ...Expr) Expr {
	t.Helper()
	f, ok := udf.Builtins().Scalar(name)
	if !ok {
		t.Fatalf("no function %s", name)
	}
	types := make([]flow.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	sig, err := f.Bind(types)
	if err != nil {
		t.Fatal(err)
	}
	return &Call{Name: name, Args: args, Sig: sig}
}

// TestFoldHasABudget: a constant that needs too much memory or too many steps, or that fails,
// is not folded; nor is anything after the statement's budget is used up.
func TestFoldHasABudget(t *testing.T) {
	text, number := func(s string) Expr { return Lit(flow.String, s) }, func(n int32) Expr { return Lit(flow.Int, n) }
	for _, c := range []struct {
		name   string
		e      Expr
		folded bool
	}{
		{"small", called(t, "LPAD", text("x"), number(1000), text("x")), true},
		{"too large", called(t, "LPAD", text("x"), number(2<<20), text("x")), false},
		{"too long a list", called(t, "GENERATE_SERIES", number(1), number(500_000)), false},
		{"too slow", called(t, "REGEXP_REPLACE", text(strings.Repeat("a", 100_000)), text("((a{1,100}){1,10})b"), text("x")), false},
		{"beyond a limit", called(t, "LPAD", text("x"), number(17<<20), text("x")), false},
	} {
		out := Fold(c.e)
		if _, literal := out.(*Literal); literal != c.folded {
			t.Errorf("%s: folded to a literal: %v", c.name, literal)
		}
	}
	f := NewFolder(context.Background())
	n := 0
	for range 1000 {
		if _, literal := f.Fold(called(t, "LPAD", text("x"), number(500_000), text("x"))).(*Literal); literal {
			n++
		}
	}
	if n == 0 || n > foldStatement/500_000+1 {
		t.Errorf("a statement has %d constants of 500,000 bytes", n)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, literal := NewFolder(ended).Fold(called(t, "LPAD", text("x"), number(500_000), text("x"))).(*Literal); literal {
		t.Error("folding goes on after the context's end")
	}
}

// TestManyEntries: of equal keys the last value counts, at the position of the first, in maps
// of few entries and of many.
func TestManyEntries(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		var parts []any
		for i := range n {
			parts = append(parts, int32(i%(n/2)), int64(i))
		}
		out := entries(append(parts, nil, int64(1)), udf.Env{})
		if len(out) != n/2 || out[1].Key != int32(1) || out[1].Value != int64(n/2+1) {
			t.Errorf("%d pairs give %d entries, the second %v", n, len(out), out[1])
		}
	}
}
