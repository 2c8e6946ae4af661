package lang

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// This file reads operands, the parts of an expression between its operators. The token after a word decides which form
// the word begins, so CASE, MAP and DATE remain usable as names.

// wordOperand reads an operand that begins with an unquoted word.
func (r *reader) wordOperand(t *lexer.Token) sized {
	at := At{position(t.Pos)}
	after := r.peek2()
	switch strings.ToUpper(t.Value) {
	case "TRUE", "FALSE":
		r.next()
		return sized{&Bool{at, strings.EqualFold(t.Value, "TRUE")}, 1}
	case "NULL":
		r.next()
		return sized{&NullLit{at}, 1}
	case "CASE":
		return r.caseOf(t)
	case "CAST":
		if isOp(after, "(") {
			return r.cast(t)
		}
	case "ARRAY":
		if isOp(after, "[") {
			return r.array(t)
		}
	case "MAP":
		if isOp(after, "(") {
			return r.mapOf(t)
		}
	case "STRUCT":
		if isOp(after, "(") {
			return r.structOf(t)
		}
	case "DATE", "TIME", "TIMESTAMP":
		if after.Type == text {
			name := nameOf(r.next())
			x := r.literal()
			return sized{&Cast{at, x, &TypeExpr{At: at, Name: name}}, 2}
		}
	case "INTERVAL":
		if after.Type == number || after.Type == text {
			return r.intervalLiteral(at)
		}
	case "NOT":
		r.unexpected("an expression")
		return sized{}
	}
	if in(t, reserved) && !isOp(after, "(") || isAnyWord(t, neverCalled) {
		r.unexpected("an expression")
		if r.err != nil && r.err.Hint == "" {
			r.err.Hint = "a column of this name needs back-ticks: `" + t.Value + "`"
		}
		return sized{}
	}
	if isOp(after, "=>") {
		return r.lambda(t)
	}
	return r.reference(t)
}

// neverCalled lists the reserved words that cannot be functions, even before a bracket. LEFT(x, 2), by contrast,
// is a call.
var neverCalled = []string{"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "WITHIN", "ON", "JOIN", "WHEN", "THEN", "ELSE",
	"END", "AND", "OR", "IN", "BETWEEN", "LIKE", "IS", "AS", "UNION", "ORDER", "INTO", "CREATE", "DISTINCT"}

// intervalLiteral reads INTERVAL 5 MINUTES or INTERVAL '5' MINUTE.
func (r *reader) intervalLiteral(at At) sized {
	r.next()
	if t := r.peek(); t.Type == text {
		n := unquote(t.Value)
		if sub := scan(n, ""); len(sub.tokens) != 1 || sub.tokens[0].Type != number {
			r.fail(t, "SQ1010", describe(t)+" is not a number", "", "write INTERVAL 5 MINUTES")
			return sized{}
		}
		r.next()
		unit := unitOf(r.peek())
		if unit == "" {
			r.unexpected("a unit of time")
		}
		r.next()
		return sized{&Interval{at, strings.TrimSpace(n), unit}, 1}
	}
	i := r.interval()
	if i != nil {
		i.At = at
	}
	return sized{i, 1}
}

// reference reads name, source.name, source.*, m$2 or a call. ML.F becomes the function ML_F.
func (r *reader) reference(t *lexer.Token) sized {
	at := At{position(t.Pos)}
	first := nameOf(r.next())
	switch next := r.peek(); {
	case isOp(next, "("):
		return r.call(at, first)
	case next.Type == param && adjacent(t, next):
		return sized{&ModelRef{At: at, Name: first, Version: VersionRef{Number: r.paramNumber()}}, 1}
	case isOp(next, "."):
		r.next()
		if isOp(r.peek(), "*") {
			r.next()
			return sized{r.star(at, &first), 1}
		}
		second := r.name()
		if isOp(r.peek(), "(") && !first.Quoted && strings.EqualFold(first.Text, "ML") {
			second.Text, second.At = "ML_"+second.Text, first.At
			return r.call(at, second)
		}
		return sized{&Ident{at, &first, second}, 1}
	}
	return sized{&Ident{at, nil, first}, 1}
}

// star reads the optional EXCEPT (name, ..) after a *.
func (r *reader) star(at At, source *Name) *Star {
	s := &Star{At: at, Source: source}
	if isWord(r.peek(), "EXCEPT") && isOp(r.peek2(), "(") {
		r.next()
		r.wantOp("(")
		s.Except = r.names()
		r.wantOp(")")
	}
	return s
}

// names reads one or more names, separated by commas.
func (r *reader) names() []Name {
	out := []Name{r.name()}
	for r.op(",") {
		out = append(out, r.name())
	}
	return out
}

// parenthesis reads (expr) or the lambda (x, y) => expr.
func (r *reader) parenthesis(t *lexer.Token) sized {
	r.next()
	here := r.lex.MakeCheckpoint()
	if params, ok := r.params(); ok {
		body := r.climb(precLambda)
		return r.node(t, &Lambda{At{position(t.Pos)}, params, body.Expr}, body)
	}
	r.lex.LoadCheckpoint(here)
	if isWord(r.peek(), "SELECT") {
		r.fail(r.peek(), "SQ1001", "an expression cannot contain a query", "", "join with it, or put it in FROM (..)")
	}
	table := r.table
	r.table = false
	e := r.climb(precLambda)
	r.table = table
	r.wantOp(")")
	return e
}

// params reads the rest of a lambda's head: x, y) =>. If the next tokens are different, it returns false, and the
// caller must reset the lexer.
func (r *reader) params() (out []Name, ok bool) {
	if !isName(r.peek()) {
		return nil, false
	}
	out = append(out, nameOf(r.next()))
	for r.op(",") {
		if !isName(r.peek()) {
			return nil, false
		}
		out = append(out, nameOf(r.next()))
	}
	return out, r.op(")") && r.op("=>")
}

// lambda reads x => body.
func (r *reader) lambda(t *lexer.Token) sized {
	x := r.name()
	r.wantOp("=>")
	body := r.climb(precLambda)
	return r.node(t, &Lambda{At{position(t.Pos)}, []Name{x}, body.Expr}, body)
}

// caseOf reads CASE .. END.
func (r *reader) caseOf(t *lexer.Token) sized {
	r.next()
	c := &Case{At: At{position(t.Pos)}}
	var parts []sized
	if !isWord(r.peek(), "WHEN") {
		x := r.climb(precLambda)
		c.Operand, parts = x.Expr, append(parts, x)
	}
	if !isWord(r.peek(), "WHEN") {
		r.unexpected("WHEN")
	}
	for isWord(r.peek(), "WHEN") {
		at := r.here()
		r.next()
		cond := r.climb(precLambda)
		r.want("THEN")
		then := r.climb(precLambda)
		c.Whens, parts = append(c.Whens, When{at, cond.Expr, then.Expr}), append(parts, cond, then)
	}
	if r.word("ELSE") {
		x := r.climb(precLambda)
		c.Else, parts = x.Expr, append(parts, x)
	}
	if !r.word("END") {
		r.unexpected("WHEN", "ELSE", "END")
	}
	return r.node(t, c, parts...)
}

// cast reads CAST(x AS type).
func (r *reader) cast(t *lexer.Token) sized {
	r.next()
	r.wantOp("(")
	x := r.climb(precLambda)
	r.want("AS")
	typ := r.typeExpr(0)
	r.wantOp(")")
	return r.node(t, &Cast{At{position(t.Pos)}, x.Expr, typ}, x)
}

// array reads ARRAY[a, b].
func (r *reader) array(t *lexer.Token) sized {
	r.next()
	r.wantOp("[")
	items, parts := r.list("]")
	r.wantOp("]")
	return r.node(t, &ArrayLit{At{position(t.Pos)}, items}, parts...)
}

// mapOf reads MAP(k := v, ..).
func (r *reader) mapOf(t *lexer.Token) sized {
	r.next()
	r.wantOp("(")
	m := &MapLit{At: At{position(t.Pos)}}
	var parts []sized
	for r.err == nil && !isOp(r.peek(), ")") {
		k := r.climb(precLambda)
		r.wantOp(":=")
		v := r.climb(precLambda)
		m.Keys, m.Values, parts = append(m.Keys, k.Expr), append(m.Values, v.Expr), append(parts, k, v)
		if !r.op(",") {
			break
		}
	}
	r.wantOp(")")
	return r.node(t, m, parts...)
}

// structOf reads STRUCT(name := v, ..).
func (r *reader) structOf(t *lexer.Token) sized {
	r.next()
	r.wantOp("(")
	s := &StructLit{At: At{position(t.Pos)}}
	var parts []sized
	for r.err == nil && !isOp(r.peek(), ")") {
		n := r.name()
		r.wantOp(":=")
		v := r.climb(precLambda)
		s.Names, s.Values, parts = append(s.Names, n), append(s.Values, v.Expr), append(parts, v)
		if !r.op(",") {
			break
		}
	}
	r.wantOp(")")
	return r.node(t, s, parts...)
}
