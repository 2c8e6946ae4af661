package files

import "bytes"

// The initial size of a read, and the maximum size of a record. A longer record is truncated;
// its codec rejects it, so that it becomes one dead letter.
const (
	chunkBytes = 256 << 10
	maxRecord  = 16<<20 + 1
	maxRows    = 4096
)

// record finds the end of the record at the start of b: its length without and with the line
// break. ok is false if b ends before the record. A line break in quotes does not end a record;
// a quote opens only at the start of a field.
func (f *file) record(b []byte) (body, whole int, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if !f.lines {
		line := b
		if end >= 0 {
			line = b[:end]
		}
		if bytes.IndexByte(line, '"') >= 0 {
			end = f.quotedEnd(b)
		}
	}
	if end < 0 {
		return len(b), len(b), false
	}
	body = end
	if body > 0 && b[body-1] == '\r' {
		body--
	}
	return body, end + 1, true
}

// quotedEnd returns the position of the line break that ends a record with quotes; < 0: b does
// not contain it.
func (f *file) quotedEnd(b []byte) int {
	for i := 0; i < len(b); i++ { // i is at the start of a field
		_, next, end := f.field(b, i)
		if end {
			if next < len(b) {
				return next
			}
			return -1
		}
		i = next
	}
	return -1
}

// field finds the end of the field at i: the position of the delimiter, or, if end is true, of
// the line break or the end of b. Text after a closing quote belongs to the field; the codec
// reports it.
func (f *file) field(b []byte, i int) (from, next int, end bool) {
	from = i
	if i < len(b) && b[i] == '"' {
		for i++; i < len(b); i++ {
			if b[i] != '"' {
				skip := bytes.IndexByte(b[i:], '"')
				if skip < 0 {
					return from, len(b), true
				}
				i += skip
			}
			if i+1 < len(b) && b[i+1] == '"' {
				i++
				continue
			}
			i++
			break
		}
	}
	for ; i < len(b); i++ {
		if b[i] == f.delim {
			return from, i, false
		}
		if b[i] == '\n' {
			return from, i, true
		}
	}
	return from, len(b), true
}

// fieldsOf returns the positions of the fields of a complete record: pairs of from and to.
func (f *file) fieldsOf(spans []int, record []byte) []int {
	for i := 0; ; i++ {
		from, next, end := f.field(record, i)
		for end && next < len(record) { // a line break within the record: the codec will reject it
			_, next, end = f.field(record, next+1)
		}
		spans = append(spans, from, next)
		if end {
			return spans
		}
		i = next
	}
}

// reorder appends a record with its fields in declared order. Columns that the file does not
// have are empty; fields that are not declared are dropped.
func (c *cursor) reorder(dst, record []byte) []byte {
	f := c.file
	c.spans = f.fieldsOf(c.spans[:0], record)
	if count := len(c.spans) / 2; count != f.width {
		// The record has another number of fields than the header. It is not reordered, and is
		// rejected because of its number of fields; if that number happens to be the declared
		// one, an additional delimiter makes sure of it.
		dst = append(dst, record...)
		if count == len(f.order) {
			dst = append(dst, f.delim)
		}
		return dst
	}
	for i, at := range f.order {
		if i > 0 {
			dst = append(dst, f.delim)
		}
		if at >= 0 {
			dst = append(dst, record[c.spans[2*at]:c.spans[2*at+1]]...)
		}
	}
	return dst
}

// blank reports whether a line is not a row: an empty one, or in JSON one of white space.
func (f *file) blank(line []byte) bool {
	if f.lines {
		line = bytes.TrimSpace(line)
	}
	return len(line) == 0
}
