package shell

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/rivo/uniseg"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/result"
)

// table writes rows below a line of column names; numbers are aligned on the right. The first rows decide the
// column widths. On a terminal the widest columns are truncated until a row fits a line.
type table struct {
	*result.Page
	look    Look
	bounded bool
	held    [][]string // rows that are buffered until the widths are decided
	widths  []int
	right   []bool
	any     bool
	n       int
}

// The rows that a bounded result buffers before its widths are decided, and the limits of a truncated column.
const (
	holdRows    = 2000
	narrowest   = 6
	widestThere = 200
)

func newTable(p *result.Page, look Look, bounded bool) *table {
	t := &table{Page: p, look: look, bounded: bounded}
	if p.Changes {
		t.right = append(t.right, false)
	}
	for _, c := range p.Columns {
		t.right = append(t.right, rightAligned(c.Type))
	}
	return t
}

func (t *table) header() []string {
	names := t.Names()
	if t.Changes {
		names = append([]string{"_op"}, names...)
	}
	for i := range names {
		names[i] = visible(names[i])
	}
	return names
}

// Print adds a batch to the table.
func (t *table) Print(b *flow.Batch) error {
	style := format.ISOTimes
	if t.look.Dialect.Has(dialect.TimesAsNumbers) {
		style = 0
	}
	for _, c := range t.Rows(b) {
		var cells []string
		if t.Changes {
			cells = append(cells, c.Op)
		}
		for i := range t.Columns {
			cells = append(cells, cell(b.Column(i), c.Row, style))
		}
		t.n++
		if t.look.Expanded {
			t.record(cells)
			continue
		}
		t.held = append(t.held, cells)
	}
	if len(t.held) > 0 && (!t.bounded || len(t.held) >= holdRows || t.any) {
		t.settle()
	}
	return t.Flush()
}

// Lost returns 0, because a table shows NaN as it is.
func (t *table) Lost() int64 { return 0 }

func cell(a arrow.Array, row int, style format.Style) string {
	if a.IsNull(row) {
		return "NULL"
	}
	return visible(string(result.AppendText(nil, a, row, style)))
}

// visible replaces control characters, which could move a terminal's cursor or change its colours.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' || r == '\u2028' || r == '\u2029'
	}) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '⏎'
		case r == '\t':
			return ' '
		case r < ' ':
			return 0x2400 + r
		case r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
			return '\uFFFD'
		}
		return r
	}, s)
}

// settle writes the buffered rows, with one column per line if the terminal is too narrow for all columns. It writes
// the line of names first if it has not been written yet, or if
// the widths have changed.
func (t *table) settle() {
	if len(t.held) == 0 && t.any {
		return
	}
	names := t.header()
	grown := !t.any
	if grown && t.look.Width > 0 && len(names)*(narrowest+3) > t.look.Width {
		t.look.Expanded = true // the columns would not fit, however narrow
		t.n -= len(t.held)
		for _, row := range t.held {
			t.n++
			t.record(row)
		}
		t.held, t.any = nil, true
		return
	}
	t.any = true
	widths := make([]int, len(names))
	copy(widths, t.widths)
	if !t.bounded && len(t.widths) == 0 {
		t.expect(widths)
	}
	for _, row := range append([][]string{names}, t.held...) {
		for i, s := range row {
			if w := uniseg.StringWidth(s); w > widths[i] {
				widths[i] = w
			}
		}
	}
	widths = t.fit(widths)
	for i, w := range widths {
		if i >= len(t.widths) || w != t.widths[i] {
			grown = true
		}
	}
	t.widths = widths
	if grown {
		t.line(names, true)
	}
	for _, row := range t.held {
		t.line(row, false)
	}
	t.held = t.held[:0]
}

// expect reserves the width that most numbers need, so that the columns of a push query's result seldom move.
func (t *table) expect(widths []int) {
	from := len(widths) - len(t.Columns)
	for i, c := range t.Columns {
		switch c.Type {
		case flow.Double:
			widths[from+i] = 18
		case flow.Int, flow.Bigint:
			widths[from+i] = 6
		}
	}
}

// fit truncates the widest columns until a row fits the terminal.
func (t *table) fit(widths []int) []int {
	if t.look.Width <= 0 {
		return widths
	}
	total := 0
	for i := range widths {
		widths[i] = min(widths[i], widestThere)
		total += widths[i] + 3
	}
	for total > t.look.Width {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if len(widths) == 0 || widths[widest] <= narrowest {
			break // the terminal wraps the line
		}
		widths[widest]--
		total--
	}
	return widths
}

func (t *table) line(cells []string, head bool) {
	for i, s := range cells {
		if i > 0 {
			t.WriteString(" │")
		}
		t.WriteByte(' ')
		s = cut(s, t.widths[i])
		pad := strings.Repeat(" ", max(0, t.widths[i]-uniseg.StringWidth(s)))
		last := i == len(cells)-1
		if t.right[i] {
			t.WriteString(pad)
		}
		t.paint(s, head)
		if !t.right[i] && !last {
			t.WriteString(pad)
		}
	}
	t.WriteByte('\n')
}

func (t *table) paint(s string, head bool) {
	if head && t.look.Color {
		s = "\x1b[1m" + s + "\x1b[0m"
	}
	t.WriteString(s)
}

// cut truncates a text to a width and ends it with an ellipsis.
func cut(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if used+g.Width() > width-1 {
			break
		}
		used += g.Width()
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}

// record writes a row with one column per line.
func (t *table) record(cells []string) {
	names := t.header()
	wide := 0
	for _, n := range names {
		wide = max(wide, uniseg.StringWidth(n))
	}
	t.paint("row "+thousands(int64(t.n)), true)
	t.WriteByte('\n')
	for i, n := range names {
		t.WriteString(" " + n + strings.Repeat(" ", wide-uniseg.StringWidth(n)) + " │ " + cells[i] + "\n")
	}
}

// Close writes the rows that are still buffered.
func (t *table) Close() error {
	if !t.look.Expanded {
		t.settle()
	}
	return t.Flush()
}
