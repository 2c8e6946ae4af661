package lang

// Show is SHOW or LIST. What is STREAMS, TABLES, TOPICS, QUERIES, JOBS, FUNCTIONS, MODELS, TYPES, PROPERTIES, VARIABLES,
// CONNECTORS, FORMATS or ARCHIVES. All adds what is hidden, Extended the details.
type Show struct {
	Origin
	All      bool    `parser:"('SHOW' | 'LIST') @'ALL'?"`
	What     Keyword `parser:"@('STREAMS' | 'TABLES' | 'TOPICS' | 'QUERIES' | 'JOBS' | 'FUNCTIONS' | 'MODELS' | 'TYPES' | 'PROPERTIES' | 'VARIABLES' | 'CONNECTORS' | 'FORMATS' | 'ARCHIVES')"`
	Extended bool    `parser:"@'EXTENDED'?"`
}

// ShowObject is SHOW MODEL VERSIONS m, SHOW CREATE MODEL m, or SHOW CREATE STREAM or TABLE s. What is the words between SHOW
// and the name.
type ShowObject struct {
	Origin
	What Keyword   `parser:"('SHOW' | 'LIST') @('MODEL' 'VERSIONS' | 'CREATE' ('MODEL' | 'STREAM' | 'TABLE'))"`
	Name ModelName `parser:"@@"`
}

// Describe is DESCRIBE source, or of a FUNCTION, MODEL, CONNECTOR, FORMAT or ARCHIVE. What is empty for a source.
// EXTENDED may stand before or after the name.
type Describe struct {
	Origin
	What     Keyword
	Name     ModelName
	Extended bool
}

// Explain is EXPLAIN statement or EXPLAIN id, where Query is the id of a running job.
type Explain struct {
	Origin
	Query     *Name
	Statement Statement
}

// PrintTopic is PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]: the records of a topic, every n-th, n at most.
type PrintTopic struct {
	Origin
	Topic     TopicName `parser:"'PRINT' @@"`
	Beginning bool      `parser:"('FROM' @'BEGINNING')?"`
	Interval  *Count    `parser:"(('INTERVAL' | 'SAMPLE') @@)?"`
	Limit     *Count    `parser:"('LIMIT' @@)?"`
}
