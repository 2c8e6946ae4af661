package planner

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// call binds a call of a scalar function.
func (b *binder) call(e *lang.Call, s *scope) (expr.Expr, error) {
	name := strings.ToUpper(e.Name.Text)
	if c, ok := s.calls[lang.PrintExpr(e)]; ok {
		return c.ref(), nil
	}
	if modelFunction(name) {
		return nil, fail(e, "SQ3014", "%s is allowed only in SELECT and WHERE", name)
	}
	if _, ok := b.Functions.Aggregate(name); ok {
		if _, scalar := b.Functions.Scalar(name); !scalar {
			return nil, fail(e, "SQ2008", "aggregate %s is not allowed here", name)
		}
	}
	if _, ok := b.Functions.Table(name); ok {
		return nil, fail(e, "SQ2008", "table function %s is allowed only as an item of SELECT", name)
	}
	if e.Distinct || e.Filter != nil || e.Over != nil || len(e.Named) > 0 {
		return nil, unsupported(e, "DISTINCT, FILTER, OVER or a named argument in a scalar call")
	}
	if out, ok, err := b.lambdaCall(e, s); ok {
		return out, err
	}
	if err := b.plannedCall(e, name); err != nil {
		return nil, err
	}
	given := e.Args
	if f, ok := b.Functions.Scalar(name); ok && f.Words && len(given) > 0 {
		given = append([]lang.Expr{b.word(given[0], s)}, given[1:]...)
	}
	args, err := b.list(given, s)
	if err != nil {
		return nil, err
	}
	return b.function(e, name, args)
}

// word reads a bare word that is not a column's name as text, as in DATEADD(DAYS, 1, d).
func (b *binder) word(e lang.Expr, s *scope) lang.Expr {
	if id, ok := e.(*lang.Ident); ok && id.Source == nil && s.index("", b.fold(id.Name)) < 0 {
		return &lang.Text{At: id.At, Value: id.Name.Text}
	}
	return e
}

// NoFunction returns the error about a function that does not exist, with its form in this language or else the most
// similar name.
func NoFunction(r *udf.Registry, place lang.Node, name string) *lang.Error {
	e := fail(place, "SQ2005", "function %s does not exist", name)
	if e.Hint = lang.Instead(name); e.Hint != "" {
		return e
	}
	var legal []string
	for _, f := range Functions(r) {
		legal = append(legal, f.Name)
	}
	if near := lang.Suggest(name, legal); near != "" {
		e.Label = "did you mean " + near + "?"
	}
	return e
}

// function binds a scalar function by name over bound arguments, which it converts to the
// function's types.
func (b *binder) function(place lang.Node, name string, args []expr.Expr) (expr.Expr, error) {
	f, ok := b.Functions.Scalar(name)
	if !ok {
		return nil, NoFunction(b.Functions, place, name)
	}
	if f.Carries && len(args) > 0 && !b.Dialect.Has(dialect.RoundsInPlace) {
		if t, ok := args[0].Type().(*arrow.Decimal128Type); ok && t.Precision < 38 {
			args[0] = expr.Convert(args[0], flow.Decimal(t.Precision+1, t.Scale))
		}
	}
	types := make([]flow.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	sig, err := f.Bind(types)
	if err != nil {
		return at(place, "SQ2007", nil, err)
	}
	cast := make([]expr.Expr, len(args))
	for i, a := range args {
		cast[i] = expr.Typed(expr.Convert(a, sig.Args[i]))
	}
	return &expr.Call{Name: name, Args: cast, Sig: sig}, nil
}

func (b *binder) list(items []lang.Expr, s *scope) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(items))
	for i, item := range items {
		x, err := b.bind(item, s)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}
