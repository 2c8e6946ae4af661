package catalog

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Topic is how a topic is made: the zero value of a member is the broker's default.
type Topic struct {
	Name        string `json:"name"`
	Partitions  int32  `json:"partitions"`
	Use         Use    `json:"use"`
	RetentionMs int64  `json:"retention_ms,omitempty"` // -1: for ever
	Compact     bool   `json:"compact,omitempty"`
	Replicas    int16  `json:"replicas,omitempty"` // 0: the engine's number
}

// Use is the purpose of a topic, from which its configuration follows.
type Use string

// The uses of topics.
const (
	Data      Use = "data"      // of a relation
	Changelog Use = "changelog" // the state of a job's tasks
	Exchange  Use = "exchange"  // between the stages of a job
	Versions  Use = "versions"  // of a model
	Log       Use = "log"       // the catalog's own
	Journal   Use = "journal"   // rows of the engine's own: errors, training
)

// Reading is how the text of a statement was read when it was decided; reading it so again gives the same plan.
type Reading struct {
	Dialect    string            `json:"dialect,omitempty"`    // "": streamql
	Properties map[string]string `json:"properties,omitempty"` // of the session
	Variables  map[string]string `json:"variables,omitempty"`  // that ${NAME} in the text means
	Args       []Arg             `json:"args,omitempty"`       // of $1, $2, ..
	// Relations and Types are what the names in the text meant.
	Relations []*Relation          `json:"relations,omitempty"`
	Types     map[string]NamedType `json:"types,omitempty"`
}

// NamedType is a type with a name.
type NamedType struct {
	Name string
	Type flow.Type
}

// Model is a model's name and the statement that trains it; its versions are in its topic.
type Model struct {
	Name      string
	Statement string
	Reading   Reading
	Job       string
	Type      string
	Topic     string
}

// Version is a version of a model; Number 0: the one that serves.
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
	Waits     []Version // that it cannot run without
	Bounded   bool      // it ends by itself
	// Spans are the offsets that each scan of the plan reads, in the plan's order. Empty: they are found when the job starts.
	Spans     [][]topic.Span
	Guarantee string // "": exactly once
	// Shape describes the operators that keep state. A job whose statement is planned in another shape must not read that state.
	Shape  string
	Topics []Topic // its changelogs and exchanges
	// Tasks are the partitions of the last changelog that stand for the tasks which fill the result.
	Tasks []topic.Partition

	// Made says that its topics have been made. One that is not there then has been deleted.
	Made       bool
	Generation int      // from 1; it rises when the job is to start afresh
	Resume     string   // where this generation goes on: "", STATE, OFFSETS or ResumeSkip
	Paused     bool     // by the user
	Done       bool     // it was bounded and has ended
	Failure    *Failure // why it failed; nil: it did not
}

// Failure is why a job has failed.
type Failure struct {
	Code  string `json:"code"`
	Cause string `json:"cause"`
	Cure  string `json:"cure,omitempty"`
	By    string `json:"by,omitempty"` // the process that reported it
	At    int64  `json:"at,omitempty"` // ms
}

// Runs reports whether the job should run now.
func (j *Job) Runs() bool { return !j.Paused && !j.Done && j.Failure == nil }
