package udf

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var (
	_ = builtin(countsDistinct("COUNT_DISTINCT"))
	_ = builtin(countsDistinct("APPROX_COUNT_DISTINCT"))
)

func countsDistinct(name string) Aggregate {
	return Aggregate{
		Name: name,
		Doc: "the number of distinct values that are not NULL: exact up to 256 of them, beyond that within " +
			"about 2 % (HyperLogLog)",
		Bind: func(args []flow.Type, _ []any) (Bound, error) {
			if len(args) != 1 || !hasCells(args[0]) {
				return Bound{}, Mismatch(name, args, "one argument")
			}
			return Bound{Args: args, Result: flow.Bigint, New: func() Accumulator { return sketch{} }}, nil
		},
		Examples: []Example{{over(name+"(x)", "ARRAY['a', 'b', 'a']"), "2"}},
	}
}

// sketch counts distinct values by their 64-bit hashes. While there are few, the state is a 0
// byte and the hashes, 8 bytes each; then a 1 byte and 4,096 registers (Flajolet et al. 2007),
// read with Ertl's estimator (arXiv:1702.01284), which needs no correction for small or large
// counts.
type sketch struct{}

const (
	sketchBits = 12
	registers  = 1 << sketchBits
	sparse     = 256
)

func (sketch) Size() int { return -1 }
func (x sketch) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	var buf [64]byte
	return x.add(s, hash(appendCell(buf[:0], args[0], row)))
}

// hash is FNV-1a, finished as MurmurHash3 does so that all bits depend on all bytes. It is part
// of the state's format.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (x sketch) add(s []byte, h uint64) ([]byte, error) {
	switch {
	case len(s) == 0:
		return binary.LittleEndian.AppendUint64(append(s, 0), h), nil
	case s[0] == 1 && len(s) == 1+registers:
		raise(s[1:], h)
		return s, nil
	case s[0] != 0 || len(s)%8 != 1:
		return s, errCell
	}
	known := s[1:]
	for i := range len(known) / 8 {
		if word(known, i) == h {
			return s, nil
		}
	}
	if len(known)/8 < sparse {
		return binary.LittleEndian.AppendUint64(s, h), nil
	}
	dense := make([]byte, 1+registers)
	dense[0] = 1
	for i := range len(known) / 8 {
		raise(dense[1:], word(known, i))
	}
	raise(dense[1:], h)
	return dense, nil
}

func raise(r []byte, h uint64) {
	rank := byte(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1)) + 1)
	if i := h >> (64 - sketchBits); r[i] < rank {
		r[i] = rank
	}
}

func (sketch) Value(s []byte, to array.Builder) error {
	n := int64(0)
	switch {
	case len(s) == 0:
	case s[0] == 0 && len(s)%8 == 1:
		n = int64(len(s) / 8)
	case s[0] == 1 && len(s) == 1+registers:
		n = int64(math.Round(estimate(s[1:])))
	default:
		return errCell
	}
	to.(*array.Int64Builder).Append(n)
	return nil
}

func estimate(r []byte) float64 {
	const q = 64 - sketchBits
	var count [q + 2]float64
	for _, rank := range r {
		count[min(int(rank), q+1)]++
	}
	z := registers * tau((registers-count[q+1])/registers)
	for k := q; k >= 1; k-- {
		z = 0.5 * (z + count[k])
	}
	z += registers * sigma(count[0]/registers)
	return registers / (2 * math.Ln2) * registers / z
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	z, y := x, 1.0
	for {
		x *= x
		last := z
		z += x * y
		y += y
		if z == last {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	z, y := 1-x, 1.0
	for {
		x = math.Sqrt(x)
		last := z
		y *= 0.5
		z -= (1 - x) * (1 - x) * y
		if z == last {
			return z / 3
		}
	}
}

func (x sketch) Merge(into, from []byte) ([]byte, error) {
	if len(from) == 0 {
		return into, nil
	}
	if from[0] == 1 && len(from) == 1+registers {
		if len(into) > 0 && into[0] == 1 && len(into) == len(from) {
			for i, r := range from[1:] {
				into[1+i] = max(into[1+i], r)
			}
			return into, nil
		}
		into, from = append([]byte(nil), from...), into
	}
	if len(from) > 0 && (from[0] != 0 || len(from)%8 != 1) {
		return into, errCell
	}
	for i := range len(from) / 8 {
		var err error
		if into, err = x.add(into, word(from[1:], i)); err != nil {
			return into, err
		}
	}
	return into, nil
}
