package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// The keys of a database consist of 's', the task's name, and one of these: 0x00 for the
// position; 0x01, the keyspace's name and the key; 0x02 for the changelog position. Names are
// escaped so that none is a prefix of another.
const (
	keyState    = 's'
	keyPosition = 0x00
	keySpace    = 0x01
)

// The errors of misuse.
var (
	errClosed  = errors.New("state: the store is closed")
	errBroken  = errors.New("state: the store can only be closed, because a commit failed")
	errPending = errors.New("state: Commit without Pending")
)

// Open opens the state of a task in a database that may contain the state of many tasks, each
// under its own key prefix. The name of the task may be any text. Only one store per task and
// database may be open at a time.
func Open(db *pebble.DB, task string, opts ...Option) (Store, error) {
	s := newStore(opts)
	s.db = db
	s.prefix = appendText([]byte{keyState}, []byte(task))
	val, closer, err := db.Get(append(slices.Clone(s.prefix), keyPosition))
	if err == pebble.ErrNotFound {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of %q: %w", task, err)
	}
	s.seq, s.position, err = decodePosition(val)
	if err := errors.Join(err, closer.Close()); err != nil {
		return nil, fmt.Errorf("state of %q: %w", task, err)
	}
	// Read after the position without a snapshot: no store or replay of the task is open that could
	// change it in between.
	r := Replay{db: db, prefix: s.prefix}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("state of %q: %w", task, err)
	}
	s.log = r.log
	return s, nil
}

// Memory returns an empty store in memory, for transient queries. Its Pending returns no
// records, and it has no views.
func Memory() Store { return newStore(nil) }

// newStore returns an empty store with the options applied.
func newStore(opts []Option) *store {
	o := settings{budget: 256 << 20, sync: true}
	for _, opt := range opts {
		opt(&o)
	}
	return &store{settings: o, spaces: map[string]*keyspace{}, position: map[topic.Partition]topic.Offset{}}
}

// store implements Store; db is nil in memory. The goroutine of its task owns it; only View is
// called from others, and uses only the database.
type store struct {
	settings
	db       *pebble.DB
	prefix   []byte
	spaces   map[string]*keyspace
	names    []string // of spaces, sorted
	held     int64    // size of all tables in bytes
	account  *flow.Account
	weight   int64  // size of all tables as charged
	charged  int64  // charged to the account
	seq      uint64 // of the last commit
	log      Log
	position map[topic.Partition]topic.Offset

	sealed  []topic.Record
	next    map[topic.Partition]topic.Offset
	pending bool
	broken  bool
	closed  bool
}

// Count charges an account for the store's memory from now on. Without a database all of it is
// charged. With one, only the part far above the store's budget is charged, because changed
// entries stay in memory until the next commit. After the account has refused, writes fail.
func (s *store) Count(a *flow.Account) { s.account = a }

// charge adds n bytes to the size of the tables.
func (s *store) charge(n int64) {
	s.weight += n
	due := s.weight
	if s.db != nil {
		due = max(s.weight-2*s.budget, 0)
	}
	if due > s.charged {
		s.account.Grow(due - s.charged)
	} else {
		s.account.Release(s.charged - due)
	}
	s.charged = due
}

// Held implements Sized.
func (s *store) Held() int64 { return s.held }

// Keyspace implements Store.
func (s *store) Keyspace(name string) Keyspace {
	if k := s.spaces[name]; k != nil {
		return k
	}
	k := &keyspace{store: s, whole: true}
	if s.db != nil {
		k.prefix = s.spacePrefix(name)
		k.whole, k.loadFail = empty(s.db, k.prefix)
	}
	s.spaces[name] = k
	at, _ := slices.BinarySearch(s.names, name)
	s.names = slices.Insert(s.names, at, name)
	return k
}

// spacePrefix returns the key prefix of a keyspace.
func (s *store) spacePrefix(name string) []byte {
	return appendText(append(slices.Clone(s.prefix), keySpace), []byte(name))
}

// empty reports whether the database has no key with the prefix.
func empty(db *pebble.DB, prefix []byte) (bool, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return false, fmt.Errorf("state: %w", err)
	}
	found := it.First()
	if err := it.Close(); err != nil {
		return false, fmt.Errorf("state: %w", err)
	}
	return !found, nil
}

// successor returns the first key after all keys with the prefix, which must end with 0x01.
func successor(prefix []byte) []byte {
	end := slices.Clone(prefix)
	end[len(end)-1]++
	return end
}

// Position implements Store.
func (s *store) Position() map[topic.Partition]topic.Offset { return maps.Clone(s.position) }

// positionFormat is the first byte of a stored position. Stores reject newer formats.
const positionFormat = 1

// encodePosition returns the stored form of a position and its commit number.
func encodePosition(seq uint64, position map[topic.Partition]topic.Offset) []byte {
	b := binary.BigEndian.AppendUint64([]byte{positionFormat}, seq)
	parts := slices.SortedFunc(maps.Keys(position), topic.Compare)
	b = binary.AppendUvarint(b, uint64(len(parts)))
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p.Topic)))
		b = append(b, p.Topic...)
		b = binary.AppendUvarint(b, uint64(uint32(p.ID)))
		b = binary.AppendUvarint(b, uint64(position[p]))
	}
	return b
}

// decodePosition decodes the result of encodePosition.
func decodePosition(b []byte) (seq uint64, position map[topic.Partition]topic.Offset, err error) {
	bad := errors.New("the stored position is malformed")
	if len(b) < 9 {
		return 0, nil, bad
	}
	if b[0] != positionFormat {
		return 0, nil, fmt.Errorf(
			"the stored position has format %d, but this version supports format %d",
			b[0],
			positionFormat,
		)
	}
	seq = binary.BigEndian.Uint64(b[1:])
	r := reader{b: b[9:]}
	n := r.uvarint()
	position = map[topic.Partition]topic.Offset{}
	for ; n > 0 && !r.bad; n-- {
		name := string(r.take(r.uvarint()))
		p := topic.Partition{Topic: name, ID: int32(uint32(r.uvarint()))}
		position[p] = topic.Offset(r.uvarint())
	}
	if r.bad || len(r.b) != 0 {
		return 0, nil, bad
	}
	return seq, position, nil
}
