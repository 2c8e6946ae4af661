package batch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/streamql/streamql/topic"
)

// large reads a batch that is too large to be decompressed at once. It decodes records one by
// one from a stream, and skips those that are too large or outside the window. Records are
// appended to f and data until the limit of a walk is reached. more: the batch is not finished,
// and the next walk starts it again, at its first unread offset.
func (w *walk) large(h *Header, body []byte) (more bool, err error) {
	if w.Gate != nil {
		w.Gate.Lock()
		defer w.Gate.Unlock()
	}
	in, err := inflate(body, h.Codec(), w.held)
	if err != nil {
		return false, w.rest(h, h.Base, 0, err)
	}
	defer in.Close()
	s := &stream{r: bufio.NewReaderSize(&bounded{in, w.batch}, 64<<10)}
	next := h.Base
	for range h.Count {
		r, err := s.head()
		if err == nil && (r.delta < int64(next-h.Base) || r.delta > int64(h.LastDelta)) {
			err = errOrder
		}
		if err != nil {
			return false, w.rest(h, next, s.n, err)
		}
		at := h.Base + topic.Offset(r.delta)
		switch {
		case at >= w.To:
			return false, nil
		case at >= w.From && r.size > w.record:
			w.bad(
				h,
				at,
				at+1,
				int64(r.size),
				fmt.Errorf("%w: the record has %d bytes, the limit is %d", topic.ErrOversized, r.size, w.record),
			)
			next = at + 1
			fallthrough
		case at < w.From:
			err = s.pass(r.size - r.head)
		case len(w.data) > 0 && len(w.data)+r.size > w.held:
			w.f.Next = at
			return true, nil
		default:
			err = w.keep(h, s, &r)
		}
		if err != nil {
			return false, w.rest(h, next, s.n, err)
		}
		next = at + 1
	}
	return false, nil
}

// keep appends one record.
func (w *walk) keep(h *Header, s *stream, r *recordHead) error {
	from, rows := len(w.data), len(w.f.Offsets)
	w.data = append(w.data, r.bytes...)
	body := len(w.data)
	w.data = append(w.data, make([]byte, r.size-r.head)...)
	err := s.fill(w.data[body:])
	if err == nil {
		one := *h
		one.Count = 1
		err = records(w.f, w.data, from, len(w.data), &one, &w.Window)
	}
	if err != nil {
		w.data = w.data[:from]
		w.cut(rows)
	}
	return err
}

// stream is the decompressed records of a batch.
type stream struct {
	r *bufio.Reader
	n int64 // bytes read
}

// recordHead is the part of a record before its key; bytes is its encoding, including the
// length.
type recordHead struct {
	size, head int // sizes of the record and of its head, both without the length field
	delta      int64
	bytes      []byte // valid until the next read of the stream
}

// head decodes a record up to its offset.
func (s *stream) head() (r recordHead, err error) {
	const most = 3*binary.MaxVarintLen64 + 1 // length, attributes, timestamp, offset
	b, err := s.r.Peek(most)
	if len(b) == 0 {
		return r, err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return r, err
	}
	size, i := varint(b, 0)
	if i < 0 || size < minRecord-1 || size > 1<<40 {
		return r, errRecord
	}
	start := i
	if _, i = varint(b, i+1); i < 0 {
		return r, errRecord
	}
	if r.delta, i = varint(b, i); i < 0 || int64(i-start) > size {
		return r, errRecord
	}
	r.size, r.head, r.bytes = int(size), i-start, b[:i]
	return r, s.advance(i)
}

// advance consumes bytes that have been peeked.
func (s *stream) advance(n int) error {
	s.n += int64(n)
	_, err := s.r.Discard(n)
	return err
}

func (s *stream) pass(n int) error {
	done, err := s.r.Discard(n)
	s.n += int64(done)
	return err
}

func (s *stream) fill(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.n += int64(n)
	return err
}

// bounded is a stream that ends with errTooLarge after n bytes.
type bounded struct {
	io.Reader
	n int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.n <= 0 {
		return 0, errTooLarge
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.n)])
	b.n -= int64(n)
	return n, err
}
