// Package local is an embedded broker: topics in a directory or in memory, with transactions.
//
// Each partition is a sequence of segment files of Kafka record batches. A transaction appends
// to the segments and syncs them. It then changes the committed ends, the positions and the
// state of its tasks in one synced batch of one Pebble database, and that batch is the commit.
// No recovery is needed after a crash, because the database determines which bytes of the
// segments are committed.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// Broker implements topic.Broker, topic.Admin and topic.Timed; its transactions are
// topic.Keepers. It is safe for concurrent use.
//
// The positions that a transaction commits belong to a group, whose name is the transaction's
// id. A member's transactions have the name of its group.
//
// After a disk error the broker has failed: unacknowledged writes may or may not be stored,
// every further write returns the error, and the next Open recovers.
type Broker struct {
	o      options
	logDir string
	lock   io.Closer
	db     *pebble.DB

	// Locks are acquired in the order writing, mu, segment.mu. Topics, partitions and segments
	// change only while writing and mu are both held. A goroutine that holds writing may therefore
	// read them without mu.
	writing sync.Mutex // serializes changes of the database and of segments; acquired before mu
	number  uint64     // of the next topic
	file    uint64     // of the next segment file
	swept   int64      // time of the last retention check, ms

	mu     sync.Mutex // guards the fields below and the committed fields of partitions
	topics map[string]*topicState
	// A transaction is in writers from Begin until it ends or another Begin of its id replaces it.
	writers map[string]*txn // the newest transaction of each id
	changed chan struct{}   // closed and replaced whenever something changes that readers wait for
	failed  error
	closed  bool
}

// topicState is a topic and its partitions.
type topicState struct {
	name   string
	id     uint64
	config topic.Config
	parts  []*partition
	gone   bool
}

// partition is a partition with its segments in the order of offsets.
// start and end are the offsets that readers see. Broker.mu guards them and the slice of segments;
// a goroutine copies the slice or an element under the lock and reads the files without it.
type partition struct {
	topic      *topicState
	id         int32
	start, end topic.Offset
	segments   []*segment
}

// maxPartitions limits the partitions of a topic.
const maxPartitions = 10_000

// errClosed is returned by all calls after Close.
var errClosed = errors.New("the broker is closed")

// Open opens or creates the broker of a directory; an empty dir is a broker in memory. One
// process at a time may use a directory. Open in another process returns topic.ErrLocked,
// wrapped, with the process id of the owner.
func Open(dir string, opts ...Option) (*Broker, error) {
	o := newOptions(dir, opts)
	if dir == "" {
		dir = "memory"
	}
	b := &Broker{o: o, topics: map[string]*topicState{}, writers: map[string]*txn{}, changed: make(chan struct{})}
	if err := b.open(dir); err != nil {
		b.mu.Lock()
		failed := b.failed
		b.mu.Unlock()
		if b.db != nil && failed == nil { // closing a failed database may never return
			b.db.Close()
		}
		if b.lock != nil {
			b.lock.Close()
		}
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return b, nil
}

// open acquires the lock, opens the database and loads the topics.
// The order matters: the lock comes first, so that no other process changes the files; the database
// says which files and bytes are committed, so sweep runs after load and deletes the rest.
func (b *Broker) open(dir string) error {
	fs := b.o.fs
	b.logDir = fs.PathJoin(dir, "log")
	if err := fs.MkdirAll(b.logDir, 0o755); err != nil {
		return err
	}
	if err := b.takeLock(dir); err != nil {
		return err
	}
	if err := b.openStore(fs.PathJoin(dir, "store")); err != nil {
		return err
	}
	if err := b.syncDirs(dir); err != nil {
		return err
	}
	if err := b.load(); err != nil {
		return err
	}
	if err := b.sweep(); err != nil {
		return err
	}
	return b.Retain(context.Background())
}

// DB returns the database that the broker shares with state.Open. The broker closes it. Keys
// that begin with 'b' belong to the broker.
func (b *Broker) DB() *pebble.DB { return b.db }

// fail records the first error after which nothing more may be written, and returns it.
func (b *Broker) fail(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
		b.wake()
	}
	return fmt.Errorf("the broker has failed and must be reopened: %w", b.failed)
}

// wake wakes all waiting goroutines. mu is held.
func (b *Broker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// usable returns an error if the broker is closed or has failed. mu is held.
// It is checked under the same lock as the data that the caller reads next: a failure between the
// two would otherwise be missed.
func (b *Broker) usable() error {
	switch {
	case b.closed:
		return errClosed
	case b.failed != nil:
		return fmt.Errorf("the broker has failed and must be reopened: %w", b.failed)
	}
	return nil
}

// find returns a topic. mu is held.
func (b *Broker) find(name string) (*topicState, error) {
	t := b.topics[name]
	if t == nil {
		return nil, fmt.Errorf("topic %q: %w", name, topic.ErrUnknownTopic)
	}
	return t, nil
}

// partition returns a partition. mu is held.
func (b *Broker) partition(p topic.Partition) (*partition, error) {
	t, err := b.find(p.Topic)
	if err != nil {
		return nil, err
	}
	if p.ID < 0 || int(p.ID) >= len(t.parts) {
		return nil, fmt.Errorf("topic %q has %d partitions, none with number %d", p.Topic, len(t.parts), p.ID)
	}
	return t.parts[p.ID], nil
}

// describe returns the topic's ranges of offsets. mu is held.
func (t *topicState) describe() topic.Topic {
	out := topic.Topic{Name: t.name, ID: fmt.Sprintf("%016x", t.id)}
	for _, p := range t.parts {
		out.Partitions = append(out.Partitions, topic.Span{Partition: p.name(), From: p.start, To: p.end})
	}
	return out
}

// name returns the partition's identifier.
func (p *partition) name() topic.Partition { return topic.Partition{Topic: p.topic.name, ID: p.id} }

// Describe implements topic.Source.
func (b *Broker) Describe(ctx context.Context, name string) (topic.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return topic.Topic{}, errClosed
	}
	t, err := b.find(name)
	if err != nil {
		return topic.Topic{}, err
	}
	return t.describe(), nil
}

// Topics implements topic.Admin: all topics by name.
func (b *Broker) Topics(ctx context.Context) ([]topic.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	var out []topic.Topic
	for _, name := range slices.Sorted(maps.Keys(b.topics)) {
		out = append(out, b.topics[name].describe())
	}
	return out, nil
}

// Create implements topic.Admin. Partitions 0 means 1; RetentionMs 0 or less means no limit;
// SegmentBytes 0 selects the broker's default. A compacted topic is compacted by calls of
// Compact only, and the size of a record is limited only by batch.MaxRecord. The name may be
// any text that is not empty. The number of partitions never changes.
func (b *Broker) Create(ctx context.Context, name string, c topic.Config) error {
	if c.Partitions == 0 {
		c.Partitions = 1
	}
	if c.RetentionMs <= 0 {
		c.RetentionMs = -1
	}
	switch {
	case name == "":
		return errors.New("a topic needs a name")
	case c.Partitions < 0 || c.Partitions > maxPartitions:
		return fmt.Errorf("topic %q: %d partitions are not between 1 and %d", name, c.Partitions, maxPartitions)
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if err := b.mayCreate(name); err != nil {
		return err
	}
	t := &topicState{name: name, id: b.number + 1, config: c}
	batch := b.db.NewBatch()
	for i := range c.Partitions {
		p := &partition{topic: t, id: i}
		t.parts = append(t.parts, p)
		batch.Set(partKey(keyPart, t.id, i), p.encode(), nil)
	}
	batch.Set(topicKey(name), t.encode(), nil)
	batch.Set(key(keyNumber), encode(t.id), nil)
	if err := b.apply(batch); err != nil {
		return fmt.Errorf("create topic %q: %w", name, err)
	}
	b.number = t.id
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[name] = t
	return nil
}

// mayCreate returns an error if the topic exists or the broker cannot write.
func (b *Broker) mayCreate(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return err
	}
	if b.topics[name] != nil {
		return fmt.Errorf("topic %q: %w", name, topic.ErrTopicExists)
	}
	return nil
}

// writable returns a topic that is to be changed, or an error if it does not exist or the
// broker has failed.
func (b *Broker) writable(name string) (*topicState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	return b.find(name)
}

// Delete implements topic.Admin. Its readers get topic.ErrTopicReplaced.
func (b *Broker) Delete(ctx context.Context, name string) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	t, err := b.writable(name)
	if err != nil {
		return err
	}
	batch := b.db.NewBatch()
	batch.Delete(topicKey(name), nil)
	var segments []*segment
	for _, p := range t.parts {
		batch.Delete(partKey(keyPart, t.id, p.id), nil)
		for _, s := range p.segments {
			batch.Delete(segmentKey(t.id, p.id, s.base), nil)
			segments = append(segments, s)
		}
	}
	if err := b.apply(batch); err != nil {
		return fmt.Errorf("delete topic %q: %w", name, err)
	}
	b.mu.Lock()
	// Readers and transactions hold a pointer to the topic. They see gone under mu or writing, even
	// if a new topic has the name by then.
	t.gone = true
	delete(b.topics, name)
	b.wake()
	b.mu.Unlock()
	// After the change of the database is durable. A crash before this leaves files that no segment
	// names, and the next open deletes them.
	for _, s := range segments {
		s.remove(b)
	}
	return nil
}

// Close closes the broker and its database, and ends waiting readers and members. Views and
// stores over the database must be closed first.
func (b *Broker) Close() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	// From here on, reads and writes return errClosed. Close holds writing, so that no commit is in
	// progress when the database is closed.
	b.closed = true
	failed := b.failed
	b.wake()
	b.mu.Unlock()
	var errs []error
	for _, t := range b.topics {
		for _, p := range t.parts {
			for _, s := range p.segments {
				s.close(b)
			}
		}
	}
	if failed == nil { // closing a failed database may never return
		errs = append(errs, b.db.Close())
	}
	return errors.Join(append(errs, b.lock.Close())...)
}
