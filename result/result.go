// Package result writes the rows of a query in formats for programs: JSON Lines, a JSON array,
// CSV. The shell and the HTTP server use it.
package result

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Writer writes the result of one query. Print writes whole rows; Close ends the result. Lost
// returns the number of NaN and infinite values, which JSON cannot represent and which are
// written as null.
type Writer interface {
	Print(*flow.Batch) error
	Close() error
	Lost() int64
}

// Page is the common part of all writers: the destination and the head of the result.
type Page struct {
	*bufio.Writer
	Columns []catalog.Column
	Changes bool // rows are inserted and removed: each has an _op
	Style   format.Style

	key   []int
	lost  int64
	order []Change
}

// NewPage returns the page of a result with these columns. Columns with role Key identify a row
// of a changing result.
func NewPage(w io.Writer, columns []catalog.Column, changes bool, style format.Style) *Page {
	p := &Page{Writer: bufio.NewWriterSize(w, 64<<10), Columns: columns, Changes: changes, Style: style}
	for i, c := range columns {
		if c.Role == catalog.Key {
			p.key = append(p.key, i)
		}
	}
	return p
}

// Lost returns the number of values that were written as null because they are NaN or infinite.
func (p *Page) Lost() int64 { return p.lost }

// Change is a row of a batch with its effect on the result.
type Change struct {
	Row int
	Op  string // +, -, upsert or delete; empty if the result only grows
}

// Rows returns the rows of a batch to write. If rows have a key, an update is one upsert: the
// old row, which directly precedes the new one, is omitted.
func (p *Page) Rows(b *flow.Batch) []Change {
	p.order = p.order[:0]
	for i := range b.Rows() {
		op := ""
		switch {
		case !p.Changes:
		case len(p.key) == 0:
			op = "+"
			if b.Op(i).Gone() {
				op = "-"
			}
		case b.Op(i) == flow.Insert:
			op = "upsert"
		default:
			if i+1 < b.Rows() && b.Op(i+1) == flow.Insert && p.sameKey(b, i, i+1) {
				continue
			}
			op = "delete"
		}
		p.order = append(p.order, Change{i, op})
	}
	for _, c := range b.Columns() {
		p.lost += notNumbers(c, 0, c.Len())
	}
	return p.order
}

func (p *Page) sameKey(b *flow.Batch, i, j int) bool {
	for _, k := range p.key {
		if !array.SliceEqual(b.Column(k), int64(i), int64(i+1), b.Column(k), int64(j), int64(j+1)) {
			return false
		}
	}
	return true
}

// notNumbers counts the values in rows [from, to) of a column that JSON cannot represent.
func notNumbers(a arrow.Array, from, to int) int64 {
	n := int64(0)
	switch a := a.(type) {
	case *array.Float64:
		for i, v := range a.Float64Values()[from:to] {
			if v-v != 0 && a.IsValid(from+i) {
				n++
			}
		}
	case *array.Float32:
		for i, v := range a.Float32Values()[from:to] {
			if v-v != 0 && a.IsValid(from+i) {
				n++
			}
		}
	case *array.Struct:
		for i := range a.NumField() {
			n += notNumbers(a.Field(i), from, to)
		}
	case array.ListLike:
		for i := from; i < to; i++ {
			if a.IsValid(i) {
				begin, end := a.ValueOffsets(i)
				n += notNumbers(a.ListValues(), int(begin), int(end))
			}
		}
	}
	return n
}

// AppendText appends a value as plain text: a STRING unchanged, all other values as JSON
// without quotes.
func AppendText(dst []byte, a arrow.Array, row int, style format.Style) []byte {
	if s, ok := a.(*array.String); ok {
		return append(dst, s.Value(row)...)
	}
	from := len(dst)
	dst = format.AppendJSON(dst, a, row, style)
	if n := len(dst); n > from+1 && dst[from] == '"' {
		copy(dst[from:], dst[from+1:n-1])
		dst = dst[:n-2]
	}
	return dst
}

// Names returns the display names of the columns. Equal names are distinguished as name,
// name_2, ...
func (p *Page) Names() []string {
	var out []string
	for _, c := range p.Columns {
		name := c.Name
		for n := 2; slices.Contains(out, name); n++ {
			name = fmt.Sprintf("%s_%d", c.Name, n)
		}
		out = append(out, name)
	}
	return out
}
