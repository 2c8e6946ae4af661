package lang

import (
	"math"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// Parse reads one column of a SELECT or a TRANSFORM.
func (i *Item) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	i.At = r.here()
	if t := r.peek(); isOp(t, "*") {
		r.next()
		i.Expr = r.star(i.At, nil)
		return r.result()
	}
	i.Expr = r.expr()
	i.Alias = r.alias()
	return r.result()
}

// clauses contains the words that begin the clauses after a relation or a column. They are an alias only after AS.
var clauses = wordSet(`ON JOIN INNER LEFT RIGHT FULL OUTER CROSS FROM WINDOW WHERE GROUP PARTITION HAVING EMIT LIMIT
	ORDER UNION WITHIN GRACE USING WITH`)

// softClauses contains clause words of this dialect that ksqlDB does not have. They are an alias if no clause can
// follow.
var softClauses = wordSet(`PARTITIONS SINCE UNTIL PER TRAIN LABELS EVALUATE PROMOTE`)

// alias reads [AS] name, or nothing.
func (r *reader) alias() *Name {
	t := r.peek()
	switch {
	case isWord(t, "AS"):
		r.next()
	case t.Type == quoted:
	case t.Type != word || in(t, clauses):
		return nil
	case in(t, softClauses):
		after := r.peek2()
		if after.Type != lexer.EOF && !in(after, clauses) && (after.Type != operator || isOp(after, "(")) {
			return nil
		}
	}
	n := r.name()
	return &n
}

// Parse reads [AS] name.
func (a *Alias) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	n := r.alias()
	if n == nil && r.err == nil {
		return participle.NextMatch
	}
	if n != nil {
		a.Name = *n
	}
	return r.result()
}

// Parse reads name or schema.name.
func (s *Source) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	s.At = r.here()
	if in(r.peek(), reserved) {
		r.unexpected("a source")
	}
	s.Name = r.name()
	if r.op(".") {
		schema := s.Name
		s.Schema, s.Name = &schema, r.name()
	}
	return r.result()
}

// Parse reads a list, or a list in parentheses. A parenthesis at the start encloses the list if the token after
// its end cannot continue an expression. A condition with AND or OR needs parentheses of its own, because it is
// rarely intended.
func (g *Grouping) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	g.At = r.here()
	start := lex.MakeCheckpoint()
	if r.op("(") {
		list, _ := r.list(")")
		if r.op(")") && len(list) > 0 {
			if t := r.peek(); t.Type == lexer.EOF || isOp(t, ")") || t.Type == word && r.infix(t) == 0 {
				g.By = list
				return r.result()
			}
		}
		lex.LoadCheckpoint(start)
		r.err = nil
	}
	for ok := true; ok && r.err == nil; ok = r.op(",") {
		g.By = append(g.By, r.climb(precCompare).Expr)
	}
	return r.result()
}

// Parse reads one key of ORDER BY.
func (o *Order) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	key, _ := r.order()
	*o = *key
	return r.result()
}

// Parse reads EMIT and LIMIT in either order, each at most once.
func (t *Tail) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	for r.err == nil {
		at := r.here()
		switch {
		case t.Emit == nil && r.word("EMIT"):
			t.Emit = &Emit{at, string(r.oneOf("CHANGES", "FINAL"))}
		case t.Limit == nil && r.word("LIMIT"):
			t.Limit = &Limit{At: at}
			if p := r.peek(); p.Type == param {
				t.Limit.N = &Param{At{position(p.Pos)}, r.paramNumber()}
			} else if p.Type != number {
				t.Limit.N = r.expr()
			} else {
				r.count(math.MaxInt64)
				t.Limit.N = &Number{At{position(p.Pos)}, p.Value}
			}
		default:
			return nil
		}
	}
	return r.result()
}

// Parse reads the word or words of a join.
func (j *JoinType) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	*j = InnerJoin
	switch t := r.peek(); {
	case isWord(t, "JOIN"):
	case isWord(t, "INNER"):
		r.next()
	case isAnyWord(t, []string{"LEFT", "RIGHT", "FULL"}):
		*j = JoinType(strings.ToUpper(r.next().Value))
		r.word("OUTER")
	default:
		return participle.NextMatch
	}
	r.want("JOIN")
	return r.result()
}

// Parse reads t or (before, after), and GRACE PERIOD.
func (w *Within) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	w.At = r.here()
	if r.op("(") {
		w.Before = r.interval()
		r.wantOp(",")
		w.After = r.interval()
		r.wantOp(")")
	} else {
		w.Before = r.interval()
		w.After = w.Before
	}
	if r.word("GRACE") {
		r.want("PERIOD")
		w.Grace = r.interval()
	}
	return r.result()
}

// Parse reads DEFAULT, LATEST, n or AS OF ROWTIME.
func (v *VersionUse) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	v.At = r.here()
	v.Version = r.version()
	return r.result()
}

// Parse reads [name] kind (..).
func (w *Window) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	w.At = r.here()
	if isName(r.peek()) && isAnyWord(r.peek2(), windowKinds) {
		n := r.name()
		w.Name = &n
	}
	w.Kind = WindowKind(r.oneOf(windowKinds...))
	r.wantOp("(")
	if w.Kind != Session {
		r.want("SIZE")
	}
	w.Size = r.interval()
	for r.op(",") {
		switch t := r.peek(); {
		case w.Kind == Hopping && w.Advance == nil && r.word("ADVANCE"):
			r.want("BY")
			w.Advance = r.interval()
		case w.Retention == nil && r.word("RETENTION"):
			w.Retention = r.interval()
		case w.Grace == nil && r.word("GRACE"):
			r.want("PERIOD")
			w.Grace = r.interval()
		case w.Kind == Hopping && w.Advance == nil:
			r.err = unexpected(t, []string{"ADVANCE BY"})
		default:
			r.err = unexpected(t, []string{"RETENTION", "GRACE PERIOD"})
		}
	}
	if w.Kind == Hopping && w.Advance == nil && r.err == nil {
		r.fail(r.peek(), "SQ1001", "a hopping window needs ADVANCE BY", "expected , ADVANCE BY", "")
	}
	r.wantOp(")")
	return r.result()
}

var windowKinds = []string{string(Tumbling), string(Hopping), string(Session)}
