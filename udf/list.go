package udf

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// A list is the state of an aggregate that stores several values: their number in 4 bytes, then
// each value preceded by its length. An empty state is an empty list.

const listHead = 4

func listLen(s []byte) int {
	if len(s) < listHead {
		return 0
	}
	return int(binary.LittleEndian.Uint32(s))
}

func listAdd(s, item []byte) []byte {
	if len(s) < listHead {
		s = append(s[:0], 0, 0, 0, 0)
	}
	binary.LittleEndian.PutUint32(s, binary.LittleEndian.Uint32(s)+1)
	return append(binary.AppendUvarint(s, uint64(len(item))), item...)
}

// cursor walks a list. At is where the present item, its length included, begins and end where
// it ends.
type cursor struct {
	s       []byte
	item    []byte
	at, end int
	err     error
}

func walk(s []byte) cursor { return cursor{s: s, at: 0, end: min(listHead, len(s))} }

func (c *cursor) next() bool {
	c.at = c.end
	if c.err != nil || c.at == len(c.s) {
		return false
	}
	item, rest, err := readBytes(c.s[c.at:])
	if err != nil {
		c.err = err
		return false
	}
	c.item, c.end = item, len(c.s)-len(rest)
	return true
}

// listCut takes the bytes [from, to) of a list out, one item.
func listCut(s []byte, from, to int) []byte {
	binary.LittleEndian.PutUint32(s, binary.LittleEndian.Uint32(s)-1)
	return append(s[:from], s[to:]...)
}

// listInsert puts an item where another begins.
func listInsert(s []byte, at int, item []byte) []byte {
	if at < listHead {
		return listAdd(s, item)
	}
	tail := append([]byte(nil), s[at:]...)
	return append(listAdd(s[:at], item), tail...)
}

// listValue appends a list of cells as an ARRAY.
func listValue(s []byte, to array.Builder) error {
	list := to.(*array.ListBuilder)
	list.Append(true)
	c := walk(s)
	for c.next() {
		if _, err := takeCell(list.ValueBuilder(), c.item); err != nil {
			return err
		}
	}
	return c.err
}

// literal reads argument i of an aggregate, which must be a literal of a Go type.
func literal[T any](name string, literals []any, i int) (T, error) {
	v, ok := literals[i].(T)
	if !ok {
		return v, fmt.Errorf("argument %d of %s must be a literal", i+1, name)
	}
	return v, nil
}

// literalCount reads an argument that is a literal whole number of 1 or more.
func literalCount(name string, literals []any, i int) (int, error) {
	n := int64(0)
	switch v := literals[i].(type) {
	case int32:
		n = int64(v)
	case int64:
		n = v
	default:
		return 0, fmt.Errorf("argument %d of %s must be a literal INTEGER", i+1, name)
	}
	if n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("argument %d of %s must lie between 1 and 1000000, not %d", i+1, name, n)
	}
	return int(n), nil
}

func hasCells(t flow.Type) bool { return t.ID() != arrow.NULL }

var _ = builtin(
	Aggregate{
		Name: "COLLECT_LIST",
		Doc: "the values, NULLs too, in the order of the rows, as an ARRAY; values beyond the first 1000 " +
			"are ignored",
		Within:   func(w *World) func([]flow.Type, []any) (Bound, error) { return collects("COLLECT_LIST", false, w) },
		Examples: []Example{{over("COLLECT_LIST(x)", "ARRAY[2, 1, 2]"), "[2, 1, 2]"}},
	},
)

var _ = builtin(
	Aggregate{
		Name: "COLLECT_SET",
		Doc: "the distinct values, NULL too, in the order in which they first came, as an ARRAY; values " +
			"beyond the first 1000 are ignored",
		Within:   func(w *World) func([]flow.Type, []any) (Bound, error) { return collects("COLLECT_SET", true, w) },
		Examples: []Example{{over("COLLECT_SET(x)", "ARRAY[2, 1, 2]"), "[2, 1]"}},
	},
)

// over is an example of an aggregate over the elements of an array.
func over(call, values string) string {
	return call + " FROM (SELECT EXPLODE(" + values + ") AS x)"
}

func collects(name string, distinct bool, w *World) func([]flow.Type, []any) (Bound, error) {
	return func(args []flow.Type, _ []any) (Bound, error) {
		if len(args) != 1 || !hasCells(args[0]) {
			return Bound{}, Mismatch(name, args, "one argument")
		}
		limit := w.limit(name)
		return Bound{
			Args:     args,
			Result:   flow.Array(args[0]),
			Retracts: !distinct,
			New:      func() Accumulator { return collect{distinct, limit} },
		}, nil
	}
}

type collect struct {
	distinct bool
	limit    int
}

func (collect) Size() int { return -1 }
func (c collect) Add(s []byte, args []arrow.Array, row int, w flow.Op) ([]byte, error) {
	var buf [64]byte
	item := appendCell(buf[:0], args[0], row)
	if w < 0 {
		return removeFirst(s, item)
	}
	return c.add(s, item)
}

func (c collect) add(s, item []byte) ([]byte, error) {
	if listLen(s) >= c.limit {
		return s, nil
	}
	if c.distinct {
		at := walk(s)
		for at.next() {
			if string(at.item) == string(item) {
				return s, nil
			}
		}
		if at.err != nil {
			return s, at.err
		}
	}
	return listAdd(s, item), nil
}

// removeFirst removes one of the items that equal item; they are interchangeable.
func removeFirst(s, item []byte) ([]byte, error) {
	at := walk(s)
	for at.next() {
		if string(at.item) == string(item) {
			return listCut(s, at.at, at.end), nil
		}
	}
	return s, at.err
}

func (collect) Value(s []byte, to array.Builder) error { return listValue(s, to) }
func (c collect) Merge(into, from []byte) ([]byte, error) {
	at := walk(from)
	for at.next() {
		var err error
		if into, err = c.add(into, at.item); err != nil {
			return into, err
		}
	}
	return into, at.err
}
