package lang

import (
	"math"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// The rule files hold the hand-written rules of the grammar, in participle's form: Parse reads the tokens of one
// node, or returns NextMatch if an optional node is absent. Leaves have rules by hand, and so have the clauses
// that decide by their words whether a word is a name. This file holds the leaves, rulequery.go the clauses of a
// query, rulescan.go the scan clause and rulemodel.go the clauses of CREATE MODEL.

// Parse sets the position to that of the next token and consumes nothing.
func (p *Pos) Parse(lex *lexer.PeekingLexer) error {
	*p = position(lex.Peek().Pos)
	return nil
}

// Parse reads a name: any word, or a name in quotes.
func (n *Name) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	*n = r.name()
	return r.result()
}

// Parse reads a text in single quotes.
func (t *Text) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.literal(); x != nil {
		*t = *x
	}
	return r.result()
}

// Parse reads a number.
func (n *Number) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.number(); x != nil {
		*n = *x
	}
	return r.result()
}

// Parse reads an interval such as 5 MINUTES.
func (i *Interval) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.interval(); x != nil {
		*i = *x
	}
	return r.result()
}

// Parse reads a whole number.
func (c *Count) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	c.At = r.here()
	c.N = r.count(math.MaxInt64)
	return r.result()
}

// Capture sets the keyword to the matched words, in capitals.
func (k *Keyword) Capture(values []string) error {
	*k = Keyword(strings.ToUpper(strings.Join(values, " ")))
	return nil
}

// Parse reads a topic: a name or a string literal.
func (n *TopicName) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	at := r.here()
	if first := r.peek(); first.Type == text {
		if t := r.literal(); t != nil {
			n.Name = Name{at, t.Value, true}
			r.named(first, t)
		}
	} else if n.Name = r.name(); r.err == nil && isOp(r.peek(), "-") {
		r.fail(r.peek(), "SQ1001", "unexpected \"-\"", "a topic with - in its name needs quotes", "")
	}
	return r.result()
}

// named refuses an empty string literal as a name.
func (r *reader) named(at *lexer.Token, t *Text) {
	if t.Value == "" {
		r.fail(at, "SQ1011", "a name is empty", "", "write a name between the quotes")
	}
}

// Parse reads m, m$2 or m@alias.
func (m *ModelName) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	t := r.peek()
	m.At = r.here()
	m.Name = r.name()
	m.Version = r.versionTail(&m.Name, t)
	return r.result()
}

// Parse reads name = value.
func (s *Setting) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	s.At = r.here()
	if first := r.peek(); first.Type == text {
		if t := r.literal(); t != nil {
			s.Name = Name{t.At, t.Value, true}
			r.named(first, t)
		}
	} else {
		s.Name = r.name()
		for !s.Name.Quoted && r.op(".") {
			s.Name.Text += "." + r.name().Text
		}
	}
	r.wantOp("=")
	s.Value = r.expr()
	return r.result()
}

// Parse reads ADD [COLUMN] name type.
func (a *AddedColumn) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	a.At = r.here()
	r.want("ADD")
	if isWord(r.peek(), "COLUMN") && isName(r.peek2()) {
		r.next()
	}
	a.Name = r.name()
	a.Type = r.typeExpr(0)
	return r.result()
}
