package lang

import (
	"io"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// The kinds of token. The Value of a token is its source text with quotes, so a quoted word never equals a
// keyword.
const (
	word     lexer.TokenType = -(iota + 2) // ASCII letters, digits, _ and @; keywords included
	quoted                                 // `name` or "name"
	number                                 // 1, 1.5, .5, 1E3
	text                                   // 'text'
	operator                               // one operator or bracket
	param                                  // $1
	variable                               // ${name}, replaced before the grammar sees it
	bad                                    // none of these; scanner.errs has its error
)

// definition is the lexer that participle knows. It names the kinds of token; scan does the work.
type definition struct{}

// Symbols returns the names of the kinds of token.
func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{"EOF": lexer.EOF, "Word": word, "Quoted": quoted, "Number": number, "Text": text,
		"Op": operator, "Param": param}
}

// Lex reads r to its end and cuts it into tokens. Participle requires it of a lexer; Parse passes the tokens of
// each statement instead.
func (definition) Lex(file string, r io.Reader) (lexer.Lexer, error) {
	src, err := io.ReadAll(io.LimitReader(r, MaxText+1))
	if err != nil {
		return nil, err
	}
	s := scan(string(src), file)
	if len(s.errs) > 0 {
		return nil, &syntaxError{s.errs[0].err}
	}
	return &tokenList{tokens: s.tokens, end: s.pos()}, nil
}

// tokenList is the stream of the tokens of one statement.
type tokenList struct {
	tokens []lexer.Token
	end    lexer.Position
}

// Next returns the next token, and an EOF token at the end.
func (l *tokenList) Next() (lexer.Token, error) {
	if len(l.tokens) == 0 {
		return lexer.EOFToken(l.end), nil
	}
	t := l.tokens[0]
	l.tokens = l.tokens[1:]
	return t, nil
}

// unquote returns the content of a quoted token.
func unquote(v string) string {
	if len(v) < 2 {
		return v
	}
	mark := v[:1]
	body := v[1 : len(v)-1]
	if strings.Contains(body, mark) {
		body = strings.ReplaceAll(body, mark+mark, mark)
	}
	return body
}

// shorten cuts a word of the user to a length that fits a message.
func shorten(v string) string {
	if r := []rune(v); len(r) > 40 {
		return string(r[:37]) + "..."
	}
	return v
}

// position converts a position of participle.
func position(p lexer.Position) Pos {
	return Pos{File: p.Filename, Line: p.Line, Col: p.Column, Offset: p.Offset}
}
