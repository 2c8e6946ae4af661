package state

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Scan implements Keyspace. It merges the table with the database in key order; if both have a
// key, the table's entry is newer.
func (k *keyspace) Scan(from, to []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := k.check(nil, 0); err != nil {
			yield(Entry{}, err)
			return
		}
		k.enter()
		if k.order == nil {
			k.order = newOrder(&k.table)
		}
		s := scan{k: k, to: to}
		defer s.close()
		s.seek(from, false)
		for s.next() && yield(s.entry, nil) {
			if s.version != k.version {
				s.seek(bytes.Clone(s.entry.Key), true)
			}
		}
		if s.err != nil {
			yield(Entry{}, fmt.Errorf("state: scan: %w", s.err))
		}
	}
}

// scan is a position in the table and one in the database.
type scan struct {
	k         *keyspace
	to        []byte
	version   uint64
	block, at int
	db        *pebble.Iterator // nil while the table is complete
	moveDB    bool             // the last entry came from db, whose iterator must not move before the next step
	entry     Entry
	err       error
}

// seek moves to the first key >= key, or > key with after.
func (s *scan) seek(key []byte, after bool) {
	k := s.k
	s.version = k.version
	s.block, s.at = k.order.seek(&k.table, key)
	if r, ok := s.record(); ok && after && bytes.Equal(k.key(r), key) {
		s.at++
	}
	// The table may become incomplete during the scan, by an eviction. The next seek then opens the
	// database's iterator.
	if s.db != nil || k.whole {
		return // the database's iterator need not move: changes do not reach the database before a commit
	}
	lower := append(bytes.Clone(k.prefix), key...)
	if after {
		lower = append(lower, 0)
	}
	upper := append(bytes.Clone(k.prefix), s.to...)
	if s.to == nil {
		upper[len(upper)-1]++ // a prefix ends with 0x01
	}
	if s.db, s.err = k.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); s.err == nil {
		s.db.First()
	}
}

// record returns the table's record at the present position.
func (s *scan) record() (ref, bool) {
	o := s.k.order
	for s.block < len(o.blocks) {
		if b := o.blocks[s.block]; s.at < len(b) {
			return b[s.at].ref, true
		}
		s.block, s.at = s.block+1, 0
	}
	return 0, false
}

// next moves to the next entry.
func (s *scan) next() bool {
	k := s.k
	if s.moveDB {
		s.db.Next()
		s.moveDB = false
	}
	for s.err == nil {
		r, mem := s.record()
		var key []byte
		if mem {
			key = k.key(r)
			mem = s.to == nil || bytes.Compare(key, s.to) < 0
		}
		disk := s.db != nil && s.db.Valid()
		if s.db != nil && !disk {
			s.err = s.db.Error()
		}
		if !mem && !disk || s.err != nil {
			return false
		}
		if disk {
			dbKey := s.db.Key()[len(k.prefix):]
			order := -1
			if mem {
				order = bytes.Compare(dbKey, key)
			}
			if order < 0 {
				s.entry.Key = dbKey
				s.entry.Val, s.err = s.db.ValueAndErr()
				s.moveDB = true
				return s.err == nil
			}
			if order == 0 {
				s.db.Next()
			}
		}
		s.at++
		if k.flags(r)&deleted == 0 {
			s.entry = Entry{key, k.value(r)}
			return true
		}
	}
	return false
}

// close closes the database's iterator.
func (s *scan) close() {
	if s.db != nil {
		if err := s.db.Close(); s.err == nil {
			s.err = err
		}
	}
}
