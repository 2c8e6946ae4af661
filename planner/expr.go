package planner

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// expr binds an expression over a scope: names to columns, functions to kernels, operands to common
// types. It folds constants.
func (b *binder) expr(e lang.Expr, s *scope) (expr.Expr, error) {
	out, err := b.bind(e, s)
	if err != nil {
		return nil, err
	}
	out = b.folder.Fold(out)
	return out, b.ended()
}

// at adds the position of a node to an error of package expr.
func at(n lang.Node, code string, out expr.Expr, err error) (expr.Expr, error) {
	if err != nil {
		e := fail(n, code, "%s", err.Error())
		e.Err = err
		return nil, e
	}
	return out, nil
}

func (b *binder) bind(e lang.Expr, s *scope) (expr.Expr, error) {
	if err := b.ended(); err != nil {
		return nil, err
	}
	if s.replace != nil {
		if out, ok, err := s.replace(e); ok || err != nil {
			return out, err
		}
	}
	switch e := e.(type) {
	case *lang.Ident:
		x, err := s.find(b, e)
		if ours, ok := lang.Ours(e.Name.Text); err != nil && ok && ours == "NOW" && e.Source == nil && !e.Name.Quoted {
			return b.function(e, ours, nil) // CURRENT_TIMESTAMP, which the standard writes without brackets
		}
		if err != nil {
			return nil, err
		}
		return x, nil
	case *lang.Number:
		return number(e)
	case *lang.Text:
		return expr.Lit(flow.String, e.Value), nil
	case *lang.Bool:
		return expr.Lit(flow.Boolean, e.Value), nil
	case *lang.NullLit:
		return expr.Lit(flow.Null, nil), nil
	case *lang.Param:
		return b.param(e)
	case *lang.Unary:
		return b.unary(e, s)
	case *lang.Binary:
		return b.binary(e, s)
	case *lang.Between:
		return b.between(e, s)
	case *lang.In:
		return b.in(e, s)
	case *lang.Like:
		return b.like(e, s)
	case *lang.IsNull:
		x, err := b.bind(e.X, s)
		if err != nil {
			return nil, err
		}
		return &expr.IsNull{X: x, Not: e.Not}, nil
	case *lang.IsDistinct:
		l, r, err := b.pair(e.L, e.R, s)
		if err != nil {
			return nil, err
		}
		op := expr.NotEqual
		if e.Not {
			op = expr.Equal
		}
		out, err := expr.NewCompare(op, l, r, true)
		return at(e, "SQ2006", out, err)
	case *lang.Case:
		return b.caseOf(e, s)
	case *lang.Cast:
		return b.cast(e, s)
	case *lang.Call:
		return b.call(e, s)
	}
	return b.nested(e, s)
}

// number returns the type of a number literal as in ksqlDB: digits alone are INT or BIGINT, a
// decimal point makes DECIMAL, an exponent DOUBLE.
func number(n *lang.Number) (expr.Expr, error) {
	if strings.ContainsAny(n.Text, "eE") {
		f, err := strconv.ParseFloat(n.Text, 64)
		if err != nil {
			return nil, fail(n, "SQ2010", "%s is out of range for DOUBLE", n.Text)
		}
		return expr.Lit(flow.Double, f), nil
	}
	whole, fraction, point := strings.Cut(n.Text, ".")
	if !point {
		if v, err := strconv.ParseInt(n.Text, 10, 32); err == nil {
			return expr.Lit(flow.Int, int32(v)), nil
		}
		if v, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			return expr.Lit(flow.Bigint, v), nil
		}
	}
	digits := strings.TrimLeft(whole, "0") + fraction
	if len(digits) > 38 {
		return nil, fail(n, "SQ2010", "a number can have at most 38 digits, this one has %d", len(digits))
	}
	v, ok := new(big.Int).SetString("0"+digits, 10)
	if !ok {
		return nil, fail(n, "SQ2010", "%s is not a number", n.Text)
	}
	precision := max(int32(len(digits)), int32(len(fraction)), 1)
	return expr.Lit(flow.Decimal(precision, int32(len(fraction))), decimal128.FromBigInt(v)), nil
}

func (b *binder) pair(l, r lang.Expr, s *scope) (expr.Expr, expr.Expr, error) {
	x, err := b.bind(l, s)
	if err != nil {
		return nil, nil, err
	}
	y, err := b.bind(r, s)
	return x, y, err
}

func (b *binder) unary(e *lang.Unary, s *scope) (expr.Expr, error) {
	x, err := b.bind(e.X, s)
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case "NOT":
		out, err := expr.NewNot(x)
		return at(e, "SQ2006", out, err)
	case "-":
		out, err := expr.Negate(x)
		return at(e, "SQ2006", out, err)
	}
	if !flow.IsNumber(x.Type()) {
		return nil, fail(e, "SQ2006", "unary + needs a number, not %s", flow.TypeName(x.Type()))
	}
	return x, nil
}

func (b *binder) binary(e *lang.Binary, s *scope) (expr.Expr, error) {
	if e.Op == "AND" || e.Op == "OR" {
		return b.chain(e, s)
	}
	if i, ok := e.R.(*lang.Interval); ok && (e.Op == "+" || e.Op == "-") {
		return b.later(e, i, s)
	}
	l, r, err := b.pair(e.L, e.R, s)
	if err != nil {
		return nil, err
	}
	place := opAt{e}
	if l, r, err = b.moments(l, r, e.L, e.R); err != nil {
		return nil, err
	}
	switch e.Op {
	case "+", "-", "*", "/", "%":
		if e.Op == "+" && l.Type().ID() == arrow.STRING && r.Type().ID() == arrow.STRING {
			return b.function(place, "CONCAT", []expr.Expr{l, r})
		}
		out, err := expr.NewArith(e.Op[0], l, r)
		return at(place, "SQ2006", out, err)
	case "||":
		return b.concatenation(place, l, r)
	}
	op, ok := expr.ParseCompare(e.Op)
	if !ok {
		return nil, unsupported(place, "operator "+e.Op)
	}
	out, err := expr.NewCompare(op, l, r, false)
	if c, ok := out.(*expr.Compare); ok && b.Dialect.Has(dialect.NullComparesFalse) {
		c.NullFalse = true
	}
	return at(place, "SQ2006", out, err)
}

// moments parses a text literal that is compared with ROWTIME or a window's bound as a timestamp.
func (b *binder) moments(l, r expr.Expr, le, re lang.Expr) (expr.Expr, expr.Expr, error) {
	moment := func(x, other expr.Expr, at lang.Expr) (expr.Expr, error) {
		lit, ok := x.(*expr.Literal)
		c, isColumn := other.(*expr.Column)
		if !ok || !isColumn || lit.T.ID() != arrow.STRING || lit.Value == nil {
			return x, nil
		}
		if c.Name != flow.RowTime && c.Name != flow.WindowStart && c.Name != flow.WindowEnd {
			return x, nil
		}
		ms, err := option.ParseTime(lit.Value.(string))
		if err != nil {
			return nil, fail(at, "SQ2010", "%s", err.Error())
		}
		return expr.Lit(flow.Bigint, ms), nil
	}
	x, err := moment(l, r, le)
	if err != nil {
		return nil, nil, err
	}
	y, err := moment(r, l, re)
	return x, y, err
}

// opAt is a binary operation whose position is the operator, so that the caret is below it.
type opAt struct{ *lang.Binary }

// Position implements lang.Node.
func (o opAt) Position() lang.Pos { return o.OpPos }

// chain binds a left-deep chain of AND or OR without recursion along the chain.
func (b *binder) chain(e *lang.Binary, s *scope) (expr.Expr, error) {
	var terms []lang.Expr
	op := e.Op
	var cur lang.Expr = e
	for {
		bin, ok := cur.(*lang.Binary)
		if !ok || bin.Op != op {
			break
		}
		terms = append(terms, bin.R)
		cur = bin.L
	}
	terms = append(terms, cur)
	args := make([]expr.Expr, len(terms))
	for i, t := range terms {
		x, err := b.bind(t, s)
		if err != nil {
			return nil, err
		}
		args[len(terms)-1-i] = x
	}
	out, err := expr.NewLogic(op == "AND", args...)
	return at(opAt{e}, "SQ2006", out, err)
}

func (b *binder) between(e *lang.Between, s *scope) (expr.Expr, error) {
	x, err := b.bind(e.X, s)
	if err != nil {
		return nil, err
	}
	lo, hi, err := b.pair(e.Lo, e.Hi, s)
	if err != nil {
		return nil, err
	}
	if _, lo, err = b.moments(x, lo, e.X, e.Lo); err != nil {
		return nil, err
	}
	if _, hi, err = b.moments(x, hi, e.X, e.Hi); err != nil {
		return nil, err
	}
	from, err := expr.NewCompare(expr.GreaterOrEqual, x, lo, false)
	if err != nil {
		return at(e.Lo, "SQ2006", nil, err)
	}
	to, err := expr.NewCompare(expr.LessOrEqual, x, hi, false)
	if err != nil {
		return at(e.Hi, "SQ2006", nil, err)
	}
	out, err := expr.NewLogic(true, from, to)
	if err == nil && e.Not {
		out, err = expr.NewNot(out)
	}
	return at(e, "SQ2006", out, err)
}

func (b *binder) in(e *lang.In, s *scope) (expr.Expr, error) {
	x, err := b.bind(e.X, s)
	if err != nil {
		return nil, err
	}
	items := make([]expr.Expr, len(e.List))
	for i, item := range e.List {
		if items[i], err = b.bind(item, s); err != nil {
			return nil, err
		}
		items[i] = b.folder.Fold(items[i])
	}
	out, err := expr.NewIn(x, items, e.Not)
	return at(e, "SQ2006", out, err)
}

func (b *binder) caseOf(e *lang.Case, s *scope) (expr.Expr, error) {
	var operand expr.Expr
	var err error
	if e.Operand != nil {
		if operand, err = b.bind(e.Operand, s); err != nil {
			return nil, err
		}
	}
	var when, then []expr.Expr
	for _, w := range e.Whens {
		cond, result, err := b.pair(w.If, w.Then, s)
		if err != nil {
			return nil, err
		}
		if operand != nil {
			if cond, err = expr.NewCompare(expr.Equal, operand, cond, false); err != nil {
				return at(w.If, "SQ2006", nil, err)
			}
		}
		when, then = append(when, cond), append(then, result)
	}
	var els expr.Expr
	if e.Else != nil {
		if els, err = b.bind(e.Else, s); err != nil {
			return nil, err
		}
	}
	out, err := expr.NewCase(when, then, els)
	return at(e, "SQ2006", out, err)
}

func (b *binder) cast(e *lang.Cast, s *scope) (expr.Expr, error) {
	x, err := b.bind(e.X, s)
	if err != nil {
		return nil, err
	}
	t, err := b.typeOf(e.Type)
	if err != nil {
		return nil, err
	}
	out, err := expr.NewCast(x, t)
	return at(e, "SQ2006", out, err)
}

func (b *binder) nested(e lang.Expr, s *scope) (expr.Expr, error) {
	switch e := e.(type) {
	case *lang.Field:
		x, err := b.bind(e.X, s)
		if err != nil {
			return nil, err
		}
		out, err := expr.NewField(x, b.fold(e.Name))
		return at(e.Name, "SQ2003", out, err)
	case *lang.Index:
		x, i, err := b.pair(e.X, e.I, s)
		if err != nil {
			return nil, err
		}
		out, err := expr.NewIndex(x, i)
		return at(e, "SQ2006", out, err)
	case *lang.ArrayLit:
		parts, err := b.list(e.Items, s)
		if err != nil {
			return nil, err
		}
		out, err := expr.NewArray(parts)
		return at(e, "SQ2006", out, err)
	case *lang.MapLit:
		keys, err := b.list(e.Keys, s)
		if err != nil {
			return nil, err
		}
		values, err := b.list(e.Values, s)
		if err != nil {
			return nil, err
		}
		out, err := expr.NewMap(keys, values)
		return at(e, "SQ2006", out, err)
	case *lang.StructLit:
		parts, err := b.list(e.Values, s)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(e.Names))
		for i, n := range e.Names {
			names[i] = b.fold(n)
		}
		out, err := expr.NewStruct(names, parts)
		return at(e, "SQ2006", out, err)
	case *lang.ModelRef:
		return s.find(b, e.Ident())
	case *lang.Interval:
		return nil, fail(e, "SQ2006", "an interval is allowed only in a WINDOW, WITHIN or scan clause")
	}
	return nil, unsupported(e, "this expression")
}
