package ml

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/lang"
)

var types []Type

// builtin registers a type as the program starts; nothing registers later.
func builtin(t Type) Type {
	types = append(types, t)
	return t
}

// Types are the built-in model types by name.
func Types() []Type {
	out := slices.Clone(types)
	slices.SortFunc(out, func(a, b Type) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Lookup finds a type by name, whatever its case. Unknown: a *OptionError for the option "type"
// with the nearest name.
func Lookup(name string) (Type, error) {
	names := make([]string, 0, len(types))
	for _, t := range Types() {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Type{}, &OptionError{
		Option:  "type",
		Nearest: lang.Suggest(name, names),
		Legal:   names,
		Reason:  fmt.Sprintf("there is no model type %q", name),
	}
}

// Errors that the engine maps to codes. They are wrapped with the cause.
var (
	ErrHash    = errors.New("the model's bytes do not match their checksum")              // SQ6301
	ErrFormat  = errors.New("the model was written by a newer program")                   // SQ6302
	ErrShape   = errors.New("the model's bytes do not have the shape they announce")      // SQ6303
	ErrLoss    = errors.New("the loss is not finite and there is no earlier pass to use") // SQ6203
	ErrNoRows  = errors.New("no usable row to train on")                                  // SQ6201
	ErrCannot  = errors.New("the model's type does not have this function")               // SQ6006
	ErrClasses = errors.New("the value is none of the declared classes")                  // SQ6102
)

// OptionError reports an invalid option, and the reason (SQ6009). Nearest is a legal name
// similar to the given one, or ""; Legal lists all of them, if they are few.
type OptionError struct {
	Option, Nearest, Reason string
	Legal                   []string
}

// Error names the option and the reason.
func (e *OptionError) Error() string {
	s := fmt.Sprintf("option %s: %s", e.Option, e.Reason)
	if e.Nearest != "" {
		s += fmt.Sprintf("; did you mean %s?", e.Nearest)
	}
	return s
}

// LayersError reports an invalid layer of a net (SQ6010). Layer counts from 1; 0 is the whole
// text.
type LayersError struct {
	Layer  int
	Reason string
}

// Error names the layer and the reason.
func (e *LayersError) Error() string {
	if e.Layer == 0 {
		return "layers do not fit: " + e.Reason
	}
	return fmt.Sprintf("layers do not fit: layer %d: %s", e.Layer, e.Reason)
}
