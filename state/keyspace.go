package state

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// keyspace is a cache table over the keyspace's part of the database. The table contains all
// changed entries and some of those that were read.
type keyspace struct {
	table
	store  *store
	prefix []byte // of the keyspace's keys in the database

	whole    bool // the table has all keys of the database
	changed  []ref
	order    *order // nil before the first scan
	version  uint64 // incremented when order changes
	evictAt  int64  // no eviction below this size, because the last one retained half of it
	undo     []byte // memory only: the data that Rollback restores
	weight   int64  // as charged to the account
	loadFail error  // the database could not determine whether it is empty

	hashes  []uint64 // scratch space of UpdateBatch
	probed  []ref
	touched byte
	dbKey   []byte
}

// The maximum lengths of keys and values.
const (
	maxKey   = 1 << 20
	maxValue = 1 << 30
)

// enter begins each call. Rows that earlier calls returned may move from here on.
func (k *keyspace) enter() {
	if k.store.held > k.store.budget && k.store.db != nil && k.bytesHeld() > k.evictAt {
		k.rebuild(true)
	}
}

// check rejects keys and values that cannot be stored.
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

// lookup returns the record of key, which it reads from the database if the table has none. r
// is 0 if the key does not exist; slot is then the slot in which it belongs.
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

// insert creates a record for a key that has none.
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

// weigh charges the account for the growth of the table since the last call.
func (k *keyspace) weigh() {
	if k.store.account == nil {
		return
	}
	if now := k.bytesHeld() + int64(cap(k.undo)); now != k.weight {
		k.store.charge(now - k.weight)
		k.weight = now
	}
}

// mark marks a record as changed. In memory, it saves the value before the first change for
// Rollback.
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
		flags := deleted | hot // there was no value before
		if !k.whole {
			flags |= stored // the database may have the key; a write does not need to know
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

// move copies a dirty record into a new record with more capacity.
// The old record stays in changed and is skipped there as dead.
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

// update is Update for a key whose hash is known.
func (k *keyspace) update(h uint64, key []byte, size int) (row []byte, fresh bool, err error) {
	slot, r := k.find(h, key)
	if r != 0 {
		// The common case needs one access to the record: it exists, has been changed before,
		// and has the size.
		b := k.at(r)
		if binary.LittleEndian.Uint32(b[12:])&(dirty|deleted) == dirty &&
			binary.LittleEndian.Uint32(b[4:]) == uint32(size) {
			from := headSize + pad(len(key))
			return b[from : from+size : from+size], false, nil
		}
	}
	return k.updateSlow(slot, r, h, key, size)
}

// updateSlow handles all other cases of update.
func (k *keyspace) updateSlow(
	slot uint64,
	r ref,
	h uint64,
	key []byte,
	size int,
) (row []byte, fresh bool, err error) {
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

// zeroRow is the initial content of rows.
var zeroRow [4096]byte

// zeros returns n zero bytes, which must not be changed.
func zeros(n int) []byte {
	if n <= len(zeroRow) {
		return zeroRow[:n]
	}
	return make([]byte, n)
}

// stride is the number of keys that UpdateBatch prefetches: their slots and records fit into
// the first-level cache.
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
		// The iterations of the next two loops are independent, so that the processor can load
		// many cache lines at the same time.
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

// rebuild copies the records to retain into a new arena: all dirty records, and without evict
// all others. With evict, it retains only records that were read since the last rebuild, and
// none of them if they exceed half of the keyspace's share of the budget.
// All refs of the keyspace are invalid afterwards: it replaces the arena, changed and the order,
// and increments version, from which a scan in progress learns that it must seek again.
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
				return // the database does not have the key either
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
