package topic

import (
	"errors"
	"fmt"
)

// Bad is a part of a partition that a reader skipped because it cannot be converted to rows: a
// record or batch that is too large, or a batch that its producer encoded incorrectly. Bytes
// that were damaged later fail the checksum of their batch; they are an error of Poll, never a
// Bad.
type Bad struct {
	From, To Offset // the offsets [From, To)
	Time     int64  // of the batch, ms: the maximum timestamp of its records
	// Size is the size of the record in bytes. For a batch it is the size of the part that was
	// inspected.
	Size int64
	Err  error // wraps ErrOversized or ErrUnreadable
}

// The reasons of a Bad.
var (
	ErrOversized  = errors.New("larger than the limit for reading")
	ErrUnreadable = errors.New("its producer wrote invalid record data")
)

// Error names the offsets, the size and the reason.
func (b Bad) Error() string {
	if b.To == b.From+1 {
		return fmt.Sprintf("offset %d, %d bytes: %s", b.From, b.Size, b.Err)
	}
	return fmt.Sprintf("offsets %d to %d, %d bytes: %s", b.From, b.To-1, b.Size, b.Err)
}

// Unwrap returns the reason.
func (b Bad) Unwrap() error { return b.Err }

// Sound returns an error if the reader of the fetch skipped anything. Readers of StreamQL's own
// topics, which must be complete, check it.
func (f *Fetch) Sound() error {
	if len(f.Bad) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", f.Partition, f.Bad[0])
}

// within returns the part of bad that lies in [from, to). No row lies within a Bad, so no Bad
// is divided.
func within(bad []Bad, from, to Offset) []Bad {
	first := 0
	for first < len(bad) && bad[first].From < from {
		first++
	}
	last := first
	for last < len(bad) && bad[last].From < to {
		last++
	}
	if first == last {
		return nil
	}
	return bad[first:last:last]
}
