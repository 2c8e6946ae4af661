// Package topic holds the nouns of everything that is read or written: a Kafka topic, an archive, a directory of files and a
// generator are all ordered, partitioned and replayable by offset. It has interfaces and no implementation.
package topic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
)

// Offset is a record's place in its partition, from 0.
type Offset int64

// End as a Span's To means: follow the partition as it grows.
const End Offset = math.MaxInt64

// Partition is one ordered log of a topic.
type Partition struct {
	Topic string
	ID    int32
}

func (p Partition) String() string { return fmt.Sprintf("%s[%d]", p.Topic, p.ID) }

// Span is the offsets [From, To) of a partition.
type Span struct {
	Partition
	From, To Offset
}

// Header is one header of a record; keys may repeat.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record to be written. Key and Value nil are null; Time is event time in ms since the epoch.
type Record struct {
	Key, Value []byte
	Time       int64
	Headers    []Header
}

// Bytes is a column of byte strings: row i is Data[Spans[2i]:Spans[2i+1]], null when Spans[2i] is negative. Rows may share bytes.
type Bytes struct {
	Data  []byte
	Spans []int32
}

// Len is the number of rows.
func (b *Bytes) Len() int { return len(b.Spans) / 2 }

// At is row i; nil is null, an empty value is not.
func (b *Bytes) At(i int) []byte {
	from, to := b.Spans[2*i], b.Spans[2*i+1]
	switch {
	case from < 0:
		return nil
	case from == to: // empty, which is not null, also where Data is nil
		return []byte{}
	}
	return b.Data[from:to:to]
}

// Append adds a row, copying v.
func (b *Bytes) Append(v []byte) {
	if v == nil {
		b.Spans = append(b.Spans, -1, -1)
		return
	}
	from := int32(len(b.Data))
	b.Data = append(b.Data, v...)
	b.Spans = append(b.Spans, from, int32(len(b.Data)))
}

// Fetch is what a reader brought of one partition: all that [From, Next) holds, as columns of equal length. Offsets may have
// holes (control records, aborted rows, compaction). Either Key and Value hold bytes for a codec, or Decoded the finished columns.
// A fetch is read-only and stays valid.
type Fetch struct {
	Partition
	From, Next Offset
	Offsets    []Offset
	Times      []int64 // record time, ms
	Key, Value Bytes
	Headers    [][]Header   // nil: no row has any
	Decoded    arrow.Record // columns by name; nil: Key and Value are to be decoded
	Bad        []Bad        // what was passed over, in order; the rows lie between
}

// Rows is the number of rows.
func (f *Fetch) Rows() int { return len(f.Offsets) }

// Slice is the rows [from, to) of the fetch, with the part of [From, Next) that belongs to them: the offsets before the first row go to
// the slice that begins with it, those after the last row to the slice that ends with it. Nothing is copied.
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

func (b *Bytes) slice(from, to int) Bytes {
	if len(b.Spans) == 0 { // the rows are decoded
		return Bytes{}
	}
	return Bytes{Data: b.Data, Spans: b.Spans[2*from : 2*to : 2*to]}
}

// Reader brings the rows of its spans.
type Reader interface {
	// Poll returns what has come; it blocks until there is something or ctx ends. io.EOF: all spans are exhausted.
	Poll(ctx context.Context) ([]Fetch, error)
	Close() error
}

// Narrow is a Source that can leave out most of what Describe looks up: a topic of a thousand partitions has a thousand tasks, and each asks
// about its own.
type Narrow interface {
	// DescribeOnly is Describe with the offsets of these partitions; those of all others are zero.
	DescribeOnly(ctx context.Context, name string, partitions ...int32) (Topic, error)
}

// Topic is what Describe knows: the offsets each partition holds now, [From, To).
type Topic struct {
	Name       string
	ID         string // changes when a topic is deleted and made again under the same name
	Partitions []Span
}

// Source is anything that can be read.
type Source interface {
	// Describe returns ErrUnknownTopic (wrapped) when there is no such topic. The end of a partition is behind every record that was
	// written when it was called; a reader that goes there waits for transactions that are not decided yet.
	Describe(ctx context.Context, name string) (Topic, error)
	Open(ctx context.Context, spans []Span) (Reader, error)
}

// Txn is one atomic change: records written and input positions moved. It is used by one goroutine and ends with Commit or Abort.
type Txn interface {
	Write(p Partition, records ...Record) error
	// Commit makes everything visible at once. read holds, per input partition, the next offset to be read.
	Commit(ctx context.Context, read map[Partition]Offset) error
	Abort(ctx context.Context) error
}

// Sink begins transactions. Writers with one id fence one another: the newest wins.
type Sink interface {
	Begin(ctx context.Context, id string) (Txn, error)
}

// Group is what a worker joins. Its tasks stand for themselves as partitions: each task has a partition of a changelog topic, and whoever
// owns that partition runs the task. So every input, several topics read side by side or a file, is shared out in one way.
type Group struct {
	Name  string      // the same in all processes
	Tasks []Partition // all tasks of the group
	Reads []string    // topics of this broker whose positions the group commits
	// Address is where this process answers queries; members tell each other. "": nowhere.
	Address string
	// Standbys is how many copies of each task's state other members keep.
	Standbys int
	// Warm says how far this process's copies of tasks' state reach, which decides who takes a task over; may be nil.
	Warm func() map[Partition]Offset
	// AtLeastOnce gives up transactions: records are visible as they are written.
	AtLeastOnce bool
}

// Assignment is what a member works on until the next one.
type Assignment struct {
	Epoch    int64                // rises with every assignment of the group
	Tasks    []Partition          // owned
	Standbys []Partition          // to be kept warm
	Owners   map[Partition]string // of all tasks that have one: the owner's address
}

// Member is one worker's place in a group.
type Member interface {
	// Next blocks until there is an assignment that was not told yet. To call it again says that the tasks which the last one took away
	// are committed and let go: only then does anybody else get them. ErrLost: the place is gone, join again.
	Next(ctx context.Context) (Assignment, error)
	// Committed returns the group's positions, where it has any. It waits until no transaction that would move them is undecided, so
	// that after it no earlier owner of these partitions can commit any more.
	Committed(ctx context.Context, partitions ...Partition) (map[Partition]Offset, error)
	// Begin begins a transaction that commits only while the member has its place.
	Begin(ctx context.Context) (Txn, error)
	Close() error
}

// Broker is a place where topics live.
type Broker interface {
	Source
	Sink
	Join(ctx context.Context, g Group) (Member, error)
	Close() error
}

// Timed finds offsets by time (optional): the first offset whose record time is >= ms, or the partition's end.
type Timed interface {
	OffsetAt(ctx context.Context, p Partition, ms int64) (Offset, error)
}

// Begins is a Source that knows where its partitions begin without knowing where they end (optional): files, which are counted to find
// their ends. Every To is 0.
type Begins interface {
	Begins(name string) Topic
}

// Keeper is a Txn that takes state into its own atomic change (optional; the embedded broker has it, so it needs no changelog).
// Keys are complete keys of the store the broker shares with state; a nil Value deletes.
type Keeper interface {
	Txn
	Keep(state ...Record) error
}

// Patient is a Broker that waits when parts of it are away (optional): Trouble says what it waits for, nil: nothing.
type Patient interface {
	Trouble() error
}

// Observer tells who works on what in a group without being its member (optional).
type Observer interface {
	Owners(ctx context.Context, group string) (Assignment, error)
}

// Placer is a Txn that tells where its records went (optional): after Commit, the offset behind the last record per partition.
type Placer interface {
	Txn
	Ends() map[Partition]Offset
}

// Errors that mean the same everywhere. They are wrapped with the topic's name.
var (
	ErrUnknownTopic  = errors.New("no such topic")
	ErrTopicExists   = errors.New("the topic exists")
	ErrTopicReplaced = errors.New("the topic was deleted and made again")
	ErrFenced        = errors.New("a newer writer with the same id has taken over")
	ErrTooLarge      = errors.New("the record is larger than its topic takes")                  // by Txn.Write, which leaves the record out
	ErrLost          = errors.New("the outcome or the ownership of what was done is not known") // drop it and go on from what is durable
	ErrRefused       = errors.New("the cluster does not allow it")
	ErrUnreachable   = errors.New("the broker cannot be reached")
	ErrLocked        = errors.New("the directory is in use by another process")
)

// ErrGap says that offsets [From, To) of a partition are wanted and no longer there.
type ErrGap struct{ Span }

func (e ErrGap) Error() string {
	return fmt.Sprintf("offsets %d to %d of %s are no longer there", e.From, e.To, e.Partition)
}
