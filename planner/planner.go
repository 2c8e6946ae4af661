package planner

import (
	"cmp"
	"context"
	"github.com/streamql/streamql/udf/ml"
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

// Options is the planner's input apart from the statement.
type Options struct {
	Catalog    *catalog.Catalog
	Functions  *udf.Registry
	Dialect    dialect.Set
	Properties map[string]string // the properties that SET has set, by name
	Params     []any             // $1, $2, ..: Go values
	// Connectors and Formats are those that the engine has; nil: the built-in ones. Limits are those of the engine's
	// broker.
	Connectors *connect.Registry
	Formats    *format.Registry
	Limits     connect.Limits
	// Accepted says that the statement was accepted before, perhaps by an earlier version: options that are not legal
	// any more have no effect.
	Accepted bool
	// Model returns the training of a model by name, with its inputs and its target; nil: there are
	// no models.
	Model func(name string) (*Training, bool)
	// Version returns a version of a model, number 0 the newest, or nil if there is none. A query
	// predicts with the features of that version; nil: with those of the model's definition, as
	// jobs do.
	Version func(model string, number int) *ml.Bundle
	// Rows returns the rows of a table function, or of a relation of the engine that has no topic,
	// such as streamql.models. It returns false if there is none. The rows are computed when the
	// query runs.
	Rows func(name string, args []any) (*Made, bool, error)
	// Prefix is the prefix of the names of the engine's own topics; "": streamql.
	Prefix string
	// Context cancels planning and the folding of constants; nil: never.
	Context context.Context
	// Memory is the pool from which the evaluation of INSERT values draws, together with all
	// queries and jobs; nil: no limit.
	Memory *flow.Pool
}

// Made is a set of rows that are computed when a query runs.
type Made struct {
	Fields []arrow.Field
	Rows   func() (*flow.Batch, error)
}

// Plan is a planned statement.
type Plan struct {
	Stages  []Stage
	Columns []catalog.Column  // the columns of a query's result; the first columns of the last stage's root
	Changes bool              // the result has changes: rows have weights
	Result  *catalog.Relation // the relation that CREATE .. AS SELECT or INSERT INTO .. SELECT writes
}

// Stage is a pipeline between topics. With Gather one task reads all its partitions.
type Stage struct {
	Root       exec.Node
	Leaves     []Leaf
	Gather     bool
	Output     string // the exchange that it writes, with this number of partitions; "": none
	Partitions int32
}

// Leaf is a topic that a stage reads, and the range of it.
type Leaf struct {
	Node     exec.Node
	Topic    string
	Relation *catalog.Relation // nil for an exchange
	Scan     lang.Scan
	Earliest bool // the default start: the beginning if true, else the end
	Bounded  bool // the default end is the topic's present end
	Bounds   op.Bounds
}

// binder creates the nodes of a plan. Scopes, which are passed to it, resolve names. The binder
// itself has only the identities, leaves and exchanges that the plan has used.
type binder struct {
	Options
	folder    *expr.Folder
	job       string
	ids       int    // the last identity of a column
	leaves    []Leaf // by number; cut sets Node
	exchanges int
	using     int // the version that USING VERSION selects; 0: the serving one
}

// column returns a column with a new identity.
func (b *binder) column(name string, t flow.Type, s show, r role) column {
	b.ids++
	return column{id: b.ids, name: name, t: t, show: s, role: r}
}

// leaf adds a leaf and returns its number.
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

// ended returns the context's error if the context has ended.
func (b *binder) ended() error { return b.Context.Err() }

func (b *binder) prefix() string { return cmp.Or(b.Prefix, "streamql") }

// exact reports whether the case of names is significant and unquoted names are folded to capitals.
func (b *binder) exact() bool { return b.Dialect.Has(dialect.UpperNames) }

func (b *binder) fold(n lang.Name) string { return n.Fold(b.exact()) }

func (b *binder) relation(at lang.Node, n lang.Name) (*catalog.Relation, error) {
	name := b.fold(n)
	if r, ok := b.Catalog.Relation(name, b.exact()); ok {
		return r, nil
	}
	n.Text = name
	e := NoRelation(b.Catalog, n)
	e.Pos = at.Position()
	if _, ok := b.Catalog.Model(name, b.exact()); ok {
		e.Msg = quote(name) + " is a model, not a stream or table"
		e.Label = ""
	}
	return nil, e
}

func quote(s string) string { return "\"" + s + "\"" }

// typeOf resolves a type expression.
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
	"BOOLEAN": flow.Boolean, "INT": flow.Int, "INTEGER": flow.Int, "BIGINT": flow.Bigint,
	"FLOAT": flow.Float, "DOUBLE": flow.Double, "STRING": flow.String, "VARCHAR": flow.String,
	"BYTES": flow.Bytes, "DATE": flow.Date, "TIME": flow.TimeOfDay, "TIMESTAMP": flow.Timestamp,
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
		return nil, fail(t, "SQ2011",
			"DECIMAL needs a precision from 1 to 38 and a scale of at most the precision: DECIMAL(10, 2)")
	}
	return flow.Decimal(n[0], n[1]), nil
}

func (b *binder) param(p *lang.Param) (expr.Expr, error) {
	if p.N < 1 || p.N > len(b.Params) {
		return nil, fail(p, "SQ2014", "parameter $%d has no value: %d values were passed", p.N, len(b.Params))
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
