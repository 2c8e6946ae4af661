package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Codec is the compression of a batch's records; the values are Kafka's.
type Codec int8

// The codecs. LZ4 can be read but not written.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// String implements Expr.
// String returns the name of the codec.
func (c Codec) String() string {
	if c < None || c > Zstd {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return [...]string{"none", "gzip", "snappy", "lz4", "zstd"}[c]
}

// MaxDecoded limits the bytes that one Walk holds after decompression. MaxBatch limits the size
// of one batch: a batch larger than MaxDecoded is decompressed as a stream, one part per Walk,
// and the part beyond MaxBatch is skipped. MaxWindow limits the memory of a zstd frame.
const (
	MaxDecoded = 64 << 20
	MaxBatch   = 1 << 30
	MaxWindow  = 8 << 20
)

// caps are the limits of a walk; tests use smaller ones.
type caps struct {
	whole  int   // bytes of a batch that is decompressed at once and without Window.Gate
	held   int   // bytes that a walk holds
	batch  int64 // bytes that are decompressed of one batch
	record int   // bytes of one record, if its batch is read as a stream
}

var standard = caps{whole: 8 << 20, held: MaxDecoded, batch: MaxBatch, record: MaxRecord}

var errTooLarge = errors.New("the batch holds too many bytes")

// zstd's coders are expensive to create and safe for concurrent use.
var (
	zstdReader = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(
			nil,
			zstd.WithDecoderConcurrency(0),
			zstd.WithDecoderMaxMemory(uint64(standard.whole)),
			zstd.WithDecoderMaxWindow(MaxWindow),
		)
	})
	zstdWriter = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(
			nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(1<<20),
		)
	})
)

// compress appends the compressed form of src to dst.
func compress(dst, src []byte, c Codec) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		out := bytes.NewBuffer(dst)
		w := gzip.NewWriter(out)
		if _, err := w.Write(src); err != nil {
			return nil, err
		}
		err := w.Close()
		return out.Bytes(), err
	case Snappy:
		return append(dst, snappy.Encode(nil, src)...), nil
	case Zstd:
		w, err := zstdWriter()
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("batches are not written with %s", c)
}

// decompress appends the decompressed src to dst. It returns errTooLarge as soon as the result
// exceeds room bytes.
func decompress(dst, src []byte, c Codec, room int) ([]byte, error) {
	switch c {
	case None:
		if len(src) > room {
			return nil, errTooLarge
		}
		return append(dst, src...), nil
	case Gzip:
		return gunzip(dst, src, room)
	case Snappy:
		return unsnappy(dst, src, room)
	case LZ4:
		return unlz4(dst, src, room)
	case Zstd:
		return unzstd(dst, src, room)
	}
	return nil, fmt.Errorf("unknown %s", c)
}

// unzstd decodes frames within the standard limit at once. A frame without a content size is
// stopped when it exceeds room.
func unzstd(dst, src []byte, room int) ([]byte, error) {
	r, err := zstdReader()
	if err != nil {
		return nil, err
	}
	out, err := r.DecodeAll(src, dst)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) ||
		len(out)-len(dst) > room {
		err = errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return out, nil
}

func gunzip(dst, src []byte, room int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	out := bytes.NewBuffer(dst)
	n, err := io.Copy(out, io.LimitReader(r, int64(room)+1))
	if err == nil && n > int64(room) {
		err = errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return out.Bytes(), nil
}

// xerial is the beginning of snappy's stream format, which Java's client writes: blocks with
// lengths. Other clients write a single raw block.
var xerial = []byte("\x82SNAPPY\x00")

func unsnappy(dst, src []byte, room int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerial) {
		return unsnappyBlock(dst, src, room)
	}
	if len(src) < 16 {
		return nil, errors.New("snappy: the stream header is truncated")
	}
	src = src[16:] // magic, version, lowest compatible version
	start := len(dst)
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, errors.New("snappy: the length of a block is truncated")
		}
		n := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; n > int64(len(src)) {
			return nil, errors.New("snappy: a block is truncated")
		}
		var err error
		if dst, err = unsnappyBlock(dst, src[:n], room-(len(dst)-start)); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func unsnappyBlock(dst, src []byte, room int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err == nil && n > room {
		err = errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("snappy: %w", err)
	}
	dst = slices.Grow(dst, n)
	out, err := snappy.Decode(dst[len(dst):len(dst)+n], src)
	if err != nil {
		return nil, fmt.Errorf("snappy: %w", err)
	}
	return dst[:len(dst)+len(out)], nil
}
