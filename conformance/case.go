// Package conformance runs SQL test files: what a statement means is pinned by cases that a user can read. A *.sqltest file holds
// cases, a case statements, input records and what must come of them; `streamql test` is this package behind a command.
//
// Run searches for files, gives each case an engine of its own in memory, writes the inputs as real record bytes, works off all jobs
// and compares what the sinks' topics hold. Parse alone reads a file.
package conformance

import (
	"encoding/json"
	"fmt"
)

// Case is one case of a test file.
type Case struct {
	ID   string // of "# id:", else the file's name without its ending, a slash and the case's name
	Name string
	File string
	Line int // of "=== name"

	Needs      []string // files without which the case is skipped, beside the test file unless absolute
	Dialect    string   // "": that of the run
	Tolerance  float64  // of doubles, relative; 0: 1e-6
	Properties []Property
	Topics     []Topic
	SQL        Text
	Input      []Record
	After      []Record // written when the queries have started
	Outputs    []Output
	Queries    []Query
	Error      *Failure
	Sources    []Source
	Created    []Created
}

// Text is SQL and the line of the file it starts at.
type Text struct {
	SQL  string
	Line int
}

// Property is a line name=value.
type Property struct {
	Name, Value string
	Line        int
}

// Topic is a topic that exists before the first statement.
type Topic struct {
	Name        string          `json:"name"`
	Partitions  int32           `json:"partitions"`
	Replicas    int32           `json:"replicas"`
	KeyFormat   string          `json:"key_format"`
	KeySchema   json.RawMessage `json:"key_schema"`
	KeyID       int             `json:"key_schema_id"`
	KeyRefs     json.RawMessage `json:"key_schema_references"`
	ValueFormat string          `json:"value_format"`
	ValueSchema json.RawMessage `json:"value_schema"`
	ValueID     int             `json:"value_schema_id"`
	ValueRefs   json.RawMessage `json:"value_schema_references"`
	Line        int             `json:"-"`
}

// Record is a record of an input or an output. Key and Value are JSON; absent is null. KeyBytes and ValueBytes, in base64, stand for
// bytes that no JSON text would be written as, for tests of records that cannot be read.
type Record struct {
	Topic      string          `json:"topic"`
	Key        json.RawMessage `json:"key,omitempty"`
	KeyBytes   []byte          `json:"key_base64,omitempty"`
	Value      json.RawMessage `json:"value,omitempty"`
	ValueBytes []byte          `json:"value_base64,omitempty"`
	Timestamp  *int64          `json:"timestamp,omitempty"`
	Window     *Window         `json:"window,omitempty"`
	Headers    []Header        `json:"headers,omitempty"`
	Partition  *int32          `json:"partition,omitempty"` // an input's; absent: by the key
	Line       int             `json:"-"`
}

// Window is the window of a record's key; Type is TIME or SESSION.
type Window struct {
	Type  string `json:"type"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
}

// Header is a header of a record; Value is null or bytes.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value_base64"`
}

// Mode says how much of the order of what is expected counts.
type Mode string

// The modes: every record in this order, in any order, or only the last of each key.
const (
	Ordered   Mode = ""
	Unordered Mode = "unordered"
	Final     Mode = "final"
)

// Output is a section of expected records.
type Output struct {
	Mode    Mode
	Records []Record
	body    span
}

// Query is a SELECT and the rows it must have; Rows is nil where the file has none.
type Query struct {
	Text
	Rows *Rows
}

// Rows are a query's expected rows.
type Rows struct {
	Mode Mode
	Rows []Row
	body span
}

// Row is a JSON array of columns; Deleted says that the row goes away.
type Row struct {
	Deleted bool
	Columns json.RawMessage
	Line    int
}

// Failure is an expected error: which statement (0: the last), at which stage ("": any), and what the message names, without case:
// at least one of Mentions.
type Failure struct {
	Statement int
	Stage     string
	Mentions  []string
	body      span
}

// UnmarshalJSON reads a failure, whose statement is a number or "last".
func (f *Failure) UnmarshalJSON(b []byte) error {
	var raw struct {
		Statement any      `json:"statement"`
		Stage     string   `json:"stage"`
		Mentions  []string `json:"mentions"`
	}
	if err := strict(b, &raw); err != nil {
		return err
	}
	switch s := raw.Statement.(type) {
	case nil:
	case string:
		if s != "last" {
			return fmt.Errorf("statement is a number or \"last\", not %q", s)
		}
	case float64:
		if f.Statement = int(s); float64(f.Statement) != s || s < 1 {
			return fmt.Errorf("statement is a number from 1, not %v", s)
		}
	default:
		return fmt.Errorf("statement is a number or \"last\"")
	}
	switch raw.Stage {
	case "", "parse", "plan", "run":
	default:
		return fmt.Errorf("stage is parse, plan or run, not %q", raw.Stage)
	}
	f.Stage, f.Mentions = raw.Stage, raw.Mentions
	return nil
}

// Source is a stream or table that must exist at the end; empty fields match anything.
type Source struct {
	Name        string `json:"name"`
	Type        string `json:"type,omitempty"`
	Schema      string `json:"schema,omitempty"`
	KeyFormat   string `json:"keyFormat,omitempty"`
	ValueFormat string `json:"valueFormat,omitempty"`
	Line        int    `json:"-"`
}

// Created is a topic that must exist at the end; Partitions 0 matches any number.
type Created struct {
	Name        string `json:"name"`
	Partitions  int32  `json:"partitions"`
	KeyFormat   string `json:"keyFormat"`
	ValueFormat string `json:"valueFormat"`
	Line        int    `json:"-"`
}

// span is the lines [from, to) of a section's content, from 1.
type span struct{ from, to int }
