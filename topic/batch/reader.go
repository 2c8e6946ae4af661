package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/streamql/streamql/topic"
)

// ErrReaderClosed is returned by Reader.Poll after Close.
var ErrReaderClosed = errors.New("the reader is closed")

// Check returns an error if a span is not 0 <= From <= To, or if a partition occurs twice.
func Check(spans []topic.Span) error {
	seen := map[topic.Partition]bool{}
	for _, s := range spans {
		if s.From < 0 || s.To < s.From || seen[s.Partition] {
			return fmt.Errorf("%s: invalid offsets %d to %d: 0 <= from <= to is required, and each partition only once",
				s.Partition, s.From, s.To)
		}
		seen[s.Partition] = true
	}
	return nil
}

// Cursor is a reader's position in one partition, with the decoded rows that have not been returned yet. A broker's
// cursor embeds it and thereby becomes a Filler.
type Cursor struct {
	Span  topic.Span
	At    topic.Offset // next offset to return
	chunk topic.Fetch  // decoded rows
	row   int          // index of the next row in chunk
	ahead bool         // chunk has rows, or a hole to report
}

// Hold stores decoded rows, or a hole, from At on until Take has returned them.
func (c *Cursor) Hold(f topic.Fetch) {
	f.Partition, f.From = c.Span.Partition, c.At
	c.chunk, c.row, c.ahead = f, 0, true
}

// Ahead reports whether there is something for Take to return.
func (c *Cursor) Ahead() bool { return c.ahead }

// Take returns up to n of the rows that Hold stored (0: all of them) and moves At past them.
func (c *Cursor) Take(n int) topic.Fetch {
	to := c.chunk.Rows()
	if n > 0 {
		to = min(c.row+n, to)
	}
	f := c.chunk.Slice(c.row, to)
	if c.row = to; to == c.chunk.Rows() {
		c.chunk, c.row, c.ahead = topic.Fetch{}, 0, false
	}
	c.At = f.Next
	return f
}

func (c *Cursor) cursor() *Cursor { return c }

// Only types that embed Cursor have this method, so only they are Fillers.
var _ interface{ cursor() *Cursor } = (*Cursor)(nil)

// Filler is a broker's cursor, which embeds Cursor.
type Filler interface {
	// Fill calls Hold with the next rows if nothing is ahead and rows have arrived. more is false if the span is
	// exhausted.
	Fill() (more bool, err error)
	cursor() *Cursor
}

// Signals end the wait of a Reader when no row has arrived.
type Signals struct {
	Changed <-chan struct{} // there may be rows
	Gone    <-chan struct{} // the broker is closed; nil if Changed reports that, too
	Idle    error           // if not nil, Poll returns it instead of waiting
}

// Reader implements topic.Reader over the cursors of a broker. One goroutine polls, and any goroutine may close it.
type Reader struct {
	cursors []Filler
	rows    int
	look    func() (Signals, error)
	end     func()
	once    sync.Once
	closed  chan struct{}
}

// NewReader returns a reader over one cursor per span, whose fetches have at most the given number of rows. look is
// called before each look at the cursors, so that Changed misses no later change; it returns an error if the broker is
// closed. The first Close calls end.
func NewReader(cursors []Filler, rows int, look func() (Signals, error), end func()) *Reader {
	return &Reader{cursors: cursors, rows: rows, look: look, end: end, closed: make(chan struct{})}
}

// Poll implements topic.Reader.
func (r *Reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-r.closed:
			return nil, ErrReaderClosed
		default:
		}
		on, err := r.look()
		if err != nil {
			return nil, err
		}
		out, open, err := r.fill()
		switch {
		case len(out) > 0:
			return out, nil // the next call returns an error
		case err != nil:
			return nil, err
		case !open:
			return nil, io.EOF
		case on.Idle != nil:
			return nil, on.Idle
		}
		select {
		case <-on.Changed:
		case <-on.Gone:
		case <-ctx.Done():
		case <-r.closed:
		}
	}
}

// fill returns the next rows of each cursor, up to the first error. open is false if all spans are exhausted.
func (r *Reader) fill() (out []topic.Fetch, open bool, err error) {
	for _, f := range r.cursors {
		more, err := f.Fill()
		if err != nil {
			return out, open, err
		}
		open = open || more
		if c := f.cursor(); c.Ahead() {
			out = append(out, c.Take(r.rows))
		}
	}
	return out, open, nil
}

// Close implements topic.Reader. A waiting Poll returns.
func (r *Reader) Close() error {
	r.once.Do(func() {
		close(r.closed)
		r.end()
	})
	return nil
}
