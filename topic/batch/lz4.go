package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The LZ4 frame format, as far as Kafka's producers use it:
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums of frames are not
// verified, because the batch has its own.
const lz4Magic = 0x184D2204

var errLZ4 = errors.New("lz4: malformed frame")

// unlz4 appends the content of the frames in src to dst.
func unlz4(dst, src []byte, room int) ([]byte, error) {
	limit := len(dst) + room
	for len(src) > 0 {
		flags, rest, err := lz4Head(src)
		if err != nil {
			return nil, err
		}
		if dst, src, err = lz4Blocks(dst, rest, limit, flags); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// lz4Head decodes the header of a frame.
func lz4Head(src []byte) (flags byte, rest []byte, err error) {
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != lz4Magic {
		return 0, nil, errLZ4
	}
	flags = src[4]
	if flags>>6 != 1 || flags&0x01 != 0 { // version 1; dictionaries are not supported
		return 0, nil, fmt.Errorf("lz4: unsupported frame flags %#x", flags)
	}
	head := 7
	if flags&0x08 != 0 { // content size
		head += 8
	}
	if len(src) < head {
		return 0, nil, errLZ4
	}
	return flags, src[head:], nil
}

// lz4Blocks decodes the blocks and the end of one frame. Blocks may refer to bytes of earlier
// blocks of the frame.
func lz4Blocks(dst, src []byte, limit int, flags byte) (out, rest []byte, err error) {
	first := len(dst)
	for {
		block, stored, left, err := lz4Next(src, flags)
		if err != nil || block == nil {
			return dst, left, err
		}
		src = left
		if !stored {
			dst, err = lz4Block(dst, block, first, limit)
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

// lz4Block decodes one compressed block: literals and matches alternately. A match must not
// refer to bytes before dst[first].
func lz4Block(dst, src []byte, first, limit int) ([]byte, error) {
	for len(src) > 0 {
		token := src[0]
		literals, rest, ok := lz4Length(int(token>>4), src[1:])
		if ok && len(dst)+literals > limit {
			return nil, fmt.Errorf("lz4: %w", errTooLarge)
		}
		if !ok || literals > len(rest) {
			return nil, errLZ4
		}
		dst, src = append(dst, rest[:literals]...), rest[literals:]
		if len(src) == 0 {
			return dst, nil // the last sequence has no match
		}
		if len(src) < 2 {
			return nil, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(src))
		match, rest, ok := lz4Length(int(token&15), src[2:])
		match += 4
		if !ok || back == 0 || back > len(dst)-first {
			return nil, errLZ4
		}
		if len(dst)+match > limit {
			return nil, fmt.Errorf("lz4: %w", errTooLarge)
		}
		src = rest
		from := len(dst) - back
		for match > 0 {
			// the match may overlap its destination: each iteration doubles the bytes that can
			// be copied
			n := min(match, len(dst)-from)
			dst = append(dst, dst[from:from+n]...)
			match -= n
		}
	}
	return dst, nil
}

// lz4Length decodes the extension bytes of a length of 15. It stops early if the length is out
// of bounds anyway.
func lz4Length(n int, src []byte) (int, []byte, bool) {
	if n < 15 {
		return n, src, true
	}
	for {
		if n > MaxDecoded {
			return n, src, true
		}
		if len(src) == 0 {
			return 0, nil, false
		}
		b := src[0]
		src = src[1:]
		n += int(b)
		if b != 255 {
			return n, src, true
		}
	}
}
