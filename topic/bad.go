package topic

import (
	"errors"
	"fmt"
)

// Bad is a part of a partition that its reader passed over because no row can be made of it: a record or a batch that is too large, or a
// batch that its producer wrote wrongly. Bytes that were damaged later do not stand the checksum of their batch; those are an error of
// Poll, never a Bad.
type Bad struct {
	From, To Offset // the offsets [From, To)
	Time     int64  // of the batch, ms: the newest of its records
	// Size is in bytes: the record's own for a record, else what its batch holds as far as that was looked at.
	Size int64
	Err  error // wraps ErrOversized or ErrUnreadable
}

// What can be wrong with a Bad.
var (
	ErrOversized  = errors.New("larger than can be read")
	ErrUnreadable = errors.New("its producer wrote bytes that are no records")
)

// Error names place, size and reason.
func (b Bad) Error() string {
	if b.To == b.From+1 {
		return fmt.Sprintf("offset %d, %d bytes: %s", b.From, b.Size, b.Err)
	}
	return fmt.Sprintf("offsets %d to %d, %d bytes: %s", b.From, b.To-1, b.Size, b.Err)
}

func (b Bad) Unwrap() error { return b.Err }

// Sound is an error if the fetch has passed over anything. Who reads what StreamQL itself has written goes on only over whole data.
func (f *Fetch) Sound() error {
	if len(f.Bad) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", f.Partition, f.Bad[0])
}

// within is the part of bad that lies in [from, to). No row lies within a Bad, so none is cut.
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
