package result

import (
	"bytes"

	"github.com/streamql/streamql/flow"
)

// Sheet returns a writer of CSV (RFC 4180): a line of names, and CRLF at the end of each line.
// NULL is an empty field, an empty text is "".
func Sheet(p *Page) Writer { return &sheet{Page: p} }

type sheet struct {
	*Page
	begun bool
	buf   []byte
}

func (s *sheet) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	names := s.Names()
	if s.Changes {
		names = append([]string{"_op"}, names...)
	}
	s.buf = s.buf[:0]
	for i, n := range names {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = appendField(s.buf, []byte(n))
	}
	_, err := s.Write(append(s.buf, '\r', '\n'))
	return err
}

// Print writes a line per row.
func (s *sheet) Print(b *flow.Batch) error {
	if err := s.begin(); err != nil {
		return err
	}
	var cell []byte
	for _, c := range s.Rows(b) {
		s.buf = append(s.buf[:0], c.Op...)
		for i := range s.Columns {
			if i > 0 || s.Changes {
				s.buf = append(s.buf, ',')
			}
			a := b.Column(i)
			if a.IsNull(c.Row) {
				continue
			}
			if cell = AppendText(cell[:0], a, c.Row, s.Style); string(cell) == "null" && flow.IsNumber(a.DataType()) {
				continue // NaN or infinite
			}
			s.buf = appendField(s.buf, cell)
		}
		if _, err := s.Write(append(s.buf, '\r', '\n')); err != nil {
			return err
		}
	}
	return s.Flush()
}

// Close ends the result.
func (s *sheet) Close() error {
	if err := s.begin(); err != nil {
		return err
	}
	return s.Flush()
}

// appendField quotes a field if its bytes require it.
func appendField(dst, v []byte) []byte {
	if len(v) > 0 && !bytes.ContainsAny(v, ",\"\r\n") && v[0] != ' ' && v[len(v)-1] != ' ' {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for _, c := range v {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
