package state

import (
	"encoding/binary"
)

// arena holds the records of a table in pages of bytes, so that the collector has nothing to walk. A record never moves while its
// arena lives; a rebuild of the table makes a new one. A record is, each part padded to 8 bytes:
//
//	key length u32 | value length u32 | value room u32 | flags u32 | key | value
type arena struct {
	pages [][]byte
	used  int   // bytes taken of the last page
	bytes int64 // of all pages
}

// ref is a record's place: page number and offset in units of 8 bytes. 0 is no record.
type ref uint64

const (
	offBits  = 17 // a page has at most 1 MiB, one large record apart, which then begins it
	pageSize = 8 << offBits
	refBits  = 40
	refMask  = 1<<refBits - 1
	headSize = 16
)

// The flags of a record.
const (
	dirty   uint32 = 1 << iota // changed since the last commit
	deleted                    // the key has no value; kept because it is dirty, or known to be absent
	dead                       // another record took its place
	stored                     // the database may hold the key
	hot                        // read since the last rebuild
)

func pad(n int) int { return (n + 7) &^ 7 }

// add makes a record with room for a value; the value is zero.
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

// grow begins a new page. The first pages are small, because most keyspaces are.
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

// at is the record's page from its head on.
func (a *arena) at(r ref) []byte { return a.pages[r>>offBits][(r&(1<<offBits-1))<<3:] }

func (a *arena) key(r ref) []byte {
	b := a.at(r)
	n := headSize + int(binary.LittleEndian.Uint32(b))
	return b[headSize:n:n]
}

func (a *arena) value(r ref) []byte {
	b := a.at(r)
	from := headSize + pad(int(binary.LittleEndian.Uint32(b)))
	to := from + int(binary.LittleEndian.Uint32(b[4:]))
	return b[from:to:to]
}

func (a *arena) flags(r ref) uint32       { return binary.LittleEndian.Uint32(a.at(r)[12:]) }
func (a *arena) setFlags(r ref, f uint32) { binary.LittleEndian.PutUint32(a.at(r)[12:], f) }

// size is the number of bytes the record takes.
func (a *arena) size(r ref) int {
	b := a.at(r)
	return headSize + pad(int(binary.LittleEndian.Uint32(b))) + int(binary.LittleEndian.Uint32(b[8:]))
}

// set writes a value into a record's room; false when it does not fit.
func (a *arena) set(r ref, val []byte) bool {
	b := a.at(r)
	if len(val) > int(binary.LittleEndian.Uint32(b[8:])) {
		return false
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(val)))
	copy(b[headSize+pad(int(binary.LittleEndian.Uint32(b))):], val)
	return true
}
