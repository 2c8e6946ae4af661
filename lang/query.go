package lang

// QueryStatement is a query as a statement: a push query if it has EMIT, otherwise a pull query.
type QueryStatement struct {
	Origin
	Query *Query `parser:"@@"`
}

// Traits returns the traits of SELECT. Its text bounds it if it has LIMIT.
func (s *QueryStatement) Traits() Traits {
	return Traits{Name: "SELECT", Rows: true, Plan: true, Bounded: s.Query.Tail.Limit != nil}
}

func (*QueryStatement) names() []string { return []string{"SELECT", "WITH"} }

// Query is a SELECT, or several joined by UNION, with the clauses of the whole query.
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

// Emit selects the changes that a query returns. Mode is CHANGES or FINAL.
type Emit struct {
	At
	Mode string
}

// Limit is LIMIT n. N is a whole *Number, a *Param, or another expression, which the planner refuses.
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

// Union is one more SELECT of a query: UNION [ALL] select. Without ALL, equal rows are merged.
type Union struct {
	At
	All    bool    `parser:"'UNION' @'ALL'?"`
	Select *Select `parser:"@@"`
}

// Select is one SELECT, without the clauses of the whole query.
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

// Item is one column of a SELECT: an expression (a *Star for * and src.*, a *Field with Star for x->*) and its
// alias.
type Item struct {
	At
	Expr  Expr
	Alias *Name // nil if none is given
}

// Grouping is the list of GROUP BY or PARTITION BY, with or without parentheses.
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

// Relation is a relation in FROM. Exactly one of Source (a stream, a table, a model, streamql.<name>), Call (a
// table function) and Query is set.
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

// Alias is an alias, with or without AS. Words that begin a clause need AS.
type Alias struct {
	Name
}

// Scan bounds the records that are read from a source: PARTITIONS (0, 3..5) SINCE point UNTIL point ON GAP
// FAIL|SKIP. Each clause is optional.
type Scan struct {
	At
	Partitions []PartitionRange
	Since      *Point
	Until      *Point
	OnGap      string // FAIL, SKIP or empty
}

// Empty reports whether the scan has no clause.
func (s *Scan) Empty() bool {
	return len(s.Partitions) == 0 && s.Since == nil && s.Until == nil && s.OnGap == ""
}

// PartitionRange is a partition or a range of partitions, including both ends.
type PartitionRange struct {
	At
	From, To int
}

// Point is a position in a topic. Kind is EARLIEST, LATEST, NOW, OFFSET (with N), TIMESTAMP (with Value, a *Text
// or *Param; a bare text is a TIMESTAMP, too) or AGO (with Value, an *Interval), or PARAM for $n. The value of a
// parameter decides its meaning.
type Point struct {
	At
	Kind  string
	N     int64
	Value Expr
}

// JoinType decides which rows without a partner a join returns.
type JoinType string

// The joins. A bare JOIN is INNER; LEFT, RIGHT and FULL may omit OUTER.
const (
	InnerJoin JoinType = "INNER" // InnerJoin returns no row without a partner
	LeftJoin  JoinType = "LEFT"  // LeftJoin returns all rows of the left relation
	RightJoin JoinType = "RIGHT" // RightJoin returns all rows of the right relation
	FullJoin  JoinType = "FULL"  // FullJoin returns all rows of both relations
)

// Join is one more relation of a query.
type Join struct {
	At
	Type   JoinType  `parser:"@@"`
	Right  *Relation `parser:"@@"`
	Within *Within   `parser:"('WITHIN' @@)?"` // nil for joins with a table
	On     Expr      `parser:"'ON' @@"`
}

// Within is WITHIN t, where Before equals After, or WITHIN (before, after), each with an optional GRACE PERIOD t.
type Within struct {
	At
	Before *Interval
	After  *Interval
	Grace  *Interval // nil if absent
}

// VersionUse is USING VERSION ..: the version for every model reference of the query without a version.
type VersionUse struct {
	At
	Version VersionRef
}

// WindowKind is a kind of window.
type WindowKind string

// The kinds of window.
const (
	Tumbling WindowKind = "TUMBLING" // Tumbling windows follow one another without gap or overlap
	Hopping  WindowKind = "HOPPING"  // Hopping windows overlap: one begins after each Advance
	Session  WindowKind = "SESSION"  // Session windows end after a gap without rows
)

// Window is WINDOW kind (..). The Size of a session window is its gap.
type Window struct {
	At
	Kind      WindowKind
	Name      *Name // WINDOW name kind (..), rare
	Size      *Interval
	Advance   *Interval // HOPPING only
	Retention *Interval // nil if absent, as Grace
	Grace     *Interval
}
