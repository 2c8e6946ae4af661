package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Objects stores snapshots, in a directory or an object store. Names contain slashes. An object
// never changes after its creation.
type Objects interface {
	// Create stores data under a name; fs.ErrExist, wrapped, if the name is in use. Readers see
	// all of the object or none of it.
	Create(ctx context.Context, name string, data io.Reader) error
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns the objects whose names begin with prefix, sorted by name.
	List(ctx context.Context, prefix string) ([]Object, error)
	Delete(ctx context.Context, name string) error
}

// Object is one entry of a listing.
type Object struct {
	Name     string
	Size     int64
	Modified time.Time
}

// Directory stores objects as files below a directory, which several processes may share.
func Directory(dir string) (Objects, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return directory{root}, nil
}

// directory implements Objects. os.Root keeps all accesses below the directory.
type directory struct{ root *os.Root }

// Create implements Objects. It writes a temporary file, syncs it, and links it under its name.
func (d directory) Create(_ context.Context, name string, data io.Reader) (err error) {
	name = filepath.FromSlash(name)
	if err := d.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// The process id keeps the files of several processes apart. Within a process, one goroutine at
	// a time writes a name.
	temp := fmt.Sprintf("%s.%d.tmp", name, os.Getpid())
	f, err := d.root.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.root.Remove(temp)) }()
	_, err = io.Copy(f, data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return d.root.Link(temp, name)
}

// Get implements Objects.
func (d directory) Get(_ context.Context, name string) (io.ReadCloser, error) {
	return d.root.Open(filepath.FromSlash(name))
}

// List implements Objects. prefix may end within a name.
func (d directory) List(_ context.Context, prefix string) ([]Object, error) {
	var out []Object
	err := fs.WalkDir(
		d.root.FS(),
		path.Clean(path.Dir(prefix+"x")),
		func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // nothing was ever stored, or it is being deleted
				return nil
			}
			if err != nil || e.IsDir() || !strings.HasPrefix(name, prefix) || strings.HasSuffix(name, ".tmp") {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return nil
			}
			out = append(out, Object{name, info.Size(), info.ModTime()})
			return nil
		},
	)
	return out, err
}

// Delete implements Objects.
func (d directory) Delete(_ context.Context, name string) error {
	return d.root.Remove(filepath.FromSlash(name))
}
