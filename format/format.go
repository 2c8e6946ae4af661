// Package format decodes records into columns and encodes rows into records. Each serialization format is one Format,
// which declares its documentation, options and examples. Opening a Format returns a Codec.
package format

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/topic"
)

// Spec describes the records that a codec reads and writes.
type Spec struct {
	Name   string        // the format's name, in any case
	Fields []arrow.Field // the columns of the record, in declared order
	// Unwrapped says that the only field is the whole record and not a member of it. It is set for
	// wrap_single_value=false and for a key with one column.
	Unwrapped bool
	Options   map[string]string // the values as written, by lower-case name such as "delimiter"
}

// Bad is a row that could not be decoded. Reason is the message in its dead letter.
type Bad struct {
	Row    int
	Reason error
}

// Codec decodes and encodes the records of one Spec. It has two methods because both use the same Spec and options. A
// codec keeps buffers and the layout of earlier records between calls, so only one goroutine may use it at a time.
// Results never depend on earlier calls.
type Codec interface {
	// Decode returns one column for each index in want, with one value for each record of in. want has indexes into
	// Spec.Fields, each at most once. A row that cannot be decoded is NULL in all columns and appears in bad, in row
	// order. A null record is NULL in all columns, too, but is not bad. Whether a row is bad does not depend on want.
	// err reports a failure that no single row caused.
	Decode(in *topic.Bytes, want []int) (cols []arrow.Array, bad []Bad, err error)
	// Encode appends the record for one row to dst. cols has all fields in the order of Spec.Fields. If the record is
	// null, the result is nil, even if dst is not empty. The record is null for an Unwrapped NULL, for NULL in the
	// formats KAFKA and RAW, and always in format NONE.
	Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error)
}
