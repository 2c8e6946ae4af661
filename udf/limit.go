package udf

import (
	"errors"
	"fmt"

	"github.com/streamql/streamql/flow"
)

// MaxText limits the text or bytes in a function's result, in bytes, and MaxList the elements
// of an ARRAY or MAP. Results can grow by factors, so that a few functions over a small record
// could exhaust memory.
const (
	MaxText = 16 << 20
	MaxList = 1_000_000
)

// ErrLimit is wrapped by the error of a row whose result exceeds a limit of the engine. Such a
// row does not merely have an invalid value: a query that ends must fail instead of returning
// NULL for it.
var ErrLimit = errors.New("a limit of the engine")

// limitError is an error that is ErrLimit without saying so.
type limitError struct{ text string }

func (e *limitError) Error() string   { return e.text }
func (e *limitError) Is(t error) bool { return t == ErrLimit }

func limit(format string, args ...any) error { return &limitError{fmt.Sprintf(format, args...)} }

var (
	errLong = limit("the result is longer than %d bytes", MaxText)
	errMany = limit("the result has more than %d elements", MaxList)
)

// fits reports a value beyond the limits.
func fits(v any) error {
	switch v := v.(type) {
	case string:
		if len(v) > MaxText {
			return errLong
		}
	case []byte:
		if len(v) > MaxText {
			return errLong
		}
	case []any:
		if len(v) > MaxList {
			return errMany
		}
	case []flow.Entry:
		if len(v) > MaxList {
			return errMany
		}
	}
	return nil
}
