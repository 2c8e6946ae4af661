package lang

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// The limits of a text. The lexer checks them before the grammar reads the tokens, because the grammar recurses
// and a stack overflow ends the process.
const (
	MaxText       = 1 << 20 // MaxText is the number of bytes of one text
	MaxTokens     = 200_000 // MaxTokens is the number of tokens of one text
	MaxNesting    = 256     // MaxNesting bounds the brackets, CASE, NOT, signs and type arguments around a token
	MaxIdentifier = 249     // MaxIdentifier is the number of bytes of one name
	MaxDigits     = 1_000   // MaxDigits is the number of characters of one number
	MaxOperators  = 16_384  // MaxOperators bounds the operators outside of brackets; MaxDepth bounds them further
	MaxErrors     = 10      // MaxErrors is the number of errors that Parse reports for one text
)

// scanned is an error and the index of the token that it belongs to.
type scanned struct {
	token int
	err   *Error
}

// scanner cuts a text into tokens.
type scanner struct {
	src    string
	file   string
	at     int // the number of bytes that were read
	line   int
	from   int // offset where the line begins, moved so that at-from+1 is the column in runes
	tokens []lexer.Token
	errs   []scanned
	fatal  bool // a limit was exceeded, and the text is refused

	depth nesting
}

// scan cuts src into tokens and discards comments and blanks. If a limit is exceeded, it sets fatal and stops.
func scan(src, file string) *scanner {
	s := &scanner{src: src, file: file, line: 1}
	if len(src) > MaxText {
		s.limit(s.pos(), 1, "SQ1005", fmt.Sprintf("the text has %d bytes; the limit is %d", len(src), MaxText),
			"split it into several files")
		return s
	}
	s.tokens = make([]lexer.Token, 0, len(src)/8+8)
	for !s.fatal {
		s.blank()
		if s.at >= len(s.src) {
			break
		}
		start := s.pos()
		kind := s.token()
		s.add(kind, start)
	}
	return s
}

func (s *scanner) pos() lexer.Position {
	return lexer.Position{Filename: s.file, Offset: s.at, Line: s.line, Column: s.at - s.from + 1}
}

// add appends the token from start to the current position and checks the limits.
func (s *scanner) add(kind lexer.TokenType, start lexer.Position) {
	if len(s.tokens) >= MaxTokens {
		s.limit(start, 1, "SQ1006", fmt.Sprintf("the text has more than %d tokens", MaxTokens),
			"split it into several files")
		return
	}
	t := lexer.Token{Type: kind, Value: s.src[start.Offset:s.at], Pos: start}
	s.tokens = append(s.tokens, t)
	if s.depth.ops > MaxOperators {
		s.limit(start, len(t.Value), "SQ1008",
			fmt.Sprintf("the expression has more than %d operators in a row", MaxOperators),
			"use IN (..) for many alternatives")
		return
	}
	if n := s.depth.add(s.tokens); n > MaxNesting {
		s.limit(start, len(t.Value), "SQ1007", fmt.Sprintf("the statement is nested more than %d deep", MaxNesting),
			"name inner parts by streams, tables or WITH name AS (query)")
	}
}

// limit refuses the whole text.
func (s *scanner) limit(at lexer.Position, length int, code, msg, hint string) {
	s.fatal = true
	s.errs = []scanned{{0, &Error{Code: code, Stage: StageParse, Pos: position(at), Len: length, Msg: msg, Hint: hint}}}
}

// fail adds an error for the token that the caller adds next.
func (s *scanner) fail(at lexer.Position, length int, code, msg, label, hint string) lexer.TokenType {
	if len(s.errs) <= MaxErrors {
		s.errs = append(s.errs, scanned{len(s.tokens), &Error{Code: code, Stage: StageParse, Pos: position(at),
			Len: length, Msg: msg, Label: label, Hint: hint}})
	}
	return bad
}

// skip advances by n bytes, which must be ASCII without a newline.
func (s *scanner) skip(n int) { s.at += n }

// rune advances by one rune and counts lines and columns.
func (s *scanner) rune() {
	c := s.src[s.at]
	switch {
	case c == '\n':
		s.at++
		s.line, s.from = s.line+1, s.at
	case c < utf8.RuneSelf:
		s.at++
	default:
		_, n := utf8.DecodeRuneInString(s.src[s.at:])
		s.at += n
		s.from += n - 1
	}
}

func (s *scanner) peek(n int) byte {
	if s.at+n < len(s.src) {
		return s.src[s.at+n]
	}
	return 0
}

// blank skips white space and comments. An unclosed comment is an error of the next token.
func (s *scanner) blank() {
	for s.at < len(s.src) {
		c := s.src[s.at]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v':
			s.rune()
		case c == '-' && s.peek(1) == '-':
			for s.at < len(s.src) && s.src[s.at] != '\n' {
				s.rune()
			}
		case c == '/' && s.peek(1) == '*':
			start := s.pos()
			s.skip(2)
			for s.at < len(s.src) && !(s.src[s.at] == '*' && s.peek(1) == '/') {
				s.rune()
			}
			if s.at >= len(s.src) {
				s.fail(start, 2, "SQ1003", "a comment is not closed", "it starts here", "end it with */")
				s.add(bad, start)
				return
			}
			s.skip(2)
		case c >= utf8.RuneSelf:
			r, _ := utf8.DecodeRuneInString(s.src[s.at:])
			if !unicode.IsSpace(r) && r != '\ufeff' {
				return
			}
			s.rune()
		default:
			return
		}
	}
}

// token advances over one token and returns its kind.
func (s *scanner) token() lexer.TokenType {
	start, c := s.pos(), s.src[s.at]
	switch {
	case c == '\'':
		return s.quote(start, '\'', "a text", text)
	case c == '`' || c == '"':
		kind := s.quote(start, c, "a quoted name", quoted)
		if kind == quoted {
			return s.checkName(start, kind)
		}
		return kind
	case isDigit(c) || c == '.' && isDigit(s.peek(1)):
		return s.number(start)
	case isLetter(c):
		for s.at < len(s.src) && (isLetter(s.src[s.at]) || isDigit(s.src[s.at]) || s.src[s.at] == '@') {
			s.rune()
		}
		return s.checkName(start, word)
	case c == '$':
		return s.dollar(start)
	}
	if n := operatorLength(s.src[s.at:]); n > 0 {
		s.skip(n)
		return operator
	}
	r, n := utf8.DecodeRuneInString(s.src[s.at:])
	s.rune()
	if r == utf8.RuneError && n == 1 {
		return s.fail(start, 1, "SQ1004", fmt.Sprintf("the byte 0x%02x is not UTF-8", c), "", "save the text as UTF-8")
	}
	return s.fail(start, 1, "SQ1004", fmt.Sprintf("the character %q has no meaning here", r), "", "")
}

// quote advances over a quoted text or name, in which a doubled quote stands for one quote.
func (s *scanner) quote(start lexer.Position, mark byte, what string, kind lexer.TokenType) lexer.TokenType {
	s.skip(1)
	for s.at < len(s.src) {
		if s.src[s.at] != mark {
			s.rune()
			continue
		}
		s.skip(1)
		if s.peek(0) != mark {
			return s.checkText(start, kind)
		}
		s.skip(1)
	}
	return s.fail(start, 1, "SQ1003", what+" is not closed", "it starts here",
		fmt.Sprintf("end it with %c; a doubled %c%c stands for one", mark, mark, mark))
}

// checkText refuses bytes that are not UTF-8, and empty names.
func (s *scanner) checkText(start lexer.Position, kind lexer.TokenType) lexer.TokenType {
	v := s.src[start.Offset:s.at]
	if !utf8.ValidString(v) {
		return s.fail(start, utf8.RuneCountInString(v), "SQ1004", "the quoted text is not UTF-8", "",
			"save the text as UTF-8")
	}
	if kind == quoted && len(v) == 2 {
		return s.fail(start, 2, "SQ1011", "a name is empty", "", "write a name between the quotes")
	}
	return kind
}

// checkName refuses a name that is too long for a topic.
func (s *scanner) checkName(start lexer.Position, kind lexer.TokenType) lexer.TokenType {
	v := s.src[start.Offset:s.at]
	n := len(v)
	if kind == quoted {
		n = len(unquote(v))
	}
	if n <= MaxIdentifier {
		return kind
	}
	return s.fail(start, utf8.RuneCountInString(v), "SQ1011",
		fmt.Sprintf("a name has %d bytes; at most %d are allowed", n, MaxIdentifier), "", "")
}

// number advances over 1, 1.5, .5 or 1E3. Two points after a digit are the range operator. As in ksqlDB, digits
// followed by a letter or _ are a name.
func (s *scanner) number(start lexer.Position) lexer.TokenType {
	s.digits()
	if s.peek(0) == '.' && s.peek(1) != '.' {
		s.skip(1)
		s.digits()
	}
	if c := s.peek(0); c == 'e' || c == 'E' {
		n := 1
		if c := s.peek(1); c == '+' || c == '-' {
			n = 2
		}
		if isDigit(s.peek(n)) {
			s.skip(n)
			s.digits()
		}
	}
	if n := s.at - start.Offset; n > MaxDigits {
		return s.fail(start, n, "SQ1010",
			fmt.Sprintf("a number has %d characters; at most %d are allowed", n, MaxDigits), "", "")
	}
	if !isLetter(s.peek(0)) {
		return number
	}
	for s.at < len(s.src) && (isLetter(s.src[s.at]) || isDigit(s.src[s.at]) || s.src[s.at] == '@') {
		s.rune()
	}
	if strings.IndexByte(s.src[start.Offset:s.at], '.') >= 0 {
		v := s.src[start.Offset:s.at]
		return s.fail(start, len(v), "SQ1010", shorten(v)+" is neither a number nor a name", "",
			"a name with a point in it needs back-ticks: `"+shorten(v)+"`")
	}
	return s.checkName(start, word)
}

func (s *scanner) digits() {
	for isDigit(s.peek(0)) {
		s.skip(1)
	}
}

// dollar advances over $1 or ${name}.
func (s *scanner) dollar(start lexer.Position) lexer.TokenType {
	s.skip(1)
	if isDigit(s.peek(0)) {
		s.digits()
		return param
	}
	if s.peek(0) == '{' {
		end := strings.IndexAny(s.src[s.at:], "}\n;'")
		if end > 0 && s.src[s.at+end] == '}' {
			for stop := s.at + end + 1; s.at < stop; {
				s.rune()
			}
			return variable
		}
		return s.fail(start, 2, "SQ1003", "a variable is not closed", "it starts here", "end it with }")
	}
	return s.fail(start, 1, "SQ1004", "a lone $ has no meaning", "",
		"write $1 for a parameter, ${name} for a variable, m$2 for a model's version")
}

// operatorLength returns the length of the operator at the start of v, or 0 if there is none.
func operatorLength(v string) int {
	if len(v) > 1 {
		switch v[:2] {
		case "->", "=>", ":=", "||", "<>", "!=", "<=", ">=", "..", "::":
			return 2
		}
	}
	if strings.IndexByte("()[],;.+-*/%=<>@", v[0]) >= 0 {
		return 1
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isLetter reports whether c is an ASCII letter or _. A name consists of these, of digits and of @; other
// characters need quotes, as in ksqlDB.
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
