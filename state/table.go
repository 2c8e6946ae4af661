package state

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// table is a hash table with open addressing and linear probing over the records of an arena. A
// slot holds the upper 24 bits of the key's hash and the record's ref, so that a probe rarely
// accesses a record other than the requested one. Entries leave the table only by a rebuild.
type table struct {
	arena
	slots []uint64 // length is a power of two; 0: empty
	count int      // used slots
	waste int64    // bytes of dead records
	gone  int      // clean deleted records
}

// reset empties the table.
func (t *table) reset() { *t = table{} }

// find returns the slot and the record of key. If the key does not exist, the record is 0 and
// the slot is the one to insert it in.
func (t *table) find(h uint64, key []byte) (slot uint64, r ref) {
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s == 0 {
			return i, 0
		}
		if (s^h)>>refBits == 0 && t.holds(ref(s&refMask), key) {
			return i, ref(s & refMask)
		}
	}
}

// holds reports whether r is the record of key.
func (t *table) holds(r ref, key []byte) bool {
	b := t.at(r)
	n := int(binary.LittleEndian.Uint32(b))
	return n == len(key) && bytes.Equal(b[headSize:headSize+n], key)
}

// reserve makes room for n more keys.
func (t *table) reserve(n int) {
	need := max((t.count+n)*8/5+1, 64)
	if need <= len(t.slots) {
		return
	}
	size := max(len(t.slots), 64)
	for size < need {
		size *= 2
	}
	// Slots move, so a slot that find returned before is invalid. Refs stay valid.
	old := t.slots
	t.slots = make([]uint64, size)
	mask := uint64(size - 1)
	for _, s := range old {
		if s == 0 {
			continue
		}
		// The slot contains only part of the hash; the rest is computed from the key.
		i := xxhash.Sum64(t.key(ref(s&refMask))) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

// put creates a record for a key that find did not find. reserve must be called before find.
func (t *table) put(slot, h uint64, r ref) {
	t.slots[slot] = h>>refBits<<refBits | uint64(r)
	t.count++
}

// replace replaces the record of a slot's key.
func (t *table) replace(slot uint64, old, r ref) {
	t.slots[slot] = t.slots[slot]&^refMask | uint64(r)
	t.setFlags(old, t.flags(old)|dead)
	t.waste += int64(t.size(old))
}

// each calls f for every record in the table.
func (t *table) each(f func(ref)) {
	for _, s := range t.slots {
		if s != 0 {
			f(ref(s & refMask))
		}
	}
}

// bytesHeld returns the memory size of the table.
func (t *table) bytesHeld() int64 { return t.bytes + 8*int64(len(t.slots)) }
