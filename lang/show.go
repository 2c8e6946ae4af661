package lang

// Show is SHOW or LIST. What is STREAMS, TABLES, TOPICS, QUERIES, JOBS, FUNCTIONS, MODELS, TYPES, PROPERTIES, VARIABLES,
// CONNECTORS, FORMATS or ARCHIVES. All adds what is hidden, Extended the details.
type Show struct {
	Origin
	All      bool    `parser:"('SHOW' | 'LIST') @'ALL'?"`
	What     Keyword `parser:"@('STREAMS' | 'TABLES' | 'TOPICS' | 'QUERIES' | 'JOBS' | 'FUNCTIONS' | 'MODELS' | 'TYPES' | 'PROPERTIES' | 'VARIABLES' | 'CONNECTORS' | 'FORMATS' | 'ARCHIVES')"`
	Extended bool    `parser:"@'EXTENDED'?"`
}

// Traits are those of SHOW STREAMS, SHOW JOBS and so on.
func (s *Show) Traits() Traits { return asks("SHOW " + string(s.What)) }

func (*Show) names() []string {
	return append(each("SHOW ", choices[Show]("What"), ""), append(each("LIST ", choices[Show]("What"), ""), "SHOW ALL TOPICS")...)
}

// ShowObject is SHOW MODEL VERSIONS m, SHOW CREATE MODEL m, or SHOW CREATE STREAM or TABLE s. What is the words between SHOW
// and the name.
type ShowObject struct {
	Origin
	What Keyword   `parser:"('SHOW' | 'LIST') @('MODEL' 'VERSIONS' | 'CREATE' ('MODEL' | 'STREAM' | 'TABLE'))"`
	Name ModelName `parser:"@@"`
}

// Traits are those of SHOW MODEL VERSIONS and SHOW CREATE.
func (s *ShowObject) Traits() Traits { return asks("SHOW " + string(s.What)) }

func (*ShowObject) names() []string {
	return []string{"SHOW MODEL VERSIONS", "SHOW CREATE MODEL", "SHOW CREATE STREAM", "SHOW CREATE TABLE"}
}

// Describe is DESCRIBE source, or of a FUNCTION, MODEL, CONNECTOR, FORMAT or ARCHIVE. What is empty for a source.
// EXTENDED may stand before or after the name.
type Describe struct {
	Origin
	What     Keyword
	Name     ModelName
	Extended bool
}

// Traits are those of DESCRIBE.
func (s *Describe) Traits() Traits {
	if s.What == "" {
		return asks("DESCRIBE")
	}
	return asks("DESCRIBE " + string(s.What))
}

func (*Describe) names() []string { return append(each("DESCRIBE ", described, ""), "DESCRIBE") }

// Explain is EXPLAIN statement or EXPLAIN id, where Query is the id of a running job.
type Explain struct {
	Origin
	Query     *Name
	Statement Statement
}

// Traits are those of EXPLAIN.
func (*Explain) Traits() Traits { return asks("EXPLAIN") }

func (*Explain) names() []string { return []string{"EXPLAIN"} }

// PrintTopic is PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]: the records of a topic, every n-th, n at most.
type PrintTopic struct {
	Origin
	Topic     TopicName `parser:"'PRINT' @@"`
	Beginning bool      `parser:"('FROM' @'BEGINNING')?"`
	Interval  *Count    `parser:"(('INTERVAL' | 'SAMPLE') @@)?"`
	Limit     *Count    `parser:"('LIMIT' @@)?"`
}

// Traits are those of PRINT, which is bounded by LIMIT.
func (s *PrintTopic) Traits() Traits {
	return Traits{Name: "PRINT", Rows: true, Bounded: s.Limit != nil}
}

func (*PrintTopic) names() []string { return []string{"PRINT"} }
