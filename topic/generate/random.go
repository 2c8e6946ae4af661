package generate

import (
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

var _ = builtin(Kind{
	Name: "random",
	Doc: "Values of any declared columns. Numbers are from 0 to 999 (DECIMAL: as far as its digits go), times within 1970, texts are of 1 to " +
		"8 letters, collections of 0 to 3 elements.",
	Options: []option.Option{{Name: "nulls", Type: option.Float, Default: "0", Max: 1, Doc: "the share of NULLs"}},
	open: func(s *setup) (maker, error) {
		if len(s.Fields) == 0 {
			return nil, errors.New("the generator needs declared columns, because it generates any columns")
		}
		for _, f := range s.Fields {
			if !makeable(f.Type) {
				return nil, fmt.Errorf(
					"column %s has type %s, which the generator does not support",
					f.Name,
					flow.TypeName(f.Type),
				)
			}
		}
		return &random{s.Seed, s.Fields, s.Float("nulls")}, nil
	},
})

type random struct {
	seed  uint64
	list  []arrow.Field
	nulls float64
}

func (r *random) fields() []arrow.Field { return r.list }

func (r *random) columns(row int64, n int, want []int) []arrow.Array {
	out := make([]arrow.Array, len(want))
	for i, w := range want {
		b := flow.Builder(r.list[w].Type)
		b.Reserve(n)
		for j := range n {
			d := roll(r.seed+mix(uint64(w)), row+int64(j))
			flow.Append(b, r.value(&d, r.list[w].Type))
		}
		out[i] = b.NewArray()
	}
	return out
}

func makeable(t flow.Type) bool {
	switch t := t.(type) {
	case *arrow.MapType:
		return t.KeyType().ID() == arrow.STRING && makeable(t.ItemType())
	case *arrow.ListType:
		return makeable(t.Elem())
	case *arrow.StructType:
		for _, f := range t.Fields() {
			if !makeable(f.Type) {
				return false
			}
		}
		return true
	}
	switch t.ID() {
	case arrow.BOOL,
		arrow.INT32,
		arrow.INT64,
		arrow.FLOAT32,
		arrow.FLOAT64,
		arrow.DECIMAL128,
		arrow.STRING,
		arrow.BINARY,
		arrow.DATE32,
		arrow.TIME32,
		arrow.TIMESTAMP:
		return true
	}
	return false
}

// value returns a value in the form that flow.Append accepts.
func (r *random) value(d *dice, t flow.Type) any {
	if r.nulls > 0 && d.unit() < r.nulls {
		return nil
	}
	switch t := t.(type) {
	case *arrow.MapType:
		var out []flow.Entry
		for i := range d.below(4) { // the keys begin differently, so they are distinct
			out = append(out, flow.Entry{Key: string(rune('a'+i)) + letters(d), Value: r.value(d, t.ItemType())})
		}
		return out
	case *arrow.ListType:
		out := make([]any, d.below(4))
		for i := range out {
			out[i] = r.value(d, t.Elem())
		}
		return out
	case *arrow.StructType:
		out := make([]any, len(t.Fields()))
		for i, f := range t.Fields() {
			out[i] = r.value(d, f.Type)
		}
		return out
	case *arrow.Decimal128Type:
		return decimal128.FromI64(int64(d.unit() * math.Pow10(int(min(t.Precision, 18)))))
	}
	switch t.ID() {
	case arrow.BOOL:
		return d.below(2) == 1
	case arrow.INT32:
		return int32(d.below(1000))
	case arrow.INT64:
		return int64(d.below(1000))
	case arrow.FLOAT32:
		return float32(d.unit() * 1000)
	case arrow.FLOAT64:
		return d.unit() * 1000
	case arrow.STRING:
		return letters(d)
	case arrow.BINARY:
		return []byte(letters(d))
	case arrow.DATE32:
		return arrow.Date32(d.below(365))
	case arrow.TIME32:
		return arrow.Time32(d.below(24 * 60 * 60 * 1000))
	}
	return arrow.Timestamp(d.unit() * 365 * 24 * 60 * 60 * 1000)
}

func letters(d *dice) string {
	bits := d.Uint64()
	out := make([]byte, 1+bits>>61)
	for i := range out {
		out[i] = 'a' + byte(bits&0xff*26>>8)
		bits >>= 7
	}
	return string(out)
}
