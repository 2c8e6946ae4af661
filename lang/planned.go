package lang

import (
	"fmt"
	"strings"
)

// planned maps the names of statements that the grammar reads and that no engine executes yet to an alternative,
// or to "" if there is none. It is the only list of them: a caller that executes statements calls Planned first.
var planned = map[string]string{
	"ALTER STREAM":       "CREATE OR REPLACE STREAM declares a stream again, with all its columns",
	"ALTER TABLE":        "CREATE OR REPLACE TABLE declares a table again, with all its columns",
	"ALTER MODEL":        "a query names a version itself: PREDICT(m$2, ..)",
	"ROLLBACK MODEL":     "DROP MODEL m$n drops one version; a query names a version itself: PREDICT(m$2, ..)",
	"EXPORT MODEL":       "SHOW MODELS names the topic that contains a model's versions",
	"REPRODUCE MODEL":    "RETRAIN MODEL m SINCE .. UNTIL .. trains from the rows of a span again",
	"RUN SCRIPT":         "streamql run FILE runs a file, and so does \\i FILE in the shell",
	"ASSERT TOPIC":       "SHOW TOPICS lists topics; streamql test runs cases with the topics they expect",
	"ASSERT SCHEMA":      "DESCRIBE shows columns; streamql test runs cases with the sources they expect",
	"ASSERT STREAM":      "DESCRIBE shows columns; streamql test runs cases with the sources they expect",
	"ASSERT TABLE":       "DESCRIBE shows columns; streamql test runs cases with the sources they expect",
	"ASSERT VALUES":      "streamql test runs cases with the rows they expect",
	"ASSERT NULL VALUES": "streamql test runs cases with the rows they expect",
	"ARCHIVE TOPIC":      archives,
	"ALTER ARCHIVE":      archives,
	"PAUSE ARCHIVE":      "",
	"RESUME ARCHIVE":     "",
	"DROP ARCHIVE":       "",
	"VERIFY ARCHIVE":     "",
	"REPAIR ARCHIVE":     "",
	"EXPIRE ARCHIVE":     "",
	"SHOW ARCHIVES":      "",
	"LIST ARCHIVES":      "",
	"DESCRIBE ARCHIVE":   "",

	"CREATE SOURCE CONNECTOR": connectors,
	"CREATE SINK CONNECTOR":   connectors,
	"DROP CONNECTOR":          connectors,
}

const (
	archives   = "retention_ms in WITH sets how long a topic keeps its records"
	connectors = "CREATE STREAM .. WITH (connector='files') reads files; manage Kafka Connect through its own interface"
)

// Planned returns the error SQ3001, at the position of the statement, if the statement, or the statement that an
// EXPLAIN contains, can be read and not be executed yet. It returns nil for every other statement.
func Planned(st Statement) error {
	if x, ok := st.(*Explain); ok && x.Statement != nil {
		st = x.Statement
	}
	name := st.Traits().Name
	instead, later := planned[name]
	if !later {
		return nil
	}
	first, _, _ := strings.Cut(name, " ")
	return &Error{Code: "SQ3001", Stage: StagePlan, Stmt: st.Number(), Pos: st.Position(), Len: len(first),
		Msg: fmt.Sprintf("%s is not supported yet", name), Hint: instead}
}
