package udf

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/streamql/streamql/jsontext"
)

// JSON is read in place: a value is its part of the text, so that numbers retain their digits
// and objects their order.

// jsonLimits are those of the functions: texts are bounded by MaxText, and deep nesting by the stack.
var jsonLimits = jsontext.Limits{Depth: 501, AnyBytes: true}

// scanOf begins to scan a text.
func scanOf(s string) jsontext.Scanner {
	p := jsontext.New(jsonLimits)
	p.Begin(viewOf(s))
	return p
}

// viewOf returns the bytes of a text without a copy. They must not be changed.
func viewOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// jsonFailed is the error of a scan.
func jsonFailed(p *jsontext.Scanner) error {
	switch {
	case p.Deep():
		return errors.New("the JSON is nested too deeply")
	case errors.Is(p.Err, jsontext.ErrEnd):
		p.Pos = len(p.Buf)
	}
	return fmt.Errorf("the text is not JSON at byte %d", min(p.Pos, len(p.Buf))+1)
}

// jsonValue checks that a text is one JSON value and returns it without the blanks around it.
func jsonValue(s string) (string, error) {
	p := scanOf(s)
	p.Blanks()
	from := p.Pos
	if !p.Skip() {
		return "", jsonFailed(&p)
	}
	to := p.Pos
	if p.Blanks(); p.Pos != len(s) {
		return "", jsonFailed(&p)
	}
	return s[from:to], nil
}

// jsonEach calls f for the members of the object, or elements of the array, that a text is, until f returns false.
// name is as it is written, without its quotes; escaped says that it has escapes.
func jsonEach(s string, f func(name, value string, escaped bool) bool) error {
	p := scanOf(s)
	closing := s[0] + 2
	for more := p.Open(closing); more; more = p.Comma(closing) {
		name, escaped := "", false
		if closing == '}' {
			at := p.Pos + 1
			raw, has, ok := p.Text()
			if !ok || !p.Colon() {
				return jsonFailed(&p)
			}
			name, escaped = s[at:at+len(raw)], has
		}
		from := p.Pos
		if !p.Skip() {
			return jsonFailed(&p)
		}
		if !f(name, s[from:p.Pos], escaped) {
			return nil
		}
	}
	if p.Err != nil {
		return jsonFailed(&p)
	}
	return nil
}

// members calls f for the members or elements of an object or array that is known to be valid.
func members(value string, f func(name, value string)) {
	_ = jsonEach(value, func(name, v string, escaped bool) bool { // valid: no error can come
		if escaped {
			name = unescaped(name)
		}
		f(name, v)
		return true
	})
}

// jsonText is the meaning of a text with its quotes.
func jsonText(s string) string { return unescaped(s[1 : len(s)-1]) }

// unescaped is the meaning of a text. Half of a surrogate pair becomes U+FFFD.
func unescaped(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return string(jsontext.AppendUnescaped(nil, viewOf(s)))
}

// appendJSONString appends a text as a JSON string.
func appendJSONString(dst []byte, s string) []byte {
	const hexDigit = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c < utf8.RuneSelf:
			dst = append(dst, c)
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n - 1
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigit[c>>4], hexDigit[c&15])
		}
	}
	return append(dst, '"')
}

// compact is a value that is known to be valid, without blanks.
func compact(s string) string {
	if !strings.ContainsAny(s, " \n\t\r") {
		return s
	}
	return string(jsontext.AppendCompact(make([]byte, 0, len(s)), viewOf(s)))
}
