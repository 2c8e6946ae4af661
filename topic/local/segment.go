package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// segment is one file of record batches: the offsets [base, next) of a partition, in size
// bytes. Bytes of the file beyond size were never committed and are overwritten. Broker.mu
// guards base, next, size and newest, which change only when a commit is published.
type segment struct {
	file       uint64
	base, next topic.Offset
	size       int64
	newest     int64 // maximum record timestamp, ms

	mu      sync.Mutex // guards the fields below
	handle  vfs.File
	created bool // created by this process: writes append; else they go to the given position
	index   []place
	indexed int64        // size of the indexed part
	covered topic.Offset // offset after the indexed part
	latest  int64        // maximum record timestamp of the indexed part
	users   int
	removed bool // the file must be deleted when it is unused
	closed  bool // the handle must be closed when it is unused
}

// place is an entry of the sparse index: the batch at file position pos begins at offset, and
// no record before it has a timestamp greater than before.
type place struct {
	offset topic.Offset
	pos    int64
	before int64
}

// indexEvery is the distance between two index entries, in bytes.
const indexEvery = 64 << 10

// maxHole is the longest hole that one batch may contain: offsets within a batch have 32 bits.
const maxHole = 1 << 30

// follows checks the first offset of a batch, which its checksum does not cover. Batches are
// contiguous even after compaction, except for holes longer than maxHole.
func follows(h *batch.Header, expected topic.Offset) error {
	if h.Base == expected || h.Base > expected+maxHole {
		return nil
	}
	return fmt.Errorf("%w: a batch begins at offset %d instead of %d", ErrCorrupt, h.Base, expected)
}

// path returns the path of a segment's file.
func (b *Broker) path(s *segment) string {
	return b.o.fs.PathJoin(b.logDir, fmt.Sprintf("%016x.seg", s.file))
}

// open returns the file, which it opens at the first use. The file stays open until release.
func (s *segment) open(b *Broker) (vfs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.handle == nil {
		// OpenReadWrite would create a missing file, and its data would seem to be empty. Stat
		// finds the damage.
		path := b.path(s)
		if _, err := b.o.fs.Stat(path); err != nil {
			return nil, fmt.Errorf("segment %s: %w: %w", path, ErrCorrupt, err)
		}
		f, err := b.o.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", path, err)
		}
		s.handle = f
	}
	s.users++
	return s.handle, nil
}

// release ends a use of the file.
func (s *segment) release(b *Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	s.tidy(b)
}

// remove deletes the file as soon as no reader uses it. If that fails, the next open deletes
// it.
func (s *segment) remove(b *Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	s.tidy(b)
}

// close closes the file as soon as no reader uses it; the segment remains.
func (s *segment) close(b *Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.tidy(b)
}

// tidy executes a pending remove or close. s.mu is held.
func (s *segment) tidy(b *Broker) {
	if !s.removed && !s.closed || s.users > 0 {
		return
	}
	if s.handle != nil {
		_ = s.handle.Close() // committed bytes are synced already
		s.handle = nil
	}
	if s.removed {
		_ = b.o.fs.Remove(b.path(s))
	}
}

// create creates the segment's file.
// It needs no lock, because no other goroutine knows the segment before it is published.
func (s *segment) create(b *Broker) error {
	f, err := b.o.fs.Create(b.path(s), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("segment %s: create: %w", b.path(s), err)
	}
	s.handle, s.created = f, true
	return nil
}

// write writes raw at pos, the end of the committed bytes or of the previous write of this
// transaction.
func (s *segment) write(b *Broker, raw []byte, pos int64) error {
	f, err := s.open(b)
	if err != nil {
		return err
	}
	defer s.release(b)
	if s.created {
		_, err = f.Write(raw)
	} else {
		_, err = f.WriteAt(raw, pos)
	}
	if err != nil {
		return fmt.Errorf("segment %s: write: %w", b.path(s), err)
	}
	return nil
}

// fsync makes the written bytes durable.
func (s *segment) fsync(b *Broker) error {
	f, err := s.open(b)
	if err != nil {
		return err
	}
	defer s.release(b)
	if err := f.Sync(); err != nil {
		return fmt.Errorf("segment %s: sync: %w", b.path(s), err)
	}
	return nil
}

// readAt reads n bytes at pos. Fewer are available only if the file is damaged.
func (s *segment) readAt(b *Broker, pos int64, n int) ([]byte, error) {
	f, err := s.open(b)
	if err != nil {
		return nil, err
	}
	defer s.release(b)
	raw := make([]byte, n)
	got, err := f.ReadAt(raw, pos)
	if got == n {
		return raw, nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the file ends at %d instead of %d", ErrCorrupt, pos+int64(got), pos+int64(n))
	}
	return nil, fmt.Errorf("segment %s: read at %d: %w", b.path(s), pos, err)
}

// note adds a batch at pos to the index; batches are added in order.
// s.mu is held, or the segment is not published yet.
func (s *segment) note(h *batch.Header, pos int64) {
	if pos != s.indexed {
		return // the index does not extend to here yet: reads will extend it
	}
	if n := len(s.index); n == 0 || pos-s.index[n-1].pos >= indexEvery {
		s.index = append(s.index, place{h.Base, pos, s.latest})
	}
	if pos == 0 {
		s.latest = h.MaxTime
	}
	s.latest = max(s.latest, h.MaxTime)
	s.indexed, s.covered = pos+int64(h.Size), h.Next()
}

// places returns the index of the first size bytes. It reads the headers that are not indexed
// yet.
func (s *segment) places(b *Broker, size int64) ([]place, error) {
	s.mu.Lock()
	from := s.indexed
	s.mu.Unlock()
	// The file is read without the lock. Another goroutine may extend the index meanwhile; the
	// inner loop then stops, and the next read begins where the index ends.
	for from < size {
		raw, err := s.readAt(b, from, int(min(size-from, 1<<20)))
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		at := int64(0)
		for from+at == s.indexed {
			if at >= int64(len(raw)) {
				break
			}
			h, err := batch.Peek(raw[at:])
			if errors.Is(err, batch.ErrShort) && from+int64(len(raw)) < size && at > 0 {
				break // continue reading from here
			}
			if err == nil && from+at+int64(h.Size) > size {
				err = fmt.Errorf("%w: a batch extends past the end", batch.ErrCorrupt)
			}
			if err == nil {
				err = follows(&h, max(s.covered, s.base))
			}
			if err != nil {
				s.mu.Unlock()
				return nil, fmt.Errorf("segment %s: at %d: %w: %w", b.path(s), from+at, ErrCorrupt, err)
			}
			s.note(&h, from+at)
			at += int64(h.Size)
		}
		from = s.indexed
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The entries of the index never change, so the caller may read them without the lock. Clip
	// makes an append by the caller copy them.
	return slices.Clip(s.index), nil
}

// locate returns the index entry of a batch at or before offset.
func (s *segment) locate(b *Broker, offset topic.Offset, size int64) (place, error) {
	index, err := s.places(b, size)
	if err != nil || len(index) == 0 {
		return place{offset: s.base}, err
	}
	i, found := slices.BinarySearchFunc(index, offset, func(p place, o topic.Offset) int {
		switch {
		case p.offset < o:
			return -1
		case p.offset > o:
			return 1
		}
		return 0
	})
	if !found {
		i = max(i-1, 0)
	}
	return index[i], nil
}

// sweep deletes files that belong to no segment, and truncates uncommitted bytes if the file
// system supports that.
func (b *Broker) sweep() error {
	known := map[string]*segment{}
	for _, t := range b.topics {
		for _, p := range t.parts {
			for _, s := range p.segments {
				known[b.o.fs.PathBase(b.path(s))] = s
			}
		}
	}
	names, err := b.o.fs.List(b.logDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := b.o.fs.PathJoin(b.logDir, name)
		s := known[name]
		if s == nil {
			if err := b.o.fs.Remove(path); err != nil {
				return fmt.Errorf("remove %s: %w", path, err)
			}
			continue
		}
		if info, err := b.o.fs.Stat(path); err == nil && info.Size() > s.size && b.o.fs == vfs.Default {
			if err := os.Truncate(path, s.size); err != nil {
				return fmt.Errorf("truncate %s: %w", path, err)
			}
		}
	}
	return nil
}
