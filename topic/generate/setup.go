package generate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

// setup is a configuration with the values of its kind's options.
type setup struct {
	Config
	option.Values
}

// newSetup reads the options of a kind. The first value that is wrong is reported, in the order of the names.
func newSetup(c Config, kind Kind) (*setup, error) {
	values, err := option.Strict(kind.Options, c.Options)
	var unknown *option.Error
	if errors.As(err, &unknown) && unknown.Names == nil && !unknown.Value {
		return nil, fmt.Errorf("it has no option %s, nor any other", unknown.Option)
	}
	if errors.As(err, &unknown) && !unknown.Value {
		return nil, fmt.Errorf("it has no option %s; it has %s", unknown.Option, strings.Join(unknown.Names, ", "))
	}
	return &setup{c, values}, err
}

// mix is the finalizer of SplitMix64: every bit of z affects every bit of the result.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit converts 64 random bits to a number in [0, 1).
func unit(bits uint64) float64 { return float64(bits>>11) * (1.0 / (1 << 53)) }

// dice is the randomness of one row: a PCG seeded with the seed and the row number.
type dice struct{ rand.PCG }

func roll(seed uint64, row int64) (d dice) {
	d.Seed(seed, mix(uint64(row)))
	return d
}

func (d *dice) unit() float64           { return unit(d.Uint64()) }
func (d *dice) below(n int) int         { return int(d.Uint64() >> 32 * uint64(n) >> 32) }
func (d *dice) pick(of []string) string { return of[d.below(len(of))] }

// bell returns an approximately normal number (within half a per mille), bounded and without a
// logarithm: the sum of twelve uniform numbers less 6.
func (d *dice) bell() float64 {
	sum := 0.0
	for range 3 {
		bits := d.Uint64()
		for range 4 {
			sum += float64(bits & 0xffff)
			bits >>= 16
		}
	}
	return sum/65536 + 6.0/65536 - 6
}

func doubles(v []float64) arrow.Array {
	return flow.Fixed(flow.Double, v, arrow.Float64Traits.CastToBytes, flow.Validity{})
}

func ints(v []int32) arrow.Array {
	return flow.Fixed(flow.Int, v, arrow.Int32Traits.CastToBytes, flow.Validity{})
}

// texts returns a STRING column of n values.
func texts(n int, value func(i int) string) arrow.Array {
	offsets, bytes := make([]int32, 1, n+1), make([]byte, 0, 8*n)
	for i := range n {
		bytes = append(bytes, value(i)...)
		offsets = append(offsets, int32(len(bytes)))
	}
	return flow.Text(offsets, bytes, flow.Validity{})
}

func binaries(n, size int, fill func(i int, to []byte)) arrow.Array {
	b := array.NewBinaryBuilder(flow.Mem, arrow.BinaryTypes.Binary)
	b.Reserve(n)
	b.ReserveData(n * size)
	to := make([]byte, size)
	for i := range n {
		fill(i, to)
		b.Append(to)
	}
	return b.NewArray()
}
