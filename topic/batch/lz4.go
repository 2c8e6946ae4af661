package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format, as far as Kafka's producers use it:
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums of frames are not verified, because
// the batch has its own. A library decodes the blocks. It does not decode the frames: its reader has no limit on the
// output, copies through its own buffers and verifies the checksums.
const lz4Magic = 0x184D2204

var errLZ4 = errors.New("lz4: malformed frame")

// unlz4 appends the content of the frames in src to dst.
func unlz4(dst, src []byte, room int) ([]byte, error) {
	limit := len(dst) + room
	for len(src) > 0 {
		head, rest, err := lz4Head(src)
		if err != nil {
			return nil, err
		}
		if dst, src, err = lz4Blocks(dst, rest, limit, head); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// lz4Frame is the header of a frame: its flags, and the maximum size of a block.
type lz4Frame struct {
	flags byte
	most  int
}

// lz4Head reads the beginning of a frame.
func lz4Head(src []byte) (head lz4Frame, rest []byte, err error) {
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != lz4Magic {
		return head, nil, errLZ4
	}
	head.flags = src[4]
	if head.flags>>6 != 1 || head.flags&0x01 != 0 { // version 1; dictionaries are not known here
		return head, nil, fmt.Errorf("lz4: unsupported frame flags %#x", head.flags)
	}
	size := src[5] >> 4 & 7
	if size < 4 {
		return head, nil, errLZ4
	}
	head.most = 64 << 10 << (2 * (size - 4))
	n := 7
	if head.flags&0x08 != 0 { // content size
		n += 8
	}
	if len(src) < n {
		return head, nil, errLZ4
	}
	return head, src[n:], nil
}

// lz4Blocks reads the blocks of one frame and its end. Blocks may refer to bytes of earlier blocks of the frame.
func lz4Blocks(dst, src []byte, limit int, head lz4Frame) (out, rest []byte, err error) {
	first := len(dst)
	for {
		block, stored, left, err := lz4Next(src, head.flags)
		if err != nil || block == nil {
			return dst, left, err
		}
		src = left
		if !stored {
			dst, err = lz4Block(dst, block, first, limit, head.most)
		} else if dst = append(dst, block...); len(dst) > limit {
			err = fmt.Errorf("lz4: %w", errTooLarge)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// lz4Next returns the next block of a frame; nil: the frame has ended.
func lz4Next(src []byte, flags byte) (block []byte, stored bool, rest []byte, err error) {
	if len(src) < 4 {
		return nil, false, nil, errLZ4
	}
	size := binary.LittleEndian.Uint32(src)
	n, sum := int(size&^(1<<31)), 0
	if size == 0 && flags&0x04 != 0 || size != 0 && flags&0x10 != 0 {
		// checksum of the content, or of the block
		sum = 4
	}
	if src = src[4:]; n+sum > len(src) {
		return nil, false, nil, errLZ4
	}
	if size == 0 {
		return nil, false, src[sum:], nil
	}
	return src[:n:n], size>>31 != 0, src[n+sum:], nil
}

// lz4Block appends one compressed block of at most most bytes, within the limit on the length of dst. Matches may
// reach back to dst[first].
func lz4Block(dst, src []byte, first, limit, most int) ([]byte, error) {
	room := limit - len(dst)
	dst = slices.Grow(dst, min(most, room))
	end := len(dst)
	n, err := lz4.UncompressBlockWithDict(src, dst[end:end+min(most, room)], dst[max(first, end-lz4History):end])
	switch {
	case err == nil:
		return dst[:end+n], nil
	case room <= most: // a block that is malformed looks alike: it is found to be so where it is read with more room
		return nil, fmt.Errorf("lz4: %w", errTooLarge)
	}
	return nil, errLZ4
}
