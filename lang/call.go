package lang

import (
	"errors"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// call reads the arguments of a function whose name was read, and the clauses FILTER and OVER after them.
func (r *reader) call(at At, name Name) sized {
	t := r.next()
	c := &Call{At: at, Name: name}
	table := r.table
	r.table = false
	var parts []sized
	switch {
	case isOp(r.peek(), ")"):
	case isOp(r.peek(), "*") && isOp(r.peek2(), ")"):
		r.next()
		c.Star = true
	default:
		if isWord(r.peek(), "DISTINCT") {
			r.next()
			c.Distinct = true
		}
		parts = r.arguments(c, table)
	}
	r.wantOp(")")
	if isWord(r.peek(), "FILTER") && isOp(r.peek2(), "(") {
		r.next()
		r.wantOp("(")
		r.want("WHERE")
		x := r.climb(precLambda)
		r.wantOp(")")
		c.Filter, parts = x.Expr, append(parts, x)
	}
	if isWord(r.peek(), "OVER") && isOp(r.peek2(), "(") {
		c.Over, parts = r.over(parts)
	}
	r.table = table
	return r.node(t, c, parts...)
}

// arguments reads one or more arguments. Named arguments come last and need table, which marks a table function:
// in other functions name => value is a lambda.
func (r *reader) arguments(c *Call, table bool) (parts []sized) {
	extract := !c.Name.Quoted && strings.EqualFold(c.Name.Text, "EXTRACT")
	for r.err == nil {
		t := r.peek()
		switch {
		case table && isName(t) && isOp(r.peek2(), "=>"):
			at := r.here()
			n := r.name()
			r.wantOp("=>")
			v := r.argument()
			c.Named, parts = append(c.Named, NamedArg{at, n, v.Expr}), append(parts, v)
		case len(c.Named) > 0:
			r.fail(t, "SQ1001", "an argument without a name follows one with a name", "", "put arguments by name last")
		case extract && len(c.Args) == 0 && t.Type == word && isWord(r.peek2(), "FROM"):
			r.next()
			r.want("FROM")
			x := r.climb(precLambda)
			unit := &Text{At{position(t.Pos)}, strings.ToUpper(t.Value)}
			c.Args, parts = append(c.Args, unit, x.Expr), append(parts, x)
		case table && r.relation != nil && (isOp(t, "(") && isWord(r.peek2(), "SELECT") ||
			isName(t) && isAnyWord(r.peek2(), scanStarts)):
			x := &RelationArg{r.here(), r.relation(r)}
			c.Args, parts = append(c.Args, x), append(parts, sized{x, 1})
		default:
			x := r.argument()
			c.Args, parts = append(c.Args, x.Expr), append(parts, x)
		}
		if !r.op(",") {
			break
		}
	}
	return parts
}

// relation reads a relation as in FROM.
func relation(r *reader) *Relation {
	v, err := relationGrammar().ParseFromLexer(r.lex, participle.AllowTrailing(true))
	var ours *Error
	switch {
	case r.err != nil:
	case errors.As(err, &ours):
		r.err = ours
	case err != nil:
		r.fail(r.peek(), "SQ1001", err.Error(), "", "")
	}
	return v
}

// scanStarts are the words that begin a scan clause.
var scanStarts = []string{"PARTITIONS", "SINCE", "UNTIL"}

// argument reads one argument: an expression, *, TABLE t, MODEL m, a model with its version, or an interval.
func (r *reader) argument() sized {
	t := r.peek()
	at := r.here()
	after := r.peek2()
	switch {
	case isOp(t, "*"):
		r.next()
		return sized{r.star(at, nil), 1}
	case t.Type == number && unitOf(after) != "":
		return sized{r.interval(), 1}
	case isWord(t, "TABLE") && isName(after):
		r.next()
		return sized{&TableRef{at, r.name()}, 1}
	case isWord(t, "MODEL") && isName(after):
		r.next()
		m := r.modelRef(at)
		m.Marked = true
		return sized{m, 1}
	case isName(t) && isWord(after, "VERSION"):
		return sized{r.modelRef(at), 1}
	case t.Type == word && (isOp(after, ",") || isOp(after, ")")) && strings.Contains(t.Value, "@"):
		return sized{r.modelRef(at), 1}
	}
	return r.climb(precLambda)
}

// modelRef reads m, m$2, m@alias or m VERSION ..
func (r *reader) modelRef(at At) *ModelRef {
	t := r.peek()
	m := &ModelRef{At: at, Name: r.name()}
	if m.Version = r.versionTail(&m.Name, t); m.Version == (VersionRef{}) && r.word("VERSION") {
		m.Version = r.version()
	}
	return m
}

// over reads OVER (PARTITION BY .. ORDER BY .. frame).
func (r *reader) over(parts []sized) (*Over, []sized) {
	o := &Over{At: r.here()}
	r.next()
	r.wantOp("(")
	if r.word("PARTITION") {
		r.want("BY")
		list, more := r.list(")")
		o.PartitionBy, parts = list, append(parts, more...)
	}
	if r.word("ORDER") {
		r.want("BY")
		for ok := true; ok && r.err == nil; ok = r.op(",") {
			key, x := r.order()
			o.OrderBy, parts = append(o.OrderBy, key), append(parts, x)
		}
	}
	if t := r.peek(); isWord(t, "ROWS") || isWord(t, "RANGE") {
		f := &Frame{At: r.here(), Unit: strings.ToUpper(r.next().Value)}
		if r.word("BETWEEN") {
			f.From, parts = r.bound(parts)
			r.want("AND")
			f.To, parts = r.bound(parts)
		} else {
			f.From, parts = r.bound(parts)
			f.To = Bound{At: f.From.At, Kind: "CURRENT ROW"}
		}
		o.Frame = f
	}
	r.wantOp(")")
	return o, parts
}

// bound reads one end of a frame.
func (r *reader) bound(parts []sized) (Bound, []sized) {
	b := Bound{At: r.here()}
	switch {
	case r.word("CURRENT"):
		r.want("ROW")
		b.Kind = "CURRENT ROW"
	case isWord(r.peek(), "UNBOUNDED"):
		r.next()
		b.Kind = "UNBOUNDED " + string(r.oneOf("PRECEDING", "FOLLOWING"))
	default:
		x := r.argument()
		b.N, parts = x.Expr, append(parts, x)
		b.Kind = string(r.oneOf("PRECEDING", "FOLLOWING"))
	}
	return b, parts
}

// order reads one key of ORDER BY.
func (r *reader) order() (*Order, sized) {
	o := &Order{At: r.here()}
	x := r.climb(precLambda)
	o.Expr = x.Expr
	if r.word("DESC") {
		o.Desc = true
	} else {
		r.word("ASC")
	}
	if r.word("NULLS") {
		o.Nulls = string(r.oneOf("FIRST", "LAST"))
	}
	return o, x
}

// Parse reads a table function in FROM. It returns NextMatch unless the next tokens are a name and an opening
// parenthesis.
func (c *Call) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex, table: true, relation: relation}
	t := r.peek()
	if !isName(t) || in(t, reserved) {
		return participle.NextMatch
	}
	if after := r.peek2(); !isOp(after, "(") && !(isOp(after, ".") && isWord(t, "ML")) {
		return participle.NextMatch
	}
	here := lex.MakeCheckpoint()
	x := r.reference(t)
	call, ok := x.Expr.(*Call)
	if r.err == nil && !ok {
		lex.LoadCheckpoint(here)
		return participle.NextMatch
	}
	if ok {
		*c = *call
	}
	return r.result()
}
