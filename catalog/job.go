package catalog

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Topic is the configuration of a new topic; zero values are the broker's defaults.
type Topic struct {
	Name        string `json:"name"`
	Partitions  int32  `json:"partitions"`
	Use         Use    `json:"use"`
	RetentionMs int64  `json:"retention_ms,omitempty"` // -1: no limit
	Compact     bool   `json:"compact,omitempty"`
	Replicas    int16  `json:"replicas,omitempty"` // 0: the engine's number
}

// Use is the purpose of a topic, which determines its configuration.
type Use string

// The purposes of topics.
const (
	Data      Use = "data"      // of a relation
	Changelog Use = "changelog" // the state of a job's tasks
	Exchange  Use = "exchange"  // between the stages of a job
	Versions  Use = "versions"  // of a model
	Log       Use = "log"       // the catalog log
	Journal   Use = "journal"   // the engine's own rows: errors, training
)

// Reading is the context in which the text of a statement was interpreted when it was decided.
// Interpreting the text in the same context results in the same plan.
type Reading struct {
	Dialect    string            `json:"dialect,omitempty"`    // empty: streamql
	Properties map[string]string `json:"properties,omitempty"` // of the session
	Variables  map[string]string `json:"variables,omitempty"`  // values of ${NAME} in the text
	Args       []Arg             `json:"args,omitempty"`       // of $1, $2, ..
	// Relations and Types are the objects that the names in the text referred to.
	Relations []*Relation          `json:"relations,omitempty"`
	Types     map[string]NamedType `json:"types,omitempty"`
}

// NamedType is a type with a name.
type NamedType struct {
	Name string
	Type flow.Type
}

// Model is a model's name and the statement that trains it. Its versions are in its topic.
type Model struct {
	Name      string
	Statement string
	Reading   Reading
	Job       string
	Type      string
	Topic     string
}

// Version identifies a version of a model; Number 0: the one that serves.
type Version struct {
	Model  string `json:"model"`
	Number int    `json:"number,omitempty"`
}

// Job is a statement that should run.
type Job struct {
	Name      string
	Kind      string // CSAS, CTAS, INSERT, MODEL, RETRAIN
	Statement string
	Reading   Reading
	Fills     string    // the relation or model
	Reads     []string  // relations
	Uses      []string  // models that it predicts with
	Waits     []Version // models without which it cannot run
	Bounded   bool      // all its inputs end
	// Spans are the offsets that each scan of the plan reads, in the plan's order. Empty: they
	// are determined when the job starts.
	Spans     [][]topic.Span
	Guarantee string // empty: exactly once
	// Shape describes the operators with state. If the statement is planned with another shape,
	// the state must not be used.
	Shape  string
	Topics []Topic // its changelogs and exchanges
	// Tasks are the partitions of the last changelog, which represent the tasks that compute
	// the result.
	Tasks []topic.Partition

	// Made reports that its topics have been created. A topic that is missing afterwards has
	// been deleted.
	Made       bool
	Generation int      // from 1; incremented when the job is to start over
	Resume     string   // where this generation continues: "", STATE, OFFSETS or ResumeSkip
	Paused     bool     // by the user
	Done       bool     // it was bounded and has ended
	Failure    *Failure // nil: it has not failed
}

// Failure is the reason for which a job has failed.
type Failure struct {
	Code  string `json:"code"`
	Cause string `json:"cause"`
	Cure  string `json:"cure,omitempty"`
	By    string `json:"by,omitempty"` // the process that reported it
	At    int64  `json:"at,omitempty"` // ms
}

// Runs reports whether the job should run now.
func (j *Job) Runs() bool { return !j.Paused && !j.Done && j.Failure == nil }
