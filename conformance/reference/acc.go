package reference

import (
	"math"
	"math/big"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
)

// acc is an aggregate function over the rows of a group. A result that does not fit its type is NULL. merge appends the rows of another group.
type acc interface {
	add(args []any, gone bool)
	value() any
	merge(other acc)
}

// accumulators returns a function that creates the accumulators of a new group.
func accumulators(calls []op.AggregateCall) (func() []acc, error) {
	var fresh []func() acc
	for _, c := range calls {
		name, _, _ := strings.Cut(strings.ToUpper(c.Name), "(")
		f, err := accumulator(name, c)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, f)
	}
	return func() []acc {
		out := make([]acc, len(fresh))
		for i, f := range fresh {
			out[i] = f()
		}
		return out
	}, nil
}

const collected = 1000 // maximum number of values of a COLLECT function

func accumulator(name string, c op.AggregateCall) (func() acc, error) {
	switch name {
	case "COUNT":
		return func() acc { return &count{} }, nil
	case "SUM":
		if c.Result.ID() == arrow.FLOAT64 {
			return func() acc { return &floatSum{zero: c.KSQL} }, nil
		}
		return func() acc { return &exactSum{t: c.Result, total: new(big.Int), zero: c.KSQL} }, nil
	case "AVG":
		if c.Bound.Args[0].ID() == arrow.FLOAT64 {
			return func() acc { return &floatSum{mean: true, zero: c.KSQL} }, nil
		}
		return func() acc { return &exactSum{t: c.Bound.Args[0], mean: true, total: new(big.Int), zero: c.KSQL} }, nil
	case "MIN", "MAX":
		return func() acc { return &extreme{least: name == "MIN"} }, nil
	case "LATEST_BY_OFFSET", "EARLIEST_BY_OFFSET":
		several := len(c.Bound.Args) == 3 || len(c.Bound.Args) == 2 && c.Bound.Args[1].ID() != arrow.BOOL
		return func() acc { return &byOffset{latest: name == "LATEST_BY_OFFSET", several: several} }, nil
	case "COLLECT_LIST", "COLLECT_SET":
		return func() acc { return &collect{distinct: name == "COLLECT_SET"} }, nil
	}
	return nil, uncovered("aggregate %s", name)
}

type count struct{ n int64 }

func (c *count) add(args []any, gone bool) {
	switch {
	case len(args) > 0 && args[0] == nil:
	case gone:
		c.n--
	default:
		c.n++
	}
}
func (c *count) value() any      { return c.n }
func (c *count) merge(other acc) { c.n += other.(*count).n }

// exactSum is SUM or AVG of INT, BIGINT or DECIMAL.
type exactSum struct {
	t          flow.Type // of the sum
	mean, zero bool      // the mean; 0 instead of NULL if there is no value
	total      *big.Int
	n          int64
}

func (s *exactSum) add(args []any, gone bool) {
	switch {
	case args[0] == nil:
	case gone:
		s.total, s.n = new(big.Int).Sub(s.total, unscaled(args[0])), s.n-1
	default:
		s.total, s.n = new(big.Int).Add(s.total, unscaled(args[0])), s.n+1
	}
}

func (s *exactSum) value() any {
	switch {
	case s.n == 0 && !s.zero:
		return nil
	case s.mean:
		f, _ := new(big.Float).SetInt(s.total).Float64()
		if d, ok := s.t.(*arrow.Decimal128Type); ok {
			f /= math.Pow10(int(d.Scale))
		}
		return f / float64(max(s.n, 1))
	case !fits(s.total, s.t, digits(s.t)):
		return nil
	}
	return fromUnscaled(s.total, s.t)
}

// digits returns the precision of a DECIMAL.
func digits(t flow.Type) int32 {
	if d, ok := t.(*arrow.Decimal128Type); ok {
		return d.Precision
	}
	return 0
}

func (s *exactSum) merge(other acc) {
	o := other.(*exactSum)
	s.total, s.n = new(big.Int).Add(s.total, o.total), s.n+o.n
}

// floatSum is SUM or AVG of DOUBLE, added in the order of the rows.
type floatSum struct {
	mean, zero bool
	sum        float64
	n          int64
}

func (s *floatSum) add(args []any, gone bool) {
	x, ok := args[0].(float64)
	switch {
	case !ok:
	case gone:
		s.sum, s.n = s.sum-x, s.n-1
	default:
		s.sum, s.n = s.sum+x, s.n+1
	}
}

func (s *floatSum) value() any {
	switch {
	case s.n == 0 && !s.zero:
		return nil
	case s.n == 0:
		return 0.0
	case s.mean:
		return s.sum / float64(s.n)
	}
	return s.sum
}

func (s *floatSum) merge(other acc) {
	o := other.(*floatSum)
	s.sum, s.n = s.sum+o.sum, s.n+o.n
}

type extreme struct {
	least bool
	best  any
}

func (e *extreme) add(args []any, _ bool) { e.put(args[0]) }
func (e *extreme) put(v any) {
	if v == nil {
		return
	}
	if e.best == nil {
		e.best = v
		return
	}
	if c := order(v, e.best); c < 0 && e.least || c > 0 && !e.least {
		e.best = v
	}
}
func (e *extreme) value() any      { return e.best }
func (e *extreme) merge(other acc) { e.put(other.(*extreme).best) }

// byOffset is LATEST_BY_OFFSET or EARLIEST_BY_OFFSET: the last or the first value, or as many values as the
// second argument requests.
type byOffset struct {
	latest, several bool
	n               int
	vals            []any
}

func (b *byOffset) add(args []any, _ bool) {
	b.n = 1
	skip := true
	for _, a := range args[1:] {
		switch a := a.(type) {
		case bool:
			skip = a
		case int32:
			b.n = int(a)
		case int64:
			b.n = int(a)
		}
	}
	if args[0] == nil && skip {
		return
	}
	b.put(args[0])
}

func (b *byOffset) put(v any) {
	switch {
	case len(b.vals) < b.n:
		b.vals = append(b.vals, v)
	case b.latest:
		b.vals = append(b.vals[1:len(b.vals):len(b.vals)], v)
	}
}

func (b *byOffset) value() any {
	switch {
	case b.several:
		return append([]any{}, b.vals...)
	case len(b.vals) == 0:
		return nil
	}
	return b.vals[0]
}

func (b *byOffset) merge(other acc) {
	o := other.(*byOffset)
	b.n = max(b.n, o.n)
	for _, v := range o.vals {
		b.put(v)
	}
}

type collect struct {
	distinct bool
	vals     []any
}

func (c *collect) add(args []any, gone bool) {
	if !gone {
		c.put(args[0])
		return
	}
	if i := c.find(args[0]); i >= 0 {
		c.vals = append(c.vals[:i:i], c.vals[i+1:]...)
	}
}

func (c *collect) find(v any) int {
	for i, have := range c.vals {
		if identity([]any{have}) == identity([]any{v}) {
			return i
		}
	}
	return -1
}

func (c *collect) put(v any) {
	if len(c.vals) < collected && !(c.distinct && c.find(v) >= 0) {
		c.vals = append(c.vals[:len(c.vals):len(c.vals)], v)
	}
}
func (c *collect) value() any { return append([]any{}, c.vals...) }
func (c *collect) merge(other acc) {
	for _, v := range other.(*collect).vals {
		c.put(v)
	}
}
