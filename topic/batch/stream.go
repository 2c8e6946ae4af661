package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// inflate returns src decompressed as a stream. It needs little memory whatever src claims: a
// window, or a block of at most limit bytes. Its errors wrap errTooLarge if more would be
// needed.
func inflate(src []byte, c Codec, limit int) (io.ReadCloser, error) {
	switch c {
	case None:
		return io.NopCloser(bytes.NewReader(src)), nil
	case Gzip:
		return gzip.NewReader(bytes.NewReader(src))
	case Snappy:
		return io.NopCloser(&blocks{next: snappyBlocks(src, limit)}), nil
	case LZ4:
		return io.NopCloser(&blocks{next: lz4Stream(src)}), nil
	case Zstd:
		return zstdStream(src, limit)
	}
	return nil, fmt.Errorf("unknown %s", c)
}

// zstdStream decodes a frame with a single segment, whose window is the whole frame, at once.
func zstdStream(src []byte, limit int) (io.ReadCloser, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	window := uint64(MaxWindow)
	if h.SingleSegment && h.FrameContentSize <= uint64(limit) {
		window = max(window, h.FrameContentSize)
	}
	r, err := zstd.NewReader(
		bytes.NewReader(src),
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window),
		zstd.WithDecoderMaxMemory(window),
	)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return zstdReadCloser{r.IOReadCloser()}, nil
}

type zstdReadCloser struct{ io.ReadCloser }

// Read implements io.Reader.
func (z zstdReadCloser) Read(p []byte) (int, error) {
	n, err := z.ReadCloser.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("zstd: %w", errTooLarge)
	}
	return n, err
}

// blocks is a stream of blocks that are decoded one after another. next receives the previous
// block to reuse its memory.
type blocks struct {
	next  func(before []byte) (block []byte, err error)
	block []byte
	at    int
}

// Read implements io.Reader.
func (b *blocks) Read(p []byte) (int, error) {
	for b.at == len(b.block) {
		block, err := b.next(b.block)
		if err != nil {
			return 0, err
		}
		b.block, b.at = block, 0
	}
	n := copy(p, b.block[b.at:])
	b.at += n
	return n, nil
}

// snappyBlocks returns the blocks of the stream format, or the single raw block.
func snappyBlocks(src []byte, limit int) func([]byte) ([]byte, error) {
	bare := !bytes.HasPrefix(src, xerial)
	if !bare {
		src = src[min(16, len(src)):]
	}
	return func(before []byte) ([]byte, error) {
		if len(src) == 0 {
			return nil, io.EOF
		}
		block := src
		if !bare {
			if len(src) < 4 || int64(binary.BigEndian.Uint32(src)) > int64(len(src)-4) {
				return nil, errors.New("snappy: a block is truncated")
			}
			block = src[4 : 4+binary.BigEndian.Uint32(src)]
			src = src[4:]
		}
		src = src[len(block):]
		n, err := snappy.DecodedLen(block)
		if err == nil && n > limit {
			err = fmt.Errorf("%w: %d in one block", errTooLarge, n)
		}
		if err == nil {
			before, err = snappy.Decode(before[:cap(before)], block)
		}
		if err != nil {
			return nil, fmt.Errorf("snappy: %w", err)
		}
		return before, nil
	}
}

const (
	lz4History = 64 << 10 // maximum distance of a match
	lz4Most    = 4 << 20  // maximum block size of the format
)

// lz4Stream returns the blocks of all frames.
func lz4Stream(src []byte) func([]byte) ([]byte, error) {
	var buf []byte // the end of the data already returned, then the block
	var head lz4Frame
	within := false
	return func([]byte) ([]byte, error) {
		for {
			if !within {
				if len(src) == 0 {
					return nil, io.EOF
				}
				var err error
				if head, src, err = lz4Head(src); err != nil {
					return nil, err
				}
				within, buf = true, buf[:0]
			}
			block, stored, rest, err := lz4Next(src, head.flags)
			if err != nil {
				return nil, err
			}
			if src = rest; block == nil {
				within = false
				continue
			}
			buf = append(buf[:0], buf[max(0, len(buf)-lz4History):]...)
			old := len(buf)
			if stored {
				buf = append(buf, block...)
			} else if buf, err = lz4Block(buf, block, 0, old+lz4Most+1, head.most); err != nil {
				return nil, err
			}
			return buf[old:], nil
		}
	}
}
