package format

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/jsontext"
)

// value parses one value and appends it to a column. It makes only conversions that have one meaning: a number, or a
// string with a number, becomes any numeric type; any value becomes a STRING with its JSON text. Every other value of a
// different type is an error.
func (p *parser) value(c *column) bool {
	first := p.Peek()
	if first == 'n' {
		if !p.Word("null") {
			return false
		}
		c.addNull()
		return true
	}
	switch c.kind {
	case arrow.FLOAT64, arrow.FLOAT32:
		return p.double(c, first)
	case arrow.INT32, arrow.INT64, arrow.DATE32, arrow.TIME32, arrow.TIMESTAMP:
		return p.integer(c, first)
	case arrow.STRING:
		return p.string(c, first)
	case arrow.BOOL:
		return p.bool(c, first)
	case arrow.DECIMAL128:
		return p.decimal(c, first)
	case arrow.BINARY:
		return p.bytes(c, first)
	case arrow.STRUCT:
		if first != '{' {
			return p.mismatch(c)
		}
		if !p.object(c.object, c.n) {
			return false
		}
		c.grown()
		return true
	case arrow.LIST:
		return p.array(c, first)
	default:
		return p.mapping(c, first)
	}
}

// check skips a value of a column that Decode does not return. It fails exactly when value would fail. Therefore the
// columns that a query reads do not determine whether a record is bad. Frequent types need no conversion.
func (p *parser) check(c *column) bool {
	first := p.Peek()
	switch {
	case c.kind == arrow.STRING || first == 'n':
		return p.Skip()
	case c.kind == arrow.FLOAT64 && (first == '-' || jsontext.IsDigit(first)):
		n, end := scanNumber(p.Buf, p.Pos)
		if end >= 0 && n.power >= -300 && n.power <= 280 && end-p.Pos <= 20 { // well within the range of a DOUBLE
			p.Pos = end
			return true
		}
	}
	if !c.checked {
		c.start(0)
		c.checked = true
	}
	ok := p.value(c)
	c.cut(0)
	return ok
}

// mismatch sets Err for a value of the wrong JSON type, or for a fault in the value's JSON.
func (p *parser) mismatch(c *column) bool {
	at := p.Pos
	if !p.Skip() { // invalid JSON has its own message
		return false
	}
	p.Pos = at
	return p.Fail("column %s is %s, the value is %s", c.path, flow.TypeName(c.typ), p.Kind())
}

// refuse sets Err for a value of the right JSON type that the column cannot hold.
func (p *parser) refuse(c *column, text []byte, err error) bool {
	p.Err = refusal(c, text, err)
	return false
}

// refusal returns the error for a text that the column cannot hold. err completes the sentence after the text.
func refusal(c *column, text []byte, err error) error {
	tail := ""
	if len(text) > 60 {
		text, tail = text[:60], ".."
	}
	return fmt.Errorf("column %s is %s: %q%s %w", c.path, flow.TypeName(c.typ), text, tail, err)
}

// content parses a string and returns its text without escapes. The text is valid until the next call.
func (p *parser) content() ([]byte, bool) {
	raw, escaped, ok := p.Text()
	if escaped {
		p.scratch = jsontext.AppendUnescaped(p.scratch[:0], raw)
		raw = p.scratch
	}
	return raw, ok
}

// double parses a DOUBLE or FLOAT.
func (p *parser) double(c *column, first byte) bool {
	if first == '"' {
		text, ok := p.content()
		if !ok {
			return false
		}
		v, err := parseDouble(text)
		if err != nil {
			return p.refuse(c, text, err)
		}
		return p.addDouble(c, v, text)
	}
	if first != '-' && !jsontext.IsDigit(first) {
		return p.mismatch(c)
	}
	from := p.Pos
	n, end := scanNumber(p.Buf, from)
	if end < 0 {
		return p.BadNumber()
	}
	p.Pos = end
	text := p.Buf[from:end]
	v, err := n.double(text)
	if err != nil {
		return p.refuse(c, text, err)
	}
	return p.addDouble(c, v, text)
}

// addDouble appends a number, unless it overflows a FLOAT.
func (p *parser) addDouble(c *column, v float64, text []byte) bool {
	if c.kind == arrow.FLOAT32 && overflows32(v) {
		return p.refuse(c, text, errOutOfRange)
	}
	c.addDouble(v)
	return true
}

// overflows32 reports whether a finite v would be infinite as a FLOAT.
func overflows32(v float64) bool {
	wide := v-v == 0
	narrow := float32(v)
	return wide && narrow-narrow != 0
}

// integer parses an integer, DATE, TIME or TIMESTAMP.
func (p *parser) integer(c *column, first byte) bool {
	var v int64
	var text []byte
	var err error
	if first == '"' {
		var ok bool
		if text, ok = p.content(); !ok {
			return false
		}
		v, err = parseInteger(text)
	} else {
		if first != '-' && !jsontext.IsDigit(first) {
			return p.mismatch(c)
		}
		n, body, ok := p.number()
		if !ok {
			return false
		}
		text = body
		v, err = n.integer(body)
	}
	if err == nil && !c.inRange(v) {
		err = errOutOfRange
	}
	if err != nil {
		return p.refuse(c, text, err)
	}
	c.addInt(v)
	return true
}

// string parses any value as a STRING: a JSON string as its text, another value as its JSON without blanks.
func (p *parser) string(c *column, first byte) bool {
	switch {
	case first == '"':
		raw, escaped, ok := p.Text()
		if !ok {
			return false
		}
		if escaped {
			c.data = jsontext.AppendUnescaped(c.data, raw)
		} else {
			c.data = append(c.data, raw...)
		}
	case first == '{' || first == '[':
		from := p.Pos
		if !p.Skip() {
			return false
		}
		c.data = jsontext.AppendCompact(c.data, p.Buf[from:p.Pos])
	default:
		from := p.Pos
		if !p.Skip() {
			return false
		}
		c.data = append(c.data, p.Buf[from:p.Pos]...)
	}
	c.addedText()
	return true
}

// bool parses a BOOLEAN.
func (p *parser) bool(c *column, first byte) bool {
	switch first {
	case 't':
		if !p.Word("true") {
			return false
		}
		c.addBool(true)
	case 'f':
		if !p.Word("false") {
			return false
		}
		c.addBool(false)
	default:
		return p.mismatch(c)
	}
	return true
}

// decimal parses a DECIMAL.
func (p *parser) decimal(c *column, first byte) bool {
	var text []byte
	var ok bool
	switch {
	case first == '"':
		text, ok = p.content()
		text = trimBlanks(text)
	case first == '-' || jsontext.IsDigit(first):
		_, text, ok = p.number()
	default:
		return p.mismatch(c)
	}
	if !ok {
		return false
	}
	t := c.typ.(*arrow.Decimal128Type)
	v, err := parseDecimal(text, t.Precision, t.Scale)
	if err != nil {
		return p.refuse(c, text, err)
	}
	c.addDecimal(v)
	return true
}

var errBase64 = errors.New("is not base64")

// bytes parses BYTES from a string in base64.
func (p *parser) bytes(c *column, first byte) bool {
	if first != '"' {
		return p.mismatch(c)
	}
	text, ok := p.content()
	if !ok {
		return false
	}
	if c.data, ok = appendBase64(c.data, text); !ok {
		return p.refuse(c, text, errBase64)
	}
	c.addedText()
	return true
}

// appendBase64 appends the bytes of a base64 text, or returns dst and false if the text is invalid.
func appendBase64(dst, text []byte) ([]byte, bool) {
	out, err := base64.StdEncoding.AppendDecode(dst, text)
	if err != nil {
		return dst, false
	}
	return out, true
}

// array parses an ARRAY.
func (p *parser) array(c *column, first byte) bool {
	if first != '[' {
		return p.mismatch(c)
	}
	for more := p.Open(']'); more; more = p.Comma(']') {
		if !p.Count() || !p.value(c.kids[0]) {
			return false
		}
	}
	if p.Err != nil {
		return false
	}
	c.addedItems()
	return true
}

// pair is a member of an object that is read as a MAP: the key without escapes, and the position of the value.
type pair struct {
	key   []byte
	value int
}

// fewPairs is the number of pairs up to which members finds a repeated key by comparison. For more, it uses a hash
// index.
const fewPairs = 16

// mapping parses an object as a MAP. It first lists the members, because the last of several equal keys has the value.
func (p *parser) mapping(c *column, first byte) bool {
	if first != '{' {
		return p.mismatch(c)
	}
	base := len(p.pairs)
	if !p.members(base) {
		return false
	}
	end := p.Pos
	p.Depth++
	for i, n := base, len(p.pairs); i < n; i++ {
		m := p.pairs[i]
		p.Pos = m.value
		c.kids[0].addText(m.key)
		if !p.Count() || !p.value(c.kids[1]) {
			return false
		}
	}
	p.Depth--
	p.Pos, p.pairs = end, p.pairs[:base]
	c.addedItems()
	return true
}

// members appends the members of the object at the current position to pairs. The object's pairs begin at base.
func (p *parser) members(base int) bool {
	var index map[string]int
	elements := p.Elements
	for more := p.Open('}'); more; more = p.Comma('}') {
		key, escaped, ok := p.Text()
		if !ok || !p.Colon() {
			return false
		}
		if escaped {
			key = jsontext.AppendUnescaped(nil, key)
		}
		at := -1
		if known := p.pairs[base:]; len(known) <= fewPairs {
			for i := range known {
				if string(known[i].key) == string(key) {
					at = base + i
				}
			}
		} else {
			if index == nil {
				index = make(map[string]int, 2*fewPairs)
				for i := range known {
					index[string(known[i].key)] = base + i
				}
			}
			if i, ok := index[string(key)]; ok {
				at = i
			} else {
				index[string(key)] = len(p.pairs)
			}
		}
		if at < 0 {
			p.pairs = append(p.pairs, pair{key, p.Pos})
		} else {
			p.pairs[at].value = p.Pos
		}
		if !p.Count() || !p.Skip() {
			return false
		}
	}
	p.Elements = elements // mapping counts the members again
	return p.Err == nil
}
