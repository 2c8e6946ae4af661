// Package udf holds SQL functions: scalar, aggregate and table functions, each declared once
// with its manual entry and examples, and the lifting of plain Go functions to them. An Engine
// clones the built-ins, so nothing global changes after start.
package udf

import (
	"fmt"
	"maps"
	"math"
	"sort"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// Fail reports that a function failed on a row: the row's result is NULL, and the query's
// errors gain an entry.
type Fail func(row int, err error)

// Env is the environment of a kernel.
type Env struct {
	Fail Fail // never nil
	// of the query or job, charged for memory that grows with the data; nil: nothing is counted
	Account *flow.Account
}

// Kernel computes a result column of rows rows from argument columns of the same length. It
// reports failed rows and makes them NULL. Once env.Account has refused a charge, the result is
// not used, so the remaining rows may be NULL.
type Kernel func(args []arrow.Array, rows int, env Env) arrow.Array

// Signature is a function bound to the types of its arguments: the engine casts the arguments
// to Args, then calls the kernel.
type Signature struct {
	Args   []flow.Type
	Result flow.Type
	Kernel Kernel
	// Volatile functions are never folded and are evaluated for every row (RANDOM, UUID).
	Volatile bool
}

// Example is a tested line of the manual: an expression and its result as SQL prints it.
type Example struct{ SQL, Want string }

// Scalar is a function of one row.
type Scalar struct {
	Name, Doc string
	// Bind selects the signature for argument types (flow.Null: a NULL literal). Its errors
	// describe the accepted types.
	Bind     func(args []flow.Type) (Signature, error)
	Examples []Example
	// Within returns Bind for functions that use the World: a Registry calls it with its World
	// (optional).
	Within func(*World) func(args []flow.Type) (Signature, error)
	// Words means that the first argument may be a bare word, as in DATEADD(DAYS, ..); it is
	// bound as the STRING 'DAYS'.
	Words bool
	// Carries means that rounding a DECIMAL may carry into one more digit, as in ROUND(9.5). The
	// first argument then gets that digit, except in the ksql dialect.
	Carries bool
}

// World is the environment of functions: the clock and the source of random numbers that the
// engine sets, and settings. All functions of a registry share one World, so that changes after
// binding take effect.
type World struct {
	now    func() int64
	random func() uint64
	limits map[string]int
}

// SetClock hands in the clock: milliseconds since the epoch. Without one NOW and its like fail
// on every row.
func (r *Registry) SetClock(now func() int64) { r.world.now = now }

// SetRandom hands in the source of random bits. Without one RANDOM and UUID fail on every row.
func (r *Registry) SetRandom(bits func() uint64) { r.world.random = bits }

// SetLimit limits how many values COLLECT_LIST, COLLECT_SET or HISTOGRAM stores (default 1000);
// a negative n removes the limit. It affects aggregates that are bound afterwards.
func (r *Registry) SetLimit(function string, n int) {
	if n < 0 {
		n = math.MaxInt
	}
	r.world.limits[strings.ToUpper(function)] = n
}

func (w *World) limit(function string) int {
	if n, ok := w.limits[function]; ok {
		return n
	}
	return 1000
}

// Accumulator computes an aggregate over a state of bytes, which the engine stores in a
// keyspace and commits with the offsets. Its own fields contain only parameters, so one
// accumulator serves all groups.
type Accumulator interface {
	// Size is the number of bytes of a state, which starts as zeros and is changed in place;
	// -1: the state starts empty and may grow, so Add returns it.
	Size() int
	// Add puts a row of the arguments into the state (weight Insert) or takes it out (Retract)
	// and returns the state.
	Add(state []byte, args []arrow.Array, row int, weight flow.Op) ([]byte, error)
	// Value appends the aggregate's present value.
	Value(state []byte, to array.Builder) error
}

// Merger is an optional interface of an Accumulator that can combine two states, which session
// windows and panes require. The rows of from count as later than those of into, which matters
// for LATEST_BY_OFFSET and similar aggregates. into may be changed and is returned; from is not
// changed.
type Merger interface {
	Accumulator
	Merge(into, from []byte) ([]byte, error)
}

// Bound is an aggregate bound to the types of its arguments. An argument that must be a literal
// (the n of LATEST_BY_OFFSET) has its column in Args, but Bind has its value, and Add ignores
// the column.
type Bound struct {
	Args   []flow.Type
	Result flow.Type
	New    func() Accumulator
	// Retracts reports whether the aggregate can remove rows, which aggregates over a table
	// require.
	Retracts bool
}

// Aggregate is a function of a group of rows. Bind receives the types of all arguments and the
// values of literal arguments (else nil).
type Aggregate struct {
	Name, Doc string
	Bind      func(args []flow.Type, literals []any) (Bound, error)
	Examples  []Example
	// KSQL is Bind in the ksql dialect, if that differs (optional).
	KSQL func(args []flow.Type, literals []any) (Bound, error)
	// Within returns Bind for aggregates with settings (optional).
	Within func(*World) func(args []flow.Type, literals []any) (Bound, error)
}

// TableFunc turns a row of arguments into rows, piece by piece, so that the caller need not
// hold them all.
type TableFunc struct {
	// Count returns the number of rows that a row of arguments produces.
	Count func(args []arrow.Array, row int) int
	// Append appends rows [from, to) of them to the builder.
	Append func(args []arrow.Array, row, from, to int, b array.Builder)
	// Wide means that each produced row may be as large as the whole row of arguments.
	Wide bool
}

// Table is a table function in a SELECT list (EXPLODE): it produces zero or more rows of one
// column from a row.
type Table struct {
	Name, Doc string
	Bind      func(args []flow.Type) (in []flow.Type, result flow.Type, f TableFunc, err error)
	Examples  []Example
}

// Registry finds functions by name, without case.
type Registry struct {
	scalars    map[string]*Scalar
	aggregates map[string]*Aggregate
	tables     map[string]*Table
	world      *World
}

func registry() *Registry {
	return &Registry{scalars: map[string]*Scalar{}, aggregates: map[string]*Aggregate{}, tables: map[string]*Table{},
		world: &World{limits: map[string]int{}}}
}

var builtins = registry()

// Builtins returns a copy of the built-in functions.
func Builtins() *Registry {
	r := registry()
	for k, v := range builtins.scalars {
		r.scalars[k] = r.scalarHere(*v)
	}
	for k, v := range builtins.aggregates {
		r.aggregates[k] = r.aggregateHere(*v)
	}
	for k, v := range builtins.tables {
		r.tables[k] = v
	}
	return r
}

func (r *Registry) scalarHere(f Scalar) *Scalar {
	if f.Within != nil {
		f.Bind = f.Within(r.world)
	}
	return &f
}

func (r *Registry) aggregateHere(f Aggregate) *Aggregate {
	if f.Within != nil {
		f.Bind = f.Within(r.world)
	}
	return &f
}

// Add registers a Scalar, Aggregate or Table. A name may be both scalar and aggregate only if
// the kinds differ.
func (r *Registry) Add(f any) error {
	switch f := f.(type) {
	case Scalar:
		return put(r.scalars, f.Name, r.scalarHere(f))
	case Aggregate:
		return put(r.aggregates, f.Name, r.aggregateHere(f))
	case Table:
		return put(r.tables, f.Name, &f)
	}
	return fmt.Errorf("a function is a udf.Scalar, udf.Aggregate or udf.Table, not a %T", f)
}

func put[T any](m map[string]*T, name string, f *T) error {
	key := strings.ToUpper(name)
	if _, taken := m[key]; taken {
		return fmt.Errorf("function %s exists", key)
	}
	m[key] = f
	return nil
}

// builtin registers a function at start; it panics on a name given twice, which is a mistake of
// ours.
func builtin(f any) bool {
	if err := builtins.Add(f); err != nil {
		panic(err)
	}
	return true
}

// Scalar, Aggregate and Table find a function by name.
func (r *Registry) Scalar(name string) (*Scalar, bool) { return find(r, r.scalars, name) }

// Aggregate finds an aggregate function by name.
func (r *Registry) Aggregate(name string) (*Aggregate, bool) { return find(r, r.aggregates, name) }

// Table finds a table function by name.
func (r *Registry) Table(name string) (*Table, bool) { return find(r, r.tables, name) }

// find finds a function of a kind. A name that no function of any kind has may be a synonym of one.
func find[T any](r *Registry, kind map[string]*T, name string) (*T, bool) {
	name = strings.ToUpper(name)
	if f, ok := kind[name]; ok {
		return f, true
	}
	ours, ok := lang.Ours(name)
	if !ok || r.scalars[name] != nil || r.aggregates[name] != nil || r.tables[name] != nil {
		return nil, false
	}
	f, ok := kind[ours]
	return f, ok
}

// Entry is a line of SHOW FUNCTIONS.
type Entry struct{ Name, Kind, Doc string }

// All lists the functions in the order of their names.
func (r *Registry) All() []Entry {
	var out []Entry
	for k, f := range r.scalars {
		out = append(out, Entry{k, "SCALAR", f.Doc})
	}
	for k, f := range r.aggregates {
		out = append(out, Entry{k, "AGGREGATE", f.Doc})
	}
	for k, f := range r.tables {
		out = append(out, Entry{k, "TABLE", f.Doc})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Name != out[j].Name {
			return out[i].Name < out[j].Name
		}
		return out[i].Kind < out[j].Kind
	})
	return out
}

// Examples returns the examples of a function of any kind.
func (r *Registry) Examples(name string) []Example {
	if f, ok := r.Scalar(name); ok {
		return f.Examples
	}
	if f, ok := r.Aggregate(name); ok {
		return f.Examples
	}
	if f, ok := r.Table(name); ok {
		return f.Examples
	}
	return nil
}

// Limited returns a registry whose COLLECT_LIST and its like keep other numbers of values; r
// stays as it is.
func (r *Registry) Limited(limits map[string]int) *Registry {
	if len(limits) == 0 {
		return r
	}
	w := *r.world
	w.limits = maps.Clone(w.limits)
	out := &Registry{scalars: maps.Clone(r.scalars), aggregates: maps.Clone(r.aggregates), tables: r.tables, world: &w}
	for f, n := range limits {
		out.SetLimit(f, n)
	}
	for k, a := range out.aggregates {
		out.aggregates[k] = out.aggregateHere(*a)
	}
	return out
}
