package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// View implements Store. It accesses nothing that a running task changes.
func (s *store) View() (View, error) {
	if s.db == nil {
		return nil, fmt.Errorf("state: a view of a store in memory: %w", errors.ErrUnsupported)
	}
	// The view uses only db and prefix of the store, which never change. The snapshot contains all
	// changes of a commit or none of them.
	return &view{store: s, snap: s.db.NewSnapshot()}, nil
}

// view is a View over a snapshot of the database.
type view struct {
	store *store
	snap  *pebble.Snapshot
}

// Get implements View.
func (v *view) Get(keyspace string, key []byte) ([]byte, bool, error) {
	return v.get(append(v.store.spacePrefix(keyspace), key...))
}

// get returns a copy of the value of a complete key.
func (v *view) get(key []byte) ([]byte, bool, error) {
	val, closer, err := v.snap.Get(key)
	if err == pebble.ErrNotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("state: read: %w", err)
	}
	out := append([]byte{}, val...)
	return out, true, closer.Close()
}

// Scan implements View.
func (v *view) Scan(keyspace string, from, to []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		prefix := v.store.spacePrefix(keyspace)
		upper := successor(prefix)
		if to != nil {
			upper = append(bytes.Clone(prefix), to...)
		}
		it, err := v.snap.NewIter(
			&pebble.IterOptions{LowerBound: append(bytes.Clone(prefix), from...), UpperBound: upper},
		)
		if err != nil {
			yield(Entry{}, fmt.Errorf("state: scan: %w", err))
			return
		}
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			val, err := it.ValueAndErr()
			if err != nil {
				yield(Entry{}, fmt.Errorf("state: scan: %w", err))
				return
			}
			if !yield(Entry{it.Key()[len(prefix):], val}, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Entry{}, fmt.Errorf("state: scan: %w", err))
		}
	}
}

// Position implements View.
func (v *view) Position() (map[topic.Partition]topic.Offset, error) {
	val, ok, err := v.get(append(bytes.Clone(v.store.prefix), keyPosition))
	if err != nil || !ok {
		return map[topic.Partition]topic.Offset{}, err
	}
	_, position, err := decodePosition(val)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return position, nil
}

// Close implements View.
func (v *view) Close() error { return v.snap.Close() }
