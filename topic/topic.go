// Package topic defines the terms for everything that is read or written. A Kafka topic, an
// archive, a directory of files and a generator are all ordered, partitioned and replayable by
// offset. The package contains interfaces and no implementation of them.
package topic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
)

// Offset is the number of a record in its partition, from 0.
type Offset int64

// End as a Span's To makes a reader follow the partition as it grows.
const End Offset = math.MaxInt64

// Partition identifies one ordered log of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// String returns the topic and the number, as in "orders[3]".
func (p Partition) String() string { return fmt.Sprintf("%s[%d]", p.Topic, p.ID) }

// Span is the offsets [From, To) of a partition.
type Span struct {
	Partition
	From, To Offset
}

// Header is one header of a record. Keys may repeat.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record to write. A nil Key or Value is null; Time is the timestamp in ms since
// the epoch.
type Record struct {
	Key, Value []byte
	Time       int64
	Headers    []Header
}

// Bytes is a column of byte strings. Row i is Data[Spans[2i]:Spans[2i+1]], and null if
// Spans[2i] is negative. Rows may share bytes.
type Bytes struct {
	Data  []byte
	Spans []int32
}

// Len returns the number of rows.
func (b *Bytes) Len() int { return len(b.Spans) / 2 }

// At returns row i; nil is null, and an empty value is not nil.
func (b *Bytes) At(i int) []byte {
	from, to := b.Spans[2*i], b.Spans[2*i+1]
	switch {
	case from < 0:
		return nil
	case from == to: // empty but not null, even if Data is nil
		return []byte{}
	}
	return b.Data[from:to:to]
}

// Append appends a copy of v as a row.
func (b *Bytes) Append(v []byte) {
	if v == nil {
		b.Spans = append(b.Spans, -1, -1)
		return
	}
	from := int32(len(b.Data))
	b.Data = append(b.Data, v...)
	b.Spans = append(b.Spans, from, int32(len(b.Data)))
}

// Fetch is the part [From, Next) of a partition as columns of equal length. Offsets may have
// holes, left by control records, aborted transactions and compaction. Either Key and Value
// contain bytes for a codec, or Decoded contains finished columns. A fetch is read-only and
// remains valid after the next Poll.
type Fetch struct {
	Partition
	From, Next Offset
	Offsets    []Offset
	Times      []int64 // record timestamps, ms
	Key, Value Bytes
	Headers    [][]Header   // nil: no row has headers
	Decoded    arrow.Record // columns by name; nil: Key and Value must be decoded
	Bad        []Bad        // the skipped parts in order; the rows lie between them
}

// Rows returns the number of rows.
func (f *Fetch) Rows() int { return len(f.Offsets) }

// Slice returns the rows [from, to) of the fetch with their part of [From, Next): offsets
// before the first row belong to the slice that begins with it, offsets after the last row to
// the slice that ends with it. It copies nothing.
func (f *Fetch) Slice(from, to int) Fetch {
	s := Fetch{
		Partition: f.Partition, From: f.From, Next: f.Next, Offsets: f.Offsets[from:to:to], Times: f.Times[from:to:to],
		Key: f.Key.slice(from, to), Value: f.Value.slice(from, to),
	}
	if from > 0 {
		s.From = f.Offsets[from-1] + 1
	}
	switch {
	case to == 0 && f.Rows() > 0:
		s.Next = s.From
	case to < f.Rows():
		s.Next = f.Offsets[to-1] + 1
	}
	s.Bad = within(f.Bad, s.From, s.Next)
	if f.Decoded != nil {
		s.Decoded = f.Decoded.NewSlice(int64(from), int64(to))
	}
	if f.Headers != nil {
		for _, h := range f.Headers[from:to] {
			if h != nil {
				s.Headers = f.Headers[from:to:to]
				break
			}
		}
	}
	return s
}

// slice returns the rows [from, to) of the column without copying them.
func (b *Bytes) slice(from, to int) Bytes {
	if len(b.Spans) == 0 { // the rows are decoded, so there are no bytes
		return Bytes{}
	}
	return Bytes{Data: b.Data, Spans: b.Spans[2*from : 2*to : 2*to]}
}

// Reader returns the rows of its spans.
type Reader interface {
	// Poll returns the available rows. It blocks until there are some or ctx ends. io.EOF: all
	// spans are exhausted.
	Poll(ctx context.Context) ([]Fetch, error)
	Close() error
}

// Narrow is an optional interface of a Source that can skip most of the work of Describe. In a
// topic of a thousand partitions, a thousand tasks each need the offsets of one.
type Narrow interface {
	// DescribeOnly is Describe with the offsets of the given partitions; all other offsets are
	// zero.
	DescribeOnly(ctx context.Context, name string, partitions ...int32) (Topic, error)
}

// Topic is the result of Describe: the range of offsets [From, To) that each partition has now.
type Topic struct {
	Name       string
	ID         string // changes if a topic is deleted and created again with the same name
	Partitions []Span
}

// Source is anything that can be read.
type Source interface {
	// Describe returns ErrUnknownTopic, wrapped, if the topic does not exist. The end of each
	// partition is after every record that was written before the call; a reader that reads up
	// to it waits for undecided transactions.
	Describe(ctx context.Context, name string) (Topic, error)
	Open(ctx context.Context, spans []Span) (Reader, error)
}

// Txn is one atomic change: written records and moved input positions. One goroutine uses it
// and ends it with Commit or Abort.
type Txn interface {
	Write(p Partition, records ...Record) error
	// Commit makes all writes visible atomically. read contains the next offset to read of each
	// input partition.
	Commit(ctx context.Context, read map[Partition]Offset) error
	Abort(ctx context.Context) error
}

// Sink begins transactions. A new transaction fences all earlier writers with the same id.
type Sink interface {
	Begin(ctx context.Context, id string) (Txn, error)
}

// Group describes the group that a worker joins. Each task is represented by one partition of a
// changelog topic, and the member that is assigned the partition runs the task. Tasks that read
// several topics, or files, are therefore assigned in the same way as all others.
type Group struct {
	Name  string      // identical in all processes
	Tasks []Partition // all tasks of the group
	Reads []string    // topics of this broker whose positions the group commits
	// Address is the address at which this process answers queries; the members exchange them.
	// Empty: it answers none.
	Address string
	// Standbys is the number of copies of each task's state on members that do not own the
	// task.
	Standbys int
	// Warm returns how far this process's copies of task states extend, as changelog offsets.
	// The assignor prefers the furthest copy when a task moves. May be nil.
	Warm func() map[Partition]Offset
	// AtLeastOnce disables transactions: records are visible as soon as they are written.
	AtLeastOnce bool
}

// Assignment is the work of a member until the next assignment.
type Assignment struct {
	Epoch    int64                // increases with every assignment of the group
	Tasks    []Partition          // owned
	Standbys []Partition          // tasks whose state the member copies
	Owners   map[Partition]string // the addresses of the owners of all tasks that have one
}

// Member is the membership of one worker in a group.
type Member interface {
	// Next blocks until there is an assignment that it has not returned yet. Calling it again
	// confirms that the revoked tasks of the last assignment are committed and closed; only
	// then are they assigned to other members. ErrLost: the membership has ended, join again.
	Next(ctx context.Context) (Assignment, error)
	// Committed returns the committed positions of the group, if there are any. It waits until
	// no transaction that could move them is undecided. After it returns, no earlier owner of
	// these partitions can commit.
	Committed(ctx context.Context, partitions ...Partition) (map[Partition]Offset, error)
	// Begin begins a transaction that can commit only while the membership lasts.
	Begin(ctx context.Context) (Txn, error)
	Close() error
}

// Broker stores topics, runs groups and executes transactions.
type Broker interface {
	Source
	Sink
	Join(ctx context.Context, g Group) (Member, error)
	Close() error
}

// Timed finds offsets by timestamp: the first offset whose record timestamp is >= ms, or the
// partition's end. It is an optional interface of a Source.
type Timed interface {
	OffsetAt(ctx context.Context, p Partition, ms int64) (Offset, error)
}

// Begins is an optional interface of a Source that can find the beginnings of its partitions
// without their ends. Files are an example: finding the end requires counting their rows. Every
// To is 0.
type Begins interface {
	Begins(name string) Topic
}

// Keeper is an optional interface of a Txn that stores state in its own atomic change. The
// embedded broker implements it and therefore needs no changelog. Keys are complete keys of the
// store that the broker shares with package state; a nil Value deletes.
type Keeper interface {
	Txn
	Keep(state ...Record) error
}

// Patient is an optional interface of a Broker that waits for unavailable parts of itself.
// Trouble describes the part it waits for; nil: none.
type Patient interface {
	Trouble() error
}

// Observer is an optional interface of a Broker that can report the owners of a group's tasks
// to a process that is not a member.
type Observer interface {
	Owners(ctx context.Context, group string) (Assignment, error)
}

// Placer is an optional interface of a Txn that reports where its records are: after Commit,
// the offset after the last record of each partition.
type Placer interface {
	Txn
	Ends() map[Partition]Offset
}

// The errors that all implementations share. They are wrapped with the name of the topic.
var (
	ErrUnknownTopic  = errors.New("no such topic")
	ErrTopicExists   = errors.New("the topic exists")
	ErrTopicReplaced = errors.New("the topic was deleted and created again")
	ErrFenced        = errors.New("a newer writer with the same id has taken over")
	// returned by Txn.Write, which skips the record
	ErrTooLarge = errors.New("the record is larger than its topic allows")
	// drop uncommitted work and continue from the last commit
	ErrLost        = errors.New("the outcome of a transaction or the ownership of a task is unknown")
	ErrRefused     = errors.New("the cluster does not allow it")
	ErrUnreachable = errors.New("the broker cannot be reached")
	ErrLocked      = errors.New("the directory is in use by another process")
)

// ErrGap reports that the offsets [From, To) of a partition were requested but no longer exist.
type ErrGap struct{ Span }

// Error names the missing offsets and the partition.
func (e ErrGap) Error() string {
	return fmt.Sprintf("offsets %d to %d of %s no longer exist", e.From, e.To, e.Partition)
}
