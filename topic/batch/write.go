package batch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/streamql/streamql/topic"
)

// Writer builds batches. The zero value writes uncompressed batches.
type Writer struct {
	Codec Codec

	records   []byte
	count     int32
	lastDelta int32
	firstTime int64
	maxTime   int64
}

// Count returns the number of records since the last Flush.
func (w *Writer) Count() int { return int(w.count) }

// Size returns the size of the batch in progress before compression, in bytes.
func (w *Writer) Size() int { return HeaderSize + len(w.records) }

// Append adds a record at the next offset. A record of more than MaxRecord bytes is an error
// and is not added.
func (w *Writer) Append(r *topic.Record) error {
	if w.count == 0 {
		return w.AppendAt(0, r)
	}
	return w.AppendAt(w.lastDelta+1, r)
}

// AppendAt adds a record at delta offsets after the batch's first. Deltas must increase; holes
// are allowed.
func (w *Writer) AppendAt(delta int32, r *topic.Record) error {
	if delta < 0 || w.count > 0 && delta <= w.lastDelta {
		return fmt.Errorf("offset delta %d after %d", delta, w.lastDelta)
	}
	if w.count == 0 {
		w.firstTime, w.maxTime = r.Time, r.Time
	}
	time := r.Time - w.firstTime // overflows at the ends of int64, as does reading
	size := 1 + varintLen(
		time,
	) + varintLen(
		int64(delta),
	) + bytesLen(
		r.Key,
	) + bytesLen(
		r.Value,
	) + varintLen(
		int64(len(r.Headers)),
	)
	for i := range r.Headers {
		size += varintLen(int64(len(r.Headers[i].Key))) + len(r.Headers[i].Key) + bytesLen(r.Headers[i].Value)
	}
	if size > MaxRecord {
		return fmt.Errorf("the record has %d bytes, at most %d are allowed", size, MaxRecord)
	}
	if len(w.records)+size > math.MaxInt32-HeaderSize-16 {
		return fmt.Errorf("the batch would hold more than %d bytes", math.MaxInt32)
	}
	w.maxTime = max(w.maxTime, r.Time)
	w.lastDelta = delta
	w.count++

	b := binary.AppendVarint(w.records, int64(size))
	b = append(b, 0)
	b = binary.AppendVarint(b, time)
	b = binary.AppendVarint(b, int64(delta))
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		b = binary.AppendVarint(b, int64(len(r.Headers[i].Key)))
		b = append(b, r.Headers[i].Key...)
		b = appendBytes(b, r.Headers[i].Value)
	}
	w.records = b
	return nil
}

// Flush appends the batch to dst with base as its first offset, and starts the next batch.
// Without records it appends nothing.
func (w *Writer) Flush(dst []byte, base topic.Offset) ([]byte, error) {
	if w.count == 0 {
		return dst, nil
	}
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst, err := compress(dst, w.records, w.Codec)
	if err != nil {
		return nil, err
	}
	b, be := dst[start:], binary.BigEndian
	be.PutUint64(b, uint64(base))
	be.PutUint32(b[atLength:], uint32(len(b)-12))
	be.PutUint32(b[12:], math.MaxUint32) // leader epoch: unknown
	b[atMagic] = 2
	be.PutUint16(b[atAttributes:], uint16(w.Codec))
	be.PutUint32(b[atLastDelta:], uint32(w.lastDelta))
	be.PutUint64(b[atFirstTime:], uint64(w.firstTime))
	be.PutUint64(b[atMaxTime:], uint64(w.maxTime))
	be.PutUint64(b[atProducer:], math.MaxUint64)
	be.PutUint16(b[atEpoch:], math.MaxUint16)
	be.PutUint32(b[atSequence:], math.MaxUint32)
	be.PutUint32(b[atCount:], uint32(w.count))
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	w.records, w.count, w.lastDelta = w.records[:0], 0, 0
	return dst, nil
}

// varintLen returns the length of v as a zigzag varint.
func varintLen(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // length -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}
