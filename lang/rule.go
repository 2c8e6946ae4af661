package lang

import (
	"fmt"
	"math"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The hand-written rules of the grammar, in participle's form: Parse takes the tokens of one node, or returns NextMatch where a
// node that may be absent is absent. They are the leaves, and the clauses whose words decide what a name is.

// Parse notes the place of the next token and takes nothing.
func (p *Pos) Parse(lex *lexer.PeekingLexer) error {
	*p = position(lex.Peek().Pos)
	return nil
}

// Parse takes a name: any word, or one in quotes.
func (n *Name) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	*n = r.name()
	return r.result()
}

// Parse takes a text in single quotes.
func (t *Text) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.literal(); x != nil {
		*t = *x
	}
	return r.result()
}

// Parse takes a number.
func (n *Number) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.number(); x != nil {
		*n = *x
	}
	return r.result()
}

// Parse takes a length of time.
func (i *Interval) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.interval(); x != nil {
		*i = *x
	}
	return r.result()
}

// Parse takes a whole number.
func (c *Count) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	c.At = r.here()
	c.N = r.count(math.MaxInt64)
	return r.result()
}

// Capture keeps the words in capitals.
func (k *Keyword) Capture(values []string) error {
	*k = Keyword(strings.ToUpper(strings.Join(values, " ")))
	return nil
}

// Parse takes a topic: a name or a text.
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

// named refuses an empty text where a name is meant.
func (r *reader) named(at *lexer.Token, t *Text) {
	if t.Value == "" {
		r.fail(at, "SQ1011", "a name is empty", "", "write a name between the quotes")
	}
}

// Parse takes m, m$2 or m@alias.
func (m *ModelName) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	t := r.peek()
	m.At = r.here()
	m.Name = r.name()
	m.Version = r.versionTail(&m.Name, t)
	return r.result()
}

// Parse takes name = value.
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

// Parse takes one column of a SELECT or a TRANSFORM.
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

// clauses are the words that begin what may follow a relation or a column, so that they are an alias only after AS.
var clauses = wordSet(`ON JOIN INNER LEFT RIGHT FULL OUTER CROSS FROM WINDOW WHERE GROUP PARTITION HAVING EMIT LIMIT ORDER UNION
	WITHIN GRACE USING WITH`)

// softClauses are clause words of this dialect that ksqlDB does not have: they are an alias if no clause can follow.
var softClauses = wordSet(`PARTITIONS SINCE UNTIL PER TRAIN LABELS EVALUATE PROMOTE`)

// alias takes [AS] name, or nothing.
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

// Parse takes [AS] name.
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

// Parse takes name or schema.name.
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

// Parse takes a list, or a list in parentheses. What a bracket opens is a list if nothing follows that would go on an
// expression. A condition joined by AND or OR needs its own parentheses: it is seldom meant.
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

// Parse takes one key of ORDER BY.
func (o *Order) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	key, _ := r.order()
	*o = *key
	return r.result()
}

// Parse takes EMIT and LIMIT in either order, each at most once.
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

// Parse takes the word or words of a join.
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

// Parse takes t or (before, after), and GRACE PERIOD.
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

// Parse takes DEFAULT, LATEST, n or AS OF ROWTIME.
func (v *VersionUse) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	v.At = r.here()
	v.Version = r.version()
	return r.result()
}

// Parse takes [name] kind (..).
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

// Parse takes a scan clause; all of it may be absent.
func (s *Scan) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	s.At = r.here()
	if isWord(r.peek(), "PARTITIONS") && isOp(r.peek2(), "(") {
		r.next()
		r.partitions(s)
	}
	if r.word("SINCE") {
		s.Since = r.point()
	}
	if r.word("UNTIL") {
		s.Until = r.point()
	}
	if isWord(r.peek(), "ON") && isWord(r.peek2(), "GAP") {
		r.next()
		r.next()
		s.OnGap = string(r.oneOf("FAIL", "SKIP"))
	}
	return r.result()
}

// partitions takes (0, 3..5).
func (r *reader) partitions(s *Scan) {
	const most = 1<<31 - 1
	r.wantOp("(")
	for ok := true; ok && r.err == nil; ok = r.op(",") {
		p := PartitionRange{At: r.here()}
		t := r.peek()
		p.From = int(r.count(most))
		p.To = p.From
		if r.op("..") {
			p.To = int(r.count(most))
		}
		if p.To < p.From {
			r.fail(t, "SQ1014", fmt.Sprintf("the range of partitions %d..%d runs backwards", p.From, p.To), "", "")
		}
		s.Partitions = append(s.Partitions, p)
	}
	r.wantOp(")")
}

// point takes a place in a log.
func (r *reader) point() *Point {
	p := &Point{At: r.here()}
	t := r.peek()
	switch {
	case isAnyWord(t, []string{"EARLIEST", "LATEST", "NOW"}):
		p.Kind = strings.ToUpper(r.next().Value)
	case r.word("OFFSET"):
		p.Kind, p.N = "OFFSET", r.count(math.MaxInt64)
	case isWord(t, "TIMESTAMP") || t.Type == text:
		r.word("TIMESTAMP")
		p.Kind = "TIMESTAMP"
		if v := r.peek(); v.Type == param {
			p.Value = &Param{r.here(), r.paramNumber()}
		} else {
			p.Value = r.literal()
		}
	case t.Type == param:
		p.Kind, p.Value = "PARAM", &Param{r.here(), r.paramNumber()}
	case t.Type == number:
		p.Kind, p.Value = "AGO", r.interval()
		r.want("AGO")
	default:
		r.unexpected("EARLIEST", "LATEST", "NOW", "OFFSET", "TIMESTAMP", "a length of time AGO")
	}
	return p
}

// Parse takes ADD [COLUMN] name type.
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

// Parse takes what follows TRAIN.
func (t *Train) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	t.At = r.here()
	t.Mode = r.oneOf("ONCE", "EACH")
	if t.Mode == "EACH" {
		t.Mode += " " + r.oneOf("WINDOW", "EVENT")
	}
	switch t.Mode {
	case "EACH WINDOW":
		switch {
		case r.word("FRESH"):
			t.Memory = "FRESH"
		case r.word("WARM"):
			r.want("START")
			t.Memory = "WARM START"
		case r.word("DECAY"):
			t.Memory, t.Decay = "DECAY", r.number()
		}
	case "EACH EVENT":
		if !r.word("PUBLISH") {
			break
		}
		r.want("EVERY")
		if at := r.here(); isWord(r.peek2(), "ROWS") {
			t.Rows = &Count{at, r.count(math.MaxInt64)}
			r.want("ROWS")
		} else {
			t.Every = r.interval()
		}
	}
	return r.result()
}

// Parse takes what follows EVALUATE.
func (e *Evaluate) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	e.At = r.here()
	e.Mode = r.oneOf("PREQUENTIAL", "HOLDOUT", "TEST", "NONE")
	switch e.Mode {
	case "PREQUENTIAL":
		if isWord(r.peek(), "WINDOW") {
			r.next()
			e.Window = &Count{r.here(), r.count(math.MaxInt64)}
		} else if r.word("FADING") {
			e.Fading = r.number()
		}
	case "HOLDOUT":
		e.Share = r.number()
		r.want("BY")
		r.want("TIME")
	case "TEST":
		r.want("ON")
		r.wantOp("(")
		if r.err != nil {
			break
		}
		q, err := queryGrammar().ParseFromLexer(lex, participle.AllowTrailing(true))
		if err != nil {
			return err
		}
		e.Query = q
		r.wantOp(")")
	}
	return r.result()
}
