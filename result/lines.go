package result

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

type lines struct {
	*Page
	labels [][]byte // `,"name":`
	buf    []byte
}

// Lines returns a writer of JSON Lines: one object per row, with the columns in order under
// their display names. A changing result has a field _op first.
func Lines(p *Page) Writer { return newLines(p) }

func newLines(p *Page) *lines {
	l := &lines{Page: p}
	for _, n := range p.Names() {
		l.labels = append(l.labels, append(format.AppendJSONText([]byte{','}, n), ':'))
	}
	return l
}

// Print writes a line per row.
func (l *lines) Print(b *flow.Batch) error {
	for _, c := range l.Rows(b) {
		l.buf = append(l.object(l.buf[:0], b, c), '\n')
		if _, err := l.Write(l.buf); err != nil {
			return err
		}
	}
	return l.Flush()
}

func (l *lines) object(dst []byte, b *flow.Batch, c Change) []byte {
	from := len(dst)
	if c.Op != "" {
		dst = append(append(append(dst, `,"_op":"`...), c.Op...), '"')
	}
	for i, label := range l.labels {
		dst = append(dst, label...)
		dst = format.AppendJSON(dst, b.Column(i), c.Row, l.Style)
	}
	if len(dst) == from {
		return append(dst, "{}"...)
	}
	dst[from] = '{'
	return append(dst, '}')
}

// Close ends the result.
func (l *lines) Close() error { return l.Flush() }

// Document returns a writer of one JSON array with an object per row.
func Document(p *Page) Writer { return &document{lines: newLines(p)} }

type document struct {
	*lines
	begun bool
}

// Print writes an element per row.
func (d *document) Print(b *flow.Batch) error {
	for _, c := range d.Rows(b) {
		d.buf = append(d.buf[:0], "[\n  "...)
		if d.begun {
			d.buf = append(d.buf[:0], ",\n  "...)
		}
		d.begun = true
		if _, err := d.Write(d.object(d.buf, b, c)); err != nil {
			return err
		}
	}
	return d.Flush()
}

// Close ends the array.
func (d *document) Close() error {
	end := "\n]\n"
	if !d.begun {
		end = "[]\n"
	}
	if _, err := d.WriteString(end); err != nil {
		return err
	}
	return d.Flush()
}
