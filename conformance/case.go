// Package conformance runs SQL test files, whose cases define the meaning of statements. A *.sqltest file
// contains cases. A case has statements, input records and the expected results. Run finds the files and runs
// each case in an engine of its own, in memory: it writes the inputs as encoded records, drains all jobs and
// compares the records of the sinks' topics. Parse only reads a file. The command `streamql test` calls Run.
package conformance

import (
	"encoding/json"
	"fmt"
)

// Case is one case of a test file.
type Case struct {
	ID   string // of "# id:"; by default the file's name without extension, a slash and the case's name
	Name string
	File string
	Line int // of "=== name"

	Needs      []string // files without which the case is skipped; relative to the test file
	Dialect    string   // "": the dialect of the run
	Tolerance  float64  // of doubles, relative; 0: 1e-6
	Properties []Property
	Topics     []Topic
	SQL        Text
	Input      []Record
	After      []Record // written after the queries have started
	Outputs    []Output
	Queries    []Query
	Error      *Failure
	Sources    []Source
	Created    []Created
}

// Text is SQL and the line of the file at which it starts.
type Text struct {
	SQL  string
	Line int
}

// Property is a line name=value.
type Property struct {
	Name, Value string
	Line        int
}

// Topic is a topic that is created before the first statement.
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

// Record is a record of an input or an output. Key and Value are JSON; an absent one is null. KeyBytes and
// ValueBytes contain base64 and replace Key and Value for bytes that no JSON value encodes to, in tests of
// records that cannot be decoded.
type Record struct {
	Topic      string          `json:"topic"`
	Key        json.RawMessage `json:"key,omitempty"`
	KeyBytes   []byte          `json:"key_base64,omitempty"`
	Value      json.RawMessage `json:"value,omitempty"`
	ValueBytes []byte          `json:"value_base64,omitempty"`
	Timestamp  *int64          `json:"timestamp,omitempty"`
	Window     *Window         `json:"window,omitempty"`
	Headers    []Header        `json:"headers,omitempty"`
	Partition  *int32          `json:"partition,omitempty"` // of an input; absent: chosen by the key
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

// Mode is how much of the order of records is compared.
type Mode string

// The modes: all records in order, all records in any order, or only the last record of each key.
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

// Query is a SELECT and its expected rows; Rows is nil if the file has none.
type Query struct {
	Text
	Rows *Rows
}

// Rows contains a query's expected rows.
type Rows struct {
	Mode Mode
	Rows []Row
	body span
}

// Row is a JSON array of columns. Deleted means that the row is retracted.
type Row struct {
	Deleted bool
	Columns json.RawMessage
	Line    int
}

// Failure is an expected error: the statement (0: the last), the phase ("": any), and the words of which the
// message must contain at least one, in any case.
type Failure struct {
	Statement int
	Stage     string
	Mentions  []string
	body      span
}

// UnmarshalJSON decodes a failure, whose statement is a number or "last".
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
			return fmt.Errorf("statement must be a number or \"last\", not %q", s)
		}
	case float64:
		if f.Statement = int(s); float64(f.Statement) != s || s < 1 {
			return fmt.Errorf("statement must be a number from 1, not %v", s)
		}
	default:
		return fmt.Errorf("statement must be a number or \"last\"")
	}
	switch raw.Stage {
	case "", "parse", "plan", "run":
	default:
		return fmt.Errorf("stage must be parse, plan or run, not %q", raw.Stage)
	}
	f.Stage, f.Mentions = raw.Stage, raw.Mentions
	return nil
}

// Source is a stream or table that must exist at the end; empty fields match any value.
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
