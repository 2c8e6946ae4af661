package state

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system that stores state.
type FS = vfs.FS

// DB is a database for the state of tasks whose changelogs are stored elsewhere. It has no
// write-ahead log: after a crash it contains a prefix of the commits.
type DB struct {
	*pebble.DB
	fs   vfs.FS
	dir  string
	fail func(error)
}

// temp returns the path of a temporary file of a task.
func (d *DB) temp(what, task string) string {
	return d.fs.PathJoin(d.dir, fmt.Sprintf("streamql-%s-%x.tmp", what, task))
}

// readFile opens a file and passes it to use.
func (d *DB) readFile(path string, use func(io.Reader) (int64, error)) (n int64, err error) {
	f, err := d.fs.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return use(f)
}

// MemTable is the maximum size of committed data that a crash may lose, to be replayed from the
// changelog. A full memtable is flushed.
const MemTable = 64 << 20

// blocks is the cache size for tables on disk, if no more than two memtables are in use.
const blocks = 64 << 20

// OpenDB opens or creates the database of a directory on fs (nil: the operating system's); an
// empty dir is a database in memory. One process at a time may use it. fail is called when the
// disk has failed for good; the database can then only be abandoned.
func OpenDB(dir string, fs vfs.FS, fail func(error)) (db *DB, err error) {
	defer recovered(&err)
	switch {
	case dir == "":
		fs, dir = vfs.NewMem(), "memory"
	case fs == nil:
		fs = vfs.Default
	}
	d := &DB{fs: fs, dir: dir, fail: fail}
	o := &pebble.Options{
		FS:                          fs,
		Logger:                      d,
		MemTableSize:                MemTable,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                500,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
	}
	// The memtables are reserved in the cache. A cache of only their size would never retain a
	// block.
	o.Cache = pebble.NewCache(2*MemTable + blocks)
	defer o.Cache.Unref()
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	if d.DB, err = pebble.Open(dir, o); err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", dir, err)
	}
	return d, nil
}

// DiskUsage estimates the disk space of a task's state, in bytes, without data that has not
// been flushed from memory. Any goroutine may call it.
func (d *DB) DiskUsage(task string) (int64, error) { return DiskUsage(d.DB, task) }

// DiskUsage is DB.DiskUsage for any database that Open accepts.
func DiskUsage(db *pebble.DB, task string) (int64, error) {
	prefix := appendText([]byte{keyState}, []byte(task))
	n, err := db.EstimateDiskUsage(prefix, successor(prefix))
	if err != nil {
		return 0, fmt.Errorf("state of %q: %w", task, err)
	}
	return int64(n), nil
}

// Infof implements pebble.Logger.
func (d *DB) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (d *DB) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger. The database calls it if it cannot continue, and it must not
// return: on the goroutine of a commit it panics, and the caller converts the panic to an
// error; any other goroutine ends.
func (d *DB) Fatalf(f string, args ...any) {
	err := fmt.Errorf("state: "+f, args...)
	if d.fail != nil {
		d.fail(err)
	}
	if strings.HasPrefix(f, "pebble: fatal commit error") {
		panic(err)
	}
	runtime.Goexit()
}
