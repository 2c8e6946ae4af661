package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The limits on a record.
const (
	maxRecord   = 16 << 20
	maxDepth    = 128
	maxElements = 1_000_000
)

// parser walks over one JSON text. Methods that return a bool leave the cause in err when it is false.
type parser struct {
	buf      []byte
	pos      int
	depth    int
	elements int
	err      error
	scratch  []byte // unescaped text
	pairs    []pair // of the maps being read
}

func (p *parser) begin(buf []byte) {
	p.buf, p.pos, p.depth, p.elements, p.err = buf, 0, 0, 0, nil
	p.pairs, p.scratch = p.pairs[:0], p.scratch[:0]
}

func (p *parser) fail(format string, args ...any) bool {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	return false
}

var errEnd = errors.New("the record ends early")

// peek is the byte at the parser's place, 0 at the end (which is no byte of JSON outside strings).
func (p *parser) peek() byte {
	if p.pos < len(p.buf) {
		return p.buf[p.pos]
	}
	return 0
}

func (p *parser) blanks() {
	for p.pos < len(p.buf) && isBlank(p.buf[p.pos]) {
		p.pos++
	}
}

func (p *parser) enter() bool {
	if p.depth++; p.depth > maxDepth {
		return p.fail("byte %d: the record nests deeper than %d", p.pos, maxDepth)
	}
	return true
}

func (p *parser) count() bool {
	if p.elements++; p.elements > maxElements {
		return p.fail("the record has more than %d elements", maxElements)
	}
	return true
}

// kind names the value that begins at the parser's place.
func (p *parser) kind() string {
	switch c := p.peek(); {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a text"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || isDigit(c):
		return "a number"
	}
	return "no JSON"
}

func (p *parser) word(w string) bool {
	if len(p.buf)-p.pos < len(w) || string(p.buf[p.pos:p.pos+len(w)]) != w {
		return p.unexpected()
	}
	p.pos += len(w)
	return true
}

func (p *parser) unexpected() bool {
	if p.pos >= len(p.buf) {
		p.err = errEnd
		return false
	}
	r, _ := utf8.DecodeRune(p.buf[p.pos:])
	return p.fail("byte %d: no value begins with %q", p.pos, r)
}

// number scans a number and gives its text.
func (p *parser) number() (number, []byte, bool) {
	from := p.pos
	n, end := scanNumber(p.buf, from)
	if end < 0 {
		return n, nil, p.badNumber()
	}
	p.pos = end
	return n, p.buf[from:end], true
}

func (p *parser) badNumber() bool {
	from, digits := p.pos, 0
	for digits < len(p.buf)-from && digits <= maxDigits && (isDigit(p.buf[from+digits]) || p.buf[from+digits] == '.') {
		digits++
	}
	if digits > maxDigits {
		return p.fail("byte %d: the number %w", from, errTooLong)
	}
	return p.fail("byte %d: malformed number", from)
}

// text reads a string and gives what stands between its quotes, checked: escapes are well formed and so is the UTF-8.
func (p *parser) text() (raw []byte, escaped, ok bool) {
	buf, i := p.buf, p.pos
	if i >= len(buf) || buf[i] != '"' {
		if i >= len(buf) {
			p.err = errEnd
			return nil, false, false
		}
		return nil, false, p.fail("byte %d: a quote is missing", i)
	}
	i++
	from, wide := i, false
	for {
		// Eight bytes at a time up to the first that is a quote, a backslash, a control or not ASCII.
		for i+8 <= len(buf) {
			v := binary.LittleEndian.Uint64(buf[i:])
			quote, slash := v^0x2222222222222222, v^0x5C5C5C5C5C5C5C5C
			stop := (v-0x2020202020202020)&^v | (quote-0x0101010101010101)&^quote | (slash-0x0101010101010101)&^slash | v
			if stop &= 0x8080808080808080; stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(buf) {
			p.err = errEnd
			return nil, false, false
		}
		switch c := buf[i]; {
		case c == '"':
			raw = buf[from:i]
			p.pos = i + 1
			if wide && !utf8.Valid(raw) {
				return nil, false, p.fail("byte %d: the text is not UTF-8", from)
			}
			return raw, escaped, true
		case c == '\\':
			n := escapeLen(buf[i:])
			if n == 0 {
				return nil, false, p.fail("byte %d: malformed escape", i)
			}
			escaped = true
			i += n
		case c < ' ':
			return nil, false, p.fail("byte %d: a control character stands in a text", i)
		default:
			wide = wide || c >= utf8.RuneSelf
			i++
		}
	}
}

// escapeLen is how long the escape at the start of b is; 0: it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// hex4 is the code unit of an escape \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendUnescaped appends what a checked text means. Half a surrogate pair becomes U+FFFD.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		switch c := raw[1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw)
			if utf16.IsSurrogate(r) {
				low, ok := hex4(raw[6:])
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					raw = raw[6:]
				} else {
					r = utf8.RuneError
				}
			}
			dst = utf8.AppendRune(dst, r)
			raw = raw[4:]
		default:
			dst = append(dst, c)
		}
		raw = raw[2:]
	}
}

// skip passes over a value, checking all of it.
func (p *parser) skip() bool {
	switch c := p.peek(); {
	case c == '"':
		_, _, ok := p.text()
		return ok
	case c == '-' || isDigit(c):
		end := skipNumber(p.buf, p.pos)
		if end < 0 {
			return p.badNumber()
		}
		p.pos = end
		return true
	case c == '{':
		return p.skipItems('}', true)
	case c == '[':
		return p.skipItems(']', false)
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	}
	return p.unexpected()
}

func (p *parser) skipItems(end byte, keyed bool) bool {
	for more := p.open(end); more; more = p.comma(end) {
		if !p.count() || keyed && !p.key() || !p.skip() {
			return false
		}
	}
	return p.err == nil
}

// open enters an array or object and says whether it has a first item.
func (p *parser) open(end byte) bool {
	if !p.enter() {
		return false
	}
	p.pos++
	p.blanks()
	if p.peek() == end {
		p.pos++
		p.depth--
		return false
	}
	return true
}

// comma stands after an item and says whether another follows.
func (p *parser) comma(end byte) bool {
	p.blanks()
	switch p.peek() {
	case ',':
		p.pos++
		p.blanks()
		return true
	case end:
		p.pos++
		p.depth--
		return false
	}
	if p.pos >= len(p.buf) {
		p.err = errEnd
		return false
	}
	return p.fail("byte %d: neither a comma nor %q follows the value", p.pos, end)
}

// key passes over a member's key and colon.
func (p *parser) key() bool {
	if _, _, ok := p.text(); !ok {
		return false
	}
	return p.colon()
}

func (p *parser) colon() bool {
	p.blanks()
	if p.peek() != ':' {
		return p.fail("byte %d: no colon follows the key", p.pos)
	}
	p.pos++
	p.blanks()
	return true
}
