// Package exec runs plans. A plan is a tree of nodes, plain data; opening it gives operators, one set per task. A task pushes what
// one poll brought through its operators, depth first, on one goroutine, so that between two pushes nothing is in flight: state,
// outputs and offsets agree, and a worker may commit them in one transaction. The package knows nothing of SQL.
package exec

import (
	"errors"
	"fmt"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Emit hands a batch to the next operator. It returns when everything downstream has taken it.
type Emit func(*flow.Batch) error

// Operator takes batches from its input on a port (0, or the input's number) and emits batches. What it must remember is in its
// keyspace; what it holds in fields may be lost at any commit.
type Operator interface {
	Process(port int, in *flow.Batch, emit Emit) error
}

// Timed is an Operator that acts when stream time moves (optional): now is the task's running maximum of event time.
type Timed interface {
	Operator
	Advance(now flow.Time, emit Emit) error
}

// Finisher is an Operator that acts when its bounded input has ended (optional).
type Finisher interface {
	Operator
	Finish(emit Emit) error
}

// Sealer is an Operator that moves what it holds into its keyspace before a commit (optional): state that would be too dear to
// write for every batch.
type Sealer interface {
	Operator
	Seal() error
}

// Holder is an Operator that may hold rows which are in no state (optional): while it does, nothing is committed.
type Holder interface {
	Operator
	Holds() bool
}

// Decoder is the Operator of a leaf: it turns what a reader brought into a batch. Rows it cannot decode go to the dead letters.
type Decoder interface {
	Operator
	Decode(f *topic.Fetch) (*flow.Batch, error)
}

// Node is a part of a plan: plain data that EXPLAIN prints. Open makes the operator of one task.
type Node interface {
	Schema() *flow.Schema
	Inputs() []Node
	Open(*Context) (Operator, error)
	String() string
}

// Failure is a row that failed: a record that could not be decoded (a dead letter, with the record), or an expression that gave NULL
// instead of a value.
type Failure struct {
	Code   string // SQ5102 ..
	Err    error
	Source string // the relation or model
	topic.Partition
	Offset topic.Offset
	Side   string // "key", "value" or "row"
	Record *topic.Record
}

// Output takes what a task writes. A worker's is its transaction.
type Output interface {
	Write(p topic.Partition, records ...topic.Record) error
}

// Context is what an operator may use. Everything that is not a pure function of the rows comes through here.
type Context struct {
	Job  string
	Task string
	// Partition is the number of the partitions the task reads, 0 for a task that reads several.
	Partition int32
	State     state.Store
	Out       Output
	// Rows takes the result of a query that writes no topic; nil for a job.
	Rows Emit
	// Fail counts and reports a row that failed.
	Fail func(Failure)
	// Late counts rows that came after their window had closed; never nil.
	Late func(rows int64)
	// Models gives running queries the versions of models; nil where no plan uses any.
	Models Models
	// Spans is what the task has read of each input so far, holes included.
	Spans func() []topic.Span
	// Interrupted says that the user wants no more: training ends with its best pass; may be nil.
	Interrupted func() bool
	// Progress is told how training goes; never nil.
	Progress func(Progress)
	// Account is what the job or query has taken of its memory, and whether it may go on; nil: nothing is counted.
	Account *flow.Account
	// Strict says that a row beyond a limit of the engine (udf.ErrLimit) ends the query, as nothing would distinguish its result from one
	// that is right: a query that ends. Elsewhere such a row gives NULL and an entry in the errors, as any other that fails.
	Strict bool

	open func(s format.Spec, subject string) (format.Codec, error)
	ops  int
	jump map[topic.Partition]topic.Offset // positions that a person has decided on
}

// Codec opens the codec of one side of the records of a topic.
func (c *Context) Codec(s format.Spec, topic string, key bool) (format.Codec, error) {
	if c.open == nil {
		return format.New(s)
	}
	if key {
		return c.open(s, topic+"-key")
	}
	return c.open(s, topic+"-value")
}

// Models gives running queries the versions of models; an operator asks between two batches. A version is any, because exec does
// not know what a model is.
type Models interface {
	// Version returns a version (number 0: the one that serves by default) and its number; nil when there is none yet and wait is
	// false. With wait that is an error. It never blocks: a job is started when there is a version.
	Version(model string, number int, wait bool) (version any, n int, err error)
	// Swapped notes, in the job's transaction, that a job has gone from one version (0: none) to another.
	Swapped(job, model string, from, to int, out Output) error
	// Publish writes a version and its metrics in the job's transaction and gives it its id. Its number shows once it is committed.
	Publish(model string, version any, out Output) (id string, err error)
	// Note writes a line of the training log in the job's transaction.
	Note(out Output, event TrainingEvent) error
}

// TrainingEvent is a row of streamql.training; ID is the version's.
type TrainingEvent struct {
	Model, ID, Event, Metric, Job, Detail string
	Pass                                  int
	Rows, Time                            int64
	Value                                 float64
}

// Progress is a line of training's or a scan's progress.
type Progress struct {
	Job    string
	Model  string
	Pass   int // from 1; 0: rows are being read
	Passes int
	Rows   int64
	Loss   float64
}

// Keyspace returns an operator's own keyspace. Operators are opened in the same order at every start, so the number is the name.
func (c *Context) Keyspace(name string) state.Keyspace {
	return c.State.Keyspace(fmt.Sprintf("%d.%s", c.ops, name))
}

// RowFailed returns the reporter of an operator's expressions: a row that fails gives NULL and an entry in the errors. What is evaluated
// after the account has refused to go on has failed for no reason of its own.
func (c *Context) RowFailed(source string) udf.Fail {
	return func(_ int, err error) {
		code := "SQ4001"
		switch {
		case c.Account.Err() != nil:
			return
		case errors.Is(err, udf.ErrLimit) && c.Strict:
			c.Account.Fail(err)
			return
		case errors.Is(err, udf.ErrLimit):
			code = "SQ4003"
		}
		c.Fail(Failure{Code: code, Err: err, Source: source, Side: "row"})
	}
}

// Evaluation is what an operator's expressions have beside their batch.
func (c *Context) Evaluation(source string) udf.Env {
	return udf.Env{Fail: c.RowFailed(source), Account: c.Account}
}
