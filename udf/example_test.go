package udf_test

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// TestExamples runs every example of the manual: a SELECT whose result, cast to text, is that
// of the manual.
func TestExamples(t *testing.T) {
	functions := functions()
	for _, f := range functions.All() {
		examples := functions.Examples(f.Name)
		if len(examples) == 0 || f.Doc == "" {
			t.Errorf("%s has no example or no description", f.Name)
		}
		for _, e := range examples {
			got, err := run(functions, e.SQL)
			if err != nil || got != e.Want {
				t.Errorf("%s\n got %s, %v\nwant %s", e.SQL, got, err, e.Want)
			}
		}
	}
}

// functions returns the built-in functions with a fixed clock and fixed random numbers.
func functions() *udf.Registry {
	r := udf.Builtins()
	r.SetClock(func() int64 { return 1526075913000 })
	state := uint64(42)
	r.SetRandom(func() uint64 { state = state*6364136223846793005 + 1442695040888963407; return state })
	return r
}

// run evaluates SELECT sql: an expression without columns, one table function, or an aggregate
// over the column x of a subquery that is one EXPLODE.
func run(functions *udf.Registry, sql string) (string, error) {
	statements, err := lang.Parse("SELECT " + sql + ";")
	if err != nil {
		return "", err
	}
	q := statements[0].(*lang.QueryStatement).Query.Select
	one := &evaluator{functions: functions, rows: 1}
	call, isCall := q.Items[0].Expr.(*lang.Call)
	if q.From == nil {
		if isCall {
			if f, ok := functions.Table(call.Name.Text); ok {
				col, err := one.explode(f, call)
				return textOf(col), err
			}
		}
		col, err := one.column(q.Items[0].Expr)
		return textOf(col), err
	}
	inner := q.From.Query.Select.Items[0].Expr.(*lang.Call)
	explode, _ := functions.Table("EXPLODE")
	x, err := one.explode(explode, inner)
	if err != nil {
		return "", err
	}
	f, ok := functions.Aggregate(call.Name.Text)
	if !ok {
		return "", fmt.Errorf("no aggregate %s", call.Name.Text)
	}
	col, err := (&evaluator{functions, x, x.Len()}).aggregate(f, call)
	return textOf(col), err
}

func textOf(col arrow.Array) string {
	if col == nil {
		return ""
	}
	lines := make([]string, col.Len())
	for i := range lines {
		lines[i] = flow.Spell(col.DataType(), flow.Value(col, i))
	}
	return strings.Join(lines, "\n")
}

type evaluator struct {
	functions *udf.Registry
	x         arrow.Array
	rows      int
}

func (v *evaluator) column(e lang.Expr) (arrow.Array, error) {
	bound, err := v.bind(e)
	if err != nil {
		return nil, err
	}
	in := flow.NewBatch(flow.NewSchema(nil), nil, v.rows, nil)
	if v.x != nil {
		in = flow.NewBatch(
			flow.NewSchema([]arrow.Field{flow.Field("x", v.x.DataType())}),
			[]arrow.Array{v.x},
			v.rows,
			nil,
		)
	}
	col := bound.Eval(in, udf.Env{Fail: func(_ int, e error) { err = e }})
	return col, err
}

func (v *evaluator) all(list []lang.Expr) ([]expr.Expr, []flow.Type, error) {
	out, types := make([]expr.Expr, len(list)), make([]flow.Type, len(list))
	for i, e := range list {
		x, err := v.bind(e)
		if err != nil {
			return nil, nil, err
		}
		out[i], types[i] = x, x.Type()
	}
	return out, types, nil
}

func (v *evaluator) bind(e lang.Expr) (expr.Expr, error) {
	switch e := e.(type) {
	case *lang.Ident:
		return &expr.Column{Index: 0, Name: e.Name.Text, T: v.x.DataType()}, nil
	case *lang.Number:
		return number(e.Text), nil
	case *lang.Text:
		return expr.Lit(flow.String, e.Value), nil
	case *lang.Bool:
		return expr.Lit(flow.Boolean, e.Value), nil
	case *lang.NullLit:
		return expr.Lit(flow.Null, nil), nil
	case *lang.Unary:
		x, err := v.bind(e.X)
		if err != nil {
			return nil, err
		}
		return expr.Negate(x)
	case *lang.Binary:
		args, _, err := v.all([]lang.Expr{e.L, e.R})
		switch {
		case err != nil:
			return nil, err
		case e.Op == "<":
			return expr.NewCompare(expr.Less, args[0], args[1], false)
		case e.Op == ">":
			return expr.NewCompare(expr.Greater, args[0], args[1], false)
		}
		return expr.NewArith(e.Op[0], args[0], args[1])
	case *lang.Cast:
		x, err := v.bind(e.X)
		if err != nil {
			return nil, err
		}
		return expr.NewCast(x, map[string]flow.Type{"INT": flow.Int, "STRING": flow.String, "DOUBLE": flow.Double, "TIME": flow.TimeOfDay}[e.Type.Name.Text])
	case *lang.ArrayLit:
		parts, _, err := v.all(e.Items)
		if err != nil {
			return nil, err
		}
		return expr.NewArray(parts)
	case *lang.MapLit:
		keys, _, err := v.all(e.Keys)
		if err != nil {
			return nil, err
		}
		values, _, err := v.all(e.Values)
		if err != nil {
			return nil, err
		}
		return expr.NewMap(keys, values)
	case *lang.Call:
		return v.call(e)
	}
	return nil, fmt.Errorf("%s is beyond the evaluator", lang.PrintExpr(e))
}

func (v *evaluator) call(e *lang.Call) (expr.Expr, error) {
	f, ok := v.functions.Scalar(e.Name.Text)
	if !ok {
		return nil, fmt.Errorf("no function %s", e.Name.Text)
	}
	in := e.Args
	if word, ok := firstWord(in); ok && f.Words {
		in = append([]lang.Expr{&lang.Text{Value: word}}, in[1:]...)
	}
	args, types, err := v.all(in)
	if err != nil {
		return nil, err
	}
	sig, err := f.Bind(types)
	if err != nil {
		return nil, err
	}
	for i := range args {
		args[i] = expr.Convert(args[i], sig.Args[i])
	}
	return &expr.Call{Name: f.Name, Args: args, Sig: sig}, nil
}

func firstWord(args []lang.Expr) (string, bool) {
	if len(args) == 0 {
		return "", false
	}
	word, ok := args[0].(*lang.Ident)
	if !ok {
		return "", false
	}
	return word.Name.Text, true
}

func number(text string) expr.Expr {
	whole, fraction, point := strings.Cut(text, ".")
	if !point {
		n, _ := strconv.ParseInt(text, 10, 64)
		if n == int64(int32(n)) {
			return expr.Lit(flow.Int, int32(n))
		}
		return expr.Lit(flow.Bigint, n)
	}
	n, _ := new(big.Int).SetString(whole+fraction, 10)
	return expr.Lit(flow.Decimal(int32(len(whole)+len(fraction)), int32(len(fraction))), decimal128.FromBigInt(n))
}

func (v *evaluator) explode(f *udf.Table, e *lang.Call) (arrow.Array, error) {
	args, types, err := v.all(e.Args)
	if err != nil {
		return nil, err
	}
	_, result, table, err := f.Bind(types)
	if err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, len(args))
	for i, a := range args {
		cols[i] = a.Eval(
			flow.NewBatch(flow.NewSchema(nil), nil, v.rows, nil),
			udf.Env{Fail: func(_ int, e error) { err = e }},
		)
	}
	b := flow.Builder(result)
	n := table.Count(cols, 0)
	for at := range n { // one by one, because a caller may request any part
		table.Append(cols, 0, at, at+1, b)
	}
	if n != b.Len() {
		return nil, fmt.Errorf("%s says %d rows and makes %d", f.Name, n, b.Len())
	}
	return b.NewArray(), err
}

func (v *evaluator) aggregate(f *udf.Aggregate, e *lang.Call) (arrow.Array, error) {
	args, types, err := v.all(e.Args)
	if err != nil {
		return nil, err
	}
	literals := make([]any, len(args))
	for i, a := range args {
		if l, ok := expr.Fold(a).(*expr.Literal); ok {
			literals[i] = l.Value
		}
	}
	bound, err := f.Bind(types, literals)
	if err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, len(args))
	in := flow.NewBatch(
		flow.NewSchema([]arrow.Field{flow.Field("x", v.x.DataType())}),
		[]arrow.Array{v.x},
		v.rows,
		nil,
	)
	for i, a := range args {
		cols[i] = expr.Convert(a, bound.Args[i]).Eval(in, udf.Env{Fail: func(_ int, e error) { err = e }})
	}
	if err != nil {
		return nil, err
	}
	return whole(bound, cols, v.rows)
}

// whole adds all rows and also, if the aggregate joins states, adds each half to a state of its
// own; both must agree.
func whole(bound udf.Bound, cols []arrow.Array, rows int) (arrow.Array, error) {
	acc := bound.New()
	all, err := add(acc, cols, 0, rows)
	if err != nil {
		return nil, err
	}
	out, err := value(bound, acc, all)
	merger, ok := acc.(udf.Merger)
	if !ok || err != nil {
		return out, err
	}
	for cut := range rows + 1 {
		left, err := add(acc, cols, 0, cut)
		if err != nil {
			return nil, err
		}
		right, err := add(acc, cols, cut, rows)
		if err != nil {
			return nil, err
		}
		if left, err = merger.Merge(left, right); err != nil {
			return nil, err
		}
		merged, err := value(bound, acc, left)
		if err != nil || !array.ApproxEqual(merged, out) {
			return nil, fmt.Errorf("merged at %d: %v, not %v (%v)", cut, merged, out, err)
		}
	}
	return out, nil
}

func add(acc udf.Accumulator, cols []arrow.Array, from, to int) ([]byte, error) {
	state := make([]byte, max(0, acc.Size()))
	for i := from; i < to; i++ {
		var err error
		if state, err = acc.Add(state, cols, i, flow.Insert); err != nil {
			return nil, err
		}
	}
	return state, nil
}

func value(bound udf.Bound, acc udf.Accumulator, state []byte) (arrow.Array, error) {
	b := flow.Builder(bound.Result)
	err := acc.Value(state, b)
	return b.NewArray(), err
}
