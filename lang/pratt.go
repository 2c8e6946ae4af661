package lang

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// This file reads expressions by operator precedence (Pratt, "Top down operator precedence", 1973). One loop
// climbs over the infix operators and recurses only for right operands that bind tighter. MaxDepth bounds the
// tree, so code that walks the tree may recurse.

// MaxDepth is the maximum height of an expression. A chain a OR b OR .. of n terms has height n.
const MaxDepth = 1_024

// The precedences, in ascending order. || binds looser than + and -, as in ksqlDB and PostgreSQL.
const (
	precLambda = iota
	precOr
	precAnd
	precNot
	precCompare
	precConcat
	precSum
	precProduct
	precUnary
	precPostfix
)

var binary = map[string]int{"||": precConcat, "+": precSum, "-": precSum, "*": precProduct, "/": precProduct,
	"%": precProduct, "=": precCompare, "<>": precCompare, "!=": precCompare, "<": precCompare, "<=": precCompare,
	">": precCompare, ">=": precCompare}

// reserved contains the words that never begin an operand, because they begin or separate clauses. In quotes they
// are names.
var reserved = wordSet(`SELECT FROM WHERE GROUP HAVING WITHIN ON JOIN INNER LEFT RIGHT FULL OUTER CROSS WHEN THEN ELSE
	END AND OR IN BETWEEN LIKE IS AS UNION ORDER LIMIT EMIT INTO CREATE INSERT WINDOW DISTINCT`)

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// in reports whether t is an unquoted word of set.
func in(t *lexer.Token, set map[string]bool) bool {
	if t.Type != word || len(t.Value) > 16 {
		return false
	}
	return set[t.Value] || set[strings.ToUpper(t.Value)]
}

// parseExpr reads an Expr for the grammar.
func parseExpr(lex *lexer.PeekingLexer) (Expr, error) {
	r := reader{lex: lex}
	e := r.expr()
	return e, r.result()
}

// sized is an expression and its height.
type sized struct {
	Expr
	height int
}

// expr reads a whole expression.
func (r *reader) expr() Expr { return r.climb(precLambda).Expr }

// node returns e with a height that is one more than the height of its tallest part. If the tree is too high, it
// sets an error at t.
func (r *reader) node(t *lexer.Token, e Expr, parts ...sized) sized {
	h := 0
	for _, p := range parts {
		h = max(h, p.height)
	}
	if h >= MaxDepth {
		r.fail(t, "SQ1008", fmt.Sprintf("the expression is more than %d operations deep", MaxDepth), "",
			"use IN (..) for many alternatives, or split it over several streams")
	}
	return sized{e, h + 1}
}

// climb reads an expression whose infix operators all have at least the precedence least.
func (r *reader) climb(least int) sized {
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > MaxDepth {
		r.fail(r.peek(), "SQ1008", fmt.Sprintf("the expression is more than %d operations deep", MaxDepth), "", "")
		return sized{}
	}
	left := r.prefix(least)
	for compared := false; r.err == nil; {
		t := r.peek()
		prec := r.infix(t)
		if prec < least || prec == 0 {
			break
		}
		if prec == precCompare {
			if compared {
				r.fail(t, "SQ1001", "comparisons do not chain", "second comparison",
					"write (a = b) = c, or a = b AND b = c")
			}
			compared = true
		} else if prec < precCompare {
			compared = false
		}
		left = r.apply(left, t, prec)
	}
	return left
}

// infix returns the precedence of t as an infix operator, or 0 if t is not an infix operator.
func (r *reader) infix(t *lexer.Token) int {
	switch t.Type {
	case operator:
		return binary[t.Value]
	case word:
		switch len(t.Value) {
		case 2:
			if isWord(t, "OR") {
				return precOr
			}
			if isWord(t, "IN") || isWord(t, "IS") {
				return precCompare
			}
		case 3:
			if isWord(t, "AND") {
				return precAnd
			}
			if isWord(t, "NOT") && isAnyWord(r.peek2(), []string{"IN", "LIKE", "BETWEEN"}) {
				return precCompare
			}
		case 4:
			if isWord(t, "LIKE") {
				return precCompare
			}
		case 7:
			if isWord(t, "BETWEEN") {
				return precCompare
			}
		}
	}
	return 0
}

// apply reads the operator t and its right operand.
func (r *reader) apply(left sized, t *lexer.Token, prec int) sized {
	at := At{}
	if left.Expr != nil {
		at.Pos = left.Position()
	}
	if prec == precCompare && t.Type == word {
		return r.predicate(left, at)
	}
	r.next()
	op := strings.ToUpper(t.Value)
	if op == "!=" {
		op = "<>"
	}
	right := r.climb(prec + 1)
	return r.node(t, &Binary{at, op, position(t.Pos), left.Expr, right.Expr}, left, right)
}

// predicate reads [NOT] IN, LIKE and BETWEEN, and IS.
func (r *reader) predicate(left sized, at At) sized {
	t := r.peek()
	if r.word("IS") {
		not := r.word("NOT")
		if r.word("NULL") {
			return r.node(t, &IsNull{at, not, left.Expr}, left)
		}
		if !r.word("DISTINCT") {
			r.unexpected("NULL", "NOT NULL", "DISTINCT FROM", "NOT DISTINCT FROM")
		}
		r.want("FROM")
		right := r.climb(precCompare + 1)
		return r.node(t, &IsDistinct{at, not, left.Expr, right.Expr}, left, right)
	}
	not := r.word("NOT")
	switch {
	case r.word("IN"):
		r.wantOp("(")
		list, parts := r.list(")")
		r.wantOp(")")
		if len(list) == 0 {
			r.unexpected("a value")
		}
		return r.node(t, &In{at, not, left.Expr, list}, append(parts, left)...)
	case r.word("LIKE"):
		pattern := r.climb(precCompare + 1)
		like := &Like{At: at, Not: not, X: left.Expr, Pattern: pattern.Expr}
		if r.word("ESCAPE") {
			like.Escape = r.literal()
		}
		return r.node(t, like, left, pattern)
	}
	r.want("BETWEEN")
	lo := r.climb(precCompare + 1)
	r.want("AND")
	hi := r.climb(precCompare + 1)
	return r.node(t, &Between{at, not, left.Expr, lo.Expr, hi.Expr}, left, lo, hi)
}

// list reads expressions separated by commas, up to the closing bracket end, which it does not consume. The list
// may be empty.
func (r *reader) list(end string) (out []Expr, parts []sized) {
	if isOp(r.peek(), end) {
		return nil, nil
	}
	for r.err == nil {
		e := r.climb(precLambda)
		out, parts = append(out, e.Expr), append(parts, e)
		if !r.op(",") {
			break
		}
	}
	return out, parts
}

// prefix reads prefix operators and the operand after them. NOT is an operator only if its operand may be a
// comparison.
func (r *reader) prefix(least int) sized {
	t := r.peek()
	switch {
	case isOp(t, "-") || isOp(t, "+"):
		r.next()
		x := r.climb(precUnary)
		return r.node(t, &Unary{At{position(t.Pos)}, t.Value, x.Expr}, x)
	case isWord(t, "NOT") && least <= precNot:
		r.next()
		x := r.climb(precNot)
		return r.node(t, &Unary{At{position(t.Pos)}, "NOT", x.Expr}, x)
	}
	return r.postfix(r.primary())
}

// postfix reads x[i], x->f, x->* and x::type, as many as follow.
func (r *reader) postfix(x sized) sized {
	for r.err == nil && x.Expr != nil {
		t := r.peek()
		at := At{x.Position()}
		switch {
		case r.op("["):
			i := r.climb(precLambda)
			r.wantOp("]")
			x = r.node(t, &Index{at, x.Expr, i.Expr}, x, i)
		case r.op("::"):
			x = r.node(t, &Cast{at, x.Expr, r.typeExpr(0)}, x)
		case r.op("->"):
			if r.op("*") {
				return r.node(t, &Field{At: at, X: x.Expr, Star: true}, x)
			}
			x = r.node(t, &Field{At: at, X: x.Expr, Name: r.name()}, x)
		default:
			return x
		}
	}
	return x
}

// primary reads one operand.
func (r *reader) primary() sized {
	t := r.peek()
	at := At{position(t.Pos)}
	switch t.Type {
	case number:
		r.next()
		if _, err := strconv.ParseFloat(t.Value, 64); err != nil && strings.ContainsAny(t.Value, "eE") {
			r.fail(t, "SQ1010", describe(t)+" is too large for a DOUBLE", "", "")
		}
		return sized{&Number{at, t.Value}, 1}
	case text:
		r.next()
		return sized{&Text{at, unquote(t.Value)}, 1}
	case param:
		return sized{&Param{at, r.paramNumber()}, 1}
	case quoted:
		return r.reference(t)
	case word:
		return r.wordOperand(t)
	case operator:
		switch t.Value {
		case "(":
			return r.parenthesis(t)
		}
	}
	r.unexpected("an expression")
	return sized{}
}
