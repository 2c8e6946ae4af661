package state

import (
	"encoding/binary"
)

// arena stores the records of a table in pages of bytes, so that the garbage collector has no
// pointers to follow. A record never moves while its arena exists; a rebuild of the table
// creates a new arena. A record consists of these parts, each padded to 8 bytes:
//
//	key length u32 | value length u32 | value capacity u32 | flags u32 | key | value
type arena struct {
	pages [][]byte
	used  int   // bytes used of the last page
	bytes int64 // of all pages
}

// ref is the location of a record: the page number, and the offset in units of 8 bytes. 0 is no
// record.
type ref uint64

// The layout of a ref and of a record's head.
const (
	offBits  = 17 // a page has at most 1 MiB, unless one large record fills it
	pageSize = 8 << offBits
	refBits  = 40
	refMask  = 1<<refBits - 1
	headSize = 16
)

// The flags of a record.
const (
	dirty uint32 = 1 << iota // changed since the last commit
	// the key has no value; the record remains while it is dirty or caches the absence
	deleted
	dead   // replaced by another record
	stored // the database may have the key
	hot    // read since the last rebuild
)

// pad rounds up to a multiple of 8.
func pad(n int) int { return (n + 7) &^ 7 }

// add creates a record with capacity for a value, which is zero.
func (a *arena) add(key []byte, length, room int, flags uint32) ref {
	size := headSize + pad(len(key)) + pad(room)
	if len(a.pages) == 0 || a.used+size > len(a.pages[len(a.pages)-1]) || a.used >= pageSize {
		a.grow(size)
	}
	n := len(a.pages) - 1
	off := a.used
	a.used += size
	b := a.pages[n][off : off+size]
	binary.LittleEndian.PutUint32(b[0:], uint32(len(key)))
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
	binary.LittleEndian.PutUint32(b[8:], uint32(pad(room)))
	binary.LittleEndian.PutUint32(b[12:], flags)
	copy(b[headSize:], key)
	return ref(n)<<offBits | ref(off>>3)
}

// grow adds a page. The first pages are small, because most keyspaces are small.
func (a *arena) grow(size int) {
	page := min(4096<<min(len(a.pages), 8), pageSize)
	a.used = 0
	if len(a.pages) == 0 {
		a.used = 8 // so that no record has ref 0
	}
	page = max(page, pad(size)+a.used)
	a.pages = append(a.pages, make([]byte, page))
	a.bytes += int64(page)
}

// at returns the record's page from its head on.
func (a *arena) at(r ref) []byte { return a.pages[r>>offBits][(r&(1<<offBits-1))<<3:] }

// key returns the key of a record. It aliases the page.
func (a *arena) key(r ref) []byte {
	b := a.at(r)
	n := headSize + int(binary.LittleEndian.Uint32(b))
	return b[headSize:n:n]
}

// value returns the value of a record. It aliases the page.
func (a *arena) value(r ref) []byte {
	b := a.at(r)
	from := headSize + pad(int(binary.LittleEndian.Uint32(b)))
	to := from + int(binary.LittleEndian.Uint32(b[4:]))
	return b[from:to:to]
}

// flags returns the flags of a record.
func (a *arena) flags(r ref) uint32 { return binary.LittleEndian.Uint32(a.at(r)[12:]) }

// setFlags sets the flags of a record.
func (a *arena) setFlags(r ref, f uint32) { binary.LittleEndian.PutUint32(a.at(r)[12:], f) }

// size returns the number of bytes that the record occupies.
func (a *arena) size(r ref) int {
	b := a.at(r)
	return headSize + pad(int(binary.LittleEndian.Uint32(b))) + int(binary.LittleEndian.Uint32(b[8:]))
}

// set writes a value into a record, or returns false if its capacity is too small.
func (a *arena) set(r ref, val []byte) bool {
	b := a.at(r)
	if len(val) > int(binary.LittleEndian.Uint32(b[8:])) {
		return false
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(val)))
	copy(b[headSize+pad(int(binary.LittleEndian.Uint32(b))):], val)
	return true
}
