// Package expr evaluates bound expressions by column. An expression is a tree whose leaves are
// columns of a batch and literals; each node computes a whole column at a time, with loops over
// slices. A row that fails in a node becomes NULL and is reported.
package expr

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Expr is a bound expression. Eval returns a column of in.Rows() rows of type Type; env.Fail
// receives the rows that failed, which are NULL. Callers use the function Eval, which charges
// the account.
type Expr interface {
	Type() flow.Type
	Eval(in *flow.Batch, env udf.Env) arrow.Array
	// Inputs returns the operands; With returns the same node with other operands. Rewrites use
	// them.
	Inputs() []Expr
	With(inputs []Expr) Expr
	String() string
}

// Eval evaluates an expression and charges the account for its result only, because the results
// of its operands are garbage by then. Once the account has refused a charge, all results are
// NULL and must not be used.
func Eval(e Expr, in *flow.Batch, env udf.Env) arrow.Array {
	if c, ok := e.(*Column); ok {
		return in.Column(c.Index)
	}
	if env.Account == nil {
		return e.Eval(in, env)
	}
	if env.Account.Err() != nil {
		return flow.Repeat(e.Type(), nil, in.Rows())
	}
	before := env.Account.Used()
	out := e.Eval(in, env)
	env.Account.Settle(before, flow.Size(out))
	return out
}

// Column is a column of the batch, by index.
type Column struct {
	Index int
	Name  string
	T     flow.Type
}

// Type implements Expr.
func (c *Column) Type() flow.Type { return c.T }

// Eval implements Expr.
func (c *Column) Eval(in *flow.Batch, _ udf.Env) arrow.Array { return in.Column(c.Index) }

// Inputs implements Expr.
func (c *Column) Inputs() []Expr { return nil }

// With implements Expr.
func (c *Column) With([]Expr) Expr { return c }

// String implements Expr.
func (c *Column) String() string { return c.Name }

// Literal is a constant: a Go value in the form of flow.Value, nil for NULL.
type Literal struct {
	Value any
	T     flow.Type
}

// Lit returns a literal.
func Lit(t flow.Type, v any) *Literal { return &Literal{Value: v, T: t} }

// Typed returns a NULL without a type as a STRING, and any other expression as it is. A column of
// Arrow's type NULL has no validity bitmap, so every row of it looks valid: only the binding of
// expressions may see that type, never an Eval.
func Typed(x Expr) Expr {
	if x.Type().ID() == arrow.NULL {
		return Lit(flow.String, nil)
	}
	return x
}

// Type implements Expr.
func (l *Literal) Type() flow.Type { return l.T }

// Eval implements Expr.
func (l *Literal) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	if !env.Account.Fits(flow.ValueSize(l.Value) * int64(in.Rows())) {
		return flow.Repeat(l.T, nil, in.Rows())
	}
	return flow.Repeat(l.T, l.Value, in.Rows())
}

// Inputs implements Expr.
func (l *Literal) Inputs() []Expr { return nil }

// With implements Expr.
func (l *Literal) With([]Expr) Expr { return l }

// String implements Expr.
func (l *Literal) String() string {
	switch v := l.Value.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	return flow.Spell(l.T, l.Value)
}

// Call applies the kernel of a function.
type Call struct {
	Name string
	Args []Expr
	Sig  udf.Signature
}

// Type implements Expr.
func (c *Call) Type() flow.Type { return c.Sig.Result }

// Inputs implements Expr.
func (c *Call) Inputs() []Expr { return c.Args }

// With implements Expr.
func (c *Call) With(in []Expr) Expr {
	return &Call{Name: c.Name, Args: in, Sig: c.Sig}
}

// String implements Expr.
func (c *Call) String() string { return c.Name + "(" + list(c.Args) + ")" }

// Eval implements Expr.
func (c *Call) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	args := make([]arrow.Array, len(c.Args))
	for i, a := range c.Args {
		args[i] = Eval(a, in, env)
	}
	if env.Account.Err() != nil {
		return flow.Repeat(c.Sig.Result, nil, in.Rows())
	}
	return c.Sig.Kernel(args, in.Rows(), udf.Env{Account: env.Account, Fail: func(row int, err error) {
		env.Fail(row, fmt.Errorf("%s: %w", c.Name, err))
	}})
}

func list(args []Expr) string {
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = a.String()
	}
	return strings.Join(parts, ", ")
}

// Walk calls f for e and all its descendants, parents first.
func Walk(e Expr, f func(Expr)) {
	f(e)
	for _, in := range e.Inputs() {
		Walk(in, f)
	}
}

// Volatile reports whether a second evaluation of the same row may have another result, because
// the expression calls RANDOM, NOW or a similar function, possibly in the body of a lambda.
func Volatile(e Expr) bool {
	out := false
	Walk(e, func(e Expr) {
		switch e := e.(type) {
		case *Call:
			out = out || e.Sig.Volatile
		case *Lambda:
			for _, b := range e.Bodies {
				out = out || Volatile(b)
			}
		}
	})
	return out
}

// Map rewrites an expression from the leaves up.
func Map(e Expr, f func(Expr) Expr) Expr {
	old := e.Inputs()
	if len(old) > 0 {
		in := make([]Expr, len(old))
		changed := false
		for i, o := range old {
			in[i] = Map(o, f)
			changed = changed || in[i] != o
		}
		if changed {
			e = e.With(in)
		}
	}
	return f(e)
}

// Columns calls f for every column that an expression reads, as often as it reads it.
func Columns(e Expr, f func(*Column)) {
	Walk(e, func(e Expr) {
		if c, ok := e.(*Column); ok {
			f(c)
		}
	})
}

// Substitute returns an expression with the results of f in place of its columns.
func Substitute(e Expr, f func(*Column) Expr) Expr {
	return Map(e, func(e Expr) Expr {
		if c, ok := e.(*Column); ok {
			return f(c)
		}
		return e
	})
}

// Same reports whether two expressions are the same tree.
func Same(a, b Expr) bool {
	return a.String() == b.String() && flow.SameType(a.Type(), b.Type())
}
