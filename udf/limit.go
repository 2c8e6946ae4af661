package udf

import (
	"errors"
	"fmt"

	"github.com/streamql/streamql/flow"
)

// MaxText bounds the text or bytes that a function makes, in bytes, and MaxList the elements of an ARRAY or MAP: functions multiply, so
// that a few of them over a small record would else exhaust memory.
const (
	MaxText = 16 << 20
	MaxList = 1_000_000
)

// ErrLimit is wrapped by what a function gives for a row whose result is beyond a limit of the engine. Such a row is no row with a bad
// value: a query that ends must not take it for NULL and go on.
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
