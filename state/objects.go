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

// Objects is where snapshots are kept: a directory, or an object store. Names have slashes. An object, once created, never changes.
type Objects interface {
	// Create stores data under a name; fs.ErrExist, wrapped, when there is one already. A reader sees all of it or none.
	Create(ctx context.Context, name string, data io.Reader) error
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns the objects whose names begin with prefix, by name.
	List(ctx context.Context, prefix string) ([]Object, error)
	Delete(ctx context.Context, name string) error
}

// Object is one entry of a list.
type Object struct {
	Name     string
	Size     int64
	Modified time.Time
}

// Directory keeps objects as files below a directory, which several processes may share.
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

type directory struct{ root *os.Root }

// Create implements Objects: a file is written under another name, synced, and linked when it is whole.
func (d directory) Create(_ context.Context, name string, data io.Reader) (err error) {
	name = filepath.FromSlash(name)
	if err := d.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
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

// List implements Objects. The last part of prefix may be the beginning of a name.
func (d directory) List(_ context.Context, prefix string) ([]Object, error) {
	var out []Object
	err := fs.WalkDir(d.root.FS(), path.Clean(path.Dir(prefix+"x")), func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // nothing was ever there, or it goes away meanwhile
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
	})
	return out, err
}

// Delete implements Objects.
func (d directory) Delete(_ context.Context, name string) error {
	return d.root.Remove(filepath.FromSlash(name))
}
