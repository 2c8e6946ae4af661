package state

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// keyspace is a table of what was read or changed lately, over the keyspace's part of the database.
type keyspace struct {
	table
	store  *store
	prefix []byte // of the keyspace's keys in the database

	whole    bool // the database has no key that the table has not
	changed  []ref
	order    *order // nil until the first scan
	version  uint64 // rises when order changes
	evictAt  int64  // no eviction below this size: the last one left half of it
	undo     []byte // memory only: what Rollback brings back
	weight   int64  // as the account knows it
	loadFail error  // the database could not say whether it is empty

	hashes  []uint64 // scratch of UpdateBatch
	probed  []ref
	touched byte
	dbKey   []byte
}

// Larger keys and values are errors.
const (
	maxKey   = 1 << 20
	maxValue = 1 << 30
)

// enter is the first thing each call does: it is the moment at which rows given out before may move.
func (k *keyspace) enter() {
	if k.store.held > k.store.budget && k.store.db != nil && k.bytesHeld() > k.evictAt {
		k.rebuild(true)
	}
}

// check refuses what cannot be stored.
func (k *keyspace) check(key []byte, size int) error {
	switch {
	case k.store.closed:
		return errClosed
	case k.loadFail != nil:
		return k.loadFail
	case len(key) > maxKey:
		return fmt.Errorf("state: a key has %d bytes, at most %d are allowed", len(key), maxKey)
	case size > maxValue:
		return fmt.Errorf("state: a value has %d bytes, at most %d are allowed", size, maxValue)
	}
	return nil
}

// lookup finds the record of key, reading it from the database when the table has none. r is 0: there is none anywhere. The slot is
// then where it belongs.
func (k *keyspace) lookup(h uint64, key []byte) (slot uint64, r ref, err error) {
	k.reserve(1)
	slot, r = k.find(h, key)
	if r != 0 || k.whole {
		return slot, r, nil
	}
	k.dbKey = append(append(k.dbKey[:0], k.prefix...), key...)
	val, closer, err := k.store.db.Get(k.dbKey)
	if err == pebble.ErrNotFound {
		return slot, 0, nil
	}
	if err != nil {
		return slot, 0, fmt.Errorf("state: read: %w", err)
	}
	r = k.insert(slot, h, key, len(val), len(val), stored|hot)
	k.set(r, val)
	return slot, r, closer.Close()
}

// insert makes a record for a key that has none.
func (k *keyspace) insert(slot, h uint64, key []byte, length, room int, flags uint32) ref {
	before := k.bytes
	r := k.add(key, length, room, flags)
	k.store.held += k.bytes - before
	k.put(slot, h, r)
	if k.order != nil {
		k.order.insert(&k.table, r)
		k.version++
	}
	k.weigh()
	return r
}

// weigh charges the account for what the table has grown by since the last time.
func (k *keyspace) weigh() {
	if k.store.account == nil {
		return
	}
	if now := k.bytesHeld() + int64(cap(k.undo)); now != k.weight {
		k.store.charge(now - k.weight)
		k.weight = now
	}
}

// mark makes a record count as changed. In memory, the value before the first change is kept for Rollback.
func (k *keyspace) mark(r ref, flags uint32) {
	if flags&dirty != 0 {
		return
	}
	if k.store.db == nil {
		k.keep(r, flags)
	}
	if flags&deleted != 0 {
		k.gone--
	}
	k.setFlags(r, flags|dirty)
	k.changed = append(k.changed, r)
}

// Get implements Keyspace.
func (k *keyspace) Get(key []byte) ([]byte, bool, error) {
	if err := k.check(key, 0); err != nil {
		return nil, false, err
	}
	k.enter()
	_, r, err := k.lookup(xxhash.Sum64(key), key)
	if err != nil || r == 0 {
		return nil, false, err
	}
	flags := k.flags(r)
	if flags&deleted != 0 {
		return nil, false, nil
	}
	if flags&hot == 0 {
		k.setFlags(r, flags|hot)
	}
	return k.value(r), true, nil
}

// Put implements Keyspace.
func (k *keyspace) Put(key, val []byte) error {
	if err := k.check(key, len(val)); err != nil {
		return err
	}
	k.enter()
	k.reserve(1)
	h := xxhash.Sum64(key)
	slot, r := k.find(h, key)
	if r == 0 {
		flags := deleted | hot // the value before was none
		if !k.whole {
			flags |= stored // it may be there; the write does not need to know
		}
		k.gone++
		r = k.insert(slot, h, key, 0, len(val), flags)
	}
	k.mark(r, k.flags(r))
	if !k.set(r, val) {
		r = k.move(slot, r, len(val))
		k.set(r, val)
	}
	k.setFlags(r, k.flags(r)&^deleted|hot)
	return k.store.account.Err()
}

// move gives a dirty record more room, by way of a new record.
func (k *keyspace) move(slot uint64, old ref, size int) ref {
	before := k.bytes
	r := k.add(k.key(old), 0, size+size/4, k.flags(old))
	k.store.held += k.bytes - before
	k.replace(slot, old, r)
	k.changed = append(k.changed, r)
	if k.order != nil {
		k.order.replace(&k.table, r)
		k.version++
	}
	k.weigh()
	return r
}

// Delete implements Keyspace.
func (k *keyspace) Delete(key []byte) error {
	if err := k.check(key, 0); err != nil {
		return err
	}
	k.enter()
	k.reserve(1)
	h := xxhash.Sum64(key)
	slot, r := k.find(h, key)
	if r == 0 {
		if k.whole {
			return nil
		}
		k.gone++
		r = k.insert(slot, h, key, 0, 0, deleted|stored)
	}
	flags := k.flags(r)
	if flags&deleted != 0 && (flags&dirty != 0 || flags&stored == 0) {
		return nil
	}
	k.mark(r, flags)
	k.setFlags(r, k.flags(r)|deleted)
	return nil
}

// Update implements Keyspace.
func (k *keyspace) Update(key []byte, size int) ([]byte, bool, error) {
	if err := k.check(key, size); err != nil {
		return nil, false, err
	}
	k.enter()
	k.reserve(1)
	return k.update(xxhash.Sum64(key), key, size)
}

func (k *keyspace) update(h uint64, key []byte, size int) (row []byte, fresh bool, err error) {
	slot, r := k.find(h, key)
	if r != 0 {
		// The common case in one look at the record: it is there, changed before, and has the size.
		b := k.at(r)
		if binary.LittleEndian.Uint32(b[12:])&(dirty|deleted) == dirty && binary.LittleEndian.Uint32(b[4:]) == uint32(size) {
			from := headSize + pad(len(key))
			return b[from : from+size : from+size], false, nil
		}
	}
	return k.updateSlow(slot, r, h, key, size)
}

func (k *keyspace) updateSlow(slot uint64, r ref, h uint64, key []byte, size int) (row []byte, fresh bool, err error) {
	if r == 0 {
		if slot, r, err = k.lookup(h, key); err != nil {
			return nil, false, err
		}
	}
	if r == 0 {
		k.gone++
		r = k.insert(slot, h, key, 0, size, deleted)
	}
	flags := k.flags(r)
	if flags&deleted == 0 && len(k.value(r)) != size {
		return nil, false, fmt.Errorf("state: the row has %d bytes instead of %d", len(k.value(r)), size)
	}
	k.mark(r, flags)
	if flags&deleted == 0 {
		return k.value(r), false, nil
	}
	if !k.set(r, zeros(size)) {
		r = k.move(slot, r, size)
		k.set(r, zeros(size))
	}
	k.setFlags(r, k.flags(r)&^deleted|hot)
	return k.value(r), true, k.store.account.Err()
}

var zeroRow [4096]byte

func zeros(n int) []byte {
	if n <= len(zeroRow) {
		return zeroRow[:n]
	}
	return make([]byte, n)
}

// stride is how many keys UpdateBatch looks ahead: their slots and records fit the first-level cache.
const stride = 128

// UpdateBatch implements Keyspace.
func (k *keyspace) UpdateBatch(keys *topic.Bytes, size int, rows [][]byte, fresh []bool) error {
	n := keys.Len()
	if err := k.check(nil, size); err != nil {
		return err
	}
	if len(rows) < n || len(fresh) < n {
		return fmt.Errorf("state: %d rows and %d flags for %d keys", len(rows), len(fresh), n)
	}
	k.enter()
	k.reserve(n)
	if cap(k.hashes) < stride {
		k.hashes, k.probed = make([]uint64, stride), make([]ref, stride)
	}
	hashes, probed := k.hashes[:stride], k.probed[:stride]
	for start := 0; start < n; start += stride {
		count := min(stride, n-start)
		spans := keys.Spans[2*start : 2*(start+count)]
		for i := range count {
			from, to := spans[2*i], spans[2*i+1]
			if from < 0 || to-from > maxKey {
				return fmt.Errorf("state: key %d of the batch is null or has more than %d bytes", start+i, maxKey)
			}
			hashes[i] = xxhash.Sum64(keys.Data[from:to])
		}
		// The next two loops have no dependency from step to step, so that the processor fetches many lines at a time.
		mask := uint64(len(k.slots) - 1)
		for i, h := range hashes[:count] {
			s := k.slots[h&mask]
			if (s^h)>>refBits != 0 {
				s = 0
			}
			probed[i] = ref(s & refMask)
		}
		var touch byte
		if k.bytes > 1<<18 {
			for _, r := range probed[:count] {
				if r != 0 {
					touch |= k.at(r)[12]
				}
			}
		}
		k.touched = touch
		for i := range count {
			var err error
			key := keys.Data[spans[2*i]:spans[2*i+1]]
			if rows[start+i], fresh[start+i], err = k.update(hashes[i], key, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// rebuild copies what is needed into a new arena: everything dirty; of the rest, when evict is set, only what was read
// since the last rebuild, and none of that when it takes more than half of the keyspace's share of the budget.
func (k *keyspace) rebuild(evict bool) {
	old, oldOrder := k.table, k.order
	room := int64(math.MaxInt64)
	if evict {
		room = int64(float64(k.store.budget) / 2 * float64(old.bytesHeld()) / float64(k.store.held))
	}
	k.store.held -= old.bytesHeld()
	k.table, k.order, k.changed = table{}, nil, k.changed[:0]
	k.reserve(1)
	dropped := false
	take := func(r ref) {
		flags := old.flags(r)
		if flags&dirty == 0 {
			if flags&deleted != 0 {
				return // the database does not have it either
			}
			if evict && (flags&hot == 0 || k.bytes > room) {
				dropped = true
				return
			}
			flags &^= hot
		}
		key, val := old.key(r), old.value(r)
		k.reserve(1)
		h := xxhash.Sum64(key)
		slot, _ := k.find(h, key)
		moved := k.add(key, len(val), len(val), flags)
		k.set(moved, val)
		k.put(slot, h, moved)
		if flags&dirty != 0 {
			k.changed = append(k.changed, moved)
		}
	}
	old.each(take)
	if dropped {
		k.whole = false
	}
	k.version++
	if oldOrder != nil {
		k.order = newOrder(&k.table)
	}
	k.store.held += k.bytesHeld()
	k.weigh()
	k.evictAt = 2 * k.bytesHeld()
}
