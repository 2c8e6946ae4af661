package lang

// QueryStatement is a query that stands alone: a push query with EMIT, else a pull query.
type QueryStatement struct {
	Origin
	Query *Query `parser:"@@"`
}

// Traits are those of SELECT, which is bounded by its text if it has LIMIT.
func (s *QueryStatement) Traits() Traits {
	return Traits{Name: "SELECT", Rows: true, Plan: true, Bounded: s.Query.Tail.Limit != nil}
}

func (*QueryStatement) names() []string { return []string{"SELECT", "WITH"} }

// Query is a SELECT, or several joined by UNION, with what holds for the whole.
type Query struct {
	At
	With    []*CTE   `parser:"('WITH' @@ (',' @@)*)?"`
	Select  *Select  `parser:"@@"`
	Union   []*Union `parser:"@@*"`
	OrderBy []*Order `parser:"('ORDER' 'BY' @@ (',' @@)*)?"`
	Tail    Tail     `parser:"@@"`
}

// Tail is the end of a query: EMIT and LIMIT in either order.
type Tail struct {
	Emit  *Emit
	Limit *Limit
}

// Emit says which changes a query gives. Mode is CHANGES or FINAL.
type Emit struct {
	At
	Mode string
}

// Limit is LIMIT n: a whole *Number, a *Param, or another expression, which is for the planner to refuse.
type Limit struct {
	At
	N Expr
}

// CTE is a named query: WITH name AS (query).
type CTE struct {
	At
	Name  Name   `parser:"@@ 'AS'"`
	Query *Query `parser:"'(' @@ ')'"`
}

// Union is one more SELECT of a query: UNION [ALL] select. Without All equal rows are merged.
type Union struct {
	At
	All    bool    `parser:"'UNION' @'ALL'?"`
	Select *Select `parser:"@@"`
}

// Select is one SELECT without what holds for the whole query.
type Select struct {
	At
	Distinct    bool        `parser:"'SELECT' @'DISTINCT'?"`
	Items       []*Item     `parser:"@@ (',' @@)*"`
	From        *Relation   `parser:"('FROM' @@"`
	Joins       []*Join     `parser:"  @@*"`
	Using       *VersionUse `parser:"  ('USING' 'VERSION' @@)?)?"`
	Window      *Window     `parser:"('WINDOW' @@)?"`
	Where       Expr        `parser:"('WHERE' @@)?"`
	GroupBy     *Grouping   `parser:"('GROUP' 'BY' @@)?"`
	PartitionBy *Grouping   `parser:"('PARTITION' 'BY' @@)?"`
	Having      Expr        `parser:"('HAVING' @@)?"`
}

// Item is one column of a SELECT: an expression (a *Star for * and src.*, a *Field with Star for x->*) and the name given to it.
type Item struct {
	At
	Expr  Expr
	Alias *Name // nil if none is given
}

// Grouping is the list of GROUP BY or PARTITION BY, with or without parentheses around it.
type Grouping struct {
	At
	By []Expr
}

// Order is one key of an ORDER BY. Nulls is FIRST, LAST or empty.
type Order struct {
	At
	Expr  Expr
	Desc  bool
	Nulls string
}

// Relation is what a query reads: exactly one of Source (a stream, a table, a model, streamql.<what>), Call (a table function)
// and Query is set.
type Relation struct {
	At
	Query  *Query  `parser:"( '(' @@ ')'"`
	Call   *Call   `parser:"| @@"`
	Source *Source `parser:"| @@ )"`
	Alias  *Alias  `parser:"@@?"`
	Scan   Scan    `parser:"@@"`
}

// Source is a name in FROM: name, or schema.name as in streamql.errors.
type Source struct {
	At
	Schema *Name // nil if there is none
	Name   Name
}

// Alias is a name given with or without AS. Words that begin a clause need AS.
type Alias struct {
	Name
}

// Scan is how much of a source is read: PARTITIONS (0, 3..5) SINCE point UNTIL point ON GAP FAIL|SKIP. All of it is optional.
type Scan struct {
	At
	Partitions []PartitionRange
	Since      *Point
	Until      *Point
	OnGap      string // FAIL, SKIP or empty
}

// Empty says that no scan clause was written.
func (s *Scan) Empty() bool {
	return len(s.Partitions) == 0 && s.Since == nil && s.Until == nil && s.OnGap == ""
}

// PartitionRange is a partition or a range of them, both ends included.
type PartitionRange struct {
	At
	From, To int
}

// Point is a place in a log. Kind is EARLIEST, LATEST, NOW, OFFSET (N), TIMESTAMP (Value, a *Text or *Param; a bare text is one
// too) or AGO (Value, an *Interval); PARAM is $n, whose meaning its value gives.
type Point struct {
	At
	Kind  string
	N     int64
	Value Expr
}

// JoinType is how rows without a partner are treated.
type JoinType string

// The joins. INNER is implied by a bare JOIN, OUTER by LEFT, RIGHT and FULL.
const (
	InnerJoin JoinType = "INNER"
	LeftJoin  JoinType = "LEFT"
	RightJoin JoinType = "RIGHT"
	FullJoin  JoinType = "FULL"
)

// Join is one more relation of a query.
type Join struct {
	At
	Type   JoinType  `parser:"@@"`
	Right  *Relation `parser:"@@"`
	Within *Within   `parser:"('WITHIN' @@)?"` // nil for joins with a table
	On     Expr      `parser:"'ON' @@"`
}

// Within is WITHIN t, where Before equals After, or WITHIN (before, after), with GRACE PERIOD t.
type Within struct {
	At
	Before *Interval
	After  *Interval
	Grace  *Interval // nil if absent
}

// VersionUse is USING VERSION ..: the version meant by every model reference of the query that names none.
type VersionUse struct {
	At
	Version VersionRef
}

// WindowKind is a kind of window.
type WindowKind string

// The kinds of window.
const (
	Tumbling WindowKind = "TUMBLING"
	Hopping  WindowKind = "HOPPING"
	Session  WindowKind = "SESSION"
)

// Window is WINDOW kind (..). Size is the gap of a session.
type Window struct {
	At
	Kind      WindowKind
	Name      *Name // WINDOW name kind (..), rare
	Size      *Interval
	Advance   *Interval // HOPPING only
	Retention *Interval // nil if absent, as Grace
	Grace     *Interval
}
