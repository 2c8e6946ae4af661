package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/streamql/streamql/topic"
)

// Window says which records a walk keeps: those with From <= offset < To, of batches for which Visit returns true (nil: of all).
// Visit sees every batch in order, control batches too; their records are never kept. With its help a reader of Kafka leaves out aborted
// transactions. Rows bounds the records of one walk, at the end of a batch (0: no bound).
type Window struct {
	From, To topic.Offset
	Rows     int
	Visit    func(*Header) bool
}

// minRecord is the size of the smallest record: length, attributes, time, offset, no key, no value, no headers.
const minRecord = 7

// Walk reads the whole batches that raw begins with into the columns of f, which it replaces, and returns the number of bytes they
// take; a batch cut at the end of raw is left. f.Next becomes the offset after the last batch, holes included, but at most w.To; f.From is left
// alone. Uncompressed records are not copied: f then shares raw. Every batch's checksum is compared. An error (ErrCorrupt, wrapped)
// belongs to the batch at raw[n:]; f holds the batches before it.
func Walk(f *topic.Fetch, raw []byte, w Window) (n int, err error) {
	plan, past, err := survey(raw, &w)
	rows, compressed := 0, false
	for i := range plan {
		if plan[i].keep {
			rows += int(plan[i].Count)
			compressed = compressed || plan[i].Codec() != None
		}
	}
	if compressed {
		rows = min(rows, 1<<16) // what a header claims is not believed before the records are there
	}
	f.Offsets = make([]topic.Offset, 0, rows)
	f.Times = make([]int64, 0, rows)
	f.Key.Spans = make([]int32, 0, 2*rows)
	f.Value.Spans = make([]int32, 0, 2*rows)
	f.Headers = nil
	data := raw
	if compressed {
		data = nil
	}
	for i := range plan {
		h := &plan[i]
		size := len(f.Offsets)
		if h.keep {
			from, to := n+HeaderSize, n+h.Size
			if compressed {
				from = len(data)
				grown, derr := decompress(data, raw[n+HeaderSize:n+h.Size], h.Codec(), MaxDecoded)
				if derr != nil {
					return finish(f, data, n, size, fmt.Errorf("%w at offset %d: %w", ErrCorrupt, h.Base, derr))
				}
				data, to = grown, len(grown)
			}
			if rerr := records(f, data, from, to, &h.Header, &w); rerr != nil {
				return finish(f, data, n, size, fmt.Errorf("%w at offset %d: %w", ErrCorrupt, h.Base, rerr))
			}
		}
		n += h.Size
		f.Next = min(h.Next(), w.To)
		if compressed && len(data) > MaxDecoded {
			past = false
			break // spans are 32 bits wide
		}
	}
	if past {
		f.Next = w.To
	}
	f.Key.Data, f.Value.Data = data, data
	return n, err
}

// finish cuts the rows of a broken batch off again.
func finish(f *topic.Fetch, data []byte, n, rows int, err error) (int, error) {
	f.Offsets, f.Times = f.Offsets[:rows], f.Times[:rows]
	f.Key.Spans, f.Value.Spans = f.Key.Spans[:2*rows], f.Value.Spans[:2*rows]
	if f.Headers != nil {
		f.Headers = f.Headers[:rows]
	}
	f.Key.Data, f.Value.Data = data, data
	return n, err
}

type surveyed struct {
	Header
	keep bool
}

// survey reads and checks the headers of the whole batches in raw; batches before the window are passed over unchecked. past: a batch
// behind the window was met, so that all of the window is there.
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
			if h.Codec() == None && int64(h.Count)*minRecord > int64(h.Size-HeaderSize) {
				return plan, false, fmt.Errorf("%w at offset %d: %d records in %d bytes", ErrCorrupt, h.Base, h.Count, h.Size-HeaderSize)
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

// marker reads the end of a transaction from a control batch: a key of version and type, 0 abort and 1 commit.
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
	errOrder  = errors.New("offsets do not rise")
)

// records appends the records in b[i:end] that lie in the window. This is the loop that everything read from a broker goes through.
func records(f *topic.Fetch, b []byte, i, end int, h *Header, w *Window) error {
	if int64(h.Count)*minRecord > int64(end-i) {
		return fmt.Errorf("%d records in %d bytes", h.Count, end-i)
	}
	b = b[:end]
	last, base, appendTime := int64(-1), int64(h.Base), h.AppendTime()
	for range h.Count {
		var size, time, delta, keyLen, valueLen, headers int64
		if size, i = varint(b, i); i < 0 || size < minRecord-1 || size > int64(len(b)-i) {
			return errRecord
		}
		stop := i + int(size)
		r := b[:stop]
		i++ // attributes: none are in use
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

// readHeaders reads n headers; the index is -1 when they are malformed.
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

// varint reads a zigzag varint at b[i] and returns the index after it, -1 when it is cut or too long. Most take one byte.
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
