package udf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON is read in place: a value is its part of the text, so that numbers retain their digits
// and objects their order.

const jsonDepth = 500

func jsonError(s string, at int) error {
	return fmt.Errorf("the text is not JSON at byte %d", min(at, len(s))+1)
}

func blanks(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// jsonValue checks that a text is one JSON value and returns it without the blanks around it.
func jsonValue(s string) (string, error) {
	from := blanks(s, 0)
	to, err := jsonEnd(s, from, 0)
	if err != nil {
		return "", err
	}
	if rest := blanks(s, to); rest != len(s) {
		return "", jsonError(s, rest)
	}
	return s[from:to], nil
}

// jsonEnd is where the value that begins at i ends.
func jsonEnd(s string, i, depth int) (int, error) {
	if i >= len(s) {
		return i, jsonError(s, i)
	}
	switch c := s[i]; {
	case c == '{' || c == '[':
		if depth > jsonDepth {
			return i, errors.New("the JSON is nested too deeply")
		}
		end := -1
		err := jsonEach(s, i, depth, func(_, _ string, _ bool) bool { return true }, &end)
		return end, err
	case c == '"':
		return jsonString(s, i)
	case c == '-' || c >= '0' && c <= '9':
		return jsonNumber(s, i)
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], word) {
			return i + len(word), nil
		}
	}
	return i, jsonError(s, i)
}

// jsonEach calls f for the members of the object, or elements of the array, that begins at i,
// until f returns false. name is a member's name in the text, with its quotes. end is set if
// the value has been read to its end.
func jsonEach(s string, i, depth int, f func(name, value string, member bool) bool, end *int) error {
	member, closing := s[i] == '{', s[i]+2
	i = blanks(s, i+1)
	if i < len(s) && s[i] == closing {
		*end = i + 1
		return nil
	}
	for {
		name := ""
		if member {
			to, err := jsonString(s, i)
			if err != nil {
				return err
			}
			name = s[i:to]
			if i = blanks(s, to); i >= len(s) || s[i] != ':' {
				return jsonError(s, i)
			}
			i = blanks(s, i+1)
		}
		to, err := jsonEnd(s, i, depth+1)
		if err != nil {
			return err
		}
		if !f(name, s[i:to], member) {
			return nil
		}
		if i = blanks(s, to); i >= len(s) || s[i] != ',' && s[i] != closing {
			return jsonError(s, i)
		}
		if s[i] == closing {
			*end = i + 1
			return nil
		}
		i = blanks(s, i+1)
	}
}

// members calls f for the members or elements of an object or array that is known to be valid.
func members(value string, f func(name, value string)) {
	end := 0
	_ = jsonEach(value, 0, 0, func(name, v string, member bool) bool { // valid: no error can come
		if member {
			name = jsonText(name)
		}
		f(name, v)
		return true
	}, &end)
}

func jsonString(s string, i int) (int, error) {
	if i >= len(s) || s[i] != '"' {
		return i, jsonError(s, i)
	}
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return i, jsonError(s, i)
		case c != '\\':
			continue
		}
		i++
		switch {
		case i < len(s) && strings.IndexByte(`"\/bfnrt`, s[i]) >= 0:
		case i+4 < len(s) && s[i] == 'u' && isHex(s[i+1:i+5]):
			i += 4
		default:
			return i, jsonError(s, i)
		}
	}
	return i, jsonError(s, i)
}

func isHex(s string) bool {
	_, err := strconv.ParseUint(s, 16, 32)
	return err == nil
}

func jsonNumber(s string, i int) (int, error) {
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if s[i] == '-' {
		i++
	}
	zero := i < len(s) && s[i] == '0'
	from := i
	if !digits() || zero && i > from+1 {
		return i, jsonError(s, i)
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return i, jsonError(s, i)
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return i, jsonError(s, i)
		}
	}
	return i, nil
}

// jsonText returns the text of a string literal with its quotes. Half of a surrogate pair
// becomes U+FFFD.
func jsonText(s string) string {
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case 'u':
			r, width := jsonRune(s[i+1:])
			out.WriteRune(r)
			i += width
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

// jsonRune reads XXXX or, of a surrogate pair, XXXX\uXXXX.
func jsonRune(s string) (rune, int) {
	hi, _ := strconv.ParseUint(s[:4], 16, 32)
	if hi>>10 == 0xd800>>10 && len(s) >= 10 && s[4:6] == `\u` {
		if lo, _ := strconv.ParseUint(s[6:10], 16, 32); lo>>10 == 0xdc00>>10 {
			return rune(0x10000 + (hi-0xd800)<<10 + (lo - 0xdc00)), 10
		}
	}
	return rune(hi), 4 // WriteRune makes U+FFFD of a half
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
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\n', '\t', '\r':
		case '"':
			to, _ := jsonString(s, i)
			out = append(out, s[i:to]...)
			i = to - 1
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
