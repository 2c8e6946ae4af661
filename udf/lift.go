package udf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// Native is a Go type that has an SQL type: bool, int32 (INT), int64 (BIGINT), float32 (FLOAT),
// float64 (DOUBLE), string, []byte (BYTES), arrow.Date32 (DATE), arrow.Time32 (TIME) and
// arrow.Timestamp (TIMESTAMP).
type Native interface {
	bool | int32 | int64 | float32 | float64 | string | []byte | arrow.Date32 | arrow.Time32 | arrow.Timestamp
}

// Func1 lifts a Go function of one argument. NULL in, NULL out; a panic or error does not
// occur: use Try1 for functions that fail.
func Func1[A, R Native](name, doc string, f func(A) R, examples ...Example) Scalar {
	return Try1(name, doc, func(a A) (R, error) { return f(a), nil }, examples...)
}

// Func2 lifts a Go function of two arguments.
func Func2[A, B, R Native](name, doc string, f func(A, B) R, examples ...Example) Scalar {
	return Try2(name, doc, func(a A, b B) (R, error) { return f(a, b), nil }, examples...)
}

// Func3 lifts a Go function of three arguments.
func Func3[A, B, C, R Native](name, doc string, f func(A, B, C) R, examples ...Example) Scalar {
	return Try3(name, doc, func(a A, b B, c C) (R, error) { return f(a, b, c), nil }, examples...)
}

// Try1 lifts a Go function that may fail: an error makes the row's result NULL and is reported.
func Try1[A, R Native](name, doc string, f func(A) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		a := reader[A](args[0])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i)) })
	}, typeOf[A]())
}

// Try2 lifts a Go function of two arguments that may fail.
func Try2[A, B, R Native](name, doc string, f func(A, B) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		a, b := reader[A](args[0]), reader[B](args[1])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i), b(i)) })
	}, typeOf[A](), typeOf[B]())
}

// Try3 lifts a Go function of three arguments that may fail.
func Try3[A, B, C, R Native](name, doc string, f func(A, B, C) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		a, b, c := reader[A](args[0]), reader[B](args[1]), reader[C](args[2])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i), b(i), c(i)) })
	}, typeOf[A](), typeOf[B](), typeOf[C]())
}

// Try4 lifts a Go function of four arguments that may fail.
func Try4[A, B, C, D, R Native](name, doc string, f func(A, B, C, D) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		a, b, c, d := reader[A](args[0]), reader[B](args[1]), reader[C](args[2]), reader[D](args[3])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i), b(i), c(i), d(i)) })
	}, typeOf[A](), typeOf[B](), typeOf[C](), typeOf[D]())
}

// made2 lifts a function with a cache across rows (such as a compiled pattern). prepare is
// called for each batch, because several tasks may use one kernel at once.
func made2[A, B, R Native](name, doc string, prepare func(Env) func(A, B) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		f, a, b := prepare(env), reader[A](args[0]), reader[B](args[1])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i), b(i)) })
	}, typeOf[A](), typeOf[B]())
}

// made3 is made2 for three arguments.
func made3[A, B, C, R Native](
	name, doc string,
	prepare func(Env) func(A, B, C) (R, error),
	examples ...Example,
) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, env Env) arrow.Array {
		f, a, b, c := prepare(env), reader[A](args[0]), reader[B](args[1]), reader[C](args[2])
		return each(rows, args, env, func(i int) (R, error) { return f(a(i), b(i), c(i)) })
	}, typeOf[A](), typeOf[B](), typeOf[C]())
}

// errNull is returned by a lifted function whose result is NULL without an error.
var errNull = errors.New("NULL")

// remember wraps an expensive function of a text so that consecutive equal texts are computed
// once.
func remember[T any](f func(string) (T, error)) func(string) (T, error) {
	var last string
	var value T
	var err error
	known := false
	return func(s string) (T, error) {
		if !known || s != last {
			value, err = f(s)
			last, known = s, true
		}
		return value, err
	}
}

// overload returns a function with several forms. The first form that accepts the types of the
// arguments is used, so narrower types come first.
func overload(name, doc string, examples []Example, forms ...Scalar) Scalar {
	return Scalar{Name: name, Doc: doc, Examples: examples, Bind: func(have []flow.Type) (Signature, error) {
		var wants []string
		for _, f := range forms {
			sig, err := f.Bind(have)
			if err == nil {
				return sig, nil
			}
			var m *mismatch
			if !errors.As(err, &m) {
				return Signature{}, err
			}
			wants = append(wants, m.want)
		}
		return Signature{}, Mismatch(name, have, strings.Join(wants, ") or ("))
	}}
}

// bound is a form of a function that is made by hand: Bind does the work.
func bound(name, doc string, bind func(have []flow.Type) (Signature, error), examples ...Example) Scalar {
	return Scalar{Name: name, Doc: doc, Bind: bind, Examples: examples}
}

func lifted(name, doc string, examples []Example, result flow.Type, k Kernel, args ...flow.Type) Scalar {
	return Scalar{Name: name, Doc: doc, Examples: examples, Bind: func(have []flow.Type) (Signature, error) {
		if err := Accept(name, have, args...); err != nil {
			return Signature{}, err
		}
		return Signature{Args: args, Result: result, Kernel: k}, nil
	}}
}

// Accept checks that each argument type widens to the corresponding type in want.
func Accept(name string, have []flow.Type, want ...flow.Type) error {
	ok := len(have) == len(want)
	for i := 0; ok && i < len(have); i++ {
		ok = flow.Widens(have[i], want[i])
	}
	if ok {
		return nil
	}
	return Mismatch(name, have, Names(want))
}

// Mismatch is the error of a call whose arguments fit no signature.
func Mismatch(name string, have []flow.Type, want string) error {
	return &mismatch{strings.ToUpper(name), Names(have), want}
}

type mismatch struct{ name, have, want string }

func (m *mismatch) Error() string {
	return fmt.Sprintf("function %s takes (%s), not (%s)", m.name, m.want, m.have)
}

// Names returns a list of types as text.
func Names(types []flow.Type) string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = flow.TypeName(t)
	}
	return strings.Join(out, ", ")
}

func typeOf[T Native]() flow.Type {
	var zero T
	switch any(zero).(type) {
	case bool:
		return flow.Boolean
	case int32:
		return flow.Int
	case int64:
		return flow.Bigint
	case float32:
		return flow.Float
	case float64:
		return flow.Double
	case string:
		return flow.String
	case arrow.Date32:
		return flow.Date
	case arrow.Time32:
		return flow.TimeOfDay
	case arrow.Timestamp:
		return flow.Timestamp
	}
	return flow.Bytes
}

// reader returns a typed accessor of the rows of a column.
func reader[T Native](col arrow.Array) func(int) T {
	var f any
	switch col := col.(type) {
	case *array.Boolean:
		f = col.Value
	case *array.Int32:
		f = col.Value
	case *array.Int64:
		f = col.Value
	case *array.Float32:
		f = col.Value
	case *array.Float64:
		f = col.Value
	case *array.String:
		f = col.Value
	case *array.Binary:
		f = col.Value
	case *array.Date32:
		f = col.Value
	case *array.Time32:
		f = col.Value
	case *array.Timestamp:
		f = col.Value
	}
	return f.(func(int) T)
}

// each runs f over the rows in which no argument is NULL.
func each[R Native](rows int, args []arrow.Array, env Env, f func(i int) (R, error)) arrow.Array {
	nulls := flow.Both(rows, args...)
	b := flow.Builder(typeOf[R]())
	b.Reserve(rows)
	put := appender[R](b)
	length := lengthOf[R]()
	for i := range rows {
		if nulls.IsNull(i) {
			b.AppendNull()
			continue
		}
		v, err := f(i)
		size := 0
		if length != nil && err == nil {
			if size = length(v); size > MaxText {
				err = errLong
			}
		}
		if err != nil {
			if err != errNull {
				env.Fail(i, err)
			}
			b.AppendNull()
			continue
		}
		if put(v); !env.Account.Grow(int64(size)) {
			return nulled(b, rows)
		}
	}
	return b.NewArray()
}

// nulled fills the rest of a column with NULL: the account has refused to continue, so the
// result is not used.
func nulled(b array.Builder, rows int) arrow.Array {
	for b.Len() < rows {
		b.AppendNull()
	}
	return b.NewArray()
}

// lengthOf is len for text and bytes, nil for types of a fixed size.
func lengthOf[T Native]() func(T) int {
	var f any
	switch any(*new(T)).(type) {
	case string:
		f = func(s string) int { return len(s) }
	case []byte:
		f = func(b []byte) int { return len(b) }
	default:
		return nil
	}
	return f.(func(T) int)
}

func appender[T Native](b array.Builder) func(T) {
	var f any
	switch b := b.(type) {
	case *array.BooleanBuilder:
		f = b.Append
	case *array.Int32Builder:
		f = b.Append
	case *array.Int64Builder:
		f = b.Append
	case *array.Float32Builder:
		f = b.Append
	case *array.Float64Builder:
		f = b.Append
	case *array.StringBuilder:
		f = b.Append
	case *array.BinaryBuilder:
		f = b.Append
	case *array.Date32Builder:
		f = b.Append
	case *array.Time32Builder:
		f = b.Append
	case *array.TimestampBuilder:
		f = b.Append
	}
	return f.(func(T))
}

// Each returns a kernel of a function over Go values (in flow.Value's form), for types that are
// not Native. With nullIn the function also receives rows with NULL arguments; otherwise their
// result is NULL.
func Each(result flow.Type, nullIn bool, f func(args []any) (any, error)) Kernel {
	return func(args []arrow.Array, rows int, env Env) arrow.Array {
		b := flow.Builder(result)
		b.Reserve(rows)
		row := make([]any, len(args))
		for i := range rows {
			null := false
			for j, a := range args {
				row[j] = flow.Value(a, i)
				null = null || row[j] == nil
			}
			if null && !nullIn {
				b.AppendNull()
				continue
			}
			v, err := f(row)
			if err == nil {
				err = fits(v)
			}
			if err != nil {
				env.Fail(i, err)
				v = nil
			}
			if !env.Account.Grow(boxed(v)) {
				return nulled(b, rows)
			}
			flow.Append(b, v)
		}
		return b.NewArray()
	}
}

// boxed returns the size of a value as a Go value and in its column: 0 unless it is text or
// nested.
func boxed(v any) int64 {
	switch v := v.(type) {
	case string, []byte:
		return flow.ValueSize(v)
	case []any:
		return flow.ValueSize(v) + 16*int64(len(v))
	case []flow.Entry:
		return flow.ValueSize(v) + 32*int64(len(v))
	}
	return 0
}

// eachMade is Each for a function with a cache across rows; prepare is called for each batch.
func eachMade(result flow.Type, nullIn bool, prepare func(Env) func(args []any) (any, error)) Kernel {
	return func(args []arrow.Array, rows int, env Env) arrow.Array {
		return Each(result, nullIn, prepare(env))(args, rows, env)
	}
}
