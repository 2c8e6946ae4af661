package planner

import (
	"cmp"
	"context"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// Options is what the planner knows beside the statement.
type Options struct {
	Catalog    *catalog.Catalog
	Functions  *udf.Registry
	Dialect    dialect.Set
	Properties map[string]string // SET, by name
	Params     []any             // $1, $2, ..: Go values
	// Connectors and Formats are those that the engine has; nil: the built-in ones. World is what connectors see of
	// the engine.
	Connectors *connect.Registry
	Formats    *format.Registry
	World      connect.World
	// Accepted says that the statement was accepted before, perhaps by an earlier version: options that are not legal
	// any more have no effect.
	Accepted bool
	// Infer gives the columns of a relation declared without any (a generator's, a file's).
	Infer func(r *catalog.Relation) ([]catalog.Column, error)
	// Model returns the training of a model by name, which says what its inputs and outputs are; nil: there are no models.
	Model func(name string) (*Training, bool)
	// Rows looks up a table function, or a relation of the engine's own that no topic has (streamql.models); false: there is none such.
	// What it returns does its work when the query runs.
	Rows func(name string, args []any) (*Made, bool, error)
	// Prefix begins the names of the engine's own topics; "": streamql.
	Prefix string
	// Context ends planning, and the folding of constants; nil: nothing does.
	Context context.Context
	// Memory is what values that are worked out for INSERT share with all queries and jobs; nil: no limit.
	Memory *flow.Pool
}

// Made is rows that are made when a query runs.
type Made struct {
	Fields []arrow.Field
	Rows   func() (*flow.Batch, error)
}

// Plan is a statement ready to run.
type Plan struct {
	Stages  []Stage
	Columns []catalog.Column  // of a query's result, in order; the first columns of the last stage's root
	Changes bool              // the result changes: rows have weights
	Result  *catalog.Relation // of CREATE .. AS SELECT and INSERT INTO .. SELECT: what it fills
}

// Stage is a pipeline between topics. Gather makes one task of all its partitions.
type Stage struct {
	Root       exec.Node
	Leaves     []Leaf
	Gather     bool
	Output     string // the topic it fills, if it ends in an exchange, with so many partitions
	Partitions int32
}

// Leaf is a topic that a stage reads, and how much of it.
type Leaf struct {
	Node     exec.Node
	Topic    string
	Relation *catalog.Relation // nil: an exchange
	Scan     lang.Scan
	Earliest bool // where to begin if the scan does not say: the beginning, else the end
	Bounded  bool // ends where the topic ends now, unless the scan says otherwise
	Bounds   op.Bounds
}

// binder makes a plan's nodes. What it knows of names is in scopes, which it is given; it holds only what the plan has used up so far:
// identities, leaves, exchanges.
type binder struct {
	Options
	folder    *expr.Folder
	job       string
	ids       int    // identities of columns
	leaves    []Leaf // by number; Node is set when the plan is cut
	exchanges int
}

// column makes a column with an identity of its own.
func (b *binder) column(name string, t flow.Type, s show, r role) column {
	b.ids++
	return column{id: b.ids, name: name, t: t, show: s, role: r}
}

// leaf numbers a leaf.
func (b *binder) leaf(l Leaf) int {
	b.leaves = append(b.leaves, l)
	return len(b.leaves) - 1
}

func newBinder(o Options, job string) *binder {
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.Connectors == nil {
		o.Connectors = connect.Builtins()
	}
	if o.Formats == nil {
		o.Formats = format.Builtins()
	}
	return &binder{Options: o, job: job, folder: expr.NewFolder(o.Context)}
}

// ended is the context's error, once it has ended.
func (b *binder) ended() error { return b.Context.Err() }

func (b *binder) prefix() string { return cmp.Or(b.Prefix, "streamql") }

// exact reports whether names are found by exact case, and folded to capitals if they are not quoted.
func (b *binder) exact() bool { return b.Dialect.Has(dialect.UpperNames) }

func (b *binder) fold(n lang.Name) string { return n.Fold(b.exact()) }

func (b *binder) relation(at lang.Node, n lang.Name) (*catalog.Relation, error) {
	name := b.fold(n)
	if r, ok := b.Catalog.Relation(name, b.exact()); ok {
		return r, nil
	}
	if err := b.unavailable(at, name); err != nil {
		return nil, err
	}
	e := fail(at, "SQ2001", "%s is not a stream or table", quote(name))
	e.Len = len([]rune(n.Text))
	var legal []string
	for _, r := range b.Catalog.Relations() {
		legal = append(legal, r.Name)
	}
	if near := lang.Suggest(name, legal); near != "" {
		e.Label = "did you mean \"" + near + "\"?"
	}
	if _, ok := b.Catalog.Model(name, b.exact()); ok {
		e.Msg = quote(name) + " is a model, not a stream or table"
		e.Label = ""
	}
	return nil, e
}

// unavailable is the error of a name whose definition this version cannot read; nil: it is not one.
func (b *binder) unavailable(at lang.Node, name string) error {
	bad, ok := b.Catalog.Unavailable(name)
	if !ok {
		return nil
	}
	e := fail(at, "SQ7306", "%s is UNAVAILABLE in this process: entry %d of the catalog cannot be applied: %s", quote(name), bad.Offset, bad.Reason)
	e.Hint = "run the version that wrote it, or see streamql repair"
	return e
}

func quote(s string) string { return "\"" + s + "\"" }

// typeOf resolves a type as written.
func (b *binder) typeOf(t *lang.TypeExpr) (flow.Type, error) {
	name := strings.ToUpper(t.Name.Text)
	switch name {
	case "ARRAY":
		if len(t.Args) != 1 {
			return nil, fail(t, "SQ2011", "ARRAY needs one type: ARRAY<INT>")
		}
		elem, err := b.typeOf(t.Args[0])
		if err != nil {
			return nil, err
		}
		return flow.Array(elem), nil
	case "MAP":
		if len(t.Args) != 2 {
			return nil, fail(t, "SQ2011", "MAP needs two types: MAP<STRING, INT>")
		}
		k, err := b.typeOf(t.Args[0])
		if err != nil {
			return nil, err
		}
		v, err := b.typeOf(t.Args[1])
		if err != nil {
			return nil, err
		}
		return flow.Map(k, v), nil
	case "STRUCT":
		fields := make([]arrow.Field, len(t.Fields))
		for i, f := range t.Fields {
			ft, err := b.typeOf(f.Type)
			if err != nil {
				return nil, err
			}
			fields[i] = flow.Field(b.fold(f.Name), ft)
		}
		return flow.Struct(fields...), nil
	case "DECIMAL", "DEC", "NUMERIC":
		return b.decimal(t)
	}
	if s, ok := scalarTypes[name]; ok {
		return s, nil
	}
	if s, ok := b.Catalog.Type(name); ok {
		return s, nil
	}
	e := fail(t.Name, "SQ2011", "type %s does not exist", t.Name.Text)
	legal := []string{"ARRAY", "MAP", "STRUCT", "DECIMAL"}
	for n := range scalarTypes {
		legal = append(legal, n)
	}
	if near := lang.Suggest(name, legal); near != "" {
		e.Label = "did you mean " + near + "?"
	}
	return nil, e
}

var scalarTypes = map[string]flow.Type{
	"BOOLEAN": flow.Boolean, "INT": flow.Int, "INTEGER": flow.Int, "BIGINT": flow.Bigint, "FLOAT": flow.Float, "DOUBLE": flow.Double,
	"STRING": flow.String, "VARCHAR": flow.String, "BYTES": flow.Bytes, "DATE": flow.Date, "TIME": flow.TimeOfDay, "TIMESTAMP": flow.Timestamp,
}

func (b *binder) decimal(t *lang.TypeExpr) (flow.Type, error) {
	n := []int32{0, 0}
	ok := len(t.Params) == 1 || len(t.Params) == 2
	for i := 0; ok && i < len(t.Params); i++ {
		v := int32(0)
		for _, c := range t.Params[i] {
			if c < '0' || c > '9' || v > 1000 {
				ok = false
				break
			}
			v = v*10 + c - '0'
		}
		n[i] = v
	}
	if !ok || n[0] < 1 || n[0] > 38 || n[1] > n[0] {
		return nil, fail(t, "SQ2011", "DECIMAL needs a precision from 1 to 38 and a scale up to it: DECIMAL(10, 2)")
	}
	return flow.Decimal(n[0], n[1]), nil
}

func (b *binder) param(p *lang.Param) (expr.Expr, error) {
	if p.N < 1 || p.N > len(b.Params) {
		return nil, fail(p, "SQ2014", "parameter $%d has no value: %d are given", p.N, len(b.Params))
	}
	switch v := b.Params[p.N-1].(type) {
	case nil:
		return expr.Lit(flow.Null, nil), nil
	case bool:
		return expr.Lit(flow.Boolean, v), nil
	case int:
		return expr.Lit(flow.Bigint, int64(v)), nil
	case int32:
		return expr.Lit(flow.Int, v), nil
	case int64:
		return expr.Lit(flow.Bigint, v), nil
	case float32:
		return expr.Lit(flow.Float, v), nil
	case float64:
		return expr.Lit(flow.Double, v), nil
	case string:
		return expr.Lit(flow.String, v), nil
	case []byte:
		return expr.Lit(flow.Bytes, v), nil
	}
	return nil, fail(p, "SQ2014", "parameter $%d is a %T, which has no SQL type", p.N, b.Params[p.N-1])
}
