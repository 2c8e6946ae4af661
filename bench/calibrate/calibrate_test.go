// Package calibrate measures the machine: its one benchmark is the unit of all others in .ci/bench.txt.
package calibrate

import (
	"hash/crc32"
	"slices"
	"testing"
)

// BenchmarkCalibration sorts, copies and checks sums over 64 KiB: arithmetic, branches and memory, and nothing of StreamQL.
func BenchmarkCalibration(b *testing.B) {
	source := make([]uint32, 16<<10)
	state := uint32(1)
	for i := range source {
		state = state*1664525 + 1013904223
		source[i] = state
	}
	work := make([]uint32, len(source))
	text := make([]byte, 4*len(source))
	sum := uint32(0)
	for b.Loop() {
		copy(work, source)
		slices.Sort(work)
		for i, v := range work {
			text[4*i], text[4*i+1], text[4*i+2], text[4*i+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		}
		sum ^= crc32.ChecksumIEEE(text)
	}
	if sum == 1 { // so that nothing is left out
		b.Log(sum)
	}
}
