package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/internal/fault"
	"github.com/streamql/streamql/topic"
)

// Pending implements Store.
func (s *store) Pending(read map[topic.Partition]topic.Offset) []topic.Record {
	s.next = maps.Clone(s.position)
	maps.Copy(s.next, read)
	s.sealed, s.pending = s.sealed[:0], true
	if s.db == nil {
		return nil
	}
	for _, name := range s.names {
		// In the order of names, so that the same changes make the same changelog.
		s.sealed = s.spaces[name].seal(s.sealed)
	}
	s.seq++
	s.sealed = append(
		s.sealed,
		topic.Record{Key: append(slices.Clone(s.prefix), keyPosition), Value: encodePosition(s.seq, s.next)},
	)
	return s.sealed
}

// seal appends the keyspace's changes in key order. Values alias the table; complete keys are
// built in one allocation.
func (k *keyspace) seal(out []topic.Record) []topic.Record {
	items := make([]item, 0, len(k.changed))
	size := 0
	for _, r := range k.changed {
		flags := k.flags(r)
		if flags&dead != 0 || flags&deleted != 0 && flags&stored == 0 {
			continue // inserted and deleted between two commits
		}
		key := k.key(r)
		items = append(items, item{headOf(key), r})
		size += len(k.prefix) + len(key)
	}
	k.sortItems(items)
	keys := make([]byte, 0, size)
	out = slices.Grow(out, len(items)+1)
	for _, it := range items {
		from := len(keys)
		keys = append(append(keys, k.prefix...), k.key(it.ref)...)
		record := topic.Record{Key: keys[from:len(keys):len(keys)]}
		if k.flags(it.ref)&deleted == 0 {
			record.Value = k.value(it.ref)
		}
		out = append(out, record)
	}
	return out
}

// Commit implements Store.
func (s *store) Commit(applied bool) error {
	switch {
	case s.closed:
		return errClosed
	case s.broken:
		return errBroken
	case !s.pending && s.dirty():
		return errPending
	case !s.pending:
		return nil
	}
	fault.Point("state-before-commit")
	if s.db != nil && !applied {
		if err := s.apply(); err != nil {
			s.broken = true
			return fmt.Errorf("state: commit: %w", err)
		}
	}
	fault.Point("state-after-commit")
	for _, k := range s.spaces { // in any order: keyspaces are independent
		k.clean()
	}
	// Only now, because a failed apply leaves the store as sealed, and broken.
	s.position, s.next, s.pending, s.sealed = s.next, nil, false, s.sealed[:0]
	return nil
}

// dirty reports whether anything has changed since the last commit.
func (s *store) dirty() bool {
	for _, k := range s.spaces {
		if len(k.changed) > 0 {
			return true
		}
	}
	return false
}

// recovered converts a panic of the database to an error. That is how the database fails on the
// goroutine that writes.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the database failed: %v", r)
	}
}

// apply writes the sealed records in one batch.
func (s *store) apply() (err error) {
	defer recovered(&err)
	b := s.db.NewBatch()
	for _, r := range s.sealed {
		if r.Value == nil {
			err = b.Delete(r.Key, nil)
		} else {
			err = b.Set(r.Key, r.Value, nil)
		}
		if err != nil {
			return err
		}
	}
	return b.Commit(s.writing())
}

// writing returns the write options.
func (s *store) writing() *pebble.WriteOptions {
	if s.sync {
		return pebble.Sync
	}
	return pebble.NoSync
}

// clean marks the changes as committed.
func (k *keyspace) clean() {
	for _, r := range k.changed {
		flags := k.flags(r)
		switch {
		case flags&dead != 0:
		case flags&deleted != 0:
			k.setFlags(r, deleted)
			k.gone++
		default:
			k.setFlags(r, stored|hot)
		}
	}
	k.changed, k.undo = k.changed[:0], k.undo[:0]
	if k.store.db != nil && k.store.held > k.store.budget {
		k.rebuild(true)
	} else if k.waste > k.bytes/2 && k.waste > 1<<16 || k.gone > k.count/2+64 {
		k.rebuild(false)
	}
}

// Rollback implements Store. A table over a database is emptied; in memory every first change
// is undone.
func (s *store) Rollback() error {
	if s.closed {
		return errClosed
	}
	if s.broken {
		return errBroken
	}
	// The sealed commit did not happen, so its number is used again.
	if s.pending && s.db != nil {
		s.seq--
	}
	s.pending, s.next, s.sealed = false, nil, s.sealed[:0]
	var failed error
	for _, name := range s.names {
		k := s.spaces[name]
		if len(k.changed) == 0 {
			continue
		}
		k.changed = k.changed[:0]
		k.version++
		if s.db == nil {
			k.undoAll()
			continue
		}
		s.held -= k.bytesHeld()
		k.table.reset()
		k.weigh()
		if k.order != nil {
			k.order = newOrder(&k.table)
		}
		// The table is empty now, so it has all keys only if the database has none.
		k.whole, k.loadFail = empty(s.db, k.prefix)
		failed = errors.Join(failed, k.loadFail)
	}
	return failed
}

// keep records the state of a record before its first change: key length, key, then 0, or 1 +
// value length and value.
func (k *keyspace) keep(r ref, flags uint32) {
	key, val := k.key(r), k.value(r)
	k.undo = binary.AppendUvarint(k.undo, uint64(len(key)))
	k.undo = append(k.undo, key...)
	if flags&deleted != 0 {
		k.undo = append(k.undo, 0)
		return
	}
	k.undo = binary.AppendUvarint(k.undo, uint64(len(val))+1)
	k.undo = append(k.undo, val...)
}

// undoAll restores the recorded values. The records were written by this process, so they need
// no validation.
func (k *keyspace) undoAll() {
	notes := reader{b: k.undo}
	for len(notes.b) > 0 {
		key := notes.take(notes.uvarint())
		n := notes.uvarint()
		slot, r := k.find(xxhash.Sum64(key), key)
		if n == 0 {
			k.setFlags(r, deleted)
			k.gone++
			continue
		}
		val := notes.take(n - 1)
		if !k.set(r, val) {
			r = k.move(slot, r, len(val))
			k.set(r, val)
		}
		k.setFlags(r, stored|hot)
	}
	k.changed, k.undo = k.changed[:0], k.undo[:0]
}

// Drop implements Store.
func (s *store) Drop() error {
	if s.closed {
		return errClosed
	}
	s.closed = true
	if s.db == nil {
		return nil
	}
	if err := s.remove(); err != nil {
		return fmt.Errorf("state: drop: %w", err)
	}
	return nil
}

// remove deletes the task's keys from the database, durably.
func (s *store) remove() (err error) {
	defer recovered(&err)
	return s.db.DeleteRange(s.prefix, successor(s.prefix), s.writing())
}

// Close implements Store.
func (s *store) Close() error {
	s.closed = true
	for _, k := range s.spaces {
		k.table.reset()
		k.order, k.changed, k.undo = nil, nil, nil
		k.weigh()
	}
	return nil
}
