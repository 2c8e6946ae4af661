package lang

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// Option sets how Parse reads a text.
type Option func(*options)

type options struct {
	file      string
	variables map[string]string
}

// File sets the name of the text in positions.
func File(name string) Option { return func(o *options) { o.file = name } }

// Variables sets the values of ${name}. A value replaces the variable as one token: a number, a name, or a quoted
// text if the value is spelled as one; any other value becomes a string literal. A value can never add further
// tokens. Inside a quoted text or name, the characters of the value replace ${name}. DEFINE and UNDEFINE in the
// text change the variables for the statements after them. The case of a variable's name does not count.
func Variables(values map[string]string) Option {
	return func(o *options) {
		for name, v := range values {
			o.variables[strings.ToUpper(name)] = v
		}
	}
}

// Parse reads a text of statements. A semicolon ends each statement; the last may omit it. Parse returns every
// statement that it could read and, as Errors, the errors of the others. After an error it continues after the
// next semicolon, up to MaxErrors errors. If the text exceeds a limit (MaxText, MaxTokens, MaxNesting), Parse
// returns only that error and no statement.
func Parse(src string, opts ...Option) ([]Statement, error) {
	o := options{variables: map[string]string{}}
	for _, opt := range opts {
		opt(&o)
	}
	s := scan(src, o.file)
	if s.fatal {
		return nil, Errors{s.errs[0].err}
	}
	p := parser{src: src, vars: o.variables, errs: s.errs, end: s.pos()}
	for start := 0; start < len(s.tokens) && len(p.failed) < MaxErrors; {
		stop := start
		for stop < len(s.tokens) && !isOp(&s.tokens[stop], ";") {
			stop++
		}
		if stop > start {
			p.statement(s.tokens, start, stop)
		}
		start = stop + 1
	}
	if len(p.failed) > 0 {
		return p.done, p.failed
	}
	return p.done, nil
}

// parser reads a scanned text into statements.
type parser struct {
	src    string
	vars   map[string]string
	errs   []scanned
	end    lexer.Position
	count  int
	done   []Statement
	failed Errors
}

// statement reads the statement tokens[start:stop].
func (p *parser) statement(tokens []lexer.Token, start, stop int) {
	p.count++
	if err := p.lexical(start, stop); err != nil {
		p.fail(err)
		return
	}
	end := p.end
	if stop < len(tokens) {
		end = tokens[stop].Pos
	}
	used, err := p.substitute(tokens[start:stop])
	if err != nil {
		p.fail(err)
		return
	}
	stmt, err := parseTokens(used, end)
	if err != nil {
		if hint := construct(used, err.Pos); hint != "" {
			err.Hint = hint
		}
		p.fail(err)
		return
	}
	last := tokens[stop-1]
	o := stmt.origin()
	o.end = after(last)
	o.number = p.count
	o.text = p.src[o.Pos.Offset:o.end.Offset]
	if x, ok := stmt.(*Explain); ok && x.Statement != nil {
		in := x.Statement.origin()
		in.end, in.number, in.text = o.end, o.number, p.src[in.Pos.Offset:o.end.Offset]
	}
	p.done = append(p.done, stmt)
	if d, ok := stmt.(interface{ vary(map[string]string) }); ok {
		d.vary(p.vars)
	}
}

// lexical returns the first error that the scanner found among the tokens, or nil.
func (p *parser) lexical(start, stop int) *Error {
	for len(p.errs) > 0 && p.errs[0].token < start {
		p.errs = p.errs[1:]
	}
	if len(p.errs) > 0 && p.errs[0].token < stop {
		return p.errs[0].err
	}
	return nil
}

func (p *parser) fail(e *Error) {
	e.Stmt = p.count
	p.failed = append(p.failed, e)
}

// after returns the position directly after a token.
func after(t lexer.Token) Pos {
	pos := t.Pos
	pos.Advance(t.Value)
	return position(pos)
}

// parseTokens reads one statement, which must consist of all tokens.
func parseTokens(tokens []lexer.Token, end lexer.Position) (Statement, *Error) {
	lex, err := lexer.Upgrade(&tokenList{tokens: tokens, end: end})
	if err != nil {
		return nil, translate(err, tokens, nil)
	}
	f, e := formOf(lex)
	if e != nil {
		return nil, e
	}
	stmt, err := f.parse(lex)
	if err == nil {
		if c, ok := stmt.(interface{ check() error }); ok {
			err = c.check()
		}
	}
	if err == nil && !lex.Peek().EOF() {
		err = &participle.UnexpectedTokenError{Unexpected: *lex.Peek()}
	}
	if err != nil {
		return nil, translate(err, tokens, f)
	}
	return stmt, nil
}

// translate converts an error of the grammar or of participle to an Error.
func translate(err error, tokens []lexer.Token, f *form) *Error {
	var own *syntaxError
	if errors.As(err, &own) {
		if t := misspelt(own.err, tokens, f); t != nil {
			return t
		}
		return own.err
	}
	var token *participle.UnexpectedTokenError
	if errors.As(err, &token) {
		e := unexpected(&token.Unexpected, expectedBy(token.Message()))
		if t := misspelt(e, tokens, f); t != nil {
			return t
		}
		if e.Label == "" {
			e.Label = "not expected here"
		}
		if f != nil && e.Hint == "" {
			e.Hint = f.order(token.Unexpected.Value)
		}
		return e
	}
	e := &Error{Code: "SQ1001", Stage: StageParse, Msg: "the statement cannot be read"}
	var at participle.Error
	if errors.As(err, &at) {
		e.Pos = position(at.Position())
	}
	if e.Pos.Line == 0 && len(tokens) > 0 {
		e.Pos = position(tokens[0].Pos)
	}
	return e
}

// misspelt returns an error that suggests a keyword for a misspelt word, or nil if no keyword is near. It tries
// the word at the error and, because a misspelt keyword can be read as an alias, the word before it.
func misspelt(e *Error, tokens []lexer.Token, f *form) *Error {
	if f == nil || e.Code != "SQ1001" || strings.HasPrefix(e.Label, "did you mean") {
		return nil
	}
	i := slices.IndexFunc(tokens, func(t lexer.Token) bool { return t.Pos.Offset >= e.Pos.Offset })
	if i < 0 {
		i = len(tokens)
	}
	for _, j := range []int{i, i - 1} {
		if j < 1 || j >= len(tokens) || tokens[j].Type != word || len(tokens[j].Value) < 4 {
			continue
		}
		t := tokens[j]
		legal := f.keywords()
		if slices.Contains(legal, strings.ToUpper(t.Value)) {
			continue
		}
		if s := Suggest(t.Value, legal); len(s) >= 4 {
			return &Error{Code: "SQ1001", Stage: StageParse, Pos: position(t.Pos), Len: utf8.RuneCountInString(t.Value),
				Msg: "unexpected " + describe(&t), Label: "did you mean " + s + "?"}
		}
	}
	return nil
}

// expectedBy returns the expected tokens that participle's message names: the literals and rules at the start of
// its list.
func expectedBy(message string) []string {
	_, list, ok := strings.Cut(message, " (expected ")
	if !ok {
		return nil
	}
	var out []string
	for list != "" {
		switch c := list[0]; {
		case c == '(' || c == ' ':
			list = list[1:]
			continue
		case c == '"':
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				return out
			}
			out, list = append(out, list[1:1+end]), list[end+2:]
		case isLetter(c):
			n := strings.IndexFunc(list, func(r rune) bool { return r > 127 || !isLetter(byte(r)) })
			if n < 0 {
				n = len(list)
			}
			if s := ruleNames[list[:n]]; s != "" {
				out = append(out, s)
			}
			list = list[n:]
		default:
			return out
		}
		// Only an alternative after a | can also be first.
		next := strings.IndexByte(list, '|')
		if next < 0 || strings.ContainsAny(list[:next], ")") {
			return out
		}
		list = list[next+1:]
	}
	return out
}

// ruleNames maps the rules of the grammar to descriptions of the text that they read.
var ruleNames = map[string]string{"Name": "a name", "Expr": "an expression", "Query": "SELECT", "Select": "SELECT",
	"Column": "a column", "TypeExpr": "a type", "Setting": "name = value", "Item": "an expression",
	"Interval": "a length of time", "Count": "a whole number", "Number": "a number", "Text": "a text in quotes",
	"Relation": "a source", "Source": "a source", "TopicName": "a topic", "ModelName": "a model", "Row": "(",
	"AddedColumn": "ADD"}

var literals = regexp.MustCompile(`"([A-Z]+)"`)

// grammarOptions returns the options of every grammar of this package. Without lookahead, the first word of a
// clause selects the clause, so an error within a clause is reported at its position. A clause that needs two
// words has a (?= ..).
func grammarOptions() []participle.Option {
	return []participle.Option{participle.Lexer(definition{}), participle.CaseInsensitive("Word"),
		participle.UseLookahead(0), participle.ParseTypeWith(parseExpr)}
}

// queryGrammar returns the grammar of a query, for rules that contain one.
var queryGrammar = sync.OnceValue(func() *participle.Parser[Query] {
	return participle.MustBuild[Query](grammarOptions()...)
})

// relationGrammar returns the grammar of a relation in FROM, for the arguments of table functions.
var relationGrammar = sync.OnceValue(func() *participle.Parser[Relation] {
	return participle.MustBuild[Relation](grammarOptions()...)
})

// form is one form of statement: its first words and its reader. Its grammar is built at its first use.
type form struct {
	zero     Statement // of the form's type
	parse    func(*lexer.PeekingLexer) (Statement, error)
	keywords func() []string
}

// order returns a hint about the order of a statement's clauses if word begins one of them, else "".
func (f *form) order(word string) string {
	s, ok := f.zero.(interface{ order() []string })
	if !ok || !slices.ContainsFunc(s.order(), func(c string) bool {
		return strings.EqualFold(strings.Fields(c)[0], word)
	}) {
		return ""
	}
	return "the clauses are, in this order, " + strings.Join(s.order(), ", ")
}

// grammar returns a form whose grammar is in the struct tags of G.
func grammar[G any, P interface {
	*G
	Statement
}]() *form {
	build := sync.OnceValue(func() *participle.Parser[G] { return participle.MustBuild[G](grammarOptions()...) })
	return &form{
		zero: P(new(G)),
		parse: func(lex *lexer.PeekingLexer) (Statement, error) {
			v, err := build().ParseFromLexer(lex)
			if err != nil {
				return nil, err
			}
			return P(v), nil
		},
		keywords: sync.OnceValue(func() []string {
			words := map[string]bool{}
			for _, m := range literals.FindAllStringSubmatch(build().String(), -1) {
				words[m[1]] = true
			}
			if _, query := reflect.TypeFor[G]().FieldByName("Query"); query {
				const clauses = "JOIN INNER LEFT RIGHT FULL OUTER SINCE UNTIL PARTITIONS EMIT LIMIT CHANGES"
				for _, w := range strings.Fields(clauses) {
					words[w] = true
				}
			}
			return slices.Sorted(maps.Keys(words))
		}),
	}
}
