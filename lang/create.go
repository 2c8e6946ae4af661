package lang

// CreateSource is CREATE STREAM or CREATE TABLE: over a topic (Columns, With), from a topic whose columns are found out
// (FromTopic), or as the result of a query (Query). Kind is STREAM or TABLE.
type CreateSource struct {
	Origin
	OrReplace   bool       `parser:"'CREATE' ('OR' @'REPLACE')?"`
	ReadOnly    bool       `parser:"@'SOURCE'?"`
	Kind        Keyword    `parser:"@('STREAM' | 'TABLE')"`
	IfNotExists bool       `parser:"((?= 'IF' 'NOT') 'IF' 'NOT' @'EXISTS')?"`
	Name        Name       `parser:"@@"`
	Columns     []*Column  `parser:"('(' @@ (',' @@)* ')')?"`
	FromTopic   *TopicName `parser:"('FROM' 'TOPIC' @@)?"`
	With        []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
	Query       *Query     `parser:"('AS' @@)?"`
}

// Column is one column of a definition.
type Column struct {
	At
	Name Name      `parser:"@@"`
	Type *TypeExpr `parser:"@@"`
	Role Keyword   `parser:"( @('PRIMARY' 'KEY') | @'KEY' | @'HEADERS' | @'HEADER' '('"` // PRIMARY KEY, KEY, HEADERS, HEADER or empty
	Key  *Text     `parser:"@@ ')' )?"`
}

// CreateType is CREATE TYPE name AS type.
type CreateType struct {
	Origin
	IfNotExists bool      `parser:"'CREATE' 'TYPE' ((?= 'IF' 'NOT') 'IF' 'NOT' @'EXISTS')?"`
	Name        Name      `parser:"@@ 'AS'"`
	Type        *TypeExpr `parser:"@@"`
}

// Drop is DROP STREAM, TABLE, TYPE or CONNECTOR. Kind is the word. DeleteTopic holds for streams and tables only.
type Drop struct {
	Origin
	Kind        Keyword `parser:"'DROP' @('STREAM' | 'TABLE' | 'TYPE' | 'CONNECTOR')"`
	IfExists    bool    `parser:"((?= 'IF' 'EXISTS') 'IF' @'EXISTS')?"`
	Name        Name    `parser:"@@"`
	DeleteTopic bool    `parser:"('DELETE' @'TOPIC')?"`
}

// AlterSource is ALTER STREAM or TABLE name ADD [COLUMN] column, ..
type AlterSource struct {
	Origin
	Kind Keyword        `parser:"'ALTER' @('STREAM' | 'TABLE')"`
	Name Name           `parser:"@@"`
	Add  []*AddedColumn `parser:"@@ (',' @@)*"`
}

// AddedColumn is ADD [COLUMN] name type.
type AddedColumn struct {
	At
	Name Name
	Type *TypeExpr
}

// CreateConnector is CREATE SOURCE or SINK CONNECTOR name WITH (..). Kind is SOURCE or SINK.
type CreateConnector struct {
	Origin
	Kind        Keyword    `parser:"'CREATE' @('SOURCE' | 'SINK') 'CONNECTOR'"`
	IfNotExists bool       `parser:"((?= 'IF' 'NOT') 'IF' 'NOT' @'EXISTS')?"`
	Name        Name       `parser:"@@"`
	With        []*Setting `parser:"'WITH' '(' (@@ (',' @@)*)? ')'"`
}
