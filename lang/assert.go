package lang

// AssertTopic is ASSERT [NOT EXISTS] TOPIC name [WITH (..)] [TIMEOUT t].
type AssertTopic struct {
	Origin
	Absent  bool       `parser:"'ASSERT' ('NOT' @'EXISTS')?"`
	Topic   TopicName  `parser:"'TOPIC' @@"`
	With    []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
	Timeout *Interval  `parser:"('TIMEOUT' @@)?"`
}

// AssertSchema is ASSERT [NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT t].
type AssertSchema struct {
	Origin
	Absent  bool       `parser:"'ASSERT' ('NOT' @'EXISTS')?"`
	Subject *TopicName `parser:"'SCHEMA' ('SUBJECT' @@)?"`
	ID      *Count     `parser:"('ID' @@)?"`
	Timeout *Interval  `parser:"('TIMEOUT' @@)?"`
}

// AssertValues is ASSERT VALUES name [(columns)] VALUES (row), or ASSERT NULL VALUES name [(columns)] KEY (row), which says that
// the key was deleted.
type AssertValues struct {
	Origin
	Null    bool   `parser:"'ASSERT' @'NULL'? 'VALUES'"`
	Name    Name   `parser:"@@"`
	Columns []Name `parser:"('(' @@ (',' @@)* ')')?"`
	Row     *Row   `parser:"('VALUES' | 'KEY') @@"`
}

// AssertSource is ASSERT STREAM or TABLE name [(columns)] [WITH (..)].
type AssertSource struct {
	Origin
	Kind    Keyword    `parser:"'ASSERT' @('STREAM' | 'TABLE')"`
	Name    Name       `parser:"@@"`
	Columns []*Column  `parser:"('(' @@ (',' @@)* ')')?"`
	With    []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
}
