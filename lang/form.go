package lang

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// beginning maps the first words of a statement to its form.
type beginning struct {
	begins string
	form   *form
}

// forms maps the first words of statements to their forms. The first entry that fits is used. Each form has a
// grammar of its own, which keeps the grammars small and their errors specific to the statement.
var forms = []beginning{
	{"SELECT", grammar[QueryStatement]()},
	{"WITH", grammar[QueryStatement]()},
	{"CREATE MODEL", grammar[CreateModel]()},
	{"CREATE OR REPLACE MODEL", grammar[CreateModel]()},
	{"CREATE TYPE", grammar[CreateType]()},
	{"CREATE SOURCE CONNECTOR", grammar[CreateConnector]()},
	{"CREATE SINK CONNECTOR", grammar[CreateConnector]()},
	{"CREATE", grammar[CreateSource]()},
	{"INSERT", grammar[Insert]()},
	{"DROP MODEL", grammar[DropModel]()},
	{"DROP ARCHIVE", grammar[DropArchive]()},
	{"DROP", grammar[Drop]()},
	{"ALTER MODEL", grammar[AlterModel]()},
	{"ALTER ARCHIVE", grammar[AlterArchive]()},
	{"ALTER", grammar[AlterSource]()},
	{"SHOW MODEL TYPES", grammar[Show]()},
	{"LIST MODEL TYPES", grammar[Show]()},
	{"SHOW MODEL", grammar[ShowObject]()},
	{"LIST MODEL", grammar[ShowObject]()},
	{"SHOW CREATE", grammar[ShowObject]()},
	{"LIST CREATE", grammar[ShowObject]()},
	{"SHOW", grammar[Show]()},
	{"LIST", grammar[Show]()},
	{"DESCRIBE", byHand(&Describe{}, describeStatement, append(described, "DESCRIBE", "TYPE", "EXTENDED")...)},
	{"DESC", byHand(&Describe{}, describeStatement, append(described, "DESC", "TYPE", "EXTENDED")...)},
	{"PRINT", grammar[PrintTopic]()},
	{"TERMINATE", grammar[Control]()},
	{"PAUSE ARCHIVE", grammar[ControlArchive]()},
	{"PAUSE", grammar[Control]()},
	{"RESUME ARCHIVE", grammar[ControlArchive]()},
	{"RESUME", grammar[Control]()},
	{"RESTART", grammar[Control]()},
	{"SET", grammar[Set]()},
	{"UNSET", grammar[Unset]()},
	{"DEFINE", grammar[Define]()},
	{"UNDEFINE", grammar[Undefine]()},
	{"RUN", grammar[RunScript]()},
	{"ASSERT TOPIC", grammar[AssertTopic]()},
	{"ASSERT NOT EXISTS TOPIC", grammar[AssertTopic]()},
	{"ASSERT SCHEMA", grammar[AssertSchema]()},
	{"ASSERT NOT EXISTS SCHEMA", grammar[AssertSchema]()},
	{"ASSERT STREAM", grammar[AssertSource]()},
	{"ASSERT TABLE", grammar[AssertSource]()},
	{"ASSERT", grammar[AssertValues]()},
	{"RETRAIN", grammar[RetrainModel]()},
	{"ROLLBACK", grammar[ModelCommand]()},
	{"EXPORT", grammar[ModelCommand]()},
	{"REPRODUCE", grammar[ModelCommand]()},
	{"ARCHIVE", grammar[CreateArchive]()},
	{"VERIFY", grammar[VerifyArchive]()},
	{"REPAIR", grammar[RepairArchive]()},
	{"EXPIRE", grammar[ExpireArchive]()},
}

// explainForm is separate from forms, because EXPLAIN reads a statement and therefore reads forms.
var explainForm = &form{zero: &Explain{}, keywords: func() []string { return []string{"EXPLAIN"} }}

func init() { explainForm.parse = explainStatement }

// formOf returns the form of the statement that lex begins with. It consumes no token.
func formOf(lex *lexer.PeekingLexer) (*form, *Error) {
	here := lex.MakeCheckpoint()
	defer lex.LoadCheckpoint(here)
	var first [5]*lexer.Token
	for i := range first {
		first[i] = lex.Peek()
		lex.Next()
	}
	if isWord(first[0], "EXPLAIN") {
		return explainForm, nil
	}
	var known []string
next:
	for _, f := range forms {
		rest, w := f.begins, ""
		for i := 0; rest != ""; i++ {
			w, rest, _ = strings.Cut(rest, " ")
			if i == 0 {
				known = append(known, w)
			}
			if !isWord(first[i], w) {
				continue next
			}
		}
		return f.form, nil
	}
	e := unexpected(first[0], nil)
	e.Code = "SQ1002"
	e.Msg = "no statement begins with " + describe(first[0])
	e.Label = "expected a statement"
	if first[0].Type == word {
		e.Label = didYouMean(first[0].Value, append(known, "EXPLAIN"), e.Label)
	}
	if e.Hint == "" {
		e.Hint = "statements begin with SELECT, CREATE, INSERT, DROP, SHOW, DESCRIBE, EXPLAIN and others"
	}
	return nil, e
}

// byHand returns a form that a function reads.
func byHand(zero Statement, read func(*reader) Statement, words ...string) *form {
	return &form{
		zero: zero,
		parse: func(lex *lexer.PeekingLexer) (Statement, error) {
			r := &reader{lex: lex}
			s := read(r)
			return s, r.result()
		},
		keywords: func() []string { return words },
	}
}

// described lists the words after DESCRIBE for objects other than sources.
var described = []string{"FUNCTION", "MODEL", "CONNECTOR", "FORMAT", "ARCHIVE"}

// describeStatement reads DESCRIBE [EXTENDED] [FUNCTION | MODEL | MODEL TYPE | ..] name [EXTENDED]. If no name follows one of
// these words, the word itself is the name.
func describeStatement(r *reader) Statement {
	d := &Describe{Origin: Origin{Pos: r.here().Pos}}
	r.next()
	if isWord(r.peek(), "EXTENDED") && isName(r.peek2()) {
		r.next()
		d.Extended = true
	}
	if after := r.peek2(); isAnyWord(r.peek(), described) && isName(after) && !isWord(after, "EXTENDED") {
		d.What = r.oneOf(described...)
	}
	if after := r.peek2(); d.What == "MODEL" && isWord(r.peek(), "TYPE") && isName(after) && !isWord(after, "EXTENDED") {
		r.next()
		d.What = "MODEL TYPE"
	}
	t := r.peek()
	d.Name = ModelName{At: r.here(), Name: r.name()}
	if d.What == "MODEL" {
		d.Name.Version = r.versionTail(&d.Name.Name, t)
	}
	if r.word("EXTENDED") {
		d.Extended = true
	}
	return d
}

// explainStatement reads EXPLAIN and a statement, or EXPLAIN and the id of a job. An EXPLAIN cannot be explained.
func explainStatement(lex *lexer.PeekingLexer) (Statement, error) {
	r := &reader{lex: lex}
	x := &Explain{Origin: Origin{Pos: r.here().Pos}}
	r.next()
	if isName(r.peek()) && r.peek2().EOF() {
		n := r.name()
		x.Query = &n
		return x, nil
	}
	if isWord(r.peek(), "EXPLAIN") {
		r.unexpected("a statement")
		return nil, r.result()
	}
	if r.peek().EOF() {
		r.unexpected("a statement", "the id of a query")
		return nil, r.result()
	}
	f, e := formOf(lex)
	if e != nil {
		return nil, &syntaxError{e}
	}
	s, err := f.parse(lex)
	if err == nil && !lex.Peek().EOF() {
		r.unexpected()
		err = r.result()
	}
	if err != nil {
		return nil, &syntaxError{translate(err, nil, nil)}
	}
	x.Statement = s
	return x, nil
}
