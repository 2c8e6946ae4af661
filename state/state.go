// Package state stores the state of operators: keyspaces of keys and values that change in
// memory, are written to disk in one step at each commit, and are restored after a crash as of
// the last commit.
//
// Between two commits, the current values are in a hash table per keyspace (table.go), a
// write-back cache over one Pebble database that all tasks share. Pending seals the changes,
// Commit makes them the committed state, and Rollback discards them. A store belongs to one
// goroutine; only View may be called from others. The package uses no clock, no randomness and
// no goroutine that outlives a call.
package state

import (
	"iter"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Entry is a key and its value. Both are read-only and valid until the next step of the scan
// that returned them.
type Entry struct{ Key, Val []byte }

// Keyspace is an ordered map of byte strings that belongs to one operator of one task. Every
// method sees all earlier changes, committed or not. Arguments are copied.
type Keyspace interface {
	// Get returns the value of key; ok is false if there is none. The value is read-only and
	// valid until the next call.
	Get(key []byte) (val []byte, ok bool, err error)
	// Put sets the value of key. An empty value counts as a value.
	Put(key, val []byte) error
	// Delete removes key. A missing key is not an error.
	Delete(key []byte) error
	// Scan yields the entries with from <= key < to in key order; from nil: from the first, to
	// nil: to the last. The keyspace may be changed during the scan, including deletion of the
	// entry just yielded: the scan continues after that key and sees the change. An error is
	// yielded once, as the last element.
	Scan(from, to []byte) iter.Seq2[Entry, error]
	// Update returns the row of key: size bytes that the caller may change in place until the
	// next call on the keyspace. The key counts as changed. fresh: the key did not exist and
	// the row is zero. A stored value of another size is an error. Rows are aligned to 8 bytes.
	// It is the fast path of keyed aggregation.
	Update(key []byte, size int) (row []byte, fresh bool, err error)
	// UpdateBatch is Update for each row of keys, none of which may be null: rows[i] and
	// fresh[i] belong to keys.At(i), and both slices have at least keys.Len() elements. Equal
	// keys get the same row, and only the first of them may be fresh. All rows are valid until
	// the next call. It hashes the whole batch first and overlaps several cache misses, so it
	// is faster than Update once the table is larger than the cache.
	UpdateBatch(keys *topic.Bytes, size int, rows [][]byte, fresh []bool) error
}

// Store is the state of one task.
type Store interface {
	// Keyspace returns the keyspace of that name, which it creates at the first use.
	Keyspace(name string) Keyspace
	// Position returns the next offset to read of each input partition, as of the last commit.
	// The caller owns the map.
	Position() map[topic.Partition]topic.Offset
	// Pending seals the changes since the last commit and returns them: the last write of each
	// changed key, in key order (Value nil: deleted), then one record with the position, which
	// is the previous one updated with read. Keys are complete keys of the database. The
	// records are valid until Commit or Rollback, and the store must not change before that. A
	// store in memory returns none.
	Pending(read map[topic.Partition]topic.Offset) []topic.Record
	// Commit makes the sealed changes the committed state. applied: a topic.Keeper has already
	// written the records into the database; otherwise Commit writes them in one batch. Commit
	// without Pending is an error if anything has changed. After an error the store can only be
	// closed.
	Commit(applied bool) error
	// Logged returns the sealed changes as changelog records: keys without the store's prefix,
	// the position last.
	Logged() []topic.Record
	// CommitLog is Commit(false) for a store whose changelog has received the Logged records.
	// The same batch records the changelog position at.
	CommitLog(at Log) error
	// Log returns the store's changelog position as of the last commit.
	Log() Log
	// Seq returns the number of the last commit, or of the sealed one after Pending. A task's
	// first commit has number 1.
	Seq() uint64
	// Rollback discards all changes since the last commit.
	Rollback() error
	// View returns the present committed state. Any goroutine may call it and use the view,
	// which must be closed before the database. A store in memory has no views:
	// errors.ErrUnsupported, wrapped.
	View() (View, error)
	// Drop deletes all state of the task from the database, durably, and closes the store.
	Drop() error
	// Close discards uncommitted changes. The database stays open.
	Close() error
}

// Counted is an optional interface of a Store that charges an account for its memory.
type Counted interface {
	Store
	Count(*flow.Account)
}

// Sized is an optional interface of a Store that knows its memory usage.
type Sized interface {
	Store
	// Held returns the size of its tables in bytes.
	Held() int64
}

// View is an immutable committed state, which can be read while the task runs.
type View interface {
	// Get returns a copy of the value of key in a keyspace.
	Get(keyspace string, key []byte) (val []byte, ok bool, err error)
	// Scan is like Keyspace.Scan.
	Scan(keyspace string, from, to []byte) iter.Seq2[Entry, error]
	// Position returns the position of the task that belongs to this state.
	Position() (map[topic.Partition]topic.Offset, error)
	Close() error
}

// Option configures a store.
type Option func(*settings)

// settings are the settings of a store.
type settings struct {
	budget int64
	sync   bool
}

// Budget limits the memory of a store's tables, in bytes (default 256 MiB). Above it, entries
// that have not changed since the last commit are evicted, and read again when they are needed.
// Changed entries are never evicted.
func Budget(bytes int64) Option { return func(s *settings) { s.budget = bytes } }

// Unsynced makes Commit(false) not wait for the disk. It is intended for stores whose changelog
// is stored elsewhere: after a crash the database contains a prefix of the commits, and
// Position identifies it.
func Unsynced() Option { return func(s *settings) { s.sync = false } }
