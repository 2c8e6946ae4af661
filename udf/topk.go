package udf

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(top("TOPK", "the k greatest values that are not NULL, greatest first: TOPK(x, k); with further columns, TOPK(x, y, .., k), structs of them, whose fields are sort_col, col0, ..", false,
	Example{over("TOPK(x, 2)", "ARRAY[3, 1, 3, 2]"), "[3, 3]"}))
var _ = builtin(top("TOPKDISTINCT", "the k greatest distinct values that are not NULL, greatest first: TOPKDISTINCT(x, k)", true,
	Example{over("TOPKDISTINCT(x, 2)", "ARRAY[3, 1, 3, 2]"), "[3, 2]"}))

func top(name, doc string, distinct bool, examples ...Example) Aggregate {
	return Aggregate{Name: name, Doc: doc, Examples: examples, Bind: func(args []flow.Type, literals []any) (Bound, error) {
		n := len(args)
		if n < 2 || !sortable(args[0]) || distinct && n != 2 || args[n-1].ID() != arrow.INT32 && args[n-1].ID() != arrow.INT64 {
			want := "sortable, .., INTEGER"
			if distinct {
				want = "sortable, INTEGER"
			}
			return Bound{}, Mismatch(name, args, want)
		}
		k, err := literalCount(name, literals, n-1)
		if err != nil {
			return Bound{}, err
		}
		elem := args[0]
		if n > 2 {
			fields := []arrow.Field{flow.Field("sort_col", args[0])}
			for i, t := range args[1 : n-1] {
				fields = append(fields, flow.Field(fmt.Sprintf("col%d", i), t))
			}
			elem = flow.Struct(fields...)
		}
		return Bound{Args: args, Result: flow.Array(elem), New: func() Accumulator { return topK{args[0], n - 1, k, distinct} }}, nil
	}}
}

// topK stores a list, greatest first, whose items are the cells of the columns.
type topK struct {
	t        flow.Type
	columns  int
	k        int
	distinct bool
}

func (topK) Size() int { return -1 }
func (x topK) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	var buf [64]byte
	item := buf[:0]
	for _, a := range args[:x.columns] {
		item = appendCell(item, a, row)
	}
	return x.add(s, item)
}

// add inserts an item after all items that are not less.
func (x topK) add(s, item []byte) ([]byte, error) {
	v, err := x.sortValue(item)
	if err != nil {
		return s, err
	}
	c, count := walk(s), 0
	for c.next() {
		old, err := x.sortValue(c.item)
		if err != nil {
			return s, err
		}
		order := compareValues(v, old)
		if order == 0 && x.distinct {
			return s, nil
		}
		if order > 0 {
			break
		}
		count++
	}
	if c.err != nil || count >= x.k {
		return s, c.err
	}
	s = listInsert(s, c.at, item)
	if listLen(s) <= x.k {
		return s, nil
	}
	last := walk(s)
	for i := 0; i <= x.k && last.next(); i++ {
	}
	return listCut(s, last.at, last.end), last.err
}

// sortValue returns the value by which an item is sorted, which is never NULL.
func (x topK) sortValue(item []byte) (any, error) {
	v, _, err := readCell(x.t, item)
	if err == nil && v == nil {
		err = errCell
	}
	return v, err
}

func (x topK) Value(s []byte, to array.Builder) error {
	if x.columns == 1 {
		return listValue(s, to)
	}
	list := to.(*array.ListBuilder)
	list.Append(true)
	b := list.ValueBuilder().(*array.StructBuilder)
	c := walk(s)
	for c.next() {
		b.Append(true)
		rest, err := c.item, error(nil)
		for i := range x.columns {
			if rest, err = takeCell(b.FieldBuilder(i), rest); err != nil {
				return err
			}
		}
	}
	return c.err
}

func (x topK) Merge(into, from []byte) ([]byte, error) {
	c := walk(from)
	for c.next() {
		var err error
		if into, err = x.add(into, c.item); err != nil {
			return into, err
		}
	}
	return into, c.err
}

// compareValues compares two Go values of one sortable type. NaN is greater than every number,
// as in ORDER BY.
func compareValues(a, b any) int {
	switch a := a.(type) {
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	case int32:
		return cmp.Compare(a, b.(int32))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float32:
		return compareFloats(float64(a), float64(b.(float32)))
	case float64:
		return compareFloats(a, b.(float64))
	case decimal128.Num:
		return a.Cmp(b.(decimal128.Num))
	case string:
		return cmp.Compare(a, b.(string))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case arrow.Date32:
		return cmp.Compare(a, b.(arrow.Date32))
	case arrow.Time32:
		return cmp.Compare(a, b.(arrow.Time32))
	case arrow.Timestamp:
		return cmp.Compare(a, b.(arrow.Timestamp))
	}
	// a broken invariant: Bind admits sortable types only
	panic(fmt.Sprintf("udf: values of %T have no order", a))
}

func compareFloats(a, b float64) int { return -cmp.Compare(-a, -b) }
