package ml

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
)

func mustPrepare(t testing.TB, cols []arrow.Array, items ...Item) *Preparation {
	p, err := NewPreparation(items, typesOf(cols))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFullEncoder: when an encoder has all the levels that it can have, other values share one number and rows are not
// dropped.
func TestFullEncoder(t *testing.T) {
	cols := []arrow.Array{flow.Column(flow.String, "a", "b", "c", "d")}
	p := mustPrepare(t, cols, Item{Name: "w", Step: "ML_LABEL_ENCODER"})
	p.items[0].top = 2
	_, now, ok, err := p.Roll(cols, 4, nil, nil, new(Buffers))
	must(t, err)
	if got := fmt.Sprint(now.Cols[0], ok); got != "[0 1 2 2] [true true true true]" {
		t.Error(got)
	}
}

func TestSteps(t *testing.T) {
	null := any(nil)
	x := flow.Column(flow.Double, 1.0, 3.0, null, 5.0, math.Inf(1))
	n := flow.Column(flow.Int, int32(2), int32(2), int32(2), null, int32(2))
	s := flow.Column(flow.String, "b", "a", "b", null, "c")
	f := flow.Column(flow.Boolean, true, false, true, null, false)
	d := math.Sqrt(8.0 / 3)
	for _, c := range []struct {
		item Item
		col  arrow.Array
		want string // features, rows as returned by Transform; - is not ok
	}{
		{Item{Step: ""}, x, "[x] 1 3 - 5 -"},
		{Item{Step: "ML_STANDARD_SCALER"}, x, fmt.Sprintf("[x] %.4g 0 - %.4g -", -2/d, 2/d)},
		{Item{Step: "ml_standard_scaler"}, n, "[x] 0 0 0 - 0"},
		{Item{Step: "ML_MIN_MAX_SCALER"}, x, "[x] 0 0.5 - 1 -"},
		{Item{Step: "ML_MIN_MAX_SCALER", Args: []any{int64(0), 10.0}}, x, "[x] 0.1 0.3 - 0.5 -"},
		{Item{Step: "ML_MIN_MAX_SCALER", Args: []any{0.0, 10.0, -1.0, 1.0}}, x, "[x] -0.8 -0.4 - 0 -"},
		{Item{Step: "ML_MIN_MAX_SCALER"}, n, "[x] 0 0 0 - 0"},
		{Item{Step: "ML_MAX_ABS_SCALER"}, x, "[x] 0.2 0.6 - 1 -"},
		{Item{Step: "ML_IMPUTER"}, x, "[x] 1 3 3 5 -"},
		{Item{Step: "ML_STANDARD_SCALER", Impute: "mean"}, x, fmt.Sprintf("[x] %.4g 0 0 %.4g -", -2/d, 2/d)},
		{Item{Step: "ML_ONE_HOT_ENCODER"}, s, "[x=b x=a x=c] 1,0,0 0,1,0 1,0,0 - 0,0,1"},
		{Item{Step: "ML_ONE_HOT_ENCODER", Args: []any{int64(1)}}, s, "[x=b] 1 0 1 - 0"},
		{Item{Step: "ML_ONE_HOT_ENCODER"}, f, "[x=true x=false] 1,0 0,1 1,0 - 0,1"},
		{Item{Step: "ML_ONE_HOT_ENCODER"}, n, "[x=2] 1 1 1 - 1"},
		{Item{Step: "ML_IMPUTER"}, s, "[x=b x=a x=c] 1,0,0 0,1,0 1,0,0 1,0,0 0,0,1"},
		{Item{Step: "ML_LABEL_ENCODER"}, s, "[x] 0 1 0 - 2"},
		{Item{Step: "ML_LABEL_ENCODER", Args: []any{[]any{"c", "b"}}}, s, "[x] 1 - 1 - 0"},
		{Item{Step: ""}, f, "[x] 1 0 1 - 0"},
	} {
		c.item.Name = "x"
		cols := []arrow.Array{c.col}
		p := mustPrepare(t, cols, c.item)
		var b Buffers
		if err := p.Fit(cols, 5, nil, nil, &b); err != nil {
			t.Fatal(err)
		}
		p.Freeze()
		data, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := LoadPreparation(data, typesOf(cols))
		if err != nil {
			t.Fatalf("%v: %v", c.item, err)
		}
		for _, p := range []*Preparation{p, loaded, p.Clone()} {
			if got := show(t, p, cols, 5); got != c.want {
				t.Errorf(
					"%s%v of %s: %s, want %s",
					c.item.Step,
					c.item.Args,
					flow.TypeName(c.col.DataType()),
					got,
					c.want,
				)
			}
		}
	}
}

func show(t *testing.T, p *Preparation, cols []arrow.Array, rows int) string {
	var b Buffers
	x, ok, err := p.Transform(cols, rows, &b)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range p.Features() {
		names = append(names, f.Name)
	}
	out := fmt.Sprint(names)
	for r := range rows {
		var parts []string
		for c := range x.Cols {
			parts = append(parts, fmt.Sprintf("%.4g", x.Cols[c][r]+0))
		}
		if !ok[r] {
			parts = []string{"-"}
		}
		out += " " + strings.Join(parts, ",")
	}
	return out
}

func TestStepsRefused(t *testing.T) {
	inputs := []flow.Type{flow.Double, flow.String, flow.Date}
	for _, c := range []struct {
		item Item
		want string
	}{
		{Item{Input: 0, Step: "ML_STANDARD_SCALAR"}, "did you mean ML_STANDARD_SCALER?"},
		{Item{Input: 0, Step: "ML_STANDARD_SCALER", Args: []any{1.0}}, "takes one argument"},
		{Item{Input: 0, Step: "ML_MIN_MAX_SCALER", Args: []any{2.0, 1.0}}, "lo < hi"},
		{Item{Input: 0, Step: "ML_MIN_MAX_SCALER", Args: []any{"a", 1.0}}, "numbers lo and hi"},
		{Item{Input: 1, Step: "ML_STANDARD_SCALER"}, "requires a number, not STRING"},
		{Item{Input: 1, Step: ""}, "requires a number, not STRING"},
		{Item{Input: 2, Step: "ML_ONE_HOT_ENCODER"}, "type DATE cannot be a feature"},
		{Item{Input: 1, Step: "ML_ONE_HOT_ENCODER", Args: []any{int64(0)}}, "from 1 to"},
		{Item{Input: 1, Step: "ML_LABEL_ENCODER", Args: []any{"a"}}, "ARRAY of levels"},
		{Item{Input: 1, Step: "ML_IMPUTER", Args: []any{"mean"}}, "imputes numbers"},
		{Item{Input: 0, Step: "ML_IMPUTER", Args: []any{"mode"}}, "'median' or 'most_frequent'"},
		{Item{Input: 9}, "no input column 9"},
	} {
		_, err := NewPreparation([]Item{c.item}, inputs)
		var option *OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.item, err, c.want)
		}
	}
	p := mustPrepare(t, []arrow.Array{flow.Column(flow.Double, 1.0)}, Item{Name: "x"})
	if _, _, err := p.Transform(nil, 1, new(Buffers)); err == nil {
		t.Error("a missing column is no error")
	}
}

// TestRoll holds rolling preparation, in whatever cuts, against its definition: prepare by the
// state before, learn, prepare again.
func TestRoll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "rows")
		num, word := make([]any, n), make([]any, n)
		for r := range n {
			if rapid.IntRange(0, 6).Draw(rt, "null") > 0 {
				num[r] = rapid.Float64Range(-1e6, 1e6).Draw(rt, "number")
			}
			if rapid.IntRange(0, 6).Draw(rt, "null") > 0 {
				word[r] = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "word")
			}
		}
		cols := []arrow.Array{flow.Column(flow.Double, num...), flow.Column(flow.String, word...)}
		items := []Item{
			{
				Input:  1,
				Name:   "w",
				Step:   "ML_ONE_HOT_ENCODER",
				Args:   []any{int64(3)},
				Impute: rapid.SampledFrom([]string{"", "most_frequent"}).Draw(rt, "impute"),
			},
			{
				Input:  0,
				Name:   "n",
				Step:   "ML_STANDARD_SCALER",
				Impute: rapid.SampledFrom([]string{"", "mean"}).Draw(rt, "impute"),
			},
			{Input: 0, Name: "m", Step: "ML_MIN_MAX_SCALER"},
			{Input: 0, Name: "a", Step: "ML_MAX_ABS_SCALER"},
		}
		run := func(step int) (out []string, state []byte) {
			p := mustPrepare(t, cols, items...)
			var b Buffers
			for from := 0; from < n; from += step {
				to := min(from+step, n)
				old, now, ok, err := p.Roll(slice(cols, from, to), to-from, nil, nil, &b)
				if err != nil {
					rt.Fatal(err)
				}
				for r := range to - from {
					line := fmt.Sprint(ok[r])
					for c := range now.Cols {
						if ok[r] && (now.Cols[c][r] != 0 || old.Cols[c][r] != 0) { // later columns are 0
							line += fmt.Sprint(" ", c, ":", old.Cols[c][r], ",", now.Cols[c][r])
						}
					}
					out = append(out, line)
				}
			}
			state, err := p.MarshalBinary()
			if err != nil {
				rt.Fatal(err)
			}
			return out, state
		}
		want, state := run(1)
		for _, step := range []int{2, 7, n} {
			got, end := run(step)
			if !reflect.DeepEqual(got, want) || string(end) != string(state) {
				rt.Fatalf("in cuts of %d:\n%s\nnot\n%s", step, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

// TestRollStandard pins old and new state by hand: after 2 and 4 the mean is 3 and the deviation 1.
func TestRollStandard(t *testing.T) {
	cols := []arrow.Array{flow.Column(flow.Double, 2.0, 4.0, 6.0)}
	p := mustPrepare(t, cols, Item{Name: "x", Step: "ML_STANDARD_SCALER"})
	old, now, _, err := p.Roll(cols, 3, nil, nil, new(Buffers))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%.4f %.4f", old.Cols[0], now.Cols[0]); got != "[2.0000 2.0000 3.0000] [0.0000 1.0000 1.2247]" {
		t.Error(got)
	}
}

// TestCloneStays: rows that are learned after a clone change only the original; a word that is
// not UTF-8 never becomes a level.
func TestCloneStays(t *testing.T) {
	cols := []arrow.Array{flow.Column(flow.Double, 2.0, 4.0, 6.0), flow.Column(flow.String, "a", "\xff", "b")}
	p := mustPrepare(
		t,
		cols,
		Item{Name: "x", Step: "ML_STANDARD_SCALER"},
		Item{Input: 1, Name: "w", Step: "ML_ONE_HOT_ENCODER"},
	)
	first := slice(cols, 0, 2)
	if _, _, _, err := p.Roll(first, 2, nil, nil, new(Buffers)); err != nil {
		t.Fatal(err)
	}
	c := p.Clone()
	before := show(t, c, cols, 3)
	if _, _, _, err := p.Roll(slice(cols, 2, 3), 1, nil, nil, new(Buffers)); err != nil {
		t.Fatal(err)
	}
	if after := show(t, c, cols, 3); after != before || before != "[x w=a] -1,1 1,0 3,0" {
		t.Errorf("%s, later %s", before, after)
	}
	if got := show(t, p, cols, 3); !strings.HasPrefix(got, "[x w=a w=b]") {
		t.Error(got)
	}
}
