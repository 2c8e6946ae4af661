package udf

import (
	"fmt"
	"math"
	"sort"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	Aggregate{
		Name: "APPROX_QUANTILE",
		Doc: "APPROX_QUANTILE(x, share): the value below which that share of the values of x lies; share is a literal " +
			"from 0 to 1; within 1 % of the value; NULL without values",
		Bind: func(args []flow.Type, literals []any) (Bound, error) {
			if err := Accept("APPROX_QUANTILE", args, flow.Double, flow.Double); err != nil {
				return Bound{}, err
			}
			share := math.NaN()
			if literals[1] != nil {
				share = asDouble(args[1], literals[1])
			}
			if !(share >= 0 && share <= 1) {
				return Bound{}, fmt.Errorf("argument 2 of APPROX_QUANTILE must be a literal number from 0 to 1")
			}
			return Bound{
				Args:     repeat(flow.Double, 2),
				Result:   flow.Double,
				Retracts: true,
				New:      func() Accumulator { return quantile{share} },
			}, nil
		},
		Examples: []Example{{over("APPROX_QUANTILE(x, 0.5)", "ARRAY[0, 0, 9]"), "0.0"}},
	},
)

func asDouble(t flow.Type, v any) float64 {
	var f float64
	if _, err := fmt.Sscan(flow.Spell(t, v), &f); err != nil {
		return math.NaN()
	}
	return f
}

// quantile counts values in buckets whose bounds grow by a factor (Masson, Rim and Lee 2019):
// pairs of words, a bucket and its count, in the order of the buckets. Beyond maxBuckets the
// lowest ones join, so small values lose precision first.
type quantile struct{ share float64 }

const (
	gamma      = 1.01 / 0.99
	maxBuckets = 2048
	middle     = 1 << 20 // the bucket of 1.0; that of 0 is 0, and negative numbers have negative buckets
	infinite   = 1 << 40
)

func bucketOf(x float64) int64 {
	switch {
	case x == 0:
		return 0
	case x < 0:
		return -bucketOf(-x)
	case math.IsInf(x, 1):
		return infinite
	}
	return middle + int64(math.Ceil(math.Log(x)/math.Log(gamma)))
}

func bucketValue(b int64) float64 {
	switch {
	case b == 0:
		return 0
	case b < 0:
		return -bucketValue(-b)
	case b == infinite:
		return math.Inf(1)
	}
	return 2 * math.Pow(gamma, float64(b-middle)) / (gamma + 1)
}

func (quantile) Size() int { return -1 }
func (q quantile) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	a := args[0].(*array.Float64)
	if a.IsNull(row) || math.IsNaN(a.Value(row)) {
		return s, nil
	}
	if len(s)%16 != 0 {
		return s, errCell
	}
	return q.put(s, bucketOf(a.Value(row)), int64(w)), nil
}

func (quantile) put(s []byte, bucket, n int64) []byte {
	count := len(s) / 16
	i := sort.Search(count, func(i int) bool { return int64(word(s, 2*i)) >= bucket })
	if i == count || int64(word(s, 2*i)) != bucket {
		switch {
		case n < 0 && i < count: // it joined a higher bucket
		case n < 0:
			return s
		default:
			s = append(s, make([]byte, 16)...)
			copy(s[16*i+16:], s[16*i:])
			setWord(s, 2*i, uint64(bucket))
			setWord(s, 2*i+1, 0)
		}
	}
	left := int64(word(s, 2*i+1)) + n
	setWord(s, 2*i+1, uint64(left))
	if left <= 0 {
		s = append(s[:16*i], s[16*i+16:]...)
	}
	if len(s)/16 > maxBuckets {
		setWord(s, 3, word(s, 1)+word(s, 3))
		s = append(s[:0], s[16:]...)
	}
	return s
}

func (q quantile) Value(s []byte, to array.Builder) error {
	if len(s)%16 != 0 {
		return errCell
	}
	total := int64(0)
	for i := range len(s) / 16 {
		total += int64(word(s, 2*i+1))
	}
	b := to.(*array.Float64Builder)
	rank := int64(q.share * float64(total-1))
	for i := range len(s) / 16 {
		if rank -= int64(word(s, 2*i+1)); rank < 0 {
			b.Append(bucketValue(int64(word(s, 2*i))))
			return nil
		}
	}
	b.AppendNull()
	return nil
}

func (q quantile) Merge(into, from []byte) ([]byte, error) {
	if len(into)%16 != 0 || len(from)%16 != 0 {
		return into, errCell
	}
	for i := range len(from) / 16 {
		into = q.put(into, int64(word(from, 2*i)), int64(word(from, 2*i+1)))
	}
	return into, nil
}
