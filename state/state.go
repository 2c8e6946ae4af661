// Package state holds what operators must remember: keyspaces of keys and values that change in memory, move to disk in one step
// at each commit, and come back after a crash as of the last commit.
//
// The truth during a commit interval is a hash table per keyspace (table.go), a write-back cache over one Pebble database which
// all tasks share. Pending seals what changed, Commit makes it the committed state, Rollback forgets it. A store belongs to one
// goroutine; only View may be called from others. There is no clock, no randomness and no goroutine that outlives a call.
package state

import (
	"iter"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// Entry is one key with its value. Both are read-only and valid until the next step of the scan that gave them.
type Entry struct{ Key, Val []byte }

// Keyspace is an ordered map of byte strings that belongs to one operator of one task. Every method sees all changes made before,
// committed or not. Keys and values handed in are copied.
type Keyspace interface {
	// Get returns the value of key; ok is false when there is none. The value is read-only and valid until the next call.
	Get(key []byte) (val []byte, ok bool, err error)
	// Put sets the value of key. An empty value is a value.
	Put(key, val []byte) error
	// Delete removes key; that it is not there is no error.
	Delete(key []byte) error
	// Scan yields the entries with from <= key < to in key order; from nil: from the first, to nil: to the last. The keyspace may
	// be changed while scanning, also by deleting the entry just yielded: the scan goes on behind it, by key, and sees the change.
	// An error is yielded once, as the last.
	Scan(from, to []byte) iter.Seq2[Entry, error]
	// Update returns the row of key, size bytes that the caller may change in place until the next call on the keyspace; the key
	// counts as changed. fresh: there was none, the row is zero. A stored value of another size is an error. Rows begin at a
	// multiple of 8 bytes. It is the fast path of keyed aggregation.
	Update(key []byte, size int) (row []byte, fresh bool, err error)
	// UpdateBatch is Update for each row of keys (none may be null): rows[i] and fresh[i] belong to keys.At(i), both slices have
	// at least keys.Len() elements. Equal keys get the same row, and only the first of them may be fresh. All rows stay valid
	// until the next call. It hashes the whole batch first and keeps several cache misses in flight, so that it is
	// faster than Update as soon as the table outgrows the cache.
	UpdateBatch(keys *topic.Bytes, size int, rows [][]byte, fresh []bool) error
}

// Store is the state of one task.
type Store interface {
	// Keyspace returns the keyspace of that name; it is made at first use.
	Keyspace(name string) Keyspace
	// Position is the next offset to be read per input partition, as of the last commit. The caller may keep the map.
	Position() map[topic.Partition]topic.Offset
	// Pending seals the changes since the last commit: the last write of each changed key, in key order (Value nil: deleted), and
	// then one record with the position, which is the old one overlaid with read. Keys are complete keys of the database. The
	// records are valid until Commit or Rollback, and nothing may be changed before that. A store in memory gives none.
	Pending(read map[topic.Partition]topic.Offset) []topic.Record
	// Commit makes what Pending sealed the committed state. applied: a topic.Keeper has put the records into the database already;
	// otherwise Commit writes them in one batch. Without a Pending before it, Commit is an error if anything has changed. After
	// an error the store can only be closed.
	Commit(applied bool) error
	// Logged is what Pending sealed as records of a changelog: keys without the store's own prefix, the position last.
	Logged() []topic.Record
	// CommitLog is Commit(false) for a store whose changelog has taken Logged: in the same batch the store notes where it stands there.
	CommitLog(at Log) error
	// Log is where the store stands in its changelog as of the last commit.
	Log() Log
	// Seq is the number of the last commit, or of the one that Pending has sealed; a task's first commit has number 1.
	Seq() uint64
	// Rollback forgets all changes since the last commit.
	Rollback() error
	// View returns the committed state as it is now. It may be called, and the view be used, on any goroutine; it must be closed
	// before the database is. A store in memory has no views: errors.ErrUnsupported, wrapped.
	View() (View, error)
	// Drop removes all state of the task from the database, durably, and closes the store.
	Drop() error
	// Close forgets uncommitted changes. The database stays open.
	Close() error
}

// Counted is a Store that charges an account for its memory (optional).
type Counted interface {
	Store
	Count(*flow.Account)
}

// Sized is a Store that knows what it holds in memory (optional).
type Sized interface {
	Store
	// Held is what its tables hold, in bytes.
	Held() int64
}

// View is a committed state that does not change, for reading beside a running task.
type View interface {
	// Get returns a copy of the value of key in a keyspace.
	Get(keyspace string, key []byte) (val []byte, ok bool, err error)
	// Scan is like Keyspace.Scan.
	Scan(keyspace string, from, to []byte) iter.Seq2[Entry, error]
	// Position is the task's position that belongs to this state.
	Position() (map[topic.Partition]topic.Offset, error)
	Close() error
}

// Option changes how a store is opened.
type Option func(*settings)

type settings struct {
	budget int64
	sync   bool
}

// Budget bounds the memory of a store's tables, in bytes (default 256 MiB): beyond it, entries that have not changed since the last
// commit are evicted and read again when wanted. Changed entries are never evicted.
func Budget(bytes int64) Option { return func(s *settings) { s.budget = bytes } }

// Unsynced makes Commit(false) not wait for the disk. It is meant for a store whose changelog is kept elsewhere: after a crash the
// database holds a prefix of the commits, and Position says which.
func Unsynced() Option { return func(s *settings) { s.sync = false } }
