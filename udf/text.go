package udf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// A position in text counts characters (code points), the first being 1; in BYTES it counts bytes.

var (
	_ = builtin(Func1("UCASE", "the text in capitals", strings.ToUpper, Example{"UCASE('ab')", "AB"}))
	_ = builtin(Func1("UPPER", "the text in capitals", strings.ToUpper, Example{"UPPER('ab')", "AB"}))
	_ = builtin(Func1("LCASE", "the text in small letters", strings.ToLower, Example{"LCASE('Ab')", "ab"}))
	_ = builtin(Func1("LOWER", "the text in small letters", strings.ToLower, Example{"LOWER('Ab')", "ab"}))
	_ = builtin(Func1("INITCAP", "the text with the first character of each word in capitals and the others in small letters; white space separates words", initcap, Example{"INITCAP('the qUICK fox')", "The Quick Fox"}))
	_ = builtin(Func1("TRIM", "the text without the blanks and control characters at its ends", trim, Example{"TRIM('  a b ')", "a b"}))
	_ = builtin(Try3("REPLACE", "the text with every occurrence of the second argument replaced by the third", replace, Example{"REPLACE('anaconda', 'a', 'o')", "onocondo"}))
)

func initcap(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			inWord = false
			return r
		case inWord:
			return unicode.ToLower(r)
		}
		inWord = true
		return unicode.ToTitle(r)
	}, s)
}

func trim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }

func replace(s, old, new string) (string, error) {
	if old == "" {
		return s, nil
	}
	if more := len(new) - len(old); more > 0 {
		if n := strings.Count(s, old); n > (MaxText-min(len(s), MaxText))/more {
			return "", errLong
		}
	}
	return strings.ReplaceAll(s, old, new), nil
}

func runes(s string) int32 { return int32(utf8.RuneCountInString(s)) }
func size(b []byte) int32  { return int32(len(b)) }

var (
	_ = builtin(overload("LEN", "the number of characters of a text, or of bytes", []Example{{"LEN('héllo')", "5"}}, Func1("LEN", "", runes), Func1("LEN", "", size)))
	_ = builtin(overload("LENGTH", "the number of characters of a text, or of bytes", []Example{{"LENGTH('abc')", "3"}}, Func1("LENGTH", "", runes), Func1("LENGTH", "", size)))
)

var _ = builtin(overload("SUBSTRING", "the part of a text or bytes that starts at a position (1 the first, -1 the last), to the end or of a given length",
	[]Example{{"SUBSTRING('stream', 3)", "ream"}, {"SUBSTRING('stream', 1, 4)", "stre"}, {"SUBSTRING('stream', -3, 2)", "ea"}},
	Func2("SUBSTRING", "", func(s string, pos int32) string { return substring(s, pos, math.MaxInt32) }),
	Func3("SUBSTRING", "", substring),
	Func2("SUBSTRING", "", func(b []byte, pos int32) []byte { return subbytes(b, pos, int32(len(b))) }),
	Func3("SUBSTRING", "", subbytes)))

// cut returns the bounds [from, to) of a part of n elements.
func cut(n int, pos, length int32) (from, to int) {
	from = int(pos) - 1
	if pos < 0 {
		from = n + int(pos)
	}
	from = max(0, min(from, n))
	return from, max(from, min(from+int(length), n))
}

func substring(s string, pos, length int32) string {
	n := utf8.RuneCountInString(s)
	from, to := cut(n, pos, length)
	if n == len(s) {
		return s[from:to]
	}
	start, end, at := len(s), len(s), 0
	for i := range s {
		if at == from {
			start = i
		}
		if at == to {
			end = i
			break
		}
		at++
	}
	return s[min(start, end):end]
}

func subbytes(b []byte, pos, length int32) []byte {
	from, to := cut(len(b), pos, length)
	return b[from:to]
}

var _ = builtin(Scalar{Name: "CONCAT", Doc: "the texts, or the bytes, one after the other; NULL counts as empty", Bind: func(have []flow.Type) (Signature, error) {
	t, ok := textual(have)
	if !ok || len(have) == 0 {
		return Signature{}, Mismatch("CONCAT", have, "STRING, STRING, ..) or (BYTES, BYTES, ..")
	}
	return Signature{Args: repeat(t, len(have)), Result: t, Kernel: concat}, nil
}, Examples: []Example{{"CONCAT('a', NULL, 'b')", "ab"}}})

// textual is the one type, STRING or BYTES, of all arguments; NULL alone is STRING.
func textual(have []flow.Type) (flow.Type, bool) {
	t := flow.Null
	for _, h := range have {
		if h.ID() != arrow.NULL && (t.ID() == arrow.NULL || flow.SameType(t, h)) {
			t = h
		} else if h.ID() != arrow.NULL {
			return nil, false
		}
	}
	if t.ID() == arrow.NULL {
		t = flow.String
	}
	return t, t.ID() == arrow.STRING || t.ID() == arrow.BINARY
}

func concat(args []arrow.Array, rows int, env Env) arrow.Array {
	return joined(args, rows, env, func(buf []byte, i int) ([]byte, bool) {
		for _, a := range args {
			if a.IsValid(i) {
				if buf = append(buf, raw(a, i)...); len(buf) > MaxText {
					break
				}
			}
		}
		return buf, true
	})
}

// Concatenation is the operator || of the SQL standard: as CONCAT of two texts, or of two BYTES, but NULL where an
// operand is NULL.
func Concatenation(have []flow.Type) (Signature, error) {
	t, ok := textual(have)
	if !ok || len(have) != 2 {
		return Signature{}, Mismatch("||", have, "STRING, STRING) or (BYTES, BYTES")
	}
	return Signature{Args: repeat(t, 2), Result: t, Kernel: concatenated}, nil
}

func concatenated(args []arrow.Array, rows int, env Env) arrow.Array {
	return joined(args, rows, env, func(buf []byte, i int) ([]byte, bool) {
		if args[0].IsNull(i) || args[1].IsNull(i) {
			return buf, false
		}
		if buf = append(buf, raw(args[0], i)...); len(buf) <= MaxText {
			buf = append(buf, raw(args[1], i)...)
		}
		return buf, true
	})
}

// joined returns a column of text or bytes that f writes into a buffer; if f returns false, the
// row is NULL.
func joined(args []arrow.Array, rows int, env Env, f func(buf []byte, i int) ([]byte, bool)) arrow.Array {
	b := flow.Builder(args[0].DataType())
	b.Reserve(rows)
	var buf []byte
	for i := range rows {
		var ok bool
		if buf, ok = f(buf[:0], i); !ok {
			b.AppendNull()
			continue
		}
		if len(buf) > MaxText {
			env.Fail(i, errLong)
			b.AppendNull()
			continue
		}
		if putText(b, buf); !env.Account.Grow(int64(len(buf))) {
			return nulled(b, rows)
		}
	}
	return b.NewArray()
}

// putText appends text or bytes; the builder copies them.
func putText(b array.Builder, v []byte) {
	if s, ok := b.(*array.StringBuilder); ok {
		s.Append(string(v))
		return
	}
	b.(*array.BinaryBuilder).Append(v)
}

var _ = builtin(Scalar{Name: "CONCAT_WS", Doc: "the texts, or bytes, after the first, with the first between them; NULLs are skipped, and a NULL separator returns NULL", Bind: func(have []flow.Type) (Signature, error) {
	t, ok := textual(have)
	if !ok || len(have) < 2 {
		return Signature{}, Mismatch("CONCAT_WS", have, "STRING, STRING, ..) or (BYTES, BYTES, ..")
	}
	return Signature{Args: repeat(t, len(have)), Result: t, Kernel: concatWith}, nil
}, Examples: []Example{{"CONCAT_WS(', ', 'apple', NULL, 'date')", "apple, date"}}})

func concatWith(args []arrow.Array, rows int, env Env) arrow.Array {
	return joined(args, rows, env, func(buf []byte, i int) ([]byte, bool) {
		if args[0].IsNull(i) {
			return buf, false
		}
		some := false
		for _, a := range args[1:] {
			if a.IsNull(i) || len(buf) > MaxText {
				continue
			}
			if some {
				buf = append(buf, raw(args[0], i)...)
			}
			buf, some = append(buf, raw(a, i)...), true
		}
		return buf, true
	})
}

var (
	_ = builtin(overload("LPAD", "the text or bytes, filled up on the left to a length with the padding, or cut to it; NULL if the length is negative or the padding empty",
		[]Example{{"LPAD('foo', 7, 'Bar')", "BarBfoo"}, {"LPAD('foo', 2, 'Bar')", "fo"}},
		Try3("LPAD", "", func(s string, n int32, pad string) (string, error) { return padText(s, n, pad, true) }),
		Try3("LPAD", "", func(s []byte, n int32, pad []byte) ([]byte, error) { return padBytes(s, n, pad, true) })))
	_ = builtin(overload("RPAD", "the text or bytes, filled up on the right to a length with the padding, or cut to it; NULL if the length is negative or the padding empty",
		[]Example{{"RPAD('foo', 7, 'Bar')", "fooBarB"}},
		Try3("RPAD", "", func(s string, n int32, pad string) (string, error) { return padText(s, n, pad, false) }),
		Try3("RPAD", "", func(s []byte, n int32, pad []byte) ([]byte, error) { return padBytes(s, n, pad, false) })))
)

func padText(s string, n int32, pad string, left bool) (string, error) {
	switch {
	case n < 0 || pad == "":
		return "", errNull
	case n > MaxText:
		return "", errLong
	}
	have := runes(s)
	if have >= n {
		return substring(s, 1, n), nil
	}
	if int(n-have)/int(runes(pad))*len(pad) > MaxText {
		return "", errLong
	}
	fill := strings.Repeat(pad, int(n-have)/int(runes(pad))+1)
	fill = substring(fill, 1, n-have)
	if left {
		return fill + s, nil
	}
	return s + fill, nil
}

func padBytes(s []byte, n int32, pad []byte, left bool) ([]byte, error) {
	switch {
	case n < 0 || len(pad) == 0:
		return nil, errNull
	case n > MaxText:
		return nil, errLong
	}
	have := min(len(s), int(n))
	fill := make([]byte, int(n)-have)
	for i := range fill {
		fill[i] = pad[i%len(pad)]
	}
	if left {
		return append(fill, s[:have]...), nil
	}
	return append(append([]byte{}, s[:have]...), fill...), nil
}

var _ = builtin(overload("INSTR", "the position of a text in another, 0 if it is not found: INSTR(text, part[, position[, occurrence]]); a negative position searches backwards from the end",
	[]Example{{"INSTR('corporate floor', 'or')", "2"}, {"INSTR('corporate floor', 'or', 3, 2)", "14"}, {"INSTR('corporate floor', 'or', -3)", "5"}},
	Func2("INSTR", "", func(s, part string) int32 { return instr(s, part, 1, 1) }),
	Func3("INSTR", "", func(s, part string, pos int32) int32 { return instr(s, part, pos, 1) }),
	Try4("INSTR", "", func(s, part string, pos, nth int32) (int32, error) { return instr(s, part, pos, nth), nil })))

func instr(text, part string, pos, nth int32) int32 {
	s, p := []rune(text), []rune(part)
	last := len(s) - len(p)
	at, step := int(pos)-1, 1
	if pos < 0 {
		at, step = min(len(s)+int(pos), last), -1
	}
	if pos == 0 || nth < 1 || len(p) == 0 {
		return 0
	}
	for ; at >= 0 && at <= last; at += step {
		if string(s[at:at+len(p)]) != part {
			continue
		}
		if nth--; nth == 0 {
			return int32(at + 1)
		}
	}
	return 0
}

var _ = builtin(overload("CHR", "the character with a code point, given as a number or as '\\uXXXX'; NULL if there is none", []Example{{"CHR(75)", "K"}, {`CHR('\u597d')`, "好"}},
	Try1("CHR", "", chr), Try1("CHR", "", chrEscaped)))

func chr(code int32) (string, error) {
	if !utf8.ValidRune(code) {
		return "", errNull
	}
	return string(code), nil
}

// chrEscaped reads \uXXXX, or two of them that are a surrogate pair.
func chrEscaped(s string) (string, error) {
	if !strings.HasPrefix(s, `\u`) {
		return "", errNull
	}
	out, err := strconv.Unquote(`"` + surrogates(s) + `"`)
	if err != nil || utf8.RuneCountInString(out) != 1 {
		return "", errNull
	}
	return out, nil
}

func surrogates(s string) string {
	if len(s) == 12 && s[6:8] == `\u` {
		hi, err1 := strconv.ParseUint(s[2:6], 16, 32)
		lo, err2 := strconv.ParseUint(s[8:], 16, 32)
		if err1 == nil && err2 == nil && hi>>10 == 0xd800>>10 && lo>>10 == 0xdc00>>10 {
			return fmt.Sprintf(`\U%08x`, 0x10000+(hi-0xd800)<<10+(lo-0xdc00))
		}
	}
	return s
}

var _ = builtin(Scalar{Name: "ELT", Doc: "the n-th of the texts that follow, 1 the first; NULL if there is none", Bind: func(have []flow.Type) (Signature, error) {
	if len(have) < 2 {
		return Signature{}, Mismatch("ELT", have, "INTEGER, STRING, ..")
	}
	args := append([]flow.Type{flow.Int}, repeat(flow.String, len(have)-1)...)
	return Signature{Args: args, Result: flow.String, Kernel: Each(flow.String, true, func(args []any) (any, error) {
		n, ok := args[0].(int32)
		if !ok || n < 1 || int(n) >= len(args) {
			return nil, nil
		}
		return args[n], nil
	})}, Accept("ELT", have, args...)
}, Examples: []Example{{"ELT(2, 'a', 'b', 'c')", "b"}, {"ELT(5, 'a')", "null"}}})

var _ = builtin(Scalar{Name: "FIELD", Doc: "the position of the first text among those that follow, 1 the first, 0 if it is not there or NULL", Bind: func(have []flow.Type) (Signature, error) {
	if len(have) < 2 {
		return Signature{}, Mismatch("FIELD", have, "STRING, STRING, ..")
	}
	args := repeat(flow.String, len(have))
	return Signature{Args: args, Result: flow.Int, Kernel: Each(flow.Int, true, func(args []any) (any, error) {
		for i, a := range args[1:] {
			if a != nil && a == args[0] {
				return int32(i + 1), nil
			}
		}
		return int32(0), nil
	})}, Accept("FIELD", have, args...)
}, Examples: []Example{{"FIELD('b', 'a', 'b')", "2"}, {"FIELD('x', 'a')", "0"}}})

var errEmpty = errors.New("the delimiter is empty")

var _ = builtin(Try3("SPLIT_INDEX", "the part of a text with a number, 0 the first, when it is split at a delimiter; NULL if there is none", func(s, delimiter string, n int32) (string, error) {
	if delimiter == "" {
		return "", errEmpty
	}
	for ; n > 0; n-- {
		_, rest, found := strings.Cut(s, delimiter)
		if !found {
			return "", errNull
		}
		s = rest
	}
	if n < 0 {
		return "", errNull
	}
	part, _, _ := strings.Cut(s, delimiter)
	return part, nil
}, Example{"SPLIT_INDEX('a/b/c', '/', 1)", "b"}))
