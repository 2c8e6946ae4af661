package lang

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// substitute replaces ${name} by its value. A value becomes one token in the position of the variable, so it can
// change a word of a statement but not its structure. Tokens without variables are returned unchanged.
func (p *parser) substitute(tokens []lexer.Token) ([]lexer.Token, *Error) {
	replaced := false
	for i, t := range tokens {
		var value string
		var err *Error
		switch {
		case t.Type == variable:
			value, err = p.value(t, t.Value[2:len(t.Value)-1])
			if err == nil {
				t.Type, t.Value = tokenOf(value)
			}
		case (t.Type == text || t.Type == quoted) && len(p.vars) > 0 && strings.Contains(t.Value, "${"):
			t.Value, err = p.inside(t)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if !replaced {
			tokens, replaced = slices.Clone(tokens), true
		}
		tokens[i] = t
	}
	return tokens, nil
}

// value returns the value of a variable, or the error SQ1009.
func (p *parser) value(t lexer.Token, name string) (string, *Error) {
	if v, ok := p.vars[strings.ToUpper(name)]; ok {
		return v, nil
	}
	e := &Error{Code: "SQ1009", Stage: StageParse, Pos: position(t.Pos), Len: utf8.RuneCountInString(t.Value),
		Msg: fmt.Sprintf("variable %s is not defined", shorten(name)), Hint: "DEFINE " + shorten(name) + " = 'value';"}
	known := make([]string, 0, len(p.vars))
	for n := range p.vars {
		known = append(known, n)
	}
	slices.Sort(known)
	e.Label = didYouMean(name, known, "")
	return "", e
}

// inside replaces each ${name} in a quoted token by its value, with quotes doubled.
func (p *parser) inside(t lexer.Token) (string, *Error) {
	mark := t.Value[:1]
	var b strings.Builder
	for rest := t.Value; ; {
		from := strings.Index(rest, "${")
		to := -1
		if from >= 0 {
			to = strings.IndexByte(rest[from:], '}')
		}
		if to < 0 {
			b.WriteString(rest)
			return b.String(), nil
		}
		v, err := p.value(t, rest[from+2:from+to])
		if err != nil {
			return "", err
		}
		b.WriteString(rest[:from])
		b.WriteString(strings.ReplaceAll(v, mark, mark+mark))
		rest = rest[from+to+1:]
		if b.Len() > MaxText {
			return "", &Error{Code: "SQ1005", Stage: StageParse, Pos: position(t.Pos),
				Len: utf8.RuneCountInString(t.Value),
				Msg: fmt.Sprintf("with its variables replaced, a text has more than %d bytes", MaxText)}
		}
	}
}

// tokenOf returns the kind and the source of the one token that a value becomes.
func tokenOf(v string) (lexer.TokenType, string) {
	if len(v) <= MaxText {
		if s := scan(v, ""); len(s.tokens) == 1 && len(s.errs) == 0 && len(s.tokens[0].Value) == len(v) {
			switch k := s.tokens[0].Type; k {
			case word, quoted, number, text:
				return k, v
			}
		}
	}
	return text, "'" + strings.ReplaceAll(v, "'", "''") + "'"
}
