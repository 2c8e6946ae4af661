package udf

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(
	byOffset(
		"LATEST_BY_OFFSET",
		"the value of the newest row",
		true,
		Example{over("LATEST_BY_OFFSET(x)", "ARRAY[3, 1, 2]"), "2"},
		Example{over("LATEST_BY_OFFSET(x, 2)", "ARRAY[3, 1, 2]"), "[1, 2]"},
	),
)

var _ = builtin(
	byOffset(
		"EARLIEST_BY_OFFSET",
		"the value of the oldest row",
		false,
		Example{over("EARLIEST_BY_OFFSET(x)", "ARRAY[3, 1, 2]"), "3"},
		Example{over("EARLIEST_BY_OFFSET(x, 2)", "ARRAY[3, 1, 2]"), "[3, 1]"},
	),
)

// byOffset is (x[, n][, ignoreNulls]); n and ignoreNulls are literals.
func byOffset(name, doc string, latest bool, examples ...Example) Aggregate {
	doc += " in the order of offsets, or an ARRAY of the values of n of them, oldest first; NULLs are passed " +
		"over unless the last argument is FALSE"
	return Aggregate{
		Name:     name,
		Doc:      doc,
		Examples: examples,
		Bind: func(args []flow.Type, literals []any) (Bound, error) {
			if len(args) < 1 || len(args) > 3 || !hasCells(args[0]) {
				return Bound{}, Mismatch(name, args, "any[, INTEGER][, BOOLEAN]")
			}
			skip, n, err := offsetOptions(name, args, literals)
			if err != nil {
				return Bound{}, err
			}
			b := Bound{Args: args, Result: args[0], New: func() Accumulator { return oneByOffset{latest, skip} }}
			switch {
			case n > 0:
				b.Result = flow.Array(args[0])
				b.New = func() Accumulator { return someByOffset{latest, skip, n} }
			case fixedWidth(args[0]):
				b.New = func() Accumulator { return fixedByOffset{latest, skip} }
			}
			return b, nil
		},
	}
}

func offsetOptions(name string, args []flow.Type, literals []any) (skip bool, n int, err error) {
	skip, i := true, 1
	if len(args) == 3 || len(args) == 2 && args[1].ID() != arrow.BOOL {
		if n, err = literalCount(name, literals, 1); err != nil {
			return skip, n, err
		}
		i = 2
	}
	if i < len(args) {
		if args[i].ID() != arrow.BOOL {
			return skip, n, fmt.Errorf("argument %d of %s must be a literal BOOLEAN", i+1, name)
		}
		skip, err = literal[bool](name, literals, i)
	}
	return skip, n, err
}

func fixedWidth(t flow.Type) bool {
	return sortable(t) && t.ID() != arrow.STRING && t.ID() != arrow.BINARY
}

// fixedByOffset stores a word (0 nothing, 1 a value, 2 NULL) and the 128 bits of the value.
type fixedByOffset struct{ latest, skipNulls bool }

func (fixedByOffset) Size() int { return 24 }
func (x fixedByOffset) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	null := args[0].IsNull(row)
	if null && x.skipNulls || !x.latest && word(s, 0) != 0 {
		return s, nil
	}
	if null {
		setWord(s, 0, 2)
		return s, nil
	}
	lo, hi := bitsOf(args[0], row)
	setWord(s, 0, 1)
	setWord(s, 1, lo)
	setWord(s, 2, hi)
	return s, nil
}
func (fixedByOffset) Value(s []byte, to array.Builder) error {
	if word(s, 0) != 1 {
		to.AppendNull()
		return nil
	}
	appendBits(to, word(s, 1), word(s, 2))
	return nil
}
func (x fixedByOffset) Merge(into, from []byte) ([]byte, error) {
	if word(from, 0) != 0 && (x.latest || word(into, 0) == 0) {
		copy(into, from)
	}
	return into, nil
}

// oneByOffset stores a cell, or nothing.
type oneByOffset struct{ latest, skipNulls bool }

func (oneByOffset) Size() int { return -1 }
func (x oneByOffset) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) && x.skipNulls || !x.latest && len(s) > 0 {
		return s, nil
	}
	return appendCell(s[:0], args[0], row), nil
}
func (oneByOffset) Value(s []byte, to array.Builder) error {
	if len(s) == 0 {
		to.AppendNull()
		return nil
	}
	_, err := takeCell(to, s)
	return err
}
func (x oneByOffset) Merge(into, from []byte) ([]byte, error) {
	if len(from) > 0 && (x.latest || len(into) == 0) {
		return append(into[:0], from...), nil
	}
	return into, nil
}

// someByOffset stores a list of cells.
type someByOffset struct {
	latest, skipNulls bool
	n                 int
}

func (someByOffset) Size() int { return -1 }
func (x someByOffset) Add(s []byte, args []arrow.Array, row int, _ flow.Op) ([]byte, error) {
	if args[0].IsNull(row) && x.skipNulls {
		return s, nil
	}
	var buf [64]byte
	return x.add(s, appendCell(buf[:0], args[0], row))
}
func (x someByOffset) add(s, item []byte) ([]byte, error) {
	full := listLen(s) >= x.n
	switch {
	case full && !x.latest:
		return s, nil
	case full:
		c := walk(s)
		if !c.next() {
			return s, errCell
		}
		s = listCut(s, c.at, c.end)
	}
	return listAdd(s, item), nil
}
func (someByOffset) Value(s []byte, to array.Builder) error { return listValue(s, to) }
func (x someByOffset) Merge(into, from []byte) ([]byte, error) {
	c := walk(from)
	for c.next() {
		var err error
		if into, err = x.add(into, c.item); err != nil {
			return into, err
		}
	}
	return into, c.err
}
