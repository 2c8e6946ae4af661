package option

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Find finds an option by one of its names, which is in lower case.
func Find(declared []Option, name string) (*Option, bool) {
	for i := range declared {
		if declared[i].Name == name || declared[i].Also == name && name != "" {
			return &declared[i], true
		}
	}
	return nil, false
}

// Names are the names of options, in order and each once.
func Names(declared []Option) []string {
	var out []string
	for _, o := range declared {
		out = append(out, o.Name)
		if o.Also != "" {
			out = append(out, o.Also)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Unknown is the error of an option that is not declared.
func Unknown(name string, declared []Option) *Error {
	return &Error{Option: name, Names: Names(declared), Reason: fmt.Sprintf("there is no option %s", name)}
}

// Values are the values of declared options. The zero Values has none.
type Values struct {
	values map[string]any
	given  map[string]string // as the statement wrote them
}

// Read reads the values of the declared options from texts by lower-case name, and fills in the defaults. It ignores
// names that are not declared; Strict refuses them. The error is an *Error.
func Read(declared []Option, texts map[string]string) (Values, error) {
	v := Values{values: map[string]any{}, given: map[string]string{}}
	for i := range declared {
		o := &declared[i]
		text, given := texts[o.Name]
		if other, also := texts[o.Also]; also && o.Also != "" {
			if given {
				return v, &Error{Option: o.Also, Reason: fmt.Sprintf("options %s and %s are the same: remove one", o.Name, o.Also)}
			}
			text, given = other, true
		}
		switch {
		case given:
			v.given[o.Name] = text
		case o.Needed:
			return v, &Error{Option: o.Name, Reason: fmt.Sprintf("option %s is needed: %s", o.Name, o.Doc)}
		case o.Default == "":
			continue
		default:
			text = o.Default
		}
		x, err := o.Parse(text)
		if err != nil {
			return v, err
		}
		v.values[o.Name] = x
	}
	return v, nil
}

// Strict is Read of texts that belong to the declared options alone: any other name is an error.
func Strict(declared []Option, texts map[string]string) (Values, error) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := Find(declared, strings.ToLower(name)); !ok {
			return Values{}, Unknown(name, declared)
		}
	}
	lower := make(map[string]string, len(texts))
	for name, text := range texts {
		lower[strings.ToLower(name)] = text
	}
	return Read(declared, lower)
}

// Given reports whether the statement sets an option.
func (v Values) Given(name string) bool { _, ok := v.given[name]; return ok }

// Written returns the text of an option in the statement; false if the statement does not set it.
func (v Values) Written(name string) (string, bool) { text, ok := v.given[name]; return text, ok }

func value[T any](v Values, name string) T {
	x, ok := v.values[name]
	if !ok {
		var zero T
		return zero
	}
	return x.(T) // another type than the declared one is a mistake of the program
}

// Text is the value of a Text or Word; "" without one.
func (v Values) Text(name string) string { return value[string](v, name) }

// Int is the value of an Int.
func (v Values) Int(name string) int64 { return value[int64](v, name) }

// Uint is the value of a Uint.
func (v Values) Uint(name string) uint64 { return value[uint64](v, name) }

// Float is the value of a Float.
func (v Values) Float(name string) float64 { return value[float64](v, name) }

// Bool is the value of a Bool.
func (v Values) Bool(name string) bool { return value[bool](v, name) }

// Duration is the value of a Duration.
func (v Values) Duration(name string) time.Duration { return value[time.Duration](v, name) }

// Time is the value of a Time; the zero time without one.
func (v Values) Time(name string) time.Time { return value[time.Time](v, name) }

// Char is the value of a Char; 0 without one.
func (v Values) Char(name string) byte { return value[byte](v, name) }
