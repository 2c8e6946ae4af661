// Package lang reads the text of the language. It contains the lexer, the grammar, the syntax tree and the errors
// that users read.
//
// Parse reads a text into statements. The grammar is written as struct tags on the tree itself, in participle's
// form, so the declaration of a node shows its syntax. Expressions are read by operator precedence in pratt.go.
// The package knows no tables, types or functions. A tree contains the words of the text and their positions; the
// planner resolves them.
//
// This file holds the parts that all statements have: positions, names, types and expressions. query.go holds
// queries. create.go, insert.go, show.go, session.go, assert.go, model.go and archive.go hold one family of
// statements each.
package lang

import "strings"

// Pos is a position in a text. Line and Col count from 1, Col in runes; Offset counts bytes from 0. The zero Pos
// is unknown.
type Pos struct {
	File      string
	Line, Col int
	Offset    int
}

// Node is a part of the syntax tree.
type Node interface {
	// Position returns the position at which the text of the node starts. An infix expression starts with its left
	// operand.
	Position() Pos
}

// At is the position of a node. Every node except statements embeds it.
type At struct {
	Pos Pos `parser:"@@"`
}

// Position returns the position at which the text of the node starts.
func (a At) Position() Pos { return a.Pos }

// Name is one identifier. Text is spelled as written, without quotes. Quoted reports whether it was written in
// back-ticks or double quotes.
type Name struct {
	At
	Text   string
	Quoted bool
}

// Fold returns the name for a lookup: in capitals if upper is set and the name was not quoted, else as written.
func (n Name) Fold(upper bool) string {
	if upper && !n.Quoted {
		return strings.ToUpper(n.Text)
	}
	return n.Text
}

// TypeExpr is a type as written: a name (INT, VARCHAR, a user's type), with arguments in parentheses (DECIMAL(4,
// 2); VARCHAR(STRING) keeps STRING in Params), types in angle brackets (ARRAY<T>, MAP<K, V>) or fields (STRUCT<f
// T, ..>).
type TypeExpr struct {
	At
	Name   Name
	Params []string    // the words in parentheses: the numbers of DECIMAL(4, 2)
	Args   []*TypeExpr // element of ARRAY; key and value of MAP
	Fields []TypeField // of STRUCT
}

// TypeField is one field of a STRUCT type.
type TypeField struct {
	At
	Name Name
	Type *TypeExpr
}

// Expr is an expression: one of the pointer types below.
type Expr interface {
	Node
	expr()
}

// Ident is a column, a lambda's parameter or, as an argument, a model: name or source.name.
type Ident struct {
	At
	Source *Name // the qualifier, nil if there is none
	Name   Name
}

// Star is * or source.*, without the columns of EXCEPT.
type Star struct {
	At
	Source *Name
	Except []Name
}

// Number is a numeric literal, spelled as written: an integer, a decimal (with a point) or a double (with an
// exponent).
type Number struct {
	At
	Text string
}

// Text is a string literal, without its quotes. Doubled quotes in it are reduced to one.
type Text struct {
	At
	Value string
}

// Bool is TRUE or FALSE.
type Bool struct {
	At
	Value bool
}

// NullLit is NULL.
type NullLit struct {
	At
}

// Interval is a length of time: N of Unit, where Unit is in capitals and singular (MILLISECOND, SECOND, MINUTE,
// HOUR, DAY, WEEK, MONTH, YEAR). It is written 5 MINUTES in a clause or an argument, and INTERVAL 5 MINUTES
// anywhere.
type Interval struct {
	At
	N    string
	Unit string
}

// Unary is -x, +x or NOT x.
type Unary struct {
	At
	Op string // "-", "+" or "NOT"
	X  Expr
}

// Binary is an infix operation. Op is one of + - * / % || = <> < <= > >= AND OR; != is read as <>. OpPos is the
// position of the operator.
type Binary struct {
	At
	Op    string
	OpPos Pos
	L, R  Expr
}

// Between is x [NOT] BETWEEN lo AND hi.
type Between struct {
	At
	Not       bool
	X, Lo, Hi Expr
}

// In is x [NOT] IN (list).
type In struct {
	At
	Not  bool
	X    Expr
	List []Expr
}

// Like is x [NOT] LIKE pattern [ESCAPE 'c']. Escape is nil if there is none.
type Like struct {
	At
	Not     bool
	X       Expr
	Pattern Expr
	Escape  *Text
}

// IsNull is x IS [NOT] NULL.
type IsNull struct {
	At
	Not bool
	X   Expr
}

// IsDistinct is l IS [NOT] DISTINCT FROM r.
type IsDistinct struct {
	At
	Not  bool
	L, R Expr
}

// Case is CASE [operand] WHEN .. THEN .. [ELSE ..] END. Operand and Else may be nil.
type Case struct {
	At
	Operand Expr
	Whens   []When
	Else    Expr
}

// When is one branch of a Case.
type When struct {
	At
	If, Then Expr
}

// Cast is CAST(x AS type). DATE '..', TIME '..' and TIMESTAMP '..' are read as a Cast of the string.
type Cast struct {
	At
	X    Expr
	Type *TypeExpr
}

// Call is a function call. ML.F(..) is read as ML_F(..), EXTRACT(unit FROM x) as EXTRACT('unit', x).
type Call struct {
	At
	Name     Name
	Args     []Expr
	Star     bool       // f(*), as in COUNT(*); a * among other arguments is a *Star in Args
	Distinct bool       // f(DISTINCT ..)
	Named    []NamedArg // name => expr, after the positional arguments
	Filter   Expr       // FILTER (WHERE ..), nil if absent
	Over     *Over      // OVER (..), nil if absent
}

// NamedArg is an argument with a name: name => value.
type NamedArg struct {
	At
	Name  Name
	Value Expr
}

// Over is a call's OVER (PARTITION BY .. ORDER BY .. [ROWS|RANGE BETWEEN a AND b]).
type Over struct {
	At
	PartitionBy []Expr
	OrderBy     []*Order
	Frame       *Frame
}

// Frame is the frame of an Over clause. Unit is ROWS or RANGE.
type Frame struct {
	At
	Unit     string
	From, To Bound
}

// Bound is one end of a Frame. Kind is UNBOUNDED PRECEDING, PRECEDING, CURRENT ROW, FOLLOWING or UNBOUNDED
// FOLLOWING. N is set for PRECEDING and FOLLOWING only.
type Bound struct {
	At
	Kind string
	N    Expr
}

// Field is x->name, or x->* if Star is set.
type Field struct {
	At
	X    Expr
	Name Name
	Star bool
}

// Index is x[i].
type Index struct {
	At
	X, I Expr
}

// ArrayLit is ARRAY[a, b, ..].
type ArrayLit struct {
	At
	Items []Expr
}

// MapLit is MAP(k := v, ..). Keys and Values have the same length.
type MapLit struct {
	At
	Keys, Values []Expr
}

// StructLit is STRUCT(name := value, ..). Names and Values have the same length.
type StructLit struct {
	At
	Names  []Name
	Values []Expr
}

// Lambda is x => body or (x, y) => body.
type Lambda struct {
	At
	Params []Name
	Body   Expr
}

// ModelRef is a model as an argument, if its text shows that it is a model: m$2, m@alias, m VERSION .., or MODEL
// m. A bare m is an *Ident. A whole argument spelled a@b is read as a ModelRef; for a function without model
// arguments, Ident returns the column of that name.
type ModelRef struct {
	At
	Name    Name
	Version VersionRef
	Marked  bool // written MODEL m
}

// Ident returns the reference read as a column, whose name is the whole word m@alias.
func (m *ModelRef) Ident() *Ident {
	n := m.Name
	if m.Version.Alias != "" {
		n.Text += "@" + m.Version.Alias
	}
	return &Ident{At: m.At, Name: n}
}

// VersionRef selects a version of a model. At most one field is set; without any, the default version is meant.
type VersionRef struct {
	Number  int    // m$2 or VERSION 2; counts from 1
	Alias   string // m@alias
	Latest  bool   // VERSION LATEST
	Default bool   // VERSION DEFAULT, written out
	AsOf    bool   // VERSION AS OF ROWTIME
}

// RelationArg is a query in parentheses, or a name with a scan clause, as an argument of a table function.
type RelationArg struct {
	At
	Relation *Relation
}

// TableRef is TABLE t as an argument of a table function.
type TableRef struct {
	At
	Name Name
}

// Param is $n, a value that the Go API passes separately from the text. N counts from 1.
type Param struct {
	At
	N int
}

func (*Ident) expr()       {}
func (*Star) expr()        {}
func (*Number) expr()      {}
func (*Text) expr()        {}
func (*Bool) expr()        {}
func (*NullLit) expr()     {}
func (*Interval) expr()    {}
func (*Unary) expr()       {}
func (*Binary) expr()      {}
func (*Between) expr()     {}
func (*In) expr()          {}
func (*Like) expr()        {}
func (*IsNull) expr()      {}
func (*IsDistinct) expr()  {}
func (*Case) expr()        {}
func (*Cast) expr()        {}
func (*Call) expr()        {}
func (*Field) expr()       {}
func (*Index) expr()       {}
func (*ArrayLit) expr()    {}
func (*MapLit) expr()      {}
func (*StructLit) expr()   {}
func (*Lambda) expr()      {}
func (*ModelRef) expr()    {}
func (*TableRef) expr()    {}
func (*RelationArg) expr() {}
func (*Param) expr()       {}
