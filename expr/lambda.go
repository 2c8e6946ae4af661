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

// Lambda is TRANSFORM, FILTER or REDUCE: a body over the elements of an ARRAY or the entries of
// a MAP. The bodies are bound over their own batch, whose columns are the parameters (for
// REDUCE the state first; for a MAP key and value), followed by Captured, the columns of the
// row that they use. A body is evaluated once for all elements of a batch; for REDUCE once for
// each position.
type Lambda struct {
	Fn       string
	X        Expr
	Init     Expr // of REDUCE
	Captured []Expr
	Bodies   []Expr // one; two (key and value) for TRANSFORM of a MAP
	T        flow.Type
}

// LambdaParams returns the types of the parameters of a body of fn over x; init is the type of
// REDUCE's initial state.
func LambdaParams(fn string, x flow.Type, init flow.Type) ([]flow.Type, error) {
	var params []flow.Type
	if fn == "REDUCE" {
		params = append(params, init)
	}
	switch t := x.(type) {
	case *arrow.MapType:
		return append(params, t.KeyType(), t.ItemType()), nil
	case *arrow.ListType:
		return append(params, t.Elem()), nil
	}
	return nil, fmt.Errorf("%s takes an ARRAY or a MAP, not %s", fn, flow.TypeName(x))
}

// NewLambda binds a call; bodies are bound over params and captured columns.
func NewLambda(fn string, x, init Expr, captured, bodies []Expr) (Expr, error) {
	l := &Lambda{Fn: fn, X: x, Init: init, Captured: captured, Bodies: bodies}
	want := 1
	_, isMap := x.Type().(*arrow.MapType)
	if isMap && fn == "TRANSFORM" {
		want = 2
	}
	if len(bodies) != want {
		return nil, fmt.Errorf("%s over %s takes %d lambdas, not %d", fn, flow.TypeName(x.Type()), want, len(bodies))
	}
	switch fn {
	case "FILTER":
		if bodies[0].Type().ID() != arrow.BOOL {
			return nil, fmt.Errorf(
				"FILTER needs a lambda that returns BOOLEAN, not %s",
				flow.TypeName(bodies[0].Type()),
			)
		}
		l.T = x.Type()
	case "TRANSFORM":
		l.T = flow.Array(bodies[0].Type())
		if isMap {
			l.T = flow.Map(bodies[0].Type(), bodies[1].Type())
		}
	case "REDUCE":
		l.T = init.Type()
		if !flow.Widens(bodies[0].Type(), l.T) {
			return nil, fmt.Errorf(
				"REDUCE's lambda returns %s, but its state is %s",
				flow.TypeName(bodies[0].Type()),
				flow.TypeName(l.T),
			)
		}
		l.Bodies = []Expr{Convert(bodies[0], l.T)}
	default:
		return nil, errors.New(fn + " takes no lambda")
	}
	return l, nil
}

// Type implements Expr.
func (l *Lambda) Type() flow.Type { return l.T }

// Inputs implements Expr.
func (l *Lambda) Inputs() []Expr {
	in := []Expr{l.X}
	if l.Init != nil {
		in = append(in, l.Init)
	}
	return append(in, l.Captured...)
}

// With implements Expr.
func (l *Lambda) With(in []Expr) Expr {
	c := *l
	c.X, in = in[0], in[1:]
	if l.Init != nil {
		c.Init, in = in[0], in[1:]
	}
	c.Captured = in
	return &c
}

// String implements Expr.
func (l *Lambda) String() string {
	parts := []string{l.X.String()}
	if l.Init != nil {
		parts = append(parts, l.Init.String())
	}
	for _, b := range l.Bodies {
		parts = append(parts, "=> "+b.String())
	}
	return l.Fn + "(" + strings.Join(parts, ", ") + ")"
}

// elements contains the positions of the elements of each row.
type elements struct {
	params []arrow.Array // element, or key and value
	ranges func(row int) (from, to int64)
	col    arrow.Array
}

func elementsOf(col arrow.Array) elements {
	if m, ok := col.(*array.Map); ok {
		return elements{[]arrow.Array{m.Keys(), m.Items()}, m.ValueOffsets, col}
	}
	list := col.(*array.List)
	return elements{[]arrow.Array{list.ListValues()}, list.ValueOffsets, col}
}

// Eval implements Expr.
func (l *Lambda) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	el := elementsOf(Eval(l.X, in, env))
	captured := make([]arrow.Array, len(l.Captured))
	for i, c := range l.Captured {
		captured[i] = Eval(c, in, env)
	}
	if l.Fn == "REDUCE" {
		return l.reduce(in, el, captured, env)
	}
	var rows, at []int32 // the row and the position of each element
	for r := range in.Rows() {
		if el.col.IsNull(r) {
			continue
		}
		from, to := el.ranges(r)
		if !env.Account.Grow(8 * (to - from)) {
			return flow.Repeat(l.T, nil, in.Rows())
		}
		for k := from; k < to; k++ {
			rows, at = append(rows, int32(r)), append(at, int32(k))
		}
	}
	inner := l.inner(el.params, at, captured, rows, nil, env)
	if inner == nil {
		return flow.Repeat(l.T, nil, in.Rows())
	}
	results := make([]arrow.Array, len(l.Bodies))
	for i, b := range l.Bodies {
		results[i] = Eval(b, inner, through(rows, env))
	}
	if env.Account.Err() != nil {
		return flow.Repeat(l.T, nil, in.Rows())
	}
	return l.rebuild(in.Rows(), el, results, env)
}

// inner returns the batch for a body: the state (if any), parameters, captured columns. nil: it
// does not fit into the quota, because captured columns are repeated for each element.
func (l *Lambda) inner(
	params []arrow.Array,
	at []int32,
	captured []arrow.Array,
	rows []int32,
	state arrow.Array,
	env udf.Env,
) *flow.Batch {
	var cols []arrow.Array
	take := func(a arrow.Array, rows []int32) bool {
		size := flow.TakenSize(a, rows)
		if !env.Account.Fits(size) {
			return false
		}
		cols = append(cols, flow.Take(a, rows))
		return env.Account.Grow(size)
	}
	if state != nil && !take(state, rows) {
		return nil
	}
	for _, p := range params {
		if !take(p, at) {
			return nil
		}
	}
	for _, c := range captured {
		if !take(c, rows) {
			return nil
		}
	}
	fields := make([]arrow.Field, len(cols))
	for i, c := range cols {
		fields[i] = flow.Field(fmt.Sprintf("$%d", i), c.DataType())
	}
	return flow.NewBatch(flow.NewSchema(fields), cols, len(rows), nil)
}

// rebuild assembles arrays and maps from the results, element by element in order.
func (l *Lambda) rebuild(rows int, el elements, results []arrow.Array, env udf.Env) arrow.Array {
	b := flow.Builder(l.T)
	k := 0
	for r := range rows {
		if el.col.IsNull(r) {
			b.AppendNull()
			continue
		}
		from, to := el.ranges(r)
		var list []any
		var parts []any
		for i := from; i < to; i, k = i+1, k+1 {
			first := flow.Value(results[0], k)
			if !env.Account.Grow(flow.ValueSize(first)) {
				return flow.Repeat(l.T, nil, rows)
			}
			switch {
			case l.Fn == "FILTER" && first != true:
			case l.Fn == "FILTER" && len(el.params) == 2:
				parts = append(parts, flow.Value(el.params[0], int(i)), flow.Value(el.params[1], int(i)))
			case l.Fn == "FILTER":
				list = append(list, flow.Value(el.params[0], int(i)))
			case len(results) == 2:
				parts = append(parts, first, flow.Value(results[1], k))
			default:
				list = append(list, first)
			}
		}
		if l.T.ID() == arrow.MAP {
			flow.Append(b, entries(parts, env))
		} else {
			flow.Append(b, append([]any{}, list...))
		}
	}
	return b.NewArray()
}

func (l *Lambda) reduce(in *flow.Batch, el elements, captured []arrow.Array, env udf.Env) arrow.Array {
	before := env.Account.Used()
	state := Eval(l.Init, in, env)
	for pos := int64(0); ; pos++ {
		var rows, at []int32
		place := make([]int32, in.Rows()) // index of each row's state after this step
		for r := range place {
			place[r] = int32(r)
			if el.col.IsNull(r) {
				continue
			}
			if from, to := el.ranges(r); from+pos < to {
				place[r] = int32(in.Rows() + len(rows))
				rows, at = append(rows, int32(r)), append(at, int32(from+pos))
			}
		}
		if len(rows) == 0 {
			break
		}
		inner := l.inner(el.params, at, captured, rows, state, env)
		if inner == nil {
			return flow.Repeat(l.T, nil, in.Rows())
		}
		next := Eval(l.Bodies[0], inner, through(rows, env))
		state = flow.Take(flow.Concat([]arrow.Array{state, next}), place)
		if env.Account.Settle(before, flow.Size(state)); env.Account.Err() != nil {
			return flow.Repeat(l.T, nil, in.Rows())
		}
	}
	return state // the initial state if there is nothing to reduce
}
