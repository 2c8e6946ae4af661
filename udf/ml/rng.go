package ml

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Rand draws from a PCG seeded with (seed, purpose, index), so that draws for one purpose do
// not affect another.
type Rand struct{ pcg *rand.PCG }

// NewRand starts a generator. The second half of its state is the FNV-1a hash of purpose and index.
func NewRand(seed uint64, purpose string, index int) Rand {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * prime
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(index))
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return Rand{rand.NewPCG(seed, h)}
}

// Float is uniform in [0, 1), in steps of 2^-53.
func (r Rand) Float() float64 { return float64(r.pcg.Uint64()>>11) * (1.0 / (1 << 53)) }

// Below is uniform in [0, n), n > 0, by the upper half of a product: its bias, below n/2^64,
// cannot be seen.
func (r Rand) Below(n int) int {
	hi, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(hi)
}

// Shuffle puts order in random order (Fisher and Yates).
func (r Rand) Shuffle(order []int32) {
	for i := len(order) - 1; i > 0; i-- {
		j := r.Below(i + 1)
		order[i], order[j] = order[j], order[i]
	}
}

// state and restore carry the generator through a learner's bytes.
func (r Rand) state() []byte { b, _ := r.pcg.MarshalBinary(); return b }

func (r Rand) restore(b []byte) error { return r.pcg.UnmarshalBinary(b) }
