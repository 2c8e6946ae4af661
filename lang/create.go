package lang

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CreateSource is CREATE STREAM or CREATE TABLE: over a topic (Columns, With), from a topic whose columns are
// inferred (FromTopic), or as the result of a query (Query). Kind is STREAM or TABLE.
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

// Traits returns the traits of CREATE STREAM and CREATE TABLE. With AS SELECT the statement has a plan.
func (s *CreateSource) Traits() Traits {
	t := defines("CREATE " + string(s.Kind))
	t.Plan = s.Query != nil
	return t
}

func (*CreateSource) names() []string {
	kinds := choices[CreateSource]("Kind")
	return append(each("CREATE ", kinds, ""),
		append(each("CREATE OR REPLACE ", kinds, ""), each("CREATE SOURCE ", kinds, "")...)...)
}

// Column is one column of a definition. Role is PRIMARY KEY, KEY, HEADERS, HEADER or empty. Key is the name of the
// header, of HEADER only.
type Column struct {
	At
	Name Name      `parser:"@@"`
	Type *TypeExpr `parser:"@@"`
	Role Keyword   `parser:"( @('PRIMARY' 'KEY') | @'KEY' | @'HEADERS' | @'HEADER' '('"`
	Key  *Text     `parser:"@@ ')' )?"`
}

// CreateType is CREATE TYPE name AS type.
type CreateType struct {
	Origin
	IfNotExists bool      `parser:"'CREATE' 'TYPE' ((?= 'IF' 'NOT') 'IF' 'NOT' @'EXISTS')?"`
	Name        Name      `parser:"@@ 'AS'"`
	Type        *TypeExpr `parser:"@@"`
}

// Traits returns the traits of CREATE TYPE.
func (*CreateType) Traits() Traits { return defines("CREATE TYPE") }

func (*CreateType) names() []string { return []string{"CREATE TYPE"} }

// Drop is DROP STREAM, TABLE, TYPE or CONNECTOR, of which Kind is the word. DeleteTopic is meaningful for streams
// and tables only.
type Drop struct {
	Origin
	Kind        Keyword `parser:"'DROP' @('STREAM' | 'TABLE' | 'TYPE' | 'CONNECTOR')"`
	IfExists    bool    `parser:"((?= 'IF' 'EXISTS') 'IF' @'EXISTS')?"`
	Name        Name    `parser:"@@"`
	DeleteTopic bool    `parser:"('DELETE' @'TOPIC')?"`
}

// Traits returns the traits of DROP STREAM, DROP TABLE and DROP TYPE.
func (s *Drop) Traits() Traits { return defines("DROP " + string(s.Kind)) }

func (*Drop) names() []string { return each("DROP ", choices[Drop]("Kind"), "") }

// AlterSource is ALTER STREAM or TABLE name ADD [COLUMN] column, ..
type AlterSource struct {
	Origin
	Kind Keyword        `parser:"'ALTER' @('STREAM' | 'TABLE')"`
	Name Name           `parser:"@@"`
	Add  []*AddedColumn `parser:"@@ (',' @@)*"`
}

// Traits returns the traits of ALTER STREAM and ALTER TABLE.
func (s *AlterSource) Traits() Traits { return defines("ALTER " + string(s.Kind)) }

func (*AlterSource) names() []string { return each("ALTER ", choices[AlterSource]("Kind"), "") }

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

// Traits returns the traits of CREATE SOURCE CONNECTOR and CREATE SINK CONNECTOR.
func (s *CreateConnector) Traits() Traits { return defines("CREATE " + string(s.Kind) + " CONNECTOR") }

func (*CreateConnector) names() []string {
	return each("CREATE ", choices[CreateConnector]("Kind"), " CONNECTOR")
}

// check refuses a key column of the wrong kind, which the grammar accepts.
func (c *CreateSource) check() error {
	for _, col := range c.Columns {
		want, use := Keyword("PRIMARY KEY"), "KEY"
		if c.Kind == "TABLE" {
			want, use = "KEY", "PRIMARY KEY"
		}
		if col.Role == want {
			kind := strings.ToLower(string(c.Kind))
			return &syntaxError{&Error{Code: "SQ1015", Stage: StageParse, Pos: col.Pos,
				Len:   utf8.RuneCountInString(col.Name.Text),
				Msg:   fmt.Sprintf("column %s is %s, which a %s does not have", shorten(col.Name.Text), want, kind),
				Label: "use " + use}}
		}
	}
	return nil
}
