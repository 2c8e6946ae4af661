// Package batch reads and writes Kafka's record batches, version 2, the format of records on
// the network and in segment files. Records are decoded into columns, without an object per
// record.
package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/streamql/streamql/topic"
)

// HeaderSize is the size of a batch's header, in bytes.
const HeaderSize = 61

// MaxRecord limits the size of one record, in bytes: key, value and headers.
const MaxRecord = 16 << 20

// The positions of a batch's fields. The checksum covers everything from the attributes on, so
// that a broker can set the base offset.
const (
	atLength     = 8
	atMagic      = 16
	atCRC        = 17
	atAttributes = 21
	atLastDelta  = 23
	atFirstTime  = 27
	atMaxTime    = 35
	atProducer   = 43
	atEpoch      = 51
	atSequence   = 53
	atCount      = 57
)

// ErrCorrupt is wrapped by every error about bytes that are not a valid record batch.
var ErrCorrupt = errors.New("corrupt record batch")

// ErrShort reports that the bytes end within a batch.
var ErrShort = errors.New("the bytes end within a record batch")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is the header of a batch.
type Header struct {
	Base           topic.Offset // offset of the first record
	Size           int          // size of the whole batch in bytes
	CRC            uint32
	Attributes     int16
	LastDelta      int32 // offset of the last record, relative to Base; compaction may have removed the record
	FirstTime      int64 // ms
	MaxTime        int64 // ms
	ProducerID     int64 // -1: none
	ProducerEpoch  int16
	FirstSequence  int32
	Count          int32
	Commit, Marker bool // Marker: a control batch that ends a transaction of ProducerID; Commit: with a commit
}

// Codec returns the compression of the records.
func (h *Header) Codec() Codec { return Codec(h.Attributes & 7) }

// AppendTime reports whether the timestamp of all records is MaxTime, the time at which the
// broker appended them.
func (h *Header) AppendTime() bool { return h.Attributes&8 != 0 }

// Transactional reports whether the batch belongs to a transaction.
func (h *Header) Transactional() bool { return h.Attributes&16 != 0 }

// Control reports whether the batch contains control records, which are not user data.
func (h *Header) Control() bool { return h.Attributes&32 != 0 }

// Next returns the offset after the batch.
func (h *Header) Next() topic.Offset { return h.Base + topic.Offset(h.LastDelta) + 1 }

// Peek decodes the header of the batch at the beginning of raw, without its records and without
// checking the checksum. ErrShort: raw ends within the header; the batch itself may be longer
// than raw.
func Peek(raw []byte) (h Header, err error) {
	if len(raw) < HeaderSize {
		return h, ErrShort
	}
	be := binary.BigEndian
	if magic := raw[atMagic]; magic != 2 {
		return h, fmt.Errorf("%w: version %d instead of 2", ErrCorrupt, magic)
	}
	length := int32(be.Uint32(raw[atLength:]))
	h = Header{
		Base: topic.Offset(
			be.Uint64(raw),
		), Size: int(length) + 12, CRC: be.Uint32(raw[atCRC:]), Attributes: int16(be.Uint16(raw[atAttributes:])),
		LastDelta: int32(
			be.Uint32(raw[atLastDelta:]),
		), FirstTime: int64(be.Uint64(raw[atFirstTime:])), MaxTime: int64(be.Uint64(raw[atMaxTime:])),
		ProducerID: int64(be.Uint64(raw[atProducer:])), ProducerEpoch: int16(be.Uint16(raw[atEpoch:])),
		FirstSequence: int32(be.Uint32(raw[atSequence:])), Count: int32(be.Uint32(raw[atCount:])),
	}
	switch {
	case length < HeaderSize-12:
		return h, fmt.Errorf("%w: length %d", ErrCorrupt, length)
	case h.Base < 0 || h.LastDelta < 0 || h.Base > math.MaxInt64-1-topic.Offset(h.LastDelta):
		return h, fmt.Errorf("%w: offsets %d+%d", ErrCorrupt, h.Base, h.LastDelta)
	case h.Count < 0 || int64(h.Count) > int64(h.LastDelta)+1:
		return h, fmt.Errorf("%w: %d records in %d offsets", ErrCorrupt, h.Count, int64(h.LastDelta)+1)
	}
	return h, nil
}

// check verifies the checksum of a whole batch.
func (h *Header) check(raw []byte) error {
	if got := crc32.Checksum(raw[atAttributes:h.Size], castagnoli); got != h.CRC {
		return fmt.Errorf("%w at offset %d: checksum %08x instead of %08x", ErrCorrupt, h.Base, got, h.CRC)
	}
	return nil
}

// SetBase changes the offset of a batch.
func SetBase(raw []byte, base topic.Offset) { binary.BigEndian.PutUint64(raw, uint64(base)) }
