package shell

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// lines writes JSON Lines: one object a row, the columns in order under their shown names. A changing result has a field _op first.
type lines struct {
	page
	labels [][]byte // `,"name":`
	buf    []byte
}

func newLines(p page) *lines {
	l := &lines{page: p}
	for _, n := range p.names() {
		l.labels = append(l.labels, append(format.AppendJSONText([]byte{','}, n), ':'))
	}
	return l
}

func (l *lines) Print(b *flow.Batch) error {
	for _, c := range l.rows(b) {
		l.buf = append(l.object(l.buf[:0], b, c), '\n')
		if _, err := l.Write(l.buf); err != nil {
			return err
		}
	}
	return l.Flush()
}

func (l *lines) object(dst []byte, b *flow.Batch, c change) []byte {
	from := len(dst)
	if c.op != "" {
		dst = append(append(append(dst, `,"_op":"`...), c.op...), '"')
	}
	style := l.look.style()
	for i, label := range l.labels {
		dst = append(dst, label...)
		dst = format.AppendJSON(dst, b.Column(i), c.row, style)
	}
	if len(dst) == from {
		return append(dst, "{}"...)
	}
	dst[from] = '{'
	return append(dst, '}')
}

func (l *lines) Close() error { return l.Flush() }

// document writes one JSON array a result.
type document struct {
	*lines
	begun bool
}

func (d *document) Print(b *flow.Batch) error {
	for _, c := range d.rows(b) {
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
