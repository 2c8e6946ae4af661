package lang

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// Parse reads a type.
func (t *TypeExpr) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	if x := r.typeExpr(0); x != nil {
		*t = *x
	}
	return r.result()
}

// typeExpr reads a type. depth is the number of types that enclose it.
func (r *reader) typeExpr(depth int) *TypeExpr {
	head := r.peek()
	if depth > MaxNesting {
		r.fail(head, "SQ1007", fmt.Sprintf("a type is nested more than %d deep", MaxNesting), "", "")
	}
	if !isName(head) {
		r.unexpected("a type")
		return nil
	}
	if in(head, reserved) || isAnyWord(head, []string{"NULL", "TRUE", "FALSE", "NOT"}) {
		r.unexpected("a type")
	}
	t := &TypeExpr{At: r.here(), Name: r.name()}
	if t.Name.Quoted {
		return t
	}
	switch strings.ToUpper(t.Name.Text) {
	case "ARRAY":
		r.wantOp("<")
		t.Args = []*TypeExpr{r.typeExpr(depth + 1)}
		r.wantOp(">")
	case "MAP":
		r.wantOp("<")
		k := r.typeExpr(depth + 1)
		r.wantOp(",")
		t.Args = []*TypeExpr{k, r.typeExpr(depth + 1)}
		r.wantOp(">")
	case "STRUCT":
		r.fields(t, depth)
	default:
		r.parameters(t)
	}
	return t
}

// fields reads <name type, ..>. The grammar allows STRUCT< > without fields; the planner refuses it where a field
// is required.
func (r *reader) fields(t *TypeExpr, depth int) {
	if r.op("<>") {
		return
	}
	r.wantOp("<")
	if r.op(">") {
		return
	}
	for ok := true; ok && r.err == nil; ok = r.op(",") {
		f := TypeField{At: r.here(), Name: r.name()}
		f.Type = r.typeExpr(depth + 1)
		t.Fields = append(t.Fields, f)
	}
	r.wantOp(">")
}

// parameters reads the optional arguments of a type in parentheses: numbers, or STRING.
func (r *reader) parameters(t *TypeExpr) {
	if !isOp(r.peek(), "(") {
		return
	}
	r.next()
	for ok := true; ok && r.err == nil; ok = r.op(",") {
		p := r.peek()
		if p.Type != number && !isWord(p, "STRING") {
			r.unexpected("a number")
			return
		}
		t.Params = append(t.Params, strings.ToUpper(r.next().Value))
	}
	r.wantOp(")")
}
