// Package format turns record bytes into columns and rows back into record bytes: one Codec per serialization format.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// Spec says what a codec reads and writes.
type Spec struct {
	Name      string            // the format's name, in any case
	Fields    []arrow.Field     // the columns of the record, in declared order
	Unwrapped bool              // the one field is the whole record instead of a member of it: wrap_single_value=false, or a key of one column
	Options   map[string]string // by lower-case name, e.g. "delimiter"
}

// Bad is a row that could not be decoded, and why, as a sentence for its dead letter.
type Bad struct {
	Row    int
	Reason error
}

// Codec translates the records of one Spec. It keeps buffers and what it has learned of its topic between calls, so one goroutine
// uses it at a time; answers never depend on what came before.
type Codec interface {
	// Decode makes one column for each index in want (an index into Spec.Fields, each at most once), as long as in. A row that
	// cannot be decoded is null in all columns and is listed in bad, in row order; a null record gives nulls and is not bad.
	// Whether a row is bad does not depend on want, except that the values of columns nobody asked for are not converted.
	// err is for what no row is to blame for.
	Decode(in *topic.Bytes, want []int) (cols []arrow.Array, bad []Bad, err error)
	// Encode appends the record made of one row of cols (all fields, in the order of Spec.Fields) to dst. The result is nil, whatever
	// dst held, when the record as a whole is null: a NULL that is Unwrapped, NULL in format KAFKA, anything in format NONE.
	Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error)
}

// ErrUnsupported is wrapped by New when a format is known but cannot do what the Spec asks.
var ErrUnsupported = errors.New("not supported")

// New makes the codec of a Spec. Errors: an unknown name (with the nearest known one), a type or an option that the format does
// not have.
func New(s Spec) (Codec, error) {
	name := strings.ToUpper(strings.TrimSpace(s.Name))
	if open, ok := formats[name]; ok {
		if s.Unwrapped && len(s.Fields) != 1 {
			return nil, fmt.Errorf("format %s: a record without a wrapper needs exactly one column, %d are given", name, len(s.Fields))
		}
		codec, err := open(s)
		if err != nil {
			return nil, fmt.Errorf("format %s: %w", name, err)
		}
		return codec, nil
	}
	if slices.Contains(planned, name) {
		return nil, fmt.Errorf("format %s is %w yet; supported are %s", name, ErrUnsupported, strings.Join(Names(), ", "))
	}
	if near := lang.Suggest(name, append(Names(), planned...)); near != "" {
		return nil, fmt.Errorf("unknown format %q; did you mean %s?", s.Name, near)
	}
	return nil, fmt.Errorf("unknown format %q; known are %s", s.Name, strings.Join(Names(), ", "))
}

// Names lists the formats that New can make, in alphabetical order.
func Names() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// formats is filled by the builtin lines of the files beside this one and does not change after start.
var formats = map[string]func(Spec) (Codec, error){}

// planned are the names that ksqlDB's users know and New refuses by name rather than as a typing error.
var planned = []string{"AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR", "DEBEZIUM-JSON", "PARQUET"}

func builtin(name string, open func(Spec) (Codec, error)) bool {
	formats[name] = open
	return true
}
