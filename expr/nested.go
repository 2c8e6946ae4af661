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

// Field is x->f, a field of a STRUCT; NULL if the struct is NULL.
type Field struct {
	X     Expr
	Index int
	T     flow.Type
}

// NewField binds x->name: by exact name, else ignoring case.
func NewField(x Expr, name string) (Expr, error) {
	t, ok := x.Type().(*arrow.StructType)
	if !ok {
		return nil, fmt.Errorf("-> needs a STRUCT, not %s", flow.TypeName(x.Type()))
	}
	i, ok := t.FieldIdx(name)
	for j := 0; !ok && j < len(t.Fields()); j++ {
		if strings.EqualFold(t.Field(j).Name, name) {
			i, ok = j, true
		}
	}
	if !ok {
		return nil, fmt.Errorf("%s has no field %q", flow.TypeName(t), name)
	}
	return &Field{x, i, t.Field(i).Type}, nil
}

// Type implements Expr.
func (f *Field) Type() flow.Type { return f.T }

// Inputs implements Expr.
func (f *Field) Inputs() []Expr { return []Expr{f.X} }

// With implements Expr.
func (f *Field) With(in []Expr) Expr { return &Field{in[0], f.Index, f.T} }

// String implements Expr.
func (f *Field) String() string {
	return f.X.String() + "->" + f.X.Type().(*arrow.StructType).Field(f.Index).Name
}

// Eval implements Expr.
func (f *Field) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	s := Eval(f.X, in, env).(*array.Struct)
	col := s.Field(f.Index)
	if s.NullN() == 0 {
		return col
	}
	b := flow.Builder(f.T)
	for i := range in.Rows() {
		if s.IsNull(i) {
			b.AppendNull()
		} else {
			flow.Append(b, flow.Value(col, i))
		}
	}
	return b.NewArray()
}

// Index is x[i]: an ARRAY's element by its number (1 is the first, -1 the last), or a MAP's
// value by its key. NULL if there is none.
type Index struct {
	X, I Expr
	T    flow.Type
}

// NewIndex binds x[i].
func NewIndex(x, i Expr) (Expr, error) {
	switch t := x.Type().(type) {
	case *arrow.MapType:
		if !flow.Widens(i.Type(), t.KeyType()) {
			return nil, fmt.Errorf("a key of %s is not %s", flow.TypeName(t), flow.TypeName(i.Type()))
		}
		return &Index{x, Convert(i, t.KeyType()), t.ItemType()}, nil
	case *arrow.ListType:
		if i.Type().ID() != arrow.INT32 && i.Type().ID() != arrow.INT64 {
			return nil, fmt.Errorf("an ARRAY's index is an INTEGER, not %s", flow.TypeName(i.Type()))
		}
		return &Index{x, Convert(i, flow.Bigint), t.Elem()}, nil
	}
	return nil, fmt.Errorf("[] needs an ARRAY or a MAP, not %s", flow.TypeName(x.Type()))
}

// Type implements Expr.
func (x *Index) Type() flow.Type { return x.T }

// Inputs implements Expr.
func (x *Index) Inputs() []Expr { return []Expr{x.X, x.I} }

// With implements Expr.
func (x *Index) With(in []Expr) Expr { return &Index{in[0], in[1], x.T} }

// String implements Expr.
func (x *Index) String() string { return x.X.String() + "[" + x.I.String() + "]" }

// Eval implements Expr.
func (x *Index) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	col, at := Eval(x.X, in, env), Eval(x.I, in, env)
	b := flow.Builder(x.T)
	for i := range in.Rows() {
		if col.IsNull(i) || at.IsNull(i) {
			b.AppendNull()
			continue
		}
		values, j := x.find(col, at, i)
		if j < 0 {
			b.AppendNull()
		} else {
			flow.Append(b, flow.Value(values, j))
		}
	}
	return b.NewArray()
}

func (x *Index) find(col, at arrow.Array, row int) (arrow.Array, int) {
	if m, ok := col.(*array.Map); ok {
		from, to := m.ValueOffsets(row)
		for j := int(from); j < int(to); j++ {
			if equalRows(m.Keys(), j, at, row) {
				return m.Items(), j
			}
		}
		return nil, -1
	}
	l := col.(*array.List)
	from, to := l.ValueOffsets(row)
	i := at.(*array.Int64).Value(row)
	switch {
	case i > 0 && i <= to-from:
		return l.ListValues(), int(from + i - 1)
	case i < 0 && i >= from-to:
		return l.ListValues(), int(to + i)
	}
	return nil, -1
}

// Make constructs an ARRAY, a MAP (from alternating keys and values) or a STRUCT from its
// parts.
type Make struct {
	Parts []Expr
	T     flow.Type
}

// NewArray binds ARRAY[..]; the elements are widened to one type.
func NewArray(parts []Expr) (Expr, error) {
	t, err := commonType(parts)
	if err != nil {
		return nil, fmt.Errorf("ARRAY[..]: %w", err)
	}
	return &Make{convertAll(parts, t), flow.Array(t)}, nil
}

// NewMap binds MAP(k := v, ..).
func NewMap(keys, values []Expr) (Expr, error) {
	k, err := commonType(keys)
	if err != nil {
		return nil, fmt.Errorf("the keys of MAP(..): %w", err)
	}
	v, err := commonType(values)
	if err != nil {
		return nil, fmt.Errorf("the values of MAP(..): %w", err)
	}
	var parts []Expr
	for i := range keys {
		parts = append(parts, Convert(keys[i], k), Convert(values[i], v))
	}
	return &Make{parts, flow.Map(k, v)}, nil
}

// NewStruct binds STRUCT(name := value, ..).
func NewStruct(names []string, parts []Expr) (Expr, error) {
	fields := make([]arrow.Field, len(names))
	seen := map[string]bool{}
	for i, n := range names {
		if seen[n] {
			return nil, fmt.Errorf("STRUCT(..) names %q twice", n)
		}
		seen[n] = true
		parts[i] = Typed(parts[i])
		fields[i] = flow.Field(n, parts[i].Type())
	}
	return &Make{parts, flow.Struct(fields...)}, nil
}

func commonType(parts []Expr) (flow.Type, error) {
	t := flow.Null
	for _, p := range parts {
		c, ok := flow.Common(t, p.Type())
		if !ok && t.ID() == arrow.STRING && constructible(p) {
			c, ok = t, true
		} else if !ok && p.Type().ID() == arrow.STRING {
			c, ok = t, true // a text literal is parsed as the type of the other elements, as in ksqlDB
		}
		if !ok {
			return nil, fmt.Errorf("%s and %s have no common type", flow.TypeName(t), flow.TypeName(p.Type()))
		}
		t = c
	}
	if t.ID() == arrow.NULL {
		return nil, errors.New("the type is unknown: CAST one of the values")
	}
	return t, nil
}

func constructible(p Expr) bool { return flow.IsNumber(p.Type()) || p.Type().ID() == arrow.BOOL }

func convertAll(parts []Expr, t flow.Type) []Expr {
	out := make([]Expr, len(parts))
	for i, p := range parts {
		out[i] = Convert(p, t)
	}
	return out
}

// Type implements Expr.
func (m *Make) Type() flow.Type { return m.T }

// Inputs implements Expr.
func (m *Make) Inputs() []Expr { return m.Parts }

// With implements Expr.
func (m *Make) With(in []Expr) Expr { return &Make{in, m.T} }

// String implements Expr.
func (m *Make) String() string {
	return strings.SplitN(flow.TypeName(m.T), "<", 2)[0] + "(" + list(m.Parts) + ")"
}

// Eval implements Expr.
func (m *Make) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	cols := make([]arrow.Array, len(m.Parts))
	for i, p := range m.Parts {
		cols[i] = Eval(p, in, env)
	}
	b := flow.Builder(m.T)
	for row := range in.Rows() {
		parts, size := make([]any, len(cols)), int64(0)
		for i, c := range cols {
			parts[i] = flow.Value(c, row)
			size += flow.ValueSize(parts[i])
		}
		if !env.Account.Grow(size) {
			return flow.Repeat(m.T, nil, in.Rows())
		}
		if m.T.ID() != arrow.MAP {
			flow.Append(b, parts)
			continue
		}
		if m.T.(*arrow.MapType).KeyType().ID() == arrow.STRING {
			for i := 0; i < len(parts); i += 2 {
				if parts[i] == nil {
					parts[i] = "null" // as in ksqlDB
				}
			}
		}
		flow.Append(b, entries(parts, env))
	}
	return b.NewArray()
}

// entries pairs keys and values; of equal keys the last value counts. A NULL key is dropped,
// because a MAP cannot contain one.
func entries(parts []any, env udf.Env) []flow.Entry {
	out := []flow.Entry{}
	var places map[any]int // used for many keys of comparable types
next:
	for i := 0; i < len(parts); i += 2 {
		if parts[i] == nil {
			continue
		}
		if places == nil && len(parts) > manyParts && canCompare(parts[i]) {
			places = make(map[any]int, len(parts)/2)
		}
		if places != nil {
			if at, twice := places[parts[i]]; twice {
				out[at].Value = parts[i+1]
				continue
			}
			places[parts[i]] = len(out)
			out = append(out, flow.Entry{Key: parts[i], Value: parts[i+1]})
			continue
		}
		if !env.Account.Work(int64(len(out))) { // the key is compared with all previous ones
			return out
		}
		for j := range out {
			if equalValues(out[j].Key, parts[i]) {
				out[j].Value = parts[i+1]
				continue next
			}
		}
		out = append(out, flow.Entry{Key: parts[i], Value: parts[i+1]})
	}
	return out
}

const manyParts = 64

// canCompare reports whether Go's == compares values of the type like equalValues.
func canCompare(v any) bool {
	switch v.(type) {
	case []byte, []any, []flow.Entry:
		return false
	}
	return true
}
