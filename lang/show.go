package lang

// Show is SHOW or LIST of the objects in What: STREAMS, TABLES, TOPICS, QUERIES, JOBS, FUNCTIONS, MODELS, MODEL TYPES, TYPES,
// PROPERTIES, VARIABLES, CONNECTORS, FORMATS or ARCHIVES. All includes hidden objects, Extended includes details.
type Show struct {
	Origin
	All      bool    `parser:"('SHOW' | 'LIST') @'ALL'?"`
	What     Keyword `parser:"(@('STREAMS' | 'TABLES' | 'TOPICS' | 'QUERIES' | 'JOBS' | 'FUNCTIONS' | 'MODELS' | 'TYPES' | 'PROPERTIES' | 'VARIABLES' | 'CONNECTORS' | 'FORMATS' | 'ARCHIVES') | @('MODEL' 'TYPES'))"`
	Extended bool    `parser:"@'EXTENDED'?"`
}

// Traits returns the traits of SHOW STREAMS, SHOW JOBS and so on.
func (s *Show) Traits() Traits { return shows("SHOW " + string(s.What)) }

func (*Show) names() []string {
	return append(each("SHOW ", choices[Show]("What"), ""),
		append(each("LIST ", choices[Show]("What"), ""), "SHOW ALL TOPICS", "SHOW MODEL TYPES", "LIST MODEL TYPES")...)
}

// ShowObject is SHOW MODEL VERSIONS m, SHOW CREATE MODEL m, or SHOW CREATE STREAM or TABLE s. The words between
// SHOW and the name are in What.
type ShowObject struct {
	Origin
	What Keyword   `parser:"('SHOW' | 'LIST') @('MODEL' 'VERSIONS' | 'CREATE' ('MODEL' | 'STREAM' | 'TABLE'))"`
	Name ModelName `parser:"@@"`
}

// Traits returns the traits of SHOW MODEL VERSIONS and SHOW CREATE.
func (s *ShowObject) Traits() Traits { return shows("SHOW " + string(s.What)) }

func (*ShowObject) names() []string {
	return []string{"SHOW MODEL VERSIONS", "SHOW CREATE MODEL", "SHOW CREATE STREAM", "SHOW CREATE TABLE"}
}

// Describe is DESCRIBE of a source, with an empty What, or of a FUNCTION, MODEL, MODEL TYPE, CONNECTOR, FORMAT or
// ARCHIVE. EXTENDED may be written before or after the name.
type Describe struct {
	Origin
	What     Keyword
	Name     ModelName
	Extended bool
}

// Traits returns the traits of DESCRIBE.
func (s *Describe) Traits() Traits {
	if s.What == "" {
		return shows("DESCRIBE")
	}
	return shows("DESCRIBE " + string(s.What))
}

func (*Describe) names() []string {
	return append(each("DESCRIBE ", described, ""), "DESCRIBE MODEL TYPE", "DESCRIBE")
}

// Explain is EXPLAIN statement, or EXPLAIN id, where Query is the id of a running job.
type Explain struct {
	Origin
	Query     *Name
	Statement Statement
}

// Traits returns the traits of EXPLAIN.
func (*Explain) Traits() Traits { return shows("EXPLAIN") }

func (*Explain) names() []string { return []string{"EXPLAIN"} }

// PrintTopic is PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]. It prints every n-th record of a topic, up to
// the limit.
type PrintTopic struct {
	Origin
	Topic     TopicName `parser:"'PRINT' @@"`
	Beginning bool      `parser:"('FROM' @'BEGINNING')?"`
	Interval  *Count    `parser:"(('INTERVAL' | 'SAMPLE') @@)?"`
	Limit     *Count    `parser:"('LIMIT' @@)?"`
}

// Traits returns the traits of PRINT. Its text bounds it if it has LIMIT.
func (s *PrintTopic) Traits() Traits {
	return Traits{Name: "PRINT", Rows: true, Bounded: s.Limit != nil}
}

func (*PrintTopic) names() []string { return []string{"PRINT"} }
