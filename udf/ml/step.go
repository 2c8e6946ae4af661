package ml

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/streamql/streamql/lang"
)

// StepType declares a preparation step: an ML_ function of TRANSFORM.
type StepType struct {
	Name, Doc string
	Nominal   bool   // accepts words as well as numbers, and makes levels of them
	Args      string // the arguments after x, as the manual writes them
	check     func(args []any) error
	number    func(args []any) scaler // the step of a number; nil for encoders
}

var stepTypes []StepType

func step(s StepType) StepType {
	stepTypes = append(stepTypes, s)
	return s
}

// Steps are the built-in preparation steps by name.
func Steps() []StepType {
	out := slices.Clone(stepTypes)
	slices.SortFunc(out, func(a, b StepType) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// LookupStep returns a step by name, ignoring case; "" is the unchanged number. Unknown: a
// *OptionError with the nearest name.
func LookupStep(name string) (StepType, error) {
	var names []string
	for _, s := range Steps() {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return StepType{}, &OptionError{
		Option:  "transform",
		Nearest: lang.Suggest(name, names),
		Legal:   names,
		Reason:  fmt.Sprintf("there is no preparation %q", name),
	}
}

// scaler is a step from a number to a number. use selects the rows that are learned (nil: all).
type scaler interface {
	// fit learns rows and returns how many updates were left out because the state would not
	// have been finite.
	fit(x []float64, use []bool, w []float64) int64
	// apply transforms; out may be x.
	apply(x, out []float64)
	// roll transforms each row by the state before it, learns it, and transforms it again. It
	// returns as fit.
	roll(x []float64, use []bool, w []float64, old, now []float64) int64
	// line returns the map that apply computes.
	line() Line
	state() []float64
	restore([]float64) error
}

func noArgs(args []any) error {
	if len(args) > 0 {
		return fmt.Errorf("takes one argument, the column")
	}
	return nil
}

var _ = step(
	StepType{Name: "", Doc: "the number as it is", check: noArgs, number: func([]any) scaler { return asIs{} }},
)

// asIs leaves the number alone.
type asIs struct{}

func (asIs) fit([]float64, []bool, []float64) int64 { return 0 }
func (asIs) apply(x, out []float64)                 { copy(out, x) }
func (asIs) state() []float64                       { return nil }
func (asIs) restore([]float64) error                { return nil }
func (asIs) roll(x []float64, _ []bool, _ []float64, old, now []float64) int64 {
	copy(old, x)
	copy(now, x)
	return 0
}

var _ = step(StepType{Name: "ML_STANDARD_SCALER", check: noArgs, number: func([]any) scaler { return new(standard) },
	Doc: "the number less its mean, in standard deviations (of the population; a deviation of 0 divides by 1)"})

// standard stores the mean and the sum of squared deviations (Welford 1962; West 1979 for
// weights).
type standard struct{ n, mean, m2 float64 }

func (s *standard) deviation() float64 {
	if v := s.m2 / s.n; v > 0 {
		return math.Sqrt(v)
	}
	return 1
}

func (s *standard) learn(x, w float64) bool {
	n := s.n + w
	d := x - s.mean
	mean := s.mean + float64(d*float64(w*(1/n)))
	m2 := s.m2 + float64(float64(w*d)*(x-mean))
	if m2-m2 != 0 || mean-mean != 0 || n-n != 0 {
		return false
	}
	s.n, s.mean, s.m2 = n, mean, m2
	return true
}

func (s *standard) fit(x []float64, use []bool, w []float64) (undone int64) {
	for r, v := range x {
		if weight := at(w, r); (use == nil || use[r]) && weight > 0 && !s.learn(v, weight) {
			undone++
		}
	}
	return undone
}

func (s *standard) apply(x, out []float64) {
	mean, d := s.mean, s.deviation()
	for r, v := range x {
		out[r] = (v - mean) / d
	}
}

func (s *standard) roll(x []float64, use []bool, w []float64, old, now []float64) (undone int64) {
	t, d := *s, s.deviation() // a copy on the stack stays in registers
	old, now = old[:len(x)], now[:len(x)]
	for r, v := range x {
		old[r] = (v - t.mean) / d
		if weight := at(w, r); (use == nil || use[r]) && weight > 0 {
			if t.learn(v, weight) {
				d = t.deviation()
			} else {
				undone++
			}
		}
		now[r] = (v - t.mean) / d
	}
	*s = t
	return undone
}

func (s *standard) state() []float64 { return []float64{s.n, s.mean, s.m2} }

func (s *standard) restore(v []float64) error {
	if len(v) != 3 || finite("scaler", v...) != nil || v[0] < 0 || v[2] < 0 {
		return fmt.Errorf("%w: state of ML_STANDARD_SCALER", ErrShape)
	}
	s.n, s.mean, s.m2 = v[0], v[1], v[2]
	return nil
}

var _ = step(StepType{Name: "ML_MIN_MAX_SCALER", Args: "[, lo, hi [, a, b]]", check: checkMinMax, number: newMinMax,
	Doc: "a + (x - lo)/(hi - lo)*(b - a), never clipped; lo and hi are the smallest and largest seen unless " +
		"given, a and b 0 and 1"})

type minMax struct {
	lo, hi, a, b float64
	given        bool
	seen         float64
}

func floats(args []any) ([]float64, bool) {
	out := make([]float64, len(args))
	for i, v := range args {
		switch v := plain(v).(type) {
		case int64:
			out[i] = float64(v)
		case float64:
			out[i] = v
		default:
			return nil, false
		}
		if out[i]-out[i] != 0 {
			return nil, false
		}
	}
	return out, true
}

func checkMinMax(args []any) error {
	v, ok := floats(args)
	switch {
	case !ok || len(v) != 0 && len(v) != 2 && len(v) != 4:
		return fmt.Errorf("takes the column, optionally followed by the numbers lo and hi, and then by a and b")
	case len(v) >= 2 && !(v[0] < v[1]):
		return fmt.Errorf("requires lo < hi, not %v and %v", v[0], v[1])
	}
	return nil
}

func newMinMax(args []any) scaler {
	v, _ := floats(args)
	s := &minMax{b: 1}
	if len(v) >= 2 {
		s.lo, s.hi, s.given = v[0], v[1], true
	}
	if len(v) == 4 {
		s.a, s.b = v[2], v[3]
	}
	return s
}

func (s *minMax) learn(v float64) {
	if s.seen == 0 {
		s.lo, s.hi, s.seen = v, v, 1
	}
	if v < s.lo {
		s.lo = v
	}
	if v > s.hi {
		s.hi = v
	}
}

func (s *minMax) fit(x []float64, use []bool, w []float64) int64 {
	if s.given {
		return 0
	}
	for r, v := range x {
		if (use == nil || use[r]) && at(w, r) > 0 {
			s.learn(v)
		}
	}
	return 0
}

func (s *minMax) one(v float64) float64 {
	width := s.hi - s.lo
	if width == 0 {
		width = 1
	}
	return s.a + float64((v-s.lo)/width*(s.b-s.a))
}

func (s *minMax) apply(x, out []float64) {
	for r, v := range x {
		out[r] = s.one(v)
	}
}

func (s *minMax) roll(x []float64, use []bool, w []float64, old, now []float64) int64 {
	for r, v := range x {
		old[r] = s.one(v)
		if !s.given && (use == nil || use[r]) && at(w, r) > 0 {
			s.learn(v)
		}
		now[r] = s.one(v)
	}
	return 0
}

func (s *minMax) state() []float64 { return []float64{s.lo, s.hi, s.seen} }

func (s *minMax) restore(v []float64) error {
	if len(v) != 3 || finite("scaler", v...) != nil || v[0] > v[1] {
		return fmt.Errorf("%w: state of ML_MIN_MAX_SCALER", ErrShape)
	}
	s.lo, s.hi, s.seen = v[0], v[1], v[2]
	return nil
}

var _ = step(StepType{Name: "ML_MAX_ABS_SCALER", check: noArgs, number: func([]any) scaler { return new(maxAbs) },
	Doc: "the number over the largest absolute value seen (0 divides by 1)"})

type maxAbs struct{ top float64 }

func (s *maxAbs) one(v float64) float64 {
	if s.top == 0 {
		return v
	}
	return v / s.top
}

func (s *maxAbs) fit(x []float64, use []bool, w []float64) int64 {
	for r, v := range x {
		if (use == nil || use[r]) && at(w, r) > 0 {
			s.top = max(s.top, math.Abs(v))
		}
	}
	return 0
}

func (s *maxAbs) apply(x, out []float64) {
	for r, v := range x {
		out[r] = s.one(v)
	}
}

func (s *maxAbs) roll(x []float64, use []bool, w []float64, old, now []float64) int64 {
	for r, v := range x {
		old[r] = s.one(v)
		if (use == nil || use[r]) && at(w, r) > 0 {
			s.top = max(s.top, math.Abs(v))
		}
		now[r] = s.one(v)
	}
	return 0
}

func (s *maxAbs) state() []float64 { return []float64{s.top} }

func (s *maxAbs) restore(v []float64) error {
	if len(v) != 1 || finite("scaler", v...) != nil || v[0] < 0 {
		return fmt.Errorf("%w: state of ML_MAX_ABS_SCALER", ErrShape)
	}
	s.top = v[0]
	return nil
}

var _ = step(
	StepType{
		Name:    "ML_IMPUTER",
		Args:    "[, 'mean'|'median'|'most_frequent']",
		Nominal: true,
		check:   checkImputer,
		number:  func([]any) scaler { return asIs{} },
		Doc: "the value, or where it is missing the mean (of numbers), the median or the most frequent value (of " +
			"words) seen in training; it may be the argument of another preparation",
	},
)

func checkImputer(args []any) error {
	if len(args) == 0 {
		return nil
	}
	if s, ok := args[0].(string); ok && len(args) == 1 && newFiller(s) != nil {
		return nil
	}
	return fmt.Errorf("takes the column and optionally 'mean', 'median' or 'most_frequent'")
}

var _ = step(StepType{Name: "ML_ONE_HOT_ENCODER", Args: "[, top_k]", Nominal: true, check: checkTop,
	Doc: "a feature of 0 and 1 for each of the top_k (100) values, in the order of first occurrence; all are 0 " +
		"for a value never seen in training"})

func checkTop(args []any) error {
	if len(args) == 0 {
		return nil
	}
	if n, ok := plain(args[0]).(int64); ok && len(args) == 1 && n >= 1 && n <= maxClasses {
		return nil
	}
	return fmt.Errorf("takes the column and optionally a number of values from 1 to %d", maxClasses)
}

var _ = step(StepType{Name: "ML_LABEL_ENCODER", Args: "[, levels]", Nominal: true, check: checkLevels,
	Doc: "the number of the value among the declared levels, or as first seen; a value never seen in training is " +
		"missing"})

func checkLevels(args []any) error {
	if len(args) == 0 {
		return nil
	}
	if list, ok := plain(args[0]).([]any); ok && len(args) == 1 && len(list) > 0 {
		return nil
	}
	return fmt.Errorf("takes the column and optionally an ARRAY of levels")
}
