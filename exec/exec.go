// Package exec runs plans. A plan is a tree of nodes, which are plain data; opening a node
// creates the operator of one task. A task pushes each fetch through its operators
// synchronously, depth first, on one goroutine. Between two pushes nothing is in flight: state,
// outputs and offsets are consistent, and the worker may commit them in one transaction. The
// package does not depend on SQL.
package exec

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Emit passes a batch to the next operator. It returns when everything downstream has processed
// the batch.
type Emit func(*flow.Batch) error

// Operator processes batches from its input on a port (0, or the number of the input) and emits
// batches. Its state is in its keyspace; the values of its fields may be lost at any commit.
type Operator interface {
	Process(port int, in *flow.Batch, emit Emit) error
}

// Timed is an optional interface of an Operator that acts when stream time advances: now is the
// running maximum of event time of the task.
type Timed interface {
	Operator
	Advance(now flow.Time, emit Emit) error
}

// Finisher is an optional interface of an Operator that acts when its bounded input has ended.
type Finisher interface {
	Operator
	Finish(emit Emit) error
}

// Sealer is an optional interface of an Operator that buffers state in fields because writing
// it for every batch would be too expensive. Seal moves the buffered state into the keyspace
// before a commit.
type Sealer interface {
	Operator
	Seal() error
}

// Holder is an optional interface of an Operator that may hold rows outside its state. Nothing
// is committed while Holds reports true.
type Holder interface {
	Operator
	Holds() bool
}

// Decoder is the Operator of a leaf: it decodes a fetch into a batch. Rows that it cannot
// decode become dead letters.
type Decoder interface {
	Operator
	Decode(f *topic.Fetch) (*flow.Batch, error)
}

// Node is a part of a plan: plain data that EXPLAIN prints and that nothing changes. It refers to the
// columns of its inputs by their identities. Resolve replaces these by positions before Open.
type Node interface {
	Schema() *flow.Schema
	// Inputs are in the order of the operator's ports.
	Inputs() []Node
	// Rewire returns a copy over other inputs. It calls move once for each reference to a column of an input, and the copy refers
	// to what move returns. Planning learns what a node reads, and moves what it reads, by this alone.
	Rewire(inputs []Node, move Move) Node
	// Open makes the operator of one task.
	Open(*Context) (Operator, error)
	String() string
}

// Move maps a column of the input at a port to the one that takes its place.
type Move func(port, column int) int

// Failure is a row that failed: a record that could not be decoded, which becomes a dead
// letter, or an expression whose result is NULL because of an error. Record is set only for the
// former.
type Failure struct {
	Code   string // SQ5102 ..
	Err    error
	Source string // the relation or model
	topic.Partition
	Offset topic.Offset
	Side   string // "key", "value" or "row"
	Record *topic.Record
}

// Output receives the records that a task writes. The worker's Output is its transaction.
type Output interface {
	Write(p topic.Partition, records ...topic.Record) error
}

// Context is the environment of an operator. Everything that is not a pure function of the rows
// is reached through it.
type Context struct {
	Job  string
	Task string
	// Partition is the number of the partitions that the task reads, 0 for a task that reads
	// several.
	Partition int32
	State     state.Store
	Out       Output
	// Rows receives the result of a query that writes no topic; nil for a job.
	Rows Emit
	// Fail counts and reports a row that failed.
	Fail func(Failure)
	// Late counts rows that arrived after their window had closed; never nil.
	Late func(rows int64)
	// Models provides versions of models to running queries; nil if no plan uses a model.
	Models Models
	// Tables opens the present rows of tables that jobs keep; nil where no plan reads any.
	Tables Tables
	// Spans returns the offsets that the task has read of each input so far, holes included.
	Spans func() []topic.Span
	// Interrupted reports that the user has stopped a training: it ends with its best pass so
	// far. May be nil.
	Interrupted func() bool
	// Progress receives the progress of a training; never nil.
	Progress func(Progress)
	// Account counts the memory of the job or query and ends it at its quota; nil: nothing is
	// counted.
	Account *flow.Account
	// Strict makes a row beyond a limit of the engine (udf.ErrLimit) end the query. It is set
	// for queries that end, because a NULL in their result could not be distinguished from a
	// correct one. Elsewhere such a row becomes NULL and an entry in the errors topic, like any
	// other failed expression.
	Strict bool

	open     func(s format.Spec, subject string) (format.Codec, error)
	ops      int                              // operators so far that have keyspaces
	numbered bool                             // the operator that is being opened is one of them
	jump     map[topic.Partition]topic.Offset // positions that RESUME has set; nil: the state's
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

// Models provides versions of models to running queries. Operators look for new versions
// between two batches. A version has type any because exec does not depend on package ml.
type Models interface {
	// Version returns a version and its number; number 0 selects the newest one for which accepts
	// returns true (nil: any). If there is none yet, it returns nil, or an error if wait is true. It
	// never blocks: a job starts only once a version exists.
	Version(model string, number int, accepts func(version any) bool, wait bool) (version any, n int, err error)
	// Swapped records, in the job's transaction, that a job has changed from one version (0:
	// none) to another.
	Swapped(job, model string, from, to int, out Output) error
	// Publish writes a version and its metrics in the job's transaction and returns its id. The
	// version has a number once the transaction is committed.
	Publish(model string, version any, out Output) (id string, err error)
	// Note writes an event of the training log in the job's transaction.
	Note(out Output, event TrainingEvent) error
}

// Tables opens the present rows of the table that a leaf reads, as of their last commit: the state
// of each task that runs in this process, and the rows, in the columns of the leaf, that other
// processes returned. Each task is read in one of the two ways.
type Tables func(leaf Node) (here []state.View, elsewhere []arrow.Record, err error)

// TrainingEvent is a row of streamql.training. ID is the id of the version.
type TrainingEvent struct {
	Model, ID, Event, Metric, Job, Detail string
	Pass                                  int
	Rows, Time                            int64
	Value                                 float64
}

// Progress is a report of how far a training or a scan is.
type Progress struct {
	Job    string
	Model  string
	Pass   int // from 1; 0: rows are being read
	Passes int
	Rows   int64
	Loss   float64
}

// Keyspace returns a keyspace of the operator that is being opened. Its name begins with the
// operator's number among the operators that have keyspaces. So a new version may add or remove
// stateless operators, and the state of the others is still found.
func (c *Context) Keyspace(name string) state.Keyspace {
	if !c.numbered {
		c.ops, c.numbered = c.ops+1, true
	}
	return c.State.Keyspace(fmt.Sprintf("%d.%s", c.ops, name))
}

// RowFailed returns the error callback of an operator's expressions: a failed row becomes NULL
// and an entry in the errors topic. Failures after the account has ended the work are not
// reported, because they are a consequence of the end.
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

// Evaluation returns the environment in which an operator's expressions are evaluated.
func (c *Context) Evaluation(source string) udf.Env {
	return udf.Env{Fail: c.RowFailed(source), Account: c.Account}
}
