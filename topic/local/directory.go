package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/streamql/streamql/topic"
)

// syncDirs makes new directories durable, including their entry in the parent of the root.
func (b *Broker) syncDirs(dir string) error {
	for _, d := range []string{dir, b.o.fs.PathDir(dir)} {
		if err := b.syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// syncDir syncs one directory.
func (b *Broker) syncDir(dir string) error {
	d, err := b.o.fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("directory %s: sync: %w", dir, err)
	}
	return nil
}

// takeLock locks the directory. The process id is in a separate file, because closing a locked
// file after reading it would release the lock.
func (b *Broker) takeLock(dir string) error {
	fs := b.o.fs
	pidFile := fs.PathJoin(dir, "pid")
	lock, err := fs.Lock(fs.PathJoin(dir, "lock"))
	if err != nil {
		if errors.Is(err, os.ErrPermission) && !isLocked(err) {
			return fmt.Errorf("lock: %w", err)
		}
		pid := "unknown"
		if f, err := fs.Open(pidFile); err == nil {
			text, _ := io.ReadAll(io.LimitReader(f, 20))
			if f.Close(); len(text) > 0 {
				pid = strings.TrimSpace(string(text))
			}
		}
		return fmt.Errorf("%w, process id %s (%v)", topic.ErrLocked, pid, err)
	}
	b.lock = lock
	f, err := fs.Create(pidFile, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("process id: %w", err)
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return errors.Join(err, f.Close())
}

// isLocked distinguishes a held lock (EACCES on some systems) from a directory without write
// permission.
func isLocked(err error) bool {
	var path *os.PathError
	return !errors.As(err, &path)
}
