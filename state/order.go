package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// order lists the records of a table by key, for scans: sorted blocks of a few hundred entries,
// found by binary search. An insert moves half a block; a full block is split. The first scan
// builds it, and it is maintained from then on.
type order struct {
	blocks [][]item
}

// item is a record with the first 8 bytes of its key, which decide most comparisons without an
// access to the record.
type item struct {
	head uint64
	ref
}

// blockSize is the maximum number of items in a block.
const blockSize = 256

// headOf returns the first 8 bytes of a key as a big-endian number.
func headOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// compare orders an item and a key.
func (t *table) compare(it item, head uint64, key []byte) int {
	if it.head != head {
		return cmp.Compare(it.head, head)
	}
	return bytes.Compare(t.key(it.ref), key)
}

// sortItems sorts records of a table by key.
func (t *table) sortItems(items []item) {
	slices.SortFunc(items, func(a, b item) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(t.key(a.ref), t.key(b.ref))
	})
}

// newOrder sorts all records of the table.
func newOrder(t *table) *order {
	items := make([]item, 0, t.count)
	t.each(func(r ref) { items = append(items, item{headOf(t.key(r)), r}) })
	t.sortItems(items)
	o := &order{}
	for len(items) > 0 {
		n := min(len(items), blockSize/2)
		block := make([]item, n, blockSize)
		copy(block, items)
		o.blocks = append(o.blocks, block)
		items = items[n:]
	}
	return o
}

// seek returns the position of the first item whose key is not less than key, which may be
// after the last item.
func (o *order) seek(t *table, key []byte) (block, at int) {
	head := headOf(key)
	block, _ = slices.BinarySearchFunc(o.blocks, key, func(b []item, key []byte) int {
		return t.compare(b[len(b)-1], head, key)
	})
	if block == len(o.blocks) {
		return block, 0
	}
	at, _ = slices.BinarySearchFunc(
		o.blocks[block],
		key,
		func(it item, key []byte) int { return t.compare(it, head, key) },
	)
	return block, at
}

// insert adds a record whose key is new.
func (o *order) insert(t *table, r ref) {
	key := t.key(r)
	it := item{headOf(key), r}
	block, at := o.seek(t, key)
	if block == len(o.blocks) {
		if block == 0 {
			o.blocks = append(o.blocks, append(make([]item, 0, blockSize), it))
			return
		}
		block--
		at = len(o.blocks[block])
	}
	b := o.blocks[block]
	if len(b) == blockSize {
		cut := blockSize / 2
		if block == len(o.blocks)-1 && at == blockSize {
			cut = blockSize - 1 // ascending keys: leave full blocks
		}
		upper := append(make([]item, 0, blockSize), b[cut:]...)
		b = b[:cut]
		o.blocks[block] = b
		o.blocks = slices.Insert(o.blocks, block+1, upper)
		if at > cut {
			block, at, b = block+1, at-cut, upper
		}
	}
	o.blocks[block] = slices.Insert(b, at, it)
}

// replace makes r the record of its key, which must exist.
func (o *order) replace(t *table, r ref) {
	block, at := o.seek(t, t.key(r))
	o.blocks[block][at].ref = r
}
