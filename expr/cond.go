package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Case is CASE WHEN .. THEN .. ELSE .. END. A branch is evaluated only for the rows that reach
// it, so failures that other rows would have in it do not matter.
type Case struct {
	When, Then []Expr
	Else       Expr
	T          flow.Type
}

// NewCase binds a CASE; els may be nil. All results widen to one type.
func NewCase(when, then []Expr, els Expr) (Expr, error) {
	t := flow.Null
	branches := then
	if els != nil {
		branches = append(append([]Expr(nil), then...), els)
	}
	for _, b := range branches {
		common, ok := flow.Common(t, b.Type())
		if !ok {
			return nil, fmt.Errorf(
				"the branches of CASE have different types, %s and %s",
				flow.TypeName(t),
				flow.TypeName(b.Type()),
			)
		}
		t = common
	}
	if t.ID() == arrow.NULL {
		return nil, errors.New("all branches of CASE are NULL, which has no type: CAST one of them")
	}
	c := &Case{When: when, T: t, Else: Lit(t, nil)}
	for i, w := range when {
		if w.Type().ID() == arrow.NULL {
			when[i] = Lit(flow.Boolean, nil)
			continue
		}
		if w.Type().ID() != arrow.BOOL {
			return nil, fmt.Errorf("WHEN needs a BOOLEAN, not %s", flow.TypeName(w.Type()))
		}
	}
	for _, b := range then {
		c.Then = append(c.Then, Convert(b, t))
	}
	if els != nil {
		c.Else = Convert(els, t)
	}
	return c, nil
}

// Type implements Expr.
func (c *Case) Type() flow.Type { return c.T }

// Inputs implements Expr.
func (c *Case) Inputs() []Expr {
	return append(append(append([]Expr(nil), c.When...), c.Then...), c.Else)
}

// With implements Expr.
func (c *Case) With(in []Expr) Expr {
	n := len(c.When)
	return &Case{in[:n:n], in[n : 2*n : 2*n], in[2*n], c.T}
}

// String implements Expr.
func (c *Case) String() string {
	var s strings.Builder
	s.WriteString("(CASE")
	for i := range c.When {
		fmt.Fprintf(&s, " WHEN %s THEN %s", c.When[i], c.Then[i])
	}
	return s.String() + " ELSE " + c.Else.String() + " END)"
}

// Eval implements Expr.
func (c *Case) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	left := make([]int32, in.Rows())
	for i := range left {
		left[i] = int32(i)
	}
	var parts []arrow.Array
	from := make([]int32, in.Rows()) // index of the row's result in the concatenated parts
	at := 0
	branch := func(e Expr, rows []int32) {
		if len(rows) == 0 {
			return
		}
		parts = append(parts, Eval(e, selection(in, rows, e, env), through(rows, env)))
		for _, r := range rows {
			from[r] = int32(at)
			at++
		}
	}
	for i, when := range c.When {
		if len(left) == 0 {
			break
		}
		cond := Eval(when, selection(in, left, when, env), through(left, env)).(*array.Boolean)
		var hit, miss []int32
		for j, r := range left {
			if cond.IsValid(j) && cond.Value(j) {
				hit = append(hit, r)
			} else {
				miss = append(miss, r)
			}
		}
		branch(c.Then[i], hit)
		left = miss
	}
	branch(c.Else, left)
	if len(parts) == 0 {
		return flow.Repeat(c.T, nil, 0)
	}
	return flow.Take(flow.Concat(parts), from)
}

// selection returns a batch of some rows for an expression. Only the columns that it uses are
// gathered; the others are NULL.
func selection(in *flow.Batch, rows []int32, e Expr, env udf.Env) *flow.Batch {
	if len(rows) == in.Rows() { // all rows in order: the batch itself
		return in
	}
	used := make([]bool, in.NumCols())
	Walk(e, func(e Expr) {
		if c, ok := e.(*Column); ok {
			used[c.Index] = true
		}
	})
	cols, fields := make([]arrow.Array, len(used)), make([]arrow.Field, len(used))
	for i := range cols {
		if used[i] {
			cols[i] = flow.Take(in.Column(i), rows)
			env.Account.Grow(flow.Size(cols[i]))
		} else {
			cols[i] = array.NewNull(len(rows))
		}
		fields[i] = flow.Field(in.ColumnName(i), cols[i].DataType())
	}
	return flow.NewBatch(flow.NewSchema(fields), cols, len(rows), nil)
}

// through reports the failures of a selection under the original row numbers.
func through(rows []int32, env udf.Env) udf.Env {
	return udf.Env{Account: env.Account, Fail: func(row int, err error) { env.Fail(int(rows[row]), err) }}
}

// In is x [NOT] IN (list): true if an element equals x; NULL if none does and x or an element
// is NULL.
type In struct {
	X    Expr
	List []Expr
	Not  bool
}

// NewIn binds IN.
func NewIn(x Expr, items []Expr, not bool) (Expr, error) {
	out := &In{X: x, Not: not}
	for _, i := range items {
		if l, ok := i.(*Literal); ok && l.T.ID() == arrow.STRING && flow.IsNumber(out.X.Type()) {
			// a number may be written as text
			if v, err := CastValue(l.Value, flow.String, out.X.Type()); err == nil {
				i = Lit(out.X.Type(), v)
			}
		}
		l, r, err := alike(out.X, i)
		if err != nil {
			return nil, fmt.Errorf("IN: %w", err)
		}
		out.X = l
		out.List = append(out.List, r)
	}
	out.X = Typed(out.X)
	for i, e := range out.List {
		out.List[i] = Convert(e, out.X.Type())
	}
	return out, nil
}

// Type implements Expr.
func (x *In) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (x *In) Inputs() []Expr { return append([]Expr{x.X}, x.List...) }

// With implements Expr.
func (x *In) With(in []Expr) Expr { return &In{in[0], in[1:], x.Not} }

// String implements Expr.
func (x *In) String() string {
	not := ""
	if x.Not {
		not = "NOT "
	}
	return fmt.Sprintf("(%s %sIN (%s))", x.X, not, list(x.List))
}

// Eval implements Expr.
func (x *In) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	n := in.Rows()
	l := eval(x.X, in, env)
	found, bits := make([]byte, (n+7)/8), make([]byte, (n+7)/8)
	maybe := flow.Valid(n) // cleared: an element was NULL
	for _, e := range x.List {
		r := eval(e, in, env)
		v := bothNulls(n, l, r)
		clear(bits)
		compareInto(bits, Equal, l, r, n)
		for i := range n {
			switch {
			case v.IsNull(i):
				maybe.Clear(i)
			case bits[i>>3]>>(i&7)&1 == 1:
				setBit(found, i, true)
			}
		}
	}
	v := flow.Valid(n)
	for i := range n {
		hit := found[i>>3]>>(i&7)&1 == 1
		if !hit && maybe.IsNull(i) {
			v.Clear(i)
		}
		setBit(found, i, hit != x.Not)
	}
	return flow.Bools(n, found, v)
}
