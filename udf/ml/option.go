package ml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/streamql/streamql/lang"
)

// Kind is the form of an option's value.
type Kind uint8

// The kinds. A Text option with Legal accepts one of those words.
const (
	Float Kind = iota
	Int
	Bool
	Text
	List // of anything
)

// Option declares one option of WITH. Default nil: unset unless specified. Min and Max bound
// numbers inclusively (both 0: no bounds); Above excludes Min itself. Parse, if set, receives
// the value whatever its kind and returns it in final form.
type Option struct {
	Name, Doc string
	Kind      Kind
	Default   any
	Min, Max  float64
	Above     bool
	Legal     []string
	Parse     func(any) (any, error)
}

// Options are checked values with defaults: string, int64, float64, bool or []any by lower-case
// name.
type Options struct{ values map[string]any }

// Has reports whether the option has a value.
func (o Options) Has(name string) bool { _, ok := o.values[name]; return ok }

// Value is the option's value, nil if it has none.
func (o Options) Value(name string) any { return o.values[name] }

// Float is a Float or Int option's value, 0 if it has none.
func (o Options) Float(name string) float64 {
	switch v := o.values[name].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return 0
}

// Int is an Int option's value, 0 if it has none.
func (o Options) Int(name string) int { v, _ := o.values[name].(int64); return int(v) }

// Text is a Text option's value, "" if it has none.
func (o Options) Text(name string) string { v, _ := o.values[name].(string); return v }

// Bool is a Bool option's value, false if it has none.
func (o Options) Bool(name string) bool { v, _ := o.values[name].(bool); return v }

// List is a List option's value.
func (o Options) List(name string) []any { v, _ := o.values[name].([]any); return v }

// Names are the options that have a value, sorted.
func (o Options) Names() []string {
	names := make([]string, 0, len(o.values))
	for name := range o.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// MarshalJSON writes the options as an object with sorted keys. Whole floats keep a point, so
// that they are read back as floats.
func (o Options) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.Names() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", name)
		if f, ok := o.values[name].(float64); ok {
			s := strconv.FormatFloat(f, 'g', -1, 64)
			if !strings.ContainsAny(s, ".e") {
				s += ".0"
			}
			b.WriteString(s)
			continue
		}
		v, err := json.Marshal(o.values[name])
		if err != nil {
			return nil, err
		}
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON decodes the result of MarshalJSON.
func (o *Options) UnmarshalJSON(data []byte) error {
	var raw map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return err
	}
	o.values = make(map[string]any, len(raw))
	for name, v := range raw {
		o.values[name] = fromJSON(v)
	}
	return nil
}

func fromJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = fromJSON(v[i])
		}
	}
	return v
}

// Common are the options of every type.
var Common = []Option{
	{Name: "seed", Kind: Int, Default: int64(1), Min: 0, Max: math.MaxInt64, Doc: "start of all random draws"},
	{Name: "rng", Kind: Text, Default: "pcg", Legal: []string{"pcg"}, Doc: "random number generator"},
	{Name: "classes", Kind: List, Doc: "the target's values in order; otherwise as first seen"},
	{
		Name:  "positive",
		Parse: parsePositive,
		Doc: "the class that precision, recall, f1 and auc are of; otherwise true, the larger of two numbers, or the " +
			"second value seen",
	},
	{
		Name:    "prepare",
		Kind:    Text,
		Default: "auto",
		Legal:   []string{"auto", "none"},
		Doc:     "scale numbers and encode strings that no ML_ function made",
	},
	{
		Name:    "on_null",
		Kind:    Text,
		Default: "skip",
		Legal:   []string{"skip", "impute", "error"},
		Doc:     "what training does with a row that has a missing feature",
	},
	{
		Name:    "on_absent",
		Kind:    Text,
		Default: "wait",
		Legal:   []string{"wait", "null"},
		Doc:     "what prediction does before the first version",
	},
	{
		Name:    "on_retract",
		Kind:    Text,
		Default: "error",
		Legal:   []string{"error", "ignore"},
		Doc:     "what training does with a retraction it cannot unlearn",
	},
	{
		Name:    "max_rows",
		Kind:    Int,
		Default: int64(1_000_000),
		Min:     1,
		Max:     100_000_000,
		Doc:     "rows kept by types that pass over them more than once",
	},
	{Name: "keep_versions", Default: int64(100), Parse: parseKeep, Doc: "versions that stay readable, or 'all'"},
	{
		Name:    "store",
		Kind:    Text,
		Default: "versions",
		Legal:   []string{"versions", "compacted"},
		Doc:     "keep each version, or the newest only",
	},
	{
		Name:    "threshold",
		Default: "quantile:0.995",
		Parse:   parseThreshold,
		Doc:     "score above which a row is an anomaly: 'quantile:q', a number or 'none'",
	},
	{Name: "pin", Kind: Bool, Doc: "keep the archived rows that REPRODUCE needs"},
	{Name: "shards", Kind: Int, Default: int64(1), Min: 1, Max: 1, Doc: "parts the work is split into"},
}

// Accept checks the options in WITH against those of the type and the common ones, and adds
// defaults. Names may have any case; "type" is ignored. The error is a *OptionError.
func (t Type) Accept(given map[string]any) (Options, error) {
	legal := append(slices.Clone(t.Options), Common...)
	o := Options{values: make(map[string]any, len(legal))}
	for _, option := range legal {
		if _, own := o.values[option.Name]; !own && option.Default != nil {
			o.values[option.Name] = option.Default
		}
	}
	written := make([]string, 0, len(given))
	for name := range given {
		written = append(written, name)
	}
	slices.Sort(written)
	for _, name := range written {
		low := strings.ToLower(name)
		if low == "type" {
			continue
		}
		i := slices.IndexFunc(legal, func(o Option) bool { return o.Name == low })
		if i < 0 {
			names := make([]string, len(legal))
			for i, option := range legal {
				names[i] = option.Name
			}
			return Options{}, &OptionError{
				Option:  name,
				Nearest: lang.Suggest(low, names),
				Reason:  "type " + t.Name + " has no such option",
			}
		}
		v, err := legal[i].accept(given[name])
		if err != nil {
			return Options{}, err
		}
		o.values[low] = v
	}
	return o, o.positive(t)
}

// positive checks the option of that name against the type and the declared classes.
func (o Options) positive(t Type) error {
	known := func(c any) bool { return fmt.Sprint(c) == o.Text("positive") }
	switch {
	case !o.Has("positive"):
	case t.Task != Classify:
		return &OptionError{Option: "positive", Reason: "type " + t.Name + " does not predict classes"}
	case o.Has("classes") && !slices.ContainsFunc(o.List("classes"), known):
		return &OptionError{Option: "positive", Reason: o.Text("positive") + " is none of the classes"}
	}
	return nil
}

func (o Option) accept(v any) (any, error) {
	refuse := func(format string, args ...any) (any, error) {
		return nil, &OptionError{Option: o.Name, Reason: fmt.Sprintf(format, args...)}
	}
	v = plain(v)
	if o.Parse != nil {
		out, err := o.Parse(v)
		if err != nil {
			return refuse("%v", err)
		}
		return out, nil
	}
	switch o.Kind {
	case Bool:
		if _, ok := v.(bool); !ok {
			return refuse("must be true or false, not %s", literal(v))
		}
	case List:
		if _, ok := v.([]any); !ok {
			return refuse("must be an ARRAY, not %s", literal(v))
		}
	case Text:
		s, ok := v.(string)
		if !ok {
			return refuse("must be a string, not %s", literal(v))
		}
		if o.Legal == nil {
			return s, nil
		}
		for _, legal := range o.Legal {
			if strings.EqualFold(s, legal) {
				return legal, nil
			}
		}
		return nil, &OptionError{Option: o.Name, Nearest: lang.Suggest(s, o.Legal),
			Reason: fmt.Sprintf("must be one of '%s', not %s", strings.Join(o.Legal, "', '"), literal(v))}
	case Int:
		i, ok := v.(int64)
		if f, isFloat := v.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			i, ok = int64(f), true
		}
		if !ok {
			return refuse("must be a whole number, not %s", literal(v))
		}
		if !o.within(float64(i)) {
			return refuse("%d is out of range: %s", i, o.bounds())
		}
		return i, nil
	case Float:
		f, ok := v.(float64)
		if i, isInt := v.(int64); isInt {
			f, ok = float64(i), true
		}
		if !ok {
			return refuse("must be a number, not %s", literal(v))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) || !o.within(f) {
			return refuse("%v is out of range: %s", f, o.bounds())
		}
		return f, nil
	}
	return v, nil
}

// plain converts the forms of a literal to those of Options.
func plain(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return float64(v)
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out
	}
	return v
}

func literal(v any) string {
	if s, ok := v.(string); ok {
		return "'" + s + "'"
	}
	return fmt.Sprint(v)
}

func (o Option) within(f float64) bool {
	if o.Min == 0 && o.Max == 0 {
		return true
	}
	return f >= o.Min && f <= o.Max && !(o.Above && f == o.Min)
}

func (o Option) bounds() string {
	above := ""
	if o.Above {
		above = "more than "
	}
	return fmt.Sprintf("%s%v to %v", above, o.Min, o.Max)
}
