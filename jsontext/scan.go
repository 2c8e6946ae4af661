// Package jsontext scans JSON where it lies: format JSON reads records with it, and SQL's JSON functions read texts.
// It checks all that it passes over, copies nothing, and leaves to its callers what values mean.
package jsontext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// Limits limit the work of a scanner; 0: no limit.
type Limits struct {
	Depth    int // of nested arrays and objects
	Elements int // of all arrays and objects together
	Digits   int // of a number, without its exponent
	// AnyBytes lets texts hold bytes that are not UTF-8.
	AnyBytes bool
}

// Scanner walks over one JSON text, without copying any of it. Methods that return a bool leave the cause in Err when
// it is false, and Pos at the first byte that is not JSON.
type Scanner struct {
	Buf      []byte
	Pos      int
	Depth    int
	Elements int
	Err      error
	limits   Limits
}

// New makes a scanner with limits.
func New(l Limits) Scanner {
	for _, limit := range []*int{&l.Depth, &l.Elements, &l.Digits} {
		if *limit == 0 {
			*limit = math.MaxInt
		}
	}
	return Scanner{limits: l}
}

// Begin puts the scanner at the beginning of a text.
func (p *Scanner) Begin(buf []byte) {
	p.Buf, p.Pos, p.Depth, p.Elements, p.Err = buf, 0, 0, 0, nil
}

// Deep reports whether the scanner has failed because of the limit on the depth.
func (p *Scanner) Deep() bool { return p.Depth > p.limits.Depth }

// Fail notes the first cause of a failure, and returns false.
func (p *Scanner) Fail(format string, args ...any) bool {
	if p.Err == nil {
		p.Err = fmt.Errorf(format, args...)
	}
	return false
}

// ErrEnd says that a text ends within a value.
var ErrEnd = errors.New("the record ends early")

// Peek is the byte at Pos, 0 at the end (which is no byte of JSON outside strings).
func (p *Scanner) Peek() byte {
	if p.Pos < len(p.Buf) {
		return p.Buf[p.Pos]
	}
	return 0
}

// Blanks passes over blanks.
func (p *Scanner) Blanks() {
	for p.Pos < len(p.Buf) && IsBlank(p.Buf[p.Pos]) {
		p.Pos++
	}
}

// Enter counts a nested array or object against the limit.
func (p *Scanner) Enter() bool {
	p.Depth++
	return p.Depth <= p.limits.Depth || p.tooDeep()
}

//go:noinline
func (p *Scanner) tooDeep() bool {
	return p.Fail("byte %d: the record nests deeper than %d", p.Pos, p.limits.Depth)
}

// Count counts an element against the limit.
func (p *Scanner) Count() bool {
	p.Elements++
	return p.Elements <= p.limits.Elements || p.tooMany()
}

//go:noinline
func (p *Scanner) tooMany() bool {
	return p.Fail("the record has more than %d elements", p.limits.Elements)
}

// Kind names the value that begins at Pos.
func (p *Scanner) Kind() string {
	switch c := p.Peek(); {
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
	case c == '-' || IsDigit(c):
		return "a number"
	}
	return "no JSON"
}

// Word passes over true, false or null.
func (p *Scanner) Word(w string) bool {
	if len(p.Buf)-p.Pos < len(w) || string(p.Buf[p.Pos:p.Pos+len(w)]) != w {
		return p.unexpected()
	}
	p.Pos += len(w)
	return true
}

func (p *Scanner) unexpected() bool {
	if p.Pos >= len(p.Buf) {
		p.Err = ErrEnd
		return false
	}
	r, _ := utf8.DecodeRune(p.Buf[p.Pos:])
	return p.Fail("byte %d: no value begins with %q", p.Pos, r)
}

// BadNumber fails with the reason why no number begins here.
func (p *Scanner) BadNumber() bool {
	from, digits, most := p.Pos, 0, p.limits.Digits
	for digits < len(p.Buf)-from && digits <= most && (IsDigit(p.Buf[from+digits]) || p.Buf[from+digits] == '.') {
		digits++
	}
	if digits > most {
		return p.Fail("byte %d: the number has more than %d digits", from, most)
	}
	return p.Fail("byte %d: malformed number", from)
}

// Text reads a string and returns the text between its quotes. It verifies it: escapes are well formed and so is the UTF-8.
func (p *Scanner) Text() (raw []byte, escaped, ok bool) {
	buf, i := p.Buf, p.Pos
	if i >= len(buf) || buf[i] != '"' {
		if i >= len(buf) {
			p.Err = ErrEnd
			return nil, false, false
		}
		return nil, false, p.Fail("byte %d: a quote is missing", i)
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
			p.Err = ErrEnd
			return nil, false, false
		}
		switch c := buf[i]; {
		case c == '"':
			raw = buf[from:i]
			p.Pos = i + 1
			if wide && !p.limits.AnyBytes && !utf8.Valid(raw) {
				return nil, false, p.Fail("byte %d: the text is not UTF-8", from)
			}
			return raw, escaped, true
		case c == '\\':
			n := escapeLen(buf[i:])
			if n == 0 {
				p.Pos = i
				return nil, false, p.Fail("byte %d: malformed escape", i)
			}
			escaped = true
			i += n
		case c < ' ':
			p.Pos = i
			return nil, false, p.Fail("byte %d: a text contains a control character", i)
		default:
			wide = wide || c >= utf8.RuneSelf
			i++
		}
	}
}

// Skip passes over a value, checking all of it.
func (p *Scanner) Skip() bool {
	switch c := p.Peek(); {
	case c == '"':
		_, _, ok := p.Text()
		return ok
	case c == '-' || IsDigit(c):
		end := SkipNumber(p.Buf, p.Pos, p.limits.Digits)
		if end < 0 {
			return p.BadNumber()
		}
		p.Pos = end
		return true
	case c == '{':
		return p.skipItems('}', true)
	case c == '[':
		return p.skipItems(']', false)
	case c == 't':
		return p.Word("true")
	case c == 'f':
		return p.Word("false")
	case c == 'n':
		return p.Word("null")
	}
	return p.unexpected()
}

func (p *Scanner) skipItems(end byte, keyed bool) bool {
	for more := p.Open(end); more; more = p.Comma(end) {
		if !p.Count() || keyed && !p.Key() || !p.Skip() {
			return false
		}
	}
	return p.Err == nil
}

// Open enters an array or object, which end closes, and reports whether it has a first item.
func (p *Scanner) Open(end byte) bool {
	if !p.Enter() {
		return false
	}
	p.Pos++
	p.Blanks()
	if p.Peek() == end {
		p.Pos++
		p.Depth--
		return false
	}
	return true
}

// Comma passes over the comma or the end after an item and reports whether another item comes.
func (p *Scanner) Comma(end byte) bool {
	p.Blanks()
	switch p.Peek() {
	case ',':
		p.Pos++
		p.Blanks()
		return true
	case end:
		p.Pos++
		p.Depth--
		return false
	}
	if p.Pos >= len(p.Buf) {
		p.Err = ErrEnd
		return false
	}
	return p.Fail("byte %d: neither a comma nor %q follows the value", p.Pos, end)
}

// Key passes over a member's key and colon.
func (p *Scanner) Key() bool {
	if _, _, ok := p.Text(); !ok {
		return false
	}
	return p.Colon()
}

// Colon passes over the colon after a member's key.
func (p *Scanner) Colon() bool {
	p.Blanks()
	if p.Peek() != ':' {
		return p.Fail("byte %d: no colon follows the key", p.Pos)
	}
	p.Pos++
	p.Blanks()
	return true
}
