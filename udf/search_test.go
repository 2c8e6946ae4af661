package udf

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
)

// TestSearcherFindsWhatFindAllFinds: one match at a time, and read from memory or through a
// reader, the matches are regexp's own.
func TestSearcherFindsWhatFindAllFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ".", `\b`, "^", "$", "(?m)", "(?m:^)", "(?m:$)", `\B`, "x*", "(a|b)", "a+", "(b?)", "|", `\A`, `\z`, "é", "[^a]", "(?s:.)"}), 0, 6).
			Draw(t, "pattern")
		pattern := strings.Join(parts, "")
		re, err := regexp.Compile(pattern)
		if err != nil {
			t.Skip("no pattern")
		}
		text := strings.Join(
			rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", " ", "\n", "é", "\xff", "x"}), 0, 12).Draw(t, "text"),
			"",
		)
		s, err := compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want := re.FindAllStringSubmatchIndex(text, -1)
		for _, size := range []int{s.size, 10 * longSearch} { // the second size makes every search long
			s.size = size
			var got [][]int
			if err := s.all(text, Env{}, func(at []int) error { got = append(got, at); return nil }); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%q in %q: %v, want %v", pattern, text, got, want)
			}
		}
		parsed, _ := split(s, text, Env{})
		if got := parsed.([]any); text != "" && !reflect.DeepEqual(got, anys(re.Split(text, -1))) {
			t.Fatalf("%q splits %q to %q, want %q", pattern, text, got, re.Split(text, -1))
		}
	})
}

// countdown is a context that ends when it has been looked at so often.
type countdown struct {
	context.Context
	looks int
}

func (c *countdown) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// TestSearchesStop: neither a single long search nor many short ones continue after the account
// has refused.
func TestSearchesStop(t *testing.T) {
	for _, c := range []struct{ pattern, text string }{
		{"((a{1,100}){1,10})b", strings.Repeat("a", 100_000)},
		{"(a+b)|a", strings.Repeat("a", 1_000_000)},
		{`(a+b)|\ba|a`, strings.Repeat("a", 300_000)},
	} {
		account := flow.NewAccount(0)
		account.Watch(&countdown{context.Background(), 20}, 0)
		s, err := compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		matches := 0
		err = s.all(c.text, Env{Account: account}, func([]int) error { matches++; return nil })
		if !errors.Is(err, flow.ErrStopped) || matches > 20 {
			t.Errorf("%s: %d matches, %v", c.pattern, matches, err)
		}
	}
}
