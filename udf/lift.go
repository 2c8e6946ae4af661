package udf

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// Native is a Go type that has an SQL type: bool, int32 (INT), int64 (BIGINT), float32 (FLOAT), float64 (DOUBLE), string and
// []byte (BYTES).
type Native interface {
	bool | int32 | int64 | float32 | float64 | string | []byte
}

// Func1 lifts a Go function of one argument. NULL in, NULL out; a panic or error does not occur: use Try1 for functions that fail.
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
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, fail Fail) arrow.Array {
		a := reader[A](args[0])
		return each(rows, args, fail, func(i int) (R, error) { return f(a(i)) })
	}, typeOf[A]())
}

// Try2 lifts a Go function of two arguments that may fail.
func Try2[A, B, R Native](name, doc string, f func(A, B) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, fail Fail) arrow.Array {
		a, b := reader[A](args[0]), reader[B](args[1])
		return each(rows, args, fail, func(i int) (R, error) { return f(a(i), b(i)) })
	}, typeOf[A](), typeOf[B]())
}

// Try3 lifts a Go function of three arguments that may fail.
func Try3[A, B, C, R Native](name, doc string, f func(A, B, C) (R, error), examples ...Example) Scalar {
	return lifted(name, doc, examples, typeOf[R](), func(args []arrow.Array, rows int, fail Fail) arrow.Array {
		a, b, c := reader[A](args[0]), reader[B](args[1]), reader[C](args[2])
		return each(rows, args, fail, func(i int) (R, error) { return f(a(i), b(i), c(i)) })
	}, typeOf[A](), typeOf[B](), typeOf[C]())
}

func lifted(name, doc string, examples []Example, result flow.Type, k Kernel, args ...flow.Type) Scalar {
	return Scalar{Name: name, Doc: doc, Examples: examples, Bind: func(have []flow.Type) (Signature, error) {
		if err := Accept(name, have, args...); err != nil {
			return Signature{}, err
		}
		return Signature{Args: args, Result: result, Kernel: k}, nil
	}}
}

// Accept checks that argument types widen to the wanted ones, one for one.
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
	return fmt.Errorf("function %s takes (%s), not (%s)", strings.ToUpper(name), want, Names(have))
}

// Names spells a list of types.
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
	}
	return flow.Bytes
}

// reader gives typed access to the rows of a column.
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
	}
	return f.(func(int) T)
}

// each runs f over the rows in which no argument is NULL.
func each[R Native](rows int, args []arrow.Array, fail Fail, f func(i int) (R, error)) arrow.Array {
	nulls := flow.Both(rows, args...)
	b := flow.Builder(typeOf[R]())
	b.Reserve(rows)
	put := appender[R](b)
	for i := range rows {
		if nulls.IsNull(i) {
			b.AppendNull()
			continue
		}
		v, err := f(i)
		if err != nil {
			fail(i, err)
			b.AppendNull()
			continue
		}
		put(v)
	}
	return b.NewArray()
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
	}
	return f.(func(T))
}

// Each makes a kernel of a function over Go values (flow.Value's form), for types that have no Native. With nullIn the function
// also sees rows with NULL arguments; else they give NULL.
func Each(result flow.Type, nullIn bool, f func(args []any) (any, error)) Kernel {
	return func(args []arrow.Array, rows int, fail Fail) arrow.Array {
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
			if err != nil {
				fail(i, err)
				v = nil
			}
			flow.Append(b, v)
		}
		return b.NewArray()
	}
}
