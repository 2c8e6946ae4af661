package expr

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

func boolean(a arrow.Array) *array.Boolean { return a.(*array.Boolean) }

// outcomes returns how two values compare, as less, equal, greater; none of them for NaN.
func outcomes(l, r any) (less, equal, greater bool) {
	three := func(c int) (bool, bool, bool) { return c < 0, c == 0, c > 0 }
	switch x := l.(type) {
	case int32:
		return three(cmp.Compare(x, r.(int32)))
	case int64:
		return three(cmp.Compare(x, r.(int64)))
	case float32:
		return x < r.(float32), x == r.(float32), x > r.(float32)
	case float64:
		return x < r.(float64), x == r.(float64), x > r.(float64)
	case string:
		return three(strings.Compare(x, r.(string)))
	case []byte:
		return three(bytes.Compare(x, r.([]byte)))
	case decimal128.Num:
		return three(x.BigInt().Cmp(r.(decimal128.Num).BigInt()))
	case arrow.Date32:
		return three(cmp.Compare(x, r.(arrow.Date32)))
	case arrow.Time32:
		return three(cmp.Compare(x, r.(arrow.Time32)))
	case arrow.Timestamp:
		return three(cmp.Compare(x, r.(arrow.Timestamp)))
	}
	return false, identical(l, r), false
}

func holds(op CompareOp, l, r any) bool {
	less, equal, greater := outcomes(l, r)
	switch op {
	case Less:
		return less
	case LessOrEqual:
		return less || equal
	case Equal:
		return equal
	case NotEqual:
		return !equal
	case Greater:
		return greater
	}
	return greater || equal
}

var comparable = []flow.Type{
	flow.Int, flow.Bigint, flow.Float, flow.Double, flow.Decimal(9, 2), flow.Decimal(38, 0), flow.String, flow.Bytes, flow.Date, flow.TimeOfDay, flow.Timestamp,
	flow.Boolean, flow.Array(flow.Int), flow.Array(flow.Bytes), flow.Map(flow.String, flow.Int), flow.Struct(flow.Field("a", flow.Int), flow.Field("b", flow.Array(flow.String))),
}

func TestCompare(t *testing.T) {
	for k, of := range comparable {
		t.Run(flow.TypeName(of), rapid.MakeCheck(func(t *rapid.T) {
			in := drawTable(t, of, of)
			ops := []CompareOp{Equal, NotEqual}
			if k < 11 {
				ops = append(ops, Less, LessOrEqual, Greater, GreaterOrEqual)
			}
			for _, op := range ops {
				make := func(distinct, nullFalse bool) func(l, r Expr) (Expr, error) {
					return func(l, r Expr) (Expr, error) {
						e, err := NewCompare(op, l, r, distinct)
						if c, ok := e.(*Compare); ok {
							c.NullFalse = nullFalse
						}
						return e, err
					}
				}
				operands(t, in, make(false, false), func(l, r any) any {
					if l == nil || r == nil {
						return nil
					}
					return holds(op, l, r)
				})
				operands(
					t,
					in,
					make(false, true),
					func(l, r any) any { return l != nil && r != nil && holds(op, l, r) },
				)
				if op == Equal || op == NotEqual {
					operands(t, in, make(true, false), func(l, r any) any {
						if l == nil || r == nil {
							return (l == nil && r == nil) == (op == Equal)
						}
						return holds(op, l, r)
					})
				}
			}
		}))
	}
}

// TestCompareTypes: operands of two types are compared in their common type.
func TestCompareTypes(t *testing.T) {
	day := flow.Struct(flow.Field("d", flow.Date))
	for _, c := range []struct {
		l, r flow.Type
		x, y any
		op   CompareOp
		want any // words of an error, or the result
	}{
		{flow.Int, flow.Bigint, int32(3), int64(3), Equal, true}, {flow.Int, flow.Double, int32(3), 3.5, Less, true},
		{flow.Decimal(4, 2), flow.Int, decimal128.FromI64(300), int32(3), Equal, true}, {flow.Decimal(4, 2), flow.Decimal(4, 1), decimal128.FromI64(305), decimal128.FromI64(30), Greater, true},
		{flow.Timestamp, flow.String, arrow.Timestamp(86400000), "1970-01-02", Equal, true}, {flow.String, flow.Date, "1970-01-03", arrow.Date32(1), Greater, true},
		{flow.Date, flow.Timestamp, arrow.Date32(1), arrow.Timestamp(86400001), Less, true}, {flow.Timestamp, flow.Date, arrow.Timestamp(86400000), arrow.Date32(1), Equal, true},
		{flow.Null, flow.Int, nil, int32(1), Equal, nil}, {flow.Date, flow.String, arrow.Date32(1), "never", Equal, failed{}},
		{flow.Array(flow.Int), flow.Array(flow.Bigint), []any{int32(1)}, []any{int64(1)}, Equal, true},
		{flow.Int, flow.String, nil, nil, Equal, "cannot compare INTEGER with STRING"}, {flow.Boolean, flow.Boolean, nil, nil, Less, "not defined for BOOLEAN"},
		{day, day, nil, nil, Less, "not defined for STRUCT"}, {flow.Array(flow.Int), flow.Int, nil, nil, Equal, "cannot compare"},
	} {
		in := rowsTable([]flow.Type{c.l, c.r}, []any{c.x, c.y})
		e, err := NewCompare(c.op, in.col(0), in.col(1), false)
		if words, bad := c.want.(string); bad {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s with %s gave %v, want %q", flow.TypeName(c.l), flow.TypeName(c.r), err, words)
			}
			continue
		}
		check(t, must(t)(e, err), in, func(int) any { return c.want })
	}
	for text, want := range map[string]CompareOp{"<": Less, "<=": LessOrEqual, "=": Equal, "<>": NotEqual, "!=": NotEqual, ">": Greater, ">=": GreaterOrEqual} {
		if got, ok := ParseCompare(text); !ok || got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
	if _, ok := ParseCompare("=="); ok {
		t.Error("== is no operator")
	}
}

// three-valued logic: false 0, NULL 1, true 2; AND is the minimum, OR the maximum.
func level(v any) int {
	switch v {
	case nil:
		return 1
	case true:
		return 2
	}
	return 0
}

func TestLogic(t *testing.T) {
	values := []any{false, nil, true}
	var rows [][]any
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				rows = append(rows, []any{a, b, c})
			}
		}
	}
	in := rowsTable([]flow.Type{flow.Boolean, flow.Boolean, flow.Boolean}, rows...)
	for _, and := range []bool{true, false} {
		e := must(t)(NewLogic(and, in.col(0), must(t)(NewLogic(and, in.col(1), in.col(2)))))
		if n := len(e.(*Logic).Args); n != 3 {
			t.Errorf("a chain of one operator has %d operands", n)
		}
		check(t, e, in, func(i int) any {
			l := []int{level(rows[i][0]), level(rows[i][1]), level(rows[i][2])}
			if and {
				return values[min(l[0], l[1], l[2])]
			}
			return values[max(l[0], l[1], l[2])]
		})
		null := must(t)(NewLogic(and, Lit(flow.Null, nil), in.col(0)))
		check(t, null, in, func(i int) any {
			if and {
				return values[min(1, level(rows[i][0]))]
			}
			return values[max(1, level(rows[i][0]))]
		})
	}
	check(t, must(t)(NewNot(in.col(0))), in, func(i int) any { return values[2-level(rows[i][0])] })
	check(t, must(t)(NewNot(Lit(flow.Null, nil))), in, func(int) any { return nil })
	check(t, &IsNull{X: in.col(1)}, in, func(i int) any { return rows[i][1] == nil })
	check(t, &IsNull{X: in.col(1), Not: true}, in, func(i int) any { return rows[i][1] != nil })
	check(t, &IsNull{X: Lit(flow.Null, nil)}, in, func(int) any { return true })
	if _, err := NewLogic(true, Lit(flow.Int, int32(1)), in.col(0)); err == nil ||
		!strings.Contains(err.Error(), "AND needs BOOLEAN") {
		t.Errorf("1 AND c0 gave %v", err)
	}
	if _, err := NewNot(Lit(flow.String, "x")); err == nil {
		t.Error("NOT 'x' is no expression")
	}
}

// boom fails on every row.
type boom struct{ T flow.Type }

func (b boom) Type() flow.Type  { return b.T }
func (boom) Inputs() []Expr     { return []Expr{&Column{0, "c0", flow.Boolean}} }
func (b boom) With([]Expr) Expr { return b }
func (boom) String() string     { return "BOOM()" }
func (b boom) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	for i := range in.Rows() {
		env.Fail(i, errors.New("boom"))
	}
	return flow.Repeat(b.T, nil, in.Rows())
}

// TestLaziness: failures in branches that a row does not reach are not reported.
func TestLaziness(t *testing.T) {
	in := rowsTable(
		[]flow.Type{flow.Boolean, flow.Int},
		[]any{true, int32(1)},
		[]any{false, int32(2)},
		[]any{nil, int32(3)},
		[]any{true, nil},
	)
	number := boom{flow.Int}
	when := must(t)(NewCase([]Expr{in.col(0)}, []Expr{in.col(1)}, number))
	check(t, when, in, func(i int) any { return []any{int32(1), failed{}, failed{}, nil}[i] })
	then := must(t)(NewCase([]Expr{in.col(0)}, []Expr{number}, in.col(1)))
	check(t, then, in, func(i int) any { return []any{failed{}, int32(2), int32(3), failed{}}[i] })
	second := must(t)(NewCase([]Expr{in.col(0), boom{flow.Boolean}}, []Expr{in.col(1), number}, nil))
	check(t, second, in, func(i int) any { return []any{int32(1), failed{}, failed{}, nil}[i] })
	and := must(t)(NewLogic(true, in.col(0), boom{flow.Boolean}))
	check(t, and, in, func(i int) any { return []any{failed{}, false, failed{}, failed{}}[i] })
	or := must(t)(NewLogic(false, in.col(0), boom{flow.Boolean}))
	check(t, or, in, func(i int) any { return []any{true, failed{}, failed{}, true}[i] })
}

func TestCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom(comparable).Draw(t, "type")
		in := drawTable(t, flow.Boolean, flow.Boolean, of, of, of)
		e := must(t)(NewCase([]Expr{in.col(0), in.col(1)}, []Expr{in.col(2), in.col(3)}, in.col(4)))
		open := must(t)(NewCase([]Expr{in.col(0)}, []Expr{in.col(2)}, nil))
		check(t, e, in, func(i int) any {
			switch {
			case in.values[0][i] == true:
				return in.values[2][i]
			case in.values[1][i] == true:
				return in.values[3][i]
			}
			return in.values[4][i]
		})
		check(t, open, in, func(i int) any {
			if in.values[0][i] == true {
				return in.values[2][i]
			}
			return nil
		})
	})
	yes := Lit(flow.Boolean, true)
	if e := must(t)(NewCase([]Expr{yes, yes}, []Expr{Lit(flow.Int, int32(1)), Lit(flow.Null, nil)}, Lit(flow.Double, 1.5))); flow.TypeName(
		e.Type(),
	) != "DOUBLE" {
		t.Errorf("INTEGER, NULL and DOUBLE make %s", flow.TypeName(e.Type()))
	}
	for words, err := range map[string]error{
		"different types, INTEGER and STRING": second(NewCase([]Expr{yes}, []Expr{Lit(flow.Int, int32(1))}, Lit(flow.String, "a"))),
		"are NULL":                            second(NewCase([]Expr{yes}, []Expr{Lit(flow.Null, nil)}, nil)),
		"WHEN needs a BOOLEAN":                second(NewCase([]Expr{Lit(flow.Int, int32(1))}, []Expr{yes}, nil)),
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestIn(t *testing.T) {
	for _, of := range comparable {
		t.Run(flow.TypeName(of), rapid.MakeCheck(func(t *rapid.T) {
			in := drawTable(t, of, of, of)
			lit := draw(t, of)
			for _, not := range []bool{false, true} {
				e := must(t)(NewIn(in.col(0), []Expr{in.col(1), Lit(of, lit), in.col(2)}, not))
				check(t, e, in, func(i int) any {
					found, null := false, in.values[0][i] == nil
					for _, v := range []any{in.values[1][i], lit, in.values[2][i]} {
						if v == nil {
							null = true
						} else if in.values[0][i] != nil {
							found = found || holds(Equal, in.values[0][i], v)
						}
					}
					switch {
					case found:
						return !not
					case null:
						return nil
					}
					return not
				})
			}
		}))
	}
	in := rowsTable([]flow.Type{flow.Int}, []any{int32(7)}, []any{nil})
	for _, c := range []struct {
		list []Expr
		want any
	}{
		{[]Expr{Lit(flow.Double, 7.0)}, true}, {[]Expr{Lit(flow.String, "7")}, true}, {[]Expr{Lit(flow.Int, int32(8)), Lit(flow.Null, nil)}, nil},
		{[]Expr{Lit(flow.Int, int32(8)), Lit(flow.Bigint, int64(1<<40)), Lit(flow.Int, int32(7))}, true},
	} {
		check(t, must(t)(NewIn(in.col(0), c.list, false)), in, func(i int) any { return []any{c.want, nil}[i] })
	}
	if _, err := NewIn(in.col(0), []Expr{Lit(flow.String, "seven")}, false); err == nil ||
		!strings.Contains(err.Error(), "IN: cannot compare") {
		t.Errorf("7 IN ('seven') gave %v", err)
	}
	if _, err := NewIn(in.col(0), []Expr{Lit(flow.Boolean, true)}, false); err == nil {
		t.Error("7 IN (TRUE) is no expression")
	}
}

// likeRegexp returns a pattern as a regular expression.
func likeRegexp(pattern string, escape rune) *regexp.Regexp {
	var out strings.Builder
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case escape != 0 && r == escape && i+1 < len(runes):
			i++
			out.WriteString(regexp.QuoteMeta(string(runes[i])))
		case r == '%':
			out.WriteString(".*")
		case r == '_':
			out.WriteString(".")
		default:
			out.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return regexp.MustCompile(`(?s)\A` + out.String() + `\z`)
}

func TestLike(t *testing.T) {
	text := rapid.Map(
		rapid.SliceOfN(rapid.SampledFrom([]rune("ab%_!.\néз日")), 0, 7),
		func(r []rune) string { return string(r) },
	)
	pattern := rapid.Map(
		rapid.SliceOfN(rapid.SampledFrom([]rune("ab%%%__!.\nз日")), 0, 6),
		func(r []rune) string { return string(r) },
	)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "rows")
		var rows [][]any
		for range n {
			r := []any{text.Draw(t, "text"), pattern.Draw(t, "pattern")}
			for i := range r {
				if rapid.IntRange(0, 7).Draw(t, "null") == 0 {
					r[i] = nil
				}
			}
			rows = append(rows, r)
		}
		escape, not := rapid.SampledFrom([]string{"", "!", "%", "日"}).Draw(t, "escape"), rapid.Bool().Draw(t, "not")
		var mark rune
		for _, r := range escape {
			mark = r
		}
		operands(
			t,
			rowsTable([]flow.Type{flow.String, flow.String}, rows...),
			func(l, r Expr) (Expr, error) { return NewLike(l, r, escape, not) },
			func(l, r any) any {
				if l == nil || r == nil {
					return nil
				}
				return likeRegexp(r.(string), mark).MatchString(l.(string)) != not
			},
		)
	})
	if _, err := NewLike(Lit(flow.Int, int32(1)), Lit(flow.String, "1"), "", false); err == nil {
		t.Error("1 LIKE '1' is no expression")
	}
	if _, err := NewLike(Lit(flow.String, "1"), Lit(flow.String, "1"), "!!", false); err == nil {
		t.Error("ESCAPE takes one character")
	}
}
