package shell

import (
	"bytes"

	"github.com/streamql/streamql/flow"
)

// sheet writes CSV as RFC 4180 has it: a line of names, CRLF at the end of each line. NULL is an empty field, an empty text is "".
type sheet struct {
	page
	begun bool
	buf   []byte
}

func (s *sheet) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	names := s.names()
	if s.changes {
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

func (s *sheet) Print(b *flow.Batch) error {
	if err := s.begin(); err != nil {
		return err
	}
	var cell []byte
	style := s.look.style()
	for _, c := range s.rows(b) {
		s.buf = append(s.buf[:0], c.op...)
		for i := range s.columns {
			if i > 0 || s.changes {
				s.buf = append(s.buf, ',')
			}
			a := b.Column(i)
			if a.IsNull(c.row) {
				continue
			}
			if cell = appendText(cell[:0], a, c.row, style); string(cell) == "null" && flow.IsNumber(a.DataType()) {
				continue // what was no number
			}
			s.buf = appendField(s.buf, cell)
		}
		if _, err := s.Write(append(s.buf, '\r', '\n')); err != nil {
			return err
		}
	}
	return s.Flush()
}

func (s *sheet) Close() error {
	if err := s.begin(); err != nil {
		return err
	}
	return s.Flush()
}

// appendField quotes a field where its bytes ask for it.
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
