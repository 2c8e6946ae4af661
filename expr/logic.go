package expr

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Logic is AND (if And is true) or OR of BOOLEAN operands, in SQL's three-valued logic. It has
// any number of operands, so that long chains are flat. Failures of an operand in rows that an
// earlier operand has decided are not reported.
type Logic struct {
	And  bool
	Args []Expr
}

// NewLogic binds AND or OR; chains of one operator become one node.
func NewLogic(and bool, args ...Expr) (Expr, error) {
	out := &Logic{And: and}
	for _, a := range args {
		if l, ok := a.(*Logic); ok && l.And == and {
			out.Args = append(out.Args, l.Args...)
			continue
		}
		if a.Type().ID() == arrow.NULL {
			a = Lit(flow.Boolean, nil)
		}
		if a.Type().ID() != arrow.BOOL {
			return nil, fmt.Errorf("%s needs BOOLEAN operands, not %s", out.name(), flow.TypeName(a.Type()))
		}
		out.Args = append(out.Args, a)
	}
	return out, nil
}

func (l *Logic) name() string {
	if l.And {
		return "AND"
	}
	return "OR"
}

// Type implements Expr.
func (l *Logic) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (l *Logic) Inputs() []Expr { return l.Args }

// With implements Expr.
func (l *Logic) With(in []Expr) Expr { return &Logic{l.And, in} }

// String implements Expr.
func (l *Logic) String() string {
	s := "(" + l.Args[0].String()
	for _, a := range l.Args[1:] {
		s += " " + l.name() + " " + a.String()
	}
	return s + ")"
}

// Eval implements Expr.
func (l *Logic) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	n := in.Rows()
	const isTrue, isNull = 1, 2
	state := make([]byte, n) // the value so far: false 0, true, NULL
	if l.And {
		for i := range state {
			state[i] = isTrue
		}
	}
	decided := byte(isTrue)
	if l.And {
		decided = 0
	}
	for _, a := range l.Args {
		col := Eval(a, in, udf.Env{Account: env.Account, Fail: func(row int, err error) {
			if state[row] != decided {
				env.Fail(row, err)
			}
		}}).(*array.Boolean)
		for i := range state {
			if state[i] == decided {
				continue
			}
			switch {
			case col.IsNull(i):
				state[i] = isNull
			case (col.Value(i)) == !l.And:
				state[i] = decided
			}
		}
	}
	bits, v := make([]byte, (n+7)/8), flow.Valid(n)
	for i, s := range state {
		switch s {
		case isTrue:
			bits[i>>3] |= 1 << (i & 7)
		case isNull:
			v.Clear(i)
		}
	}
	return flow.Bools(n, bits, v)
}

// Not is NOT; NULL stays NULL.
type Not struct{ X Expr }

// NewNot binds NOT.
func NewNot(x Expr) (Expr, error) {
	if x.Type().ID() == arrow.NULL {
		x = Lit(flow.Boolean, nil)
	}
	if x.Type().ID() != arrow.BOOL {
		return nil, fmt.Errorf("NOT needs a BOOLEAN, not %s", flow.TypeName(x.Type()))
	}
	return &Not{x}, nil
}

// Type implements Expr.
func (x *Not) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (x *Not) Inputs() []Expr { return []Expr{x.X} }

// With implements Expr.
func (x *Not) With(in []Expr) Expr { return &Not{in[0]} }

// String implements Expr.
func (x *Not) String() string { return "(NOT " + x.X.String() + ")" }

// Eval implements Expr.
func (x *Not) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	col := Eval(x.X, in, env).(*array.Boolean)
	n := in.Rows()
	bits := make([]byte, (n+7)/8)
	for i := range n {
		setBit(bits, i, !col.Value(i))
	}
	return flow.Bools(n, bits, flow.Both(n, col))
}

// IsNull is IS NULL, or IS NOT NULL with Not.
type IsNull struct {
	X   Expr
	Not bool
}

// Type implements Expr.
func (x *IsNull) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (x *IsNull) Inputs() []Expr { return []Expr{x.X} }

// With implements Expr.
func (x *IsNull) With(in []Expr) Expr { return &IsNull{in[0], x.Not} }

// String implements Expr.
func (x *IsNull) String() string {
	if x.Not {
		return "(" + x.X.String() + " IS NOT NULL)"
	}
	return "(" + x.X.String() + " IS NULL)"
}

// Eval implements Expr.
func (x *IsNull) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	col := Eval(x.X, in, env)
	n := in.Rows()
	bits := make([]byte, (n+7)/8)
	untyped := col.DataType().ID() == arrow.NULL // such a column has no bitmap
	for i := range n {
		setBit(bits, i, (untyped || col.IsNull(i)) != x.Not)
	}
	return flow.Bools(n, bits, flow.Valid(n))
}
