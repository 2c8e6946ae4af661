package catalog

import (
	"strings"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Role is the part of a record from which a column is read.
type Role int

// The roles.
const (
	Value Role = iota
	Key
	Headers
	Header
)

// Column is a column of a relation.
type Column struct {
	Name   string
	Type   flow.Type
	Role   Role
	Header string // key of the header, for role Header
}

// Windowing describes the windows of a table's keys. Size is the window's length in ms, -1 for
// sessions.
type Windowing struct {
	Kind string // TUMBLING, HOPPING or SESSION
	Size int64
}

// Relation is a stream or a table over a topic.
type Relation struct {
	Name       string
	Table      bool
	Columns    []Column
	Topic      string
	Partitions int32
	Key, Value format.Spec
	// Timestamp is the column with the event time, and TimestampFormat its pattern if it is
	// text; empty: the record's timestamp.
	Timestamp, TimestampFormat string
	Window                     *Windowing
	With                       map[string]string // options as written, by lower-case name
	Connector                  string            // empty: the broker stores the topic
	// the root that limits a connector that reads files, and the path below it
	Root, Path string
	ReadOnly   bool
	Statement  string            // the text of its definition
	Variables  map[string]string // values of ${NAME} in the text
	Job        string            // the job that fills it; empty if it is declared over a topic
	OnError    string
	// Make is the configuration of its topic; nil: the topic existed before the relation and is
	// not created again.
	Make *Topic
}

// Kind returns STREAM or TABLE.
func (r *Relation) Kind() string {
	if r.Table {
		return "TABLE"
	}
	return "STREAM"
}

// AtBroker reports whether the records are in a topic of the broker, rather than at a place that another connector reads.
func (r *Relation) AtBroker() bool { return r.Connector == "" }

// KeyColumns returns the key columns in their order.
func (r *Relation) KeyColumns() []Column {
	var out []Column
	for _, c := range r.Columns {
		if c.Role == Key {
			out = append(out, c)
		}
	}
	return out
}

// Schema returns the columns in ksqlDB's notation: "`ID` BIGINT KEY, `V` STRING".
func (r *Relation) Schema() string {
	parts := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		parts[i] = "`" + c.Name + "` " + flow.TypeName(c.Type)
		switch {
		case c.Role == Key:
			parts[i] += " KEY"
		case c.Role == Headers:
			parts[i] += " HEADERS"
		case c.Role == Header:
			parts[i] += " HEADER('" + c.Header + "')"
		}
	}
	return strings.Join(parts, ", ")
}
