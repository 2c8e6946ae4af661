package lang

// AssertTopic is ASSERT [NOT EXISTS] TOPIC name [WITH (..)] [TIMEOUT t].
type AssertTopic struct {
	Origin
	Absent  bool       `parser:"'ASSERT' ('NOT' @'EXISTS')?"`
	Topic   TopicName  `parser:"'TOPIC' @@"`
	With    []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
	Timeout *Interval  `parser:"('TIMEOUT' @@)?"`
}

// Traits returns the traits of ASSERT TOPIC.
func (*AssertTopic) Traits() Traits { return Traits{Name: "ASSERT TOPIC", Bounded: true} }

func (*AssertTopic) names() []string { return []string{"ASSERT TOPIC"} }

// AssertSchema is ASSERT [NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT t].
type AssertSchema struct {
	Origin
	Absent  bool       `parser:"'ASSERT' ('NOT' @'EXISTS')?"`
	Subject *TopicName `parser:"'SCHEMA' ('SUBJECT' @@)?"`
	ID      *Count     `parser:"('ID' @@)?"`
	Timeout *Interval  `parser:"('TIMEOUT' @@)?"`
}

// Traits returns the traits of ASSERT SCHEMA.
func (*AssertSchema) Traits() Traits { return Traits{Name: "ASSERT SCHEMA", Bounded: true} }

func (*AssertSchema) names() []string { return []string{"ASSERT SCHEMA"} }

// AssertValues is ASSERT VALUES name [(columns)] VALUES (row), which asserts a row, or ASSERT NULL VALUES name
// [(columns)] KEY (row), which asserts that the key was deleted.
type AssertValues struct {
	Origin
	Null    bool   `parser:"'ASSERT' @'NULL'? 'VALUES'"`
	Name    Name   `parser:"@@"`
	Columns []Name `parser:"('(' @@ (',' @@)* ')')?"`
	Row     *Row   `parser:"('VALUES' | 'KEY') @@"`
}

// Traits returns the traits of ASSERT VALUES and ASSERT NULL VALUES.
func (s *AssertValues) Traits() Traits {
	if s.Null {
		return Traits{Name: "ASSERT NULL VALUES", Bounded: true}
	}
	return Traits{Name: "ASSERT VALUES", Bounded: true}
}

func (*AssertValues) names() []string { return []string{"ASSERT VALUES", "ASSERT NULL VALUES"} }

// AssertSource is ASSERT STREAM or TABLE name [(columns)] [WITH (..)].
type AssertSource struct {
	Origin
	Kind    Keyword    `parser:"'ASSERT' @('STREAM' | 'TABLE')"`
	Name    Name       `parser:"@@"`
	Columns []*Column  `parser:"('(' @@ (',' @@)* ')')?"`
	With    []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
}

// Traits returns the traits of ASSERT STREAM and ASSERT TABLE.
func (s *AssertSource) Traits() Traits {
	return Traits{Name: "ASSERT " + string(s.Kind), Bounded: true}
}

func (*AssertSource) names() []string { return each("ASSERT ", choices[AssertSource]("Kind"), "") }
