package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// lz4Records is a frame of blocks of 64 KiB, as Java's client writes them, of records in JSON.
func lz4Records(t testing.TB, size int) (frame, content []byte) {
	t.Helper()
	for i := 0; len(content) < size; i++ {
		content = fmt.Appendf(content, `{"car":"car-%04d","speed":%d.%02d,"vibration":%d,"failure_occurred":false}`, i%1000, i*7%50, i*13%100, i*i%5000)
	}
	frame = append(binary.LittleEndian.AppendUint32(nil, lz4Magic), 0x60, 0x40, 0)
	var c lz4.Compressor
	for from := 0; from < len(content); from += 64 << 10 {
		part := content[from:min(from+64<<10, len(content))]
		block := make([]byte, lz4.CompressBlockBound(len(part)))
		n, err := c.CompressBlock(part, block)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		frame = append(binary.LittleEndian.AppendUint32(frame, uint32(n)), block[:n]...)
	}
	return append(frame, 0, 0, 0, 0), content
}

// TestLZ4Records reads what another encoder has written, into room that is just enough, or one byte less.
func TestLZ4Records(t *testing.T) {
	frame, content := lz4Records(t, 300_000)
	got, err := unlz4([]byte("before"), frame, len(content))
	if err != nil || !bytes.Equal(got[6:], content) {
		t.Fatalf("%d bytes, want %d: %v", len(got), len(content), err)
	}
	if _, err := unlz4(nil, frame, len(content)-1); err == nil {
		t.Error("it fits in less than it takes")
	}
}

func BenchmarkLZ4(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		frame, content := lz4Records(b, size)
		b.Run(fmt.Sprintf("%d KiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = unlz4(dst[:0], frame, MaxDecoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
