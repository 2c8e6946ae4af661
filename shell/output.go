// Package shell is what a person at a terminal meets: results as tables, JSON or CSV, progress, and the line editor with its commands.
// It is a caller of the engine like any other; nothing here decides what a statement means.
package shell

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
)

// Formats are the names of the formats that NewPrinter knows.
var Formats = []string{"table", "jsonl", "json", "csv"}

// Look is how results are shown.
type Look struct {
	Format   string // one of Formats
	Width    int    // columns of the terminal; 0: there is none, and nothing is cut
	Color    bool
	Expanded bool // a table shows one column a line
	Ksql     bool // times as milliseconds, as ksqlDB has them
}

func (l Look) style() format.Style {
	if l.Ksql {
		return format.NaNNull
	}
	return format.ISOTimes | format.NaNNull
}

// Printer writes the result of one query. Print hands whole rows to the writer, unless a bounded table holds them until its widths
// are known; Close ends the result. Lost is the number of values that were no numbers (NaN or infinite) and are written as null.
type Printer interface {
	Print(*flow.Batch) error
	Close() error
	Lost() int64
}

// NewPrinter makes the printer for a result. Error: SQ3010 when the format needs an end and the result has none.
func NewPrinter(w io.Writer, rows *streamql.Rows, look Look) (Printer, error) {
	base := page{Writer: bufio.NewWriterSize(w, 64<<10), columns: rows.Columns, changes: rows.Changes, look: look}
	for i, c := range rows.Columns {
		if c.Role == catalog.Key {
			base.key = append(base.key, i)
		}
	}
	switch look.Format {
	case "table", "":
		return newTable(base, rows.Bounded), nil
	case "jsonl":
		return newLines(base), nil
	case "csv":
		return &sheet{page: base}, nil
	case "json":
		if !rows.Bounded {
			return nil, &streamql.Error{Code: "SQ3010", Stage: lang.StagePlan, Msg: "format json needs a query that ends: one JSON array is written as a whole",
				Hint: "use -o jsonl, or bound the query with UNTIL NOW or LIMIT"}
		}
		return &document{lines: newLines(base)}, nil
	}
	err := &streamql.Error{Code: "SQ1103", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no output format %q; there are %v", look.Format, Formats)}
	if near := lang.Suggest(look.Format, Formats); near != "" {
		err.Label = "did you mean " + near + "?"
	}
	return nil, err
}

// page is what all printers share.
type page struct {
	*bufio.Writer
	columns []catalog.Column
	key     []int
	changes bool
	look    Look
	lost    int64
	order   []change
}

func (p *page) Lost() int64 { return p.lost }

// change is a row of a batch with what it does to the result: nothing to tell when the result only grows.
type change struct {
	row int
	op  string
}

// rows lists the rows of a batch to be shown. Where rows have a key, a change of a row is one upsert: the old row, which comes
// directly before it, is not shown.
func (p *page) rows(b *flow.Batch) []change {
	p.order = p.order[:0]
	for i := range b.Rows() {
		op := ""
		switch {
		case !p.changes:
		case len(p.key) == 0:
			op = map[flow.Op]string{flow.Insert: "+", flow.Retract: "-"}[b.Op(i)]
		case b.Op(i) == flow.Insert:
			op = "upsert"
		default:
			if i+1 < b.Rows() && b.Op(i+1) == flow.Insert && p.sameKey(b, i, i+1) {
				continue
			}
			op = "delete"
		}
		p.order = append(p.order, change{i, op})
	}
	for _, c := range b.Columns() {
		p.lost += notNumbers(c, 0, c.Len())
	}
	return p.order
}

func (p *page) sameKey(b *flow.Batch, i, j int) bool {
	for _, k := range p.key {
		if !array.SliceEqual(b.Column(k), int64(i), int64(i+1), b.Column(k), int64(j), int64(j+1)) {
			return false
		}
	}
	return true
}

// notNumbers counts the values in rows [from, to) of a column that JSON has no number for.
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

// appendText appends a value as plain text: a STRING as it is, everything else as JSON has it but without quotes.
func appendText(dst []byte, a arrow.Array, row int, style format.Style) []byte {
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

// rightAligned reports whether a type's values are read from the right.
func rightAligned(t flow.Type) bool { return flow.IsNumber(t) }

// names are the shown names of the columns; equal names are told apart as name, name_2, ...
func (p *page) names() []string {
	var out []string
	for _, c := range p.columns {
		name := c.Name
		for n := 2; slices.Contains(out, name); n++ {
			name = fmt.Sprintf("%s_%d", c.Name, n)
		}
		out = append(out, name)
	}
	return out
}

// ratio is a part of a whole in per cent, for progress.
func ratio(part, whole int64) float64 {
	if whole <= 0 {
		return 100
	}
	return math.Min(100, 100*float64(part)/float64(whole))
}
