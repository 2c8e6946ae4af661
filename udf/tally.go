package udf

import (
	"encoding/binary"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Aggregate{Name: "HISTOGRAM", Doc: "how often each value that is not NULL came, as MAP<STRING, BIGINT>; values beyond the first 1000 distinct ones are ignored",
	Within: func(w *World) func([]flow.Type, []any) (Bound, error) {
		return func(args []flow.Type, _ []any) (Bound, error) {
			if len(args) != 1 || !sortable(args[0]) || args[0].ID() == arrow.BINARY {
				return Bound{}, Mismatch("HISTOGRAM", args, "STRING")
			}
			limit := w.limit("HISTOGRAM")
			return Bound{Args: []flow.Type{flow.String}, Result: flow.Map(flow.String, flow.Bigint), Retracts: true, New: func() Accumulator { return histogram{limit} }}, nil
		}
	}, Examples: []Example{{over("HISTOGRAM(x)", "ARRAY['a', 'b', 'a']"), "{a=2, b=1}"}}})

var _ = builtin(Aggregate{Name: "ATTR", Doc: "the one value that all rows have, NULL if they have several", Bind: func(args []flow.Type, _ []any) (Bound, error) {
	if len(args) != 1 || !hasCells(args[0]) {
		return Bound{}, Mismatch("ATTR", args, "one argument")
	}
	return Bound{Args: args, Result: args[0], Retracts: true, New: func() Accumulator { return attr{} }}, nil
}, Examples: []Example{{over("ATTR(x)", "ARRAY[2, 2]"), "2"}, {over("ATTR(x)", "ARRAY[2, 3]"), "null"}}})

// A tally is a list whose items are a count of 8 bytes and a cell.

// tallyAdd adds n to the count of an item. An item whose count is not above 0 any more is removed
// from the list. An item that is not in the list is added only if the list has fewer than limit
// items.
func tallyAdd(s, item []byte, n int64, limit int) ([]byte, error) {
	c := walk(s)
	for c.next() {
		if len(c.item) < 8 {
			return s, errCell
		}
		if string(c.item[8:]) != string(item) {
			continue
		}
		if n += int64(word(c.item, 0)); n <= 0 {
			return listCut(s, c.at, c.end), nil
		}
		setWord(c.item, 0, uint64(n))
		return s, nil
	}
	if c.err != nil || n <= 0 || listLen(s) >= limit {
		return s, c.err
	}
	var buf [64]byte
	return listAdd(s, append(binary.LittleEndian.AppendUint64(buf[:0], uint64(n)), item...)), nil
}

func tallyMerge(into, from []byte, limit int) ([]byte, error) {
	c := walk(from)
	for c.next() {
		if len(c.item) < 8 {
			return into, errCell
		}
		var err error
		if into, err = tallyAdd(into, c.item[8:], int64(word(c.item, 0)), limit); err != nil {
			return into, err
		}
	}
	return into, c.err
}

type histogram struct{ limit int }

func (histogram) Size() int { return -1 }
func (h histogram) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	if args[0].IsNull(row) {
		return s, nil
	}
	var buf [64]byte
	return tallyAdd(s, appendCell(buf[:0], args[0], row), int64(w), h.limit)
}
func (histogram) Value(s []byte, to array.Builder) error {
	m := to.(*array.MapBuilder)
	m.Append(true)
	c := walk(s)
	for c.next() {
		if len(c.item) < 8 {
			return errCell
		}
		if _, err := takeCell(m.KeyBuilder(), c.item[8:]); err != nil {
			return err
		}
		m.ItemBuilder().(*array.Int64Builder).Append(int64(word(c.item, 0)))
	}
	return c.err
}
func (h histogram) Merge(into, from []byte) ([]byte, error) { return tallyMerge(into, from, h.limit) }

// attr counts the rows of each distinct value, so that rows can be retracted.
type attr struct{}

// attrLimit is the maximum number of distinct values in the state. A group with more of them has no
// value that all its rows share, until rows are retracted.
const attrLimit = 10_000

func (attr) Size() int { return -1 }
func (attr) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	var buf [64]byte
	return tallyAdd(s, appendCell(buf[:0], args[0], row), int64(w), attrLimit)
}
func (attr) Value(s []byte, to array.Builder) error {
	c := walk(s)
	if listLen(s) != 1 || !c.next() || len(c.item) < 8 {
		to.AppendNull()
		return c.err
	}
	_, err := takeCell(to, c.item[8:])
	return err
}
func (attr) Merge(into, from []byte) ([]byte, error) { return tallyMerge(into, from, attrLimit) }
