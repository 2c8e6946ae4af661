package lang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// reader reads tokens for the hand-written rules of the grammar. It keeps its first error and from then on returns
// EOF tokens. A rule therefore need not check for errors between its steps; its caller checks once, with result.
type reader struct {
	lex      *lexer.PeekingLexer
	err      *Error
	depth    int                     // expressions within expressions
	relation func(*reader) *Relation // reads a relation; nil outside table functions
	table    bool                    // reading the arguments of a table function, where name => value is an argument by name
}

// syntaxError is an Error in the form that participle passes through. It implements participle.Error.
type syntaxError struct{ err *Error }

// Error returns the text of the Error.
func (s *syntaxError) Error() string { return s.err.Error() }

// Message returns the message without code and position.
func (s *syntaxError) Message() string { return s.err.Msg }

// Position returns the position of the Error.
func (s *syntaxError) Position() lexer.Position {
	p := s.err.Pos
	return lexer.Position{Filename: p.File, Offset: p.Offset, Line: p.Line, Column: p.Col}
}

// result returns the reader's error for participle, or nil.
func (r *reader) result() error {
	if r.err == nil {
		return nil
	}
	return &syntaxError{r.err}
}

// stuck is the next token of a reader with an error.
var stuck = lexer.Token{Type: lexer.EOF}

func (r *reader) peek() *lexer.Token {
	if r.err != nil {
		return &stuck
	}
	return r.lex.Peek()
}

// peek2 returns the token after the next one and consumes nothing.
func (r *reader) peek2() *lexer.Token {
	if r.err != nil {
		return &stuck
	}
	here := r.lex.MakeCheckpoint()
	r.lex.Next()
	t := r.lex.Peek()
	r.lex.LoadCheckpoint(here)
	return t
}

func (r *reader) next() *lexer.Token {
	if r.err != nil {
		return &stuck
	}
	return r.lex.Next()
}

// here returns the position of the next token.
func (r *reader) here() At { return At{position(r.peek().Pos)} }

func isWord(t *lexer.Token, w string) bool { return t.Type == word && strings.EqualFold(t.Value, w) }

func isAnyWord(t *lexer.Token, words []string) bool {
	return t.Type == word && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(t.Value, w) })
}

func isOp(t *lexer.Token, op string) bool { return t.Type == operator && t.Value == op }

// word reads the word w if it is next, and reports whether it was.
func (r *reader) word(w string) bool {
	if !isWord(r.peek(), w) {
		return false
	}
	r.next()
	return true
}

// op reads the operator if it is next, and reports whether it was.
func (r *reader) op(op string) bool {
	if !isOp(r.peek(), op) {
		return false
	}
	r.next()
	return true
}

// want reads the word w, which must be next.
func (r *reader) want(w string) {
	if !r.word(w) {
		r.unexpected(w)
	}
}

// wantOp reads the operator, which must be next.
func (r *reader) wantOp(op string) {
	if !r.op(op) {
		r.unexpected(op)
	}
}

// oneOf reads one of words, which must be next, and returns it in capitals.
func (r *reader) oneOf(words ...string) Keyword {
	if t := r.peek(); isAnyWord(t, words) {
		return Keyword(strings.ToUpper(r.next().Value))
	}
	r.unexpected(words...)
	return ""
}

// unexpected sets an error at the next token, where one of expected was required.
func (r *reader) unexpected(expected ...string) {
	if r.err == nil {
		r.err = unexpected(r.lex.Peek(), expected)
	}
}

// fail sets an error at token t, unless there is an earlier error.
func (r *reader) fail(t *lexer.Token, code, msg, label, hint string) {
	if r.err == nil {
		r.err = &Error{Code: code, Stage: StageParse, Pos: position(t.Pos), Len: utf8.RuneCountInString(t.Value),
			Msg: msg, Label: label, Hint: hint}
	}
}

// unexpected returns the error of a token where one of expected was required. An expected token is a keyword, an
// operator or, in lower case, a description such as "a name".
func unexpected(t *lexer.Token, expected []string) *Error {
	e := &Error{Code: "SQ1001", Stage: StageParse, Pos: position(t.Pos), Len: utf8.RuneCountInString(t.Value)}
	e.Msg = "unexpected " + describe(t)
	if t.EOF() {
		e.Msg = "the statement is not complete"
	}
	list := expectation(expected)
	if list != "" {
		e.Label = "expected " + list
	}
	if t.Type == word {
		if s := Suggest(t.Value, keywordsOf(expected)); s != "" && !strings.EqualFold(s, t.Value) {
			e.Label = "did you mean " + s + "?"
		}
		if hint := Instead(t.Value); hint != "" {
			e.Label, e.Hint = "expected "+list, hint
		}
	}
	return e
}

func keywordsOf(expected []string) []string {
	var words []string
	for _, e := range expected {
		if e != "" && isLetter(e[0]) && e == strings.ToUpper(e) {
			words = append(words, strings.Fields(e)[0])
		}
	}
	return words
}

// describe returns the name of a token for a message.
func describe(t *lexer.Token) string {
	switch t.Type {
	case lexer.EOF:
		return "end of the statement"
	case number:
		return "number " + shorten(t.Value)
	case text:
		return "text " + shorten(t.Value)
	case quoted:
		return "name " + shorten(t.Value)
	case param:
		return "parameter " + t.Value
	}
	return strconv.Quote(shorten(t.Value))
}

// expectation returns the list of expected tokens as text: at most six, the last after "or".
func expectation(list []string) string {
	list = slices.Clone(list)
	for i, e := range list {
		if e != "" && !isLetter(e[0]) {
			list[i] = `"` + e + `"`
		}
	}
	if len(list) > 6 {
		list = append(list[:5:5], "another clause")
	}
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// adjacent reports whether b follows a without a gap.
func adjacent(a, b *lexer.Token) bool {
	return a.Pos.Offset+len(a.Value) == b.Pos.Offset
}

// nameOf returns a word or a quoted token as a Name.
func nameOf(t *lexer.Token) Name {
	n := Name{At: At{position(t.Pos)}, Text: t.Value}
	if t.Type == quoted {
		n.Text, n.Quoted = unquote(t.Value), true
	}
	return n
}

func isName(t *lexer.Token) bool { return t.Type == word || t.Type == quoted }

// name reads a name, which may be any word.
func (r *reader) name() Name {
	if t := r.peek(); isName(t) {
		return nameOf(r.next())
	}
	r.unexpected("a name")
	return Name{}
}

// literal reads a string literal.
func (r *reader) literal() *Text {
	if t := r.peek(); t.Type == text {
		r.next()
		return &Text{At{position(t.Pos)}, unquote(t.Value)}
	}
	r.unexpected("a text in quotes")
	return nil
}

// number reads a number as written.
func (r *reader) number() *Number {
	if t := r.peek(); t.Type == number {
		r.next()
		return &Number{At{position(t.Pos)}, t.Value}
	}
	r.unexpected("a number")
	return nil
}

// count reads a whole number from 0 to most.
func (r *reader) count(most int64) int64 {
	t := r.peek()
	if t.Type != number {
		r.unexpected("a whole number")
		return 0
	}
	n, err := strconv.ParseInt(t.Value, 10, 64)
	if err != nil || n > most {
		r.fail(t, "SQ1014", fmt.Sprintf("%s is not a whole number from 0 to %d", shorten(t.Value), most), "", "")
		return 0
	}
	r.next()
	return n
}

// units lists the units of time in the singular. The plural adds an S.
var units = []string{"MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR"}

// unitOf returns the unit that t names, or "".
func unitOf(t *lexer.Token) string {
	if t.Type != word || len(t.Value) > 12 {
		return ""
	}
	u := strings.TrimSuffix(strings.ToUpper(t.Value), "S")
	if slices.Contains(units, u) {
		return u
	}
	return ""
}

// interval reads an interval such as 5 MINUTES.
func (r *reader) interval() *Interval {
	at := r.here()
	n := r.number()
	if n == nil {
		return nil
	}
	unit := unitOf(r.peek())
	if unit == "" {
		t := r.peek()
		if r.err == nil {
			r.err = unexpected(t, []string{"a unit of time"})
			r.err.Code = "SQ1012"
			if t.Type == word {
				r.err.Label = didYouMean(t.Value, units, "expected a unit of time")
			}
			r.err.Hint = "units: MILLISECONDS, SECONDS, MINUTES, HOURS, DAYS, WEEKS, MONTHS, YEARS"
		}
		return nil
	}
	r.next()
	return &Interval{at, n.Text, unit}
}

// versionTail reads the version directly after a model's name, m$2, or splits m@alias into name and alias.
func (r *reader) versionTail(n *Name, t *lexer.Token) VersionRef {
	if p := r.peek(); p.Type == param && adjacent(t, p) {
		return VersionRef{Number: r.paramNumber()}
	}
	if i := strings.IndexByte(n.Text, '@'); !n.Quoted && i > 0 && i < len(n.Text)-1 {
		alias := n.Text[i+1:]
		n.Text = n.Text[:i]
		return VersionRef{Alias: alias}
	}
	return VersionRef{}
}

// paramNumber reads $n and returns n, which counts from 1.
func (r *reader) paramNumber() int {
	t := r.next()
	n, err := strconv.Atoi(strings.TrimPrefix(t.Value, "$"))
	if err != nil || n < 1 || n > 1<<30 {
		r.fail(t, "SQ1014", fmt.Sprintf("%s does not count from 1", shorten(t.Value)), "", "")
	}
	return n
}

// version reads the version after the word VERSION: DEFAULT, LATEST, n or AS OF ROWTIME.
func (r *reader) version() VersionRef {
	switch t := r.peek(); {
	case t.Type == number:
		n := r.count(1 << 30)
		if n < 1 {
			r.fail(t, "SQ1014", "versions count from 1", "", "")
		}
		return VersionRef{Number: int(n)}
	case r.word("LATEST"):
		return VersionRef{Latest: true}
	case r.word("DEFAULT"):
		return VersionRef{Default: true}
	case r.word("AS"):
		r.want("OF")
		r.want("ROWTIME")
		return VersionRef{AsOf: true}
	}
	r.unexpected("a version number", "LATEST", "DEFAULT", "AS OF ROWTIME")
	return VersionRef{}
}
