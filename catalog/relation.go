package catalog

import (
	"strings"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Role says which part of a record a column is read from.
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
	Header string // the header's key, for role Header
}

// Windowing says that a table's keys are windowed. Size is the window's length in ms, -1 for sessions.
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
	// Timestamp is the column that holds event time, with the pattern of its text if it is text; empty: the record's time.
	Timestamp, TimestampFormat string
	Window                     *Windowing
	With                       map[string]string // options as given, by lower-case name
	Connector                  string            // "": that of the broker, whose topic it reads and fills
	Root, Path                 string            // of a connector that reads the disk: its limits, and the place in them
	ReadOnly                   bool
	Statement                  string            // the text that made it
	Variables                  map[string]string // that ${NAME} in the text meant
	Job                        string            // the job that fills it; "" when it is declared over a topic
	OnError                    string
	// Make is how the topic is made; nil: it was there before the relation, and nobody makes it again.
	Make *Topic
}

// Kind is STREAM or TABLE.
func (r *Relation) Kind() string {
	if r.Table {
		return "TABLE"
	}
	return "STREAM"
}

// AtBroker reports whether the records are in a topic of the broker, rather than where a connector of another kind
// reads them.
func (r *Relation) AtBroker() bool { return r.Connector == "" }

// KeyColumns returns the key's columns in their order.
func (r *Relation) KeyColumns() []Column {
	var out []Column
	for _, c := range r.Columns {
		if c.Role == Key {
			out = append(out, c)
		}
	}
	return out
}

// Schema spells the columns as ksqlDB does: "`ID` BIGINT KEY, `V` STRING".
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
