package planner

import (
	"strings"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// lambdaCall binds TRANSFORM, FILTER and REDUCE. It returns false if the call has no lambda.
func (b *binder) lambdaCall(e *lang.Call, s *scope) (expr.Expr, bool, error) {
	var lambdas []*lang.Lambda
	var plain []lang.Expr
	for _, a := range e.Args {
		if l, ok := a.(*lang.Lambda); ok {
			lambdas = append(lambdas, l)
		} else {
			plain = append(plain, a)
		}
	}
	if len(lambdas) == 0 {
		return nil, false, nil
	}
	fn := strings.ToUpper(e.Name.Text)
	want := 1
	if fn == "REDUCE" {
		want = 2
	}
	if fn != "TRANSFORM" && fn != "FILTER" && fn != "REDUCE" || len(plain) != want {
		return nil, true,
			fail(e, "SQ2007", "a lambda must be an argument of TRANSFORM(x, ..), FILTER(x, ..) or REDUCE(x, start, ..)")
	}
	args, err := b.list(plain, s)
	if err != nil {
		return nil, true, err
	}
	var init expr.Expr
	var initType flow.Type
	if fn == "REDUCE" {
		init, initType = args[1], args[1].Type()
	}
	types, err := expr.LambdaParams(fn, args[0].Type(), initType)
	if err != nil {
		_, err = at(e, "SQ2007", nil, err)
		return nil, true, err
	}
	var captured []expr.Expr
	bodies := make([]expr.Expr, len(lambdas))
	for i, l := range lambdas {
		if bodies[i], err = b.body(l, types, s, &captured); err != nil {
			return nil, true, err
		}
	}
	out, err := expr.NewLambda(fn, args[0], init, captured, bodies)
	out, err = at(e, "SQ2007", out, err)
	return out, true, err
}

// body binds a lambda's body over its parameters, followed by the columns of the row that it uses.
func (b *binder) body(l *lang.Lambda, types []flow.Type, outer *scope, captured *[]expr.Expr) (expr.Expr, error) {
	if len(l.Params) != len(types) {
		return nil, fail(l, "SQ2007", "this lambda has %d parameters instead of %d", len(l.Params), len(types))
	}
	inner := &scope{exact: outer.exact, parent: outer, captured: captured}
	// The columns of a lambda are those of a separate batch, by position.
	add := func(name string, t flow.Type) {
		inner.cols = append(inner.cols, column{id: len(inner.cols), name: name, t: t})
	}
	for i, p := range l.Params {
		add(b.fold(p), types[i])
	}
	for _, c := range *captured { // the captures of an earlier lambda, as both read one batch
		add(c.String(), c.Type())
	}
	return b.bind(l.Body, inner)
}

// capture adds a column of the row to the lambda's batch.
func (s *scope) capture(b *binder, id *lang.Ident) (*expr.Column, error) {
	c, err := s.parent.find(b, id)
	if err != nil {
		return nil, err
	}
	*s.captured = append(*s.captured, c)
	own := column{id: len(s.cols), name: c.Name, t: c.T}
	s.cols = append(s.cols, own)
	return own.ref(), nil
}
