package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/streamql/streamql/topic"
)

// Window selects the records of a walk: those with From <= offset < To, in batches for which
// Visit returns true (nil: all batches). Visit is called for every batch in order, including
// control batches, whose records are never returned. The Kafka reader uses it to leave out
// aborted transactions. Rows limits the records of one walk, at the end of a batch (0: no
// limit). With Pass, data that is too large, or malformed although its checksum is valid,
// becomes a Bad of the fetch; otherwise it is an error. Gate, if not nil, is held while a large
// batch is decompressed.
type Window struct {
	From, To topic.Offset
	Rows     int
	Visit    func(*Header) bool
	Pass     bool
	Gate     sync.Locker
}

// minRecord is the size of the smallest record: length, attributes, timestamp, offset, no key,
// no value, no headers.
const minRecord = 7

// Walk decodes the complete batches at the beginning of raw into the columns of f, which it
// replaces, and returns the number of bytes that they occupy. A batch that is truncated at the
// end of raw is left. f.Next is set to the offset after the last batch, holes included, but at
// most w.To; f.From does not change. Uncompressed records are not copied, so f may share raw.
// Every batch's checksum is verified. An error (ErrCorrupt, wrapped) belongs to the batch at
// raw[n:]; f contains the batches before it. A batch larger than MaxDecoded is decoded in
// parts: f.Next is then within the batch at raw[n:], and the next walk must begin with that
// batch and From = f.Next.
func Walk(f *topic.Fetch, raw []byte, w Window) (n int, err error) {
	return (&walk{Window: w, caps: standard, f: f}).all(raw)
}

// walk is the state of one call of Walk.
type walk struct {
	Window
	caps
	f          *topic.Fetch
	data       []byte // the bytes that the spans of f refer to: raw, or decompressed data
	compressed bool
}

func (w *walk) all(raw []byte) (n int, err error) {
	plan, past, err := survey(raw, &w.Window)
	rows := 0
	for i := range plan {
		if plan[i].keep {
			rows += int(plan[i].Count)
			w.compressed = w.compressed || plan[i].Codec() != None
		}
	}
	rows = min(rows, len(raw)/minRecord+1)
	if w.compressed {
		rows = min(rows, 1<<16) // limits the allocation: the header may claim more records than exist
	}
	f := w.f
	f.Offsets = make([]topic.Offset, 0, rows)
	f.Times = make([]int64, 0, rows)
	f.Key.Spans = make([]int32, 0, 2*rows)
	f.Value.Spans = make([]int32, 0, 2*rows)
	f.Headers, f.Bad = nil, nil
	if w.data = raw; w.compressed {
		w.data = nil
	}
	defer func() { f.Key.Data, f.Value.Data = w.data, w.data }()
	for i := range plan {
		h := &plan[i]
		if h.keep {
			more, err := w.one(&h.Header, raw, n)
			if more || err != nil {
				return n, err
			}
		}
		n += h.Size
		f.Next = min(h.Next(), w.To)
		if w.compressed && len(w.data) > w.held {
			return n, nil // the next walk returns the rest
		}
	}
	if past {
		f.Next = w.To
	}
	return n, err
}

// one appends the records of the batch at raw[n:]. more: the walk ends before all of them are
// read.
func (w *walk) one(h *Header, raw []byte, n int) (more bool, err error) {
	rows, body := len(w.f.Offsets), raw[n+HeaderSize:n+h.Size]
	if !w.compressed {
		if err = records(w.f, raw, n+HeaderSize, n+h.Size, h, &w.Window); err == nil {
			return false, nil
		}
		w.cut(rows)
		return false, w.rest(h, h.Base, 0, err)
	}
	from := len(w.data)
	data, err := decompress(w.data, body, h.Codec(), w.whole)
	if errors.Is(err, errTooLarge) {
		if from > 0 {
			return true, nil // it gets a walk of its own
		}
		return w.large(h, body)
	}
	if err == nil {
		err = records(w.f, data, from, len(data), h, &w.Window)
	}
	if err != nil {
		w.cut(rows)
		return false, w.rest(h, h.Base, 0, err)
	}
	w.data = data
	return false, nil
}

// rest skips the remainder of a batch from an offset on because of an error there, or returns
// the error if w.Pass is not set.
func (w *walk) rest(h *Header, from topic.Offset, size int64, err error) error {
	if !w.Pass {
		return fmt.Errorf("%w at offset %d: %w", ErrCorrupt, from, err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	what := topic.ErrUnreadable
	if errors.Is(err, errTooLarge) {
		what = topic.ErrOversized
	}
	w.bad(
		h,
		from,
		h.Next(),
		max(size, int64(h.Size)),
		fmt.Errorf("%w: a batch of %d bytes (%s): %w", what, h.Size, h.Codec(), err),
	)
	return nil
}

// bad records a skipped part, as far as it is in the window.
func (w *walk) bad(h *Header, from, to topic.Offset, size int64, err error) {
	if from, to = max(from, w.From), min(to, w.To); from < to {
		w.f.Bad = append(w.f.Bad, topic.Bad{From: from, To: to, Time: h.MaxTime, Size: size, Err: err})
	}
}

// cut removes the rows of an invalid batch.
func (w *walk) cut(rows int) {
	f := w.f
	f.Offsets, f.Times = f.Offsets[:rows], f.Times[:rows]
	f.Key.Spans, f.Value.Spans = f.Key.Spans[:2*rows], f.Value.Spans[:2*rows]
	if f.Headers != nil {
		f.Headers = f.Headers[:min(rows, len(f.Headers))]
	}
}

type surveyed struct {
	Header
	keep bool
}

// survey decodes and checks the headers of the complete batches in raw. Batches before the
// window are skipped unchecked. past: a batch after the window was found, so the window is
// complete.
func survey(raw []byte, w *Window) (plan []surveyed, past bool, err error) {
	rows := 0
	for at := 0; at < len(raw) && at < math.MaxInt32/2; {
		h, err := Peek(raw[at:])
		if errors.Is(err, ErrShort) || err == nil && h.Size > len(raw)-at {
			break
		}
		if err != nil {
			return plan, false, err
		}
		if h.Base >= w.To {
			return plan, true, nil
		}
		keep := h.Next() > w.From
		if keep {
			if err := h.check(raw[at:]); err != nil {
				return plan, false, err
			}
			if h.Control() {
				h.marker(raw[at+HeaderSize : at+h.Size])
			}
		}
		if w.Visit != nil && !w.Visit(&h) || h.Control() {
			keep = false
		}
		plan = append(plan, surveyed{h, keep})
		at += h.Size
		if keep {
			rows += int(h.Count)
			if w.Rows > 0 && rows >= w.Rows {
				break
			}
		}
	}
	return plan, false, nil
}

// marker decodes the end of a transaction from a control batch: a key of version and type, 0
// for abort and 1 for commit.
func (h *Header) marker(records []byte) {
	var f topic.Fetch
	one := *h
	if h.Codec() != None || h.Count != 1 || recordsOf(&f, records, &one) != nil {
		return
	}
	if key := f.Key.At(0); len(key) >= 4 {
		kind := binary.BigEndian.Uint16(key[2:])
		h.Marker, h.Commit = kind <= 1, kind == 1
	}
}

func recordsOf(f *topic.Fetch, b []byte, h *Header) error {
	err := records(f, b, 0, len(b), h, &Window{From: h.Base, To: topic.End})
	f.Key.Data, f.Value.Data = b, b
	return err
}

var (
	errRecord = errors.New("a record is malformed")
	errOrder  = errors.New("offsets do not increase")
)

// records appends the records in b[i:end] that are in the window. All data from brokers passes
// through this loop.
func records(f *topic.Fetch, b []byte, i, end int, h *Header, w *Window) error {
	if int64(h.Count)*minRecord > int64(end-i) {
		return fmt.Errorf("%d records in %d bytes", h.Count, end-i)
	}
	last, base, appendTime, b := int64(-1), int64(h.Base), h.AppendTime(), b[:end]
	for range h.Count {
		var size, time, delta, keyLen, valueLen, headers int64
		if size, i = varint(b, i); i < 0 || size < minRecord-1 || size > int64(len(b)-i) {
			return errRecord
		}
		stop := i + int(size)
		r := b[:stop]
		i++ // attributes, which are unused
		if time, i = varint(r, i); i < 0 {
			return errRecord
		}
		if delta, i = varint(r, i); i < 0 {
			return errRecord
		}
		if delta <= last || delta > int64(h.LastDelta) {
			return errOrder
		}
		last = delta
		if keyLen, i = varint(r, i); i < 0 || keyLen < -1 || keyLen > int64(stop-i) {
			return errRecord
		}
		keyFrom, keyTo := int32(-1), int32(-1)
		if keyLen >= 0 {
			keyFrom = int32(i)
			i += int(keyLen)
			keyTo = int32(i)
		}
		if valueLen, i = varint(r, i); i < 0 || valueLen < -1 || valueLen > int64(stop-i) {
			return errRecord
		}
		valueFrom, valueTo := int32(-1), int32(-1)
		if valueLen >= 0 {
			valueFrom = int32(i)
			i += int(valueLen)
			valueTo = int32(i)
		}
		if headers, i = varint(r, i); i < 0 || headers < 0 {
			return errRecord
		}
		offset := topic.Offset(base + delta)
		keep := offset >= w.From && offset < w.To
		if headers > 0 {
			var list []topic.Header
			if list, i = readHeaders(r, i, headers); i < 0 {
				return errRecord
			}
			if keep {
				for len(f.Headers) < len(f.Offsets) {
					f.Headers = append(f.Headers, nil)
				}
				f.Headers = append(f.Headers, list)
			}
		} else if keep && f.Headers != nil {
			f.Headers = append(f.Headers, nil)
		}
		if i != stop {
			return errRecord
		}
		if !keep {
			continue
		}
		ms := h.FirstTime + time
		if appendTime {
			ms = h.MaxTime
		}
		f.Offsets = append(f.Offsets, offset)
		f.Times = append(f.Times, ms)
		f.Key.Spans = append(f.Key.Spans, keyFrom, keyTo)
		f.Value.Spans = append(f.Value.Spans, valueFrom, valueTo)
	}
	if i != end {
		return fmt.Errorf("%d bytes after the last record", end-i)
	}
	return nil
}

// readHeaders decodes n headers; the index is -1 if they are malformed.
func readHeaders(b []byte, i int, n int64) ([]topic.Header, int) {
	if n > int64(len(b)-i)/2 {
		return nil, -1
	}
	list := make([]topic.Header, 0, n)
	for range n {
		var size int64
		if size, i = varint(b, i); i < 0 || size < 0 || size > int64(len(b)-i) {
			return nil, -1
		}
		h := topic.Header{Key: string(b[i : i+int(size)])}
		i += int(size)
		if size, i = varint(b, i); i < 0 || size < -1 || size > int64(len(b)-i) {
			return nil, -1
		}
		if size >= 0 {
			h.Value = b[i : i+int(size) : i+int(size)]
			i += int(size)
		}
		list = append(list, h)
	}
	return list, i
}

// varint decodes a zigzag varint at b[i] and returns the index after it, or -1 if it is
// truncated or too long. Most varints have one byte.
func varint(b []byte, i int) (int64, int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		c := b[i]
		return int64(c>>1) ^ -int64(c&1), i + 1
	}
	return longVarint(b, i)
}

func longVarint(b []byte, i int) (int64, int) {
	if uint(i) >= uint(len(b)) {
		return 0, -1
	}
	v, n := binary.Varint(b[i:])
	if n <= 0 {
		return 0, -1
	}
	return v, i + n
}
