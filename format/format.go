// Package format turns record bytes into columns and rows back into record bytes: one Format per serialization
// format, declared once with its documentation, options and examples, and opened as a Codec.
package format

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/topic"
)

// Spec says what a codec reads and writes.
type Spec struct {
	Name      string            // the format's name, in any case
	Fields    []arrow.Field     // the columns of the record, in declared order
	Unwrapped bool              // the one field is the whole record instead of a member of it: wrap_single_value=false, or a key of one column
	Options   map[string]string // as written, by lower-case name, e.g. "delimiter"
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
