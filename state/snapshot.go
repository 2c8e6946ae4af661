package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Snapshots are copies of tasks' committed state under a prefix of an object store. A process
// that has lost its disk loads a snapshot instead of replaying the whole changelog. A snapshot
// is a list of tables, sorted parts of the state that are stored under their sha256:
//
//	<prefix>/sst/<sha256>      a table
//	<prefix>/m/<20 digits>     a manifest, by the number of its commit
//
// Where a table ends depends only on its keys, so that unchanged tables have the same name in
// the next snapshot and are not sent again.
type Snapshots struct {
	Objects Objects
	Prefix  string // of all tasks
	Now     func() time.Time
}

// manifest lists the parts of a snapshot.
type manifest struct {
	Format int
	Log    Log
	Wall   int64
	Tables []piece
}

// piece is one table of a snapshot.
type piece struct {
	SHA256 string
	Bytes  int64
}

// The parameters of snapshots.
const (
	manifestFormat = 1
	keepSnapshots  = 2
	orphanAge      = 24 * time.Hour // younger tables may belong to a snapshot in progress
	tableBytes     = 8 << 20        // a table ends at the first suitable key after this size
	tableLimit     = 64 << 20       // and at this size at the latest
	tableMask      = 1<<10 - 1
)

// ErrCorrupt reports a snapshot that has changed since it was made.
var ErrCorrupt = errors.New("the snapshot is corrupt")

// dir returns the name prefix of a task's objects.
func (s *Snapshots) dir(task string) string {
	return s.Prefix + "/" + hex.EncodeToString([]byte(task))
}

// Save makes a snapshot of a task's committed state while the task runs. It returns the number
// of bytes that were sent.
func (s *Snapshots) Save(ctx context.Context, db *DB, task string) (sent int64, err error) {
	snap := db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	prefix := appendText([]byte{keyState}, []byte(task))
	log, seq, err := place(snap, prefix)
	if err != nil || log.Next == 0 {
		return 0, err
	}
	m := manifest{Format: manifestFormat, Log: log, Wall: s.Now().UnixMilli()}
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		if err := ctx.Err(); err != nil {
			return sent, err
		}
		t, n, err := s.saveTable(ctx, db, task, it, len(prefix))
		if err != nil {
			return sent, err
		}
		m.Tables, sent = append(m.Tables, t), sent+n
		ok = it.Valid()
	}
	if err := it.Error(); err != nil {
		return sent, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return sent, err
	}
	// The manifest comes last: a snapshot is visible only when all its tables exist. A crash before
	// this leaves tables without a manifest, which sweep deletes after orphanAge.
	err = s.create(ctx, fmt.Sprintf("%s/m/%020d", s.dir(task), seq), text)
	if err != nil && !errors.Is(err, fs.ErrExist) { // the same commit has the same state
		return sent, err
	}
	return sent, s.sweep(ctx, task)
}

// place reads the changelog position and the commit number of the state in a snapshot.
func place(snap *pebble.Snapshot, prefix []byte) (log Log, seq uint64, err error) {
	get := func(kind byte, use func([]byte) error) error {
		val, closer, err := snap.Get(append(slices.Clone(prefix), kind))
		if err == pebble.ErrNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(use(val), closer.Close())
	}
	err = errors.Join(get(keyLog, func(b []byte) (err error) { log, err = decodeLog(b); return err }),
		get(keyPosition, func(b []byte) (err error) { seq, _, err = decodePosition(b); return err }))
	return log, seq, err
}

// saveTable writes a table from the iterator's position on, and stores it unless it exists
// already.
func (s *Snapshots) saveTable(
	ctx context.Context,
	db *DB,
	task string,
	it *pebble.Iterator,
	prefix int,
) (t piece, sent int64, err error) {
	path := db.temp("save", task)
	f, err := db.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return t, 0, err
	}
	defer func() { err = errors.Join(err, db.fs.Remove(path)) }()
	if err := writeTable(f, it, prefix, db.FormatMajorVersion().MaxTableFormat()); err != nil {
		return t, 0, err
	}
	h := sha256.New()
	if t.Bytes, err = db.readFile(path, func(r io.Reader) (int64, error) { return io.Copy(h, r) }); err != nil {
		return t, 0, err
	}
	t.SHA256 = sum(h)
	_, err = db.readFile(path, func(r io.Reader) (int64, error) {
		return 0, s.Objects.Create(ctx, s.dir(task)+"/sst/"+t.SHA256, r)
	})
	if errors.Is(err, fs.ErrExist) {
		return t, 0, nil
	}
	return t, t.Bytes, err
}

// writeTable ends a table at a key that qualifies. The position record changes with every
// commit and is therefore a table of its own.
func writeTable(f vfs.File, it *pebble.Iterator, prefix int, format sstable.TableFormat) error {
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{TableFormat: format})
	size := 0
	for alone := false; it.Valid() && !alone; it.Next() {
		key := it.Key()
		if alone = len(key) == prefix+1; alone && size > 0 {
			break
		}
		if size > tableBytes && xxhash.Sum64(key)&tableMask == 0 || size > tableLimit {
			break
		}
		val, err := it.ValueAndErr()
		if err == nil {
			err = w.Set(key, val)
		}
		if err != nil {
			return errors.Join(err, w.Close())
		}
		size += len(key) + len(val)
	}
	return w.Close()
}

// create stores an object under the task's prefix.
func (s *Snapshots) create(ctx context.Context, name string, data []byte) error {
	return s.Objects.Create(ctx, name, bytes.NewReader(data))
}

// Load replaces a task's stored state by the newest valid snapshot that usable accepts; false:
// there is none.
func (s *Snapshots) Load(ctx context.Context, db *DB, task string, usable func(Log) bool) (bool, error) {
	list, err := s.Objects.List(ctx, s.dir(task)+"/m/")
	if err != nil {
		return false, err
	}
	slices.Reverse(list)
	for _, o := range list {
		m, err := s.manifest(ctx, o.Name)
		if err == nil && !usable(m.Log) {
			continue
		}
		if err == nil {
			err = s.load(ctx, db, task, m)
		}
		if err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	return false, nil // a corrupt snapshot is ignored: an older one or the changelog has the state
}

// manifest reads a manifest.
func (s *Snapshots) manifest(ctx context.Context, name string) (m manifest, err error) {
	r, err := s.Objects.Get(ctx, name)
	if err != nil {
		return m, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, 64<<20)).Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrCorrupt, name, err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("%w: %s has format %d", ErrFormat, name, m.Format)
	}
	return m, nil
}

// load copies the tables of a snapshot and ingests them in place of the task's state.
func (s *Snapshots) load(ctx context.Context, db *DB, task string, m manifest) (err error) {
	var paths []string
	defer func() {
		for _, p := range paths { // ingested files are gone already
			_ = db.fs.Remove(p)
		}
	}()
	for i, t := range m.Tables {
		path := db.temp(fmt.Sprintf("load-%d", i), task)
		paths = append(paths, path)
		if err := s.fetch(ctx, db, s.dir(task)+"/sst/"+t.SHA256, path, t); err != nil {
			return err
		}
	}
	r, err := NewReplay(db.DB, task)
	if err != nil {
		return err
	}
	// After all tables have been checked. A crash between Clear and Ingest leaves the old state or
	// none, each with its own changelog position, and the changelog has the rest.
	if err := r.Clear(); err != nil {
		return err
	}
	if err := db.Ingest(ctx, paths); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// fetch copies a table into a file of the database's file system and checks its checksum. The
// bytes are hashed before they are written, because Pebble's files may modify the buffers that
// they receive.
func (s *Snapshots) fetch(ctx context.Context, db *DB, name, path string, t piece) error {
	r, err := s.Objects.Get(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := db.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(f, io.TeeReader(io.LimitReader(r, t.Bytes+1), h))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if n != t.Bytes || sum(h) != t.SHA256 {
		return fmt.Errorf("%w: %s", ErrCorrupt, name)
	}
	return nil
}

// sum returns the hash in hexadecimal.
func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// sweep deletes the manifests and tables that the retained snapshots do not need. If a retained
// manifest cannot be read, its tables are unknown, and no table is deleted before the next Save.
func (s *Snapshots) sweep(ctx context.Context, task string) error {
	list, err := s.Objects.List(ctx, s.dir(task)+"/m/")
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for i, o := range list {
		if i < len(list)-keepSnapshots {
			if err := s.Objects.Delete(ctx, o.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		m, err := s.manifest(ctx, o.Name)
		if err != nil {
			return ctx.Err()
		}
		for _, t := range m.Tables {
			used[s.dir(task)+"/sst/"+t.SHA256] = true
		}
	}
	tables, err := s.Objects.List(ctx, s.dir(task)+"/sst/")
	if err != nil {
		return err
	}
	for _, o := range tables {
		if used[o.Name] || s.Now().Sub(o.Modified) < orphanAge {
			continue
		}
		if err := s.Objects.Delete(ctx, o.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
