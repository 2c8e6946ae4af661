// Package option declares the options of a connector or a format: a name, a type, a default, a sentence of
// documentation and the values that are legal. Everything that reads, completes or documents options reads the same
// declarations.
package option

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type is the type of an option's value.
type Type int

// The types, with the Go type that Parse returns.
const (
	Text     Type = iota // string, as written
	Word                 // string: one of Option.Words, in lower case
	Int                  // int64
	Uint                 // uint64
	Float                // float64, finite
	Bool                 // bool
	Duration             // time.Duration: '30 SECONDS', '100ms' or a number of ms; -1 is for ever where Min is negative
	Time                 // time.Time, in UTC: ISO 8601
	Char                 // byte: one ASCII character other than the quote, or SPACE or TAB
)

// String is the type's name in SHOW and DESCRIBE.
func (t Type) String() string {
	return [...]string{"STRING", "WORD", "BIGINT", "BIGINT UNSIGNED", "DOUBLE", "BOOLEAN", "DURATION", "TIMESTAMP",
		"CHARACTER"}[t]
}

// Option is one option.
type Option struct {
	Name    string // in lower case
	Type    Type
	Default string // as a statement would write it; "": none, the option's value is then the zero of its type
	Doc     string // one sentence without a capital about the effect of the option
	Words   []string
	// Min and Max bound an Int, a Uint or a Float, and a Duration in milliseconds; both zero: any value.
	Min, Max float64
	Needed   bool   // required
	Also     string // another name of the same option; "": it has none
	// Check refuses values that the type admits (optional). value is as Parse returns it; the error continues "option x ".
	Check func(value any) error
}

// Error says which option is wrong and why. Its text is a sentence that names the option.
type Error struct {
	Option string   // as the statement names it
	Value  bool     // its value is wrong; false: the option is unknown, is missing or does not belong there
	Given  string   // of a wrong value: as the statement has it
	Names  []string // of an unknown option: the names that are known; of a wrong Word: the words
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

// Wrong returns the text that is not one of Names.
func (e *Error) Wrong() string {
	if e.Value {
		return e.Given
	}
	return e.Option
}

// Legal describes the legal values, e.g. "a whole number from 1 to 100".
func (o *Option) Legal() string {
	kind := [...]string{"a text", "", "a whole number", "a whole number", "a number", "true or false",
		"a length of time such as '30 SECONDS'",
		"a time such as '2026-01-31T12:00:00'", "one ASCII character other than the quote, SPACE or TAB"}[o.Type]
	if o.Type == Word {
		return listed(o.Words)
	}
	low, high := "", ""
	show := func(v float64) string {
		if o.Type == Duration {
			return fmt.Sprintf("%v", time.Duration(v)*time.Millisecond)
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	switch {
	case o.Min == 0 && o.Max == 0:
		return kind
	case o.Type == Duration && o.Min < 0:
		return kind + ", or -1 for ever"
	case o.Min != 0 || o.Type != Uint:
		low = " from " + show(o.Min)
	}
	if o.Max != 0 && !math.IsInf(o.Max, 1) {
		high = " to " + show(o.Max)
	}
	return kind + low + high
}

// listed writes 'a', 'b' or 'c'.
func listed(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// Parse reads a value. The error is an *Error that says which values are legal.
func (o *Option) Parse(text string) (any, error) {
	v, ok := o.parse(strings.TrimSpace(text), text)
	if !ok || !o.within(v) {
		return nil, &Error{Option: o.Name, Value: true, Given: text, Names: o.Words,
			Reason: fmt.Sprintf("option %s is %s, not %q", o.Name, o.Legal(), text)}
	}
	if o.Check != nil {
		if err := o.Check(v); err != nil {
			return nil, &Error{Option: o.Name, Value: true, Given: text, Reason: fmt.Sprintf("option %s %v", o.Name, err)}
		}
	}
	return v, nil
}

func (o *Option) parse(text, whole string) (any, bool) {
	switch o.Type {
	case Word:
		v := strings.ToLower(text)
		return v, slices.Contains(o.Words, v)
	case Int:
		v, err := strconv.ParseInt(text, 10, 64)
		return v, err == nil
	case Uint:
		v, err := strconv.ParseUint(text, 10, 64)
		return v, err == nil
	case Float:
		v, err := strconv.ParseFloat(text, 64)
		return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
	case Bool:
		v, err := strconv.ParseBool(text)
		return v, err == nil
	case Duration:
		ms, ok := Millis(text)
		if ok && (ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond)) {
			return nil, false
		}
		return time.Duration(ms) * time.Millisecond, ok
	case Time:
		ms, err := ParseTime(text)
		return time.UnixMilli(ms).UTC(), err == nil
	case Char:
		return char(whole)
	}
	return whole, true
}

func char(text string) (byte, bool) {
	switch {
	case strings.EqualFold(text, "SPACE"):
		return ' ', true
	case strings.EqualFold(text, "TAB"):
		return '\t', true
	case len(text) != 1 || text[0] >= 0x80 || text == `"` || strings.TrimSpace(text) == "":
		return 0, false
	}
	return text[0], true
}

func (o *Option) within(v any) bool {
	if o.Min == 0 && o.Max == 0 {
		return true
	}
	x := 0.0
	switch v := v.(type) {
	case int64:
		x = float64(v)
	case uint64:
		x = float64(v)
	case float64:
		x = v
	case time.Duration:
		if x = float64(v.Milliseconds()); o.Min < 0 && x < 0 {
			return x == -1
		}
	default:
		return true
	}
	return x >= o.Min && (o.Max == 0 || x <= o.Max)
}
