package lang

import (
	"io"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// The kinds of token. A token's Value is its source text, quotes included, so that a quoted word never equals a keyword.
const (
	word     lexer.TokenType = -(iota + 2) // letters, digits, _ and @, no keyword reserved
	quoted                                 // `name` or "name"
	number                                 // 1, 1.5, .5, 1E3
	text                                   // 'text'
	operator                               // one operator or bracket
	param                                  // $1
	variable                               // ${name}, replaced before the grammar sees it
	bad                                    // what is none of these; its error is kept beside
)

// definition tells participle the names of the kinds of token. Lexing itself is scan's.
type definition struct{}

func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{"EOF": lexer.EOF, "Word": word, "Quoted": quoted, "Number": number, "Text": text,
		"Op": operator, "Param": param}
}

// Lex reads all of r and cuts it into tokens. The parser is fed by statements instead; this is what participle asks of a lexer.
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

// tokenList hands out tokens already cut.
type tokenList struct {
	tokens []lexer.Token
	end    lexer.Position
}

func (l *tokenList) Next() (lexer.Token, error) {
	if len(l.tokens) == 0 {
		return lexer.EOFToken(l.end), nil
	}
	t := l.tokens[0]
	l.tokens = l.tokens[1:]
	return t, nil
}

// unquote is the content of a quoted token.
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

// shorten keeps a word of the user's short enough for a message.
func shorten(v string) string {
	if r := []rune(v); len(r) > 40 {
		return string(r[:37]) + "..."
	}
	return v
}

// position is a participle position as ours.
func position(p lexer.Position) Pos {
	return Pos{File: p.Filename, Line: p.Line, Col: p.Column, Offset: p.Offset}
}
