package lang

import (
	"fmt"
	"strconv"
	"strings"
)

// PrintExpr returns the expression as text, with necessary parentheses only.
func PrintExpr(e Expr) string {
	var p printer
	p.expr(e, precLambda)
	return p.b.String()
}

// String returns the type as text.
func (t *TypeExpr) String() string {
	var p printer
	p.typeExpr(t)
	return p.b.String()
}

// printer collects text.
type printer struct{ b strings.Builder }

func (p *printer) add(parts ...string) {
	for _, s := range parts {
		p.b.WriteString(s)
	}
}

// when adds s if ok.
func (p *printer) when(ok bool, s string) {
	if ok {
		p.add(s)
	}
}

func (p *printer) name(n Name) {
	if n.Quoted {
		p.add("`", strings.ReplaceAll(n.Text, "`", "``"), "`")
		return
	}
	p.add(n.Text)
}

func (p *printer) optional(before string, n *Name) {
	if n != nil {
		p.add(before)
		p.name(*n)
	}
}

func (p *printer) text(v string) { p.add("'", strings.ReplaceAll(v, "'", "''"), "'") }

// each calls f for 0 to n-1 and puts commas between.
func (p *printer) each(n int, f func(int)) {
	for i := range n {
		p.when(i > 0, ", ")
		f(i)
	}
}

func (p *printer) names(ns []Name) { p.each(len(ns), func(i int) { p.name(ns[i]) }) }

func (p *printer) list(es []Expr) { p.each(len(es), func(i int) { p.expr(es[i], precLambda) }) }

// precedence returns the precedence of the outermost operator of an expression.
func precedence(e Expr) int {
	switch e := e.(type) {
	case *Lambda:
		return precLambda
	case *Binary:
		switch e.Op {
		case "OR":
			return precOr
		case "AND":
			return precAnd
		}
		return binary[e.Op]
	case *Unary:
		if e.Op == "NOT" {
			return precNot
		}
		return precUnary
	case *Between, *In, *Like, *IsNull, *IsDistinct:
		return precCompare
	}
	return precPostfix
}

// expr prints e, in parentheses if its precedence is lower than least.
func (p *printer) expr(e Expr, least int) {
	if precedence(e) < least {
		p.add("(")
		p.expr(e, precLambda)
		p.add(")")
		return
	}
	switch e := e.(type) {
	case *Ident:
		if e.Source != nil {
			p.name(*e.Source)
			p.add(".")
		}
		p.name(e.Name)
	case *Star:
		p.star(e)
	case *Number:
		p.add(e.Text)
	case *Text:
		p.text(e.Value)
	case *Bool:
		p.add(strings.ToUpper(strconv.FormatBool(e.Value)))
	case *NullLit:
		p.add("NULL")
	case *Interval:
		p.add("INTERVAL ")
		p.interval(e)
	case *Param:
		p.add("$", strconv.Itoa(e.N))
	case *ModelRef:
		p.when(e.Marked, "MODEL ")
		p.model(e.Name, e.Version)
	case *RelationArg: // for messages; a table function is not an expression that is printed to be read again
		p.add("(..)")
	case *TableRef:
		p.add("TABLE ")
		p.name(e.Name)
	case *Unary, *Binary, *Between, *In, *Like, *IsNull, *IsDistinct:
		p.operation(e)
	default:
		p.compound(e)
	}
}

// operation prints an operator and its operands. Comparisons do not chain, so both of their operands need a higher
// precedence.
func (p *printer) operation(e Expr) {
	side := func(x Expr) { p.expr(x, precCompare+1) }
	not := func(n bool) string {
		if n {
			return " NOT"
		}
		return ""
	}
	switch e := e.(type) {
	case *Unary:
		p.add(e.Op)
		p.when(e.Op == "NOT", " ")
		if u, ok := e.X.(*Unary); ok && u.Op == "-" && e.Op == "-" {
			p.add(" ") // -- begins a comment
		}
		p.expr(e.X, precedence(e))
	case *Binary:
		prec := precedence(e)
		left := prec
		if prec == precCompare {
			left++
		}
		p.expr(e.L, left)
		p.add(" ", e.Op, " ")
		p.expr(e.R, prec+1)
	case *Between:
		side(e.X)
		p.add(not(e.Not), " BETWEEN ")
		side(e.Lo)
		p.add(" AND ")
		side(e.Hi)
	case *In:
		side(e.X)
		p.add(not(e.Not), " IN (")
		p.list(e.List)
		p.add(")")
	case *Like:
		side(e.X)
		p.add(not(e.Not), " LIKE ")
		side(e.Pattern)
		if e.Escape != nil {
			p.add(" ESCAPE ")
			p.text(e.Escape.Value)
		}
	case *IsNull:
		side(e.X)
		p.add(" IS", not(e.Not), " NULL")
	case *IsDistinct:
		side(e.L)
		p.add(" IS", not(e.Not), " DISTINCT FROM ")
		side(e.R)
	}
}

// compound prints an expression that encloses its parts.
func (p *printer) compound(e Expr) {
	switch e := e.(type) {
	case *Case:
		p.add("CASE")
		if e.Operand != nil {
			p.add(" ")
			p.expr(e.Operand, precLambda)
		}
		for _, w := range e.Whens {
			p.add(" WHEN ")
			p.expr(w.If, precLambda)
			p.add(" THEN ")
			p.expr(w.Then, precLambda)
		}
		if e.Else != nil {
			p.add(" ELSE ")
			p.expr(e.Else, precLambda)
		}
		p.add(" END")
	case *Cast:
		p.add("CAST(")
		p.expr(e.X, precLambda)
		p.add(" AS ")
		p.typeExpr(e.Type)
		p.add(")")
	case *Call:
		p.call(e)
	case *Field:
		p.expr(e.X, precPostfix)
		p.add("->")
		if e.Star {
			p.add("*")
			return
		}
		p.name(e.Name)
	case *Index:
		p.expr(e.X, precPostfix)
		p.add("[")
		p.expr(e.I, precLambda)
		p.add("]")
	case *ArrayLit:
		p.add("ARRAY[")
		p.list(e.Items)
		p.add("]")
	case *MapLit:
		p.add("MAP(")
		p.each(len(e.Keys), func(i int) {
			p.expr(e.Keys[i], precLambda)
			p.add(" := ")
			p.expr(e.Values[i], precLambda)
		})
		p.add(")")
	case *StructLit:
		p.add("STRUCT(")
		p.each(len(e.Names), func(i int) {
			p.name(e.Names[i])
			p.add(" := ")
			p.expr(e.Values[i], precLambda)
		})
		p.add(")")
	case *Lambda:
		p.add("(")
		p.names(e.Params)
		p.add(") => ")
		p.expr(e.Body, precLambda)
	default:
		panic(fmt.Sprintf("lang: no printer for %T", e))
	}
}

func (p *printer) star(s *Star) {
	if s.Source != nil {
		p.name(*s.Source)
		p.add(".")
	}
	p.add("*")
	if len(s.Except) > 0 {
		p.add(" EXCEPT (")
		p.names(s.Except)
		p.add(")")
	}
}

func (p *printer) call(c *Call) {
	p.name(c.Name)
	p.add("(")
	p.when(c.Star, "*")
	p.when(c.Distinct, "DISTINCT ")
	p.list(c.Args)
	for i, n := range c.Named {
		p.when(i > 0 || len(c.Args) > 0, ", ")
		p.name(n.Name)
		p.add(" => ")
		p.expr(n.Value, precLambda)
	}
	p.add(")")
	if c.Filter != nil {
		p.add(" FILTER (WHERE ")
		p.expr(c.Filter, precLambda)
		p.add(")")
	}
	if c.Over != nil {
		p.over(c.Over)
	}
}

func (p *printer) over(o *Over) {
	p.add(" OVER (")
	gap := ""
	if len(o.PartitionBy) > 0 {
		p.add("PARTITION BY ")
		p.list(o.PartitionBy)
		gap = " "
	}
	if len(o.OrderBy) > 0 {
		p.add(gap, "ORDER BY ")
		p.orders(o.OrderBy)
		gap = " "
	}
	if f := o.Frame; f != nil {
		p.add(gap, f.Unit, " BETWEEN ")
		p.bound(f.From)
		p.add(" AND ")
		p.bound(f.To)
	}
	p.add(")")
}

func (p *printer) bound(b Bound) {
	if b.N != nil {
		p.expr(b.N, precCompare+1)
		p.add(" ")
	}
	p.add(b.Kind)
}

func (p *printer) orders(os []*Order) {
	p.each(len(os), func(i int) {
		p.expr(os[i].Expr, precLambda)
		p.when(os[i].Desc, " DESC")
		p.when(os[i].Nulls != "", " NULLS "+os[i].Nulls)
	})
}

// interval prints 5 MINUTE.
func (p *printer) interval(i *Interval) { p.add(i.N, " ", i.Unit) }

// model prints m$2, m@alias or m VERSION ..
func (p *printer) model(n Name, v VersionRef) {
	p.name(n)
	switch {
	case v.Number > 0:
		p.add("$", strconv.Itoa(v.Number))
	case v.Alias != "":
		p.add("@", v.Alias)
	case v != VersionRef{}:
		p.add(" VERSION ")
		p.version(v)
	}
}

func (p *printer) version(v VersionRef) {
	switch {
	case v.Number > 0:
		p.add(strconv.Itoa(v.Number))
	case v.Latest:
		p.add("LATEST")
	case v.Default:
		p.add("DEFAULT")
	case v.AsOf:
		p.add("AS OF ROWTIME")
	}
}

func (p *printer) typeExpr(t *TypeExpr) {
	p.name(t.Name)
	switch {
	case len(t.Params) > 0:
		p.add("(", strings.Join(t.Params, ", "), ")")
	case len(t.Args) > 0:
		p.add("<")
		p.each(len(t.Args), func(i int) { p.typeExpr(t.Args[i]) })
		p.add(">")
	case len(t.Fields) > 0:
		p.add("<")
		p.each(len(t.Fields), func(i int) {
			p.name(t.Fields[i].Name)
			p.add(" ")
			p.typeExpr(t.Fields[i].Type)
		})
		p.add(">")
	case !t.Name.Quoted && strings.EqualFold(t.Name.Text, "STRUCT"):
		p.add("<>")
	}
}
