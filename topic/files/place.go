package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Everywhere is the root that allows all files that the process may read.
const Everywhere = "/"

// ErrOutside reports a path that is below none of the roots, or a link that leaves its root.
var ErrOutside = errors.New("it is below no directory that may be read here")

// Place is the location of a file or directory. Path is relative to Root, an absolute path, and
// nothing outside Root is opened. Under Everywhere, Path is absolute too.
type Place struct{ Root, Path string }

// Admit returns the place of a path below one of the roots. A path that is not absolute is
// relative to the working directory and to each root. Existing files take precedence, so that
// an error contains the path that a user expects. Error: ErrOutside, wrapped.
func Admit(roots []string, path string) (Place, error) {
	var places []Place
	abs, err := filepath.Abs(path)
	if err != nil {
		return Place{}, err
	}
	for _, root := range roots {
		if root, err = filepath.Abs(root); err != nil {
			return Place{}, err
		}
		if root == Everywhere {
			places = append(places, Place{root, abs})
			continue
		}
		if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
			places = append(places, Place{root, rel})
		}
		if clean := filepath.Clean(path); filepath.IsLocal(clean) {
			places = append(places, Place{root, clean})
		}
	}
	for _, p := range places {
		if _, err := p.stat("."); err == nil {
			return p, nil
		}
	}
	if len(places) == 0 {
		return Place{}, fmt.Errorf("cannot read %s: %w", path, ErrOutside)
	}
	return places[0], nil
}

// String returns the path for messages.
func (p Place) String() string { return p.below(".") }

func (p Place) below(name string) string {
	if p.Root == Everywhere {
		return filepath.Join(p.Path, name)
	}
	return filepath.Join(p.Root, p.Path, name)
}

// within calls f while the root is open. The root itself may be a link, because its owner
// decides where it leads.
func (p Place) within(name string, f func(root *os.Root, path string) error) error {
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return unreadable(p.below(name), err)
	}
	defer root.Close()
	if err := f(root, filepath.Join(p.Path, name)); err != nil {
		return unreadable(p.below(name), err)
	}
	return nil
}

// stat returns information about the place, or about a file in it.
func (p Place) stat(name string) (info fs.FileInfo, err error) {
	if p.Root == Everywhere {
		if info, err = os.Stat(p.below(name)); err != nil {
			err = unreadable(p.below(name), err)
		}
		return info, err
	}
	err = p.within(name, func(root *os.Root, path string) error {
		info, err = root.Stat(path)
		return err
	})
	return info, err
}

// open opens the place, or a file in it, as a directory or a regular file. Other kinds are not
// opened, because that could block on a writer or affect a device. As the file may be replaced
// meanwhile, it is opened without blocking and checked again.
func (p Place) open(name string, dir bool) (h *os.File, err error) {
	info, err := p.stat(name)
	if err == nil {
		err = p.wanted(name, info, dir)
	}
	if err != nil {
		return nil, err
	}
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if p.Root == Everywhere {
		if h, err = os.OpenFile(p.below(name), flags, 0); err != nil {
			return nil, unreadable(p.below(name), err)
		}
	} else if err = p.within(name, func(root *os.Root, path string) error {
		h, err = root.OpenFile(path, flags, 0)
		return err
	}); err != nil {
		return nil, err
	}
	if info, err = h.Stat(); err == nil {
		err = p.wanted(name, info, dir)
	}
	if err == nil && synthetic(h) {
		err = fmt.Errorf("cannot read %s: it is not a file on a disk", p.below(name))
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (p Place) wanted(name string, info fs.FileInfo, dir bool) error {
	if dir != info.IsDir() || !dir && !info.Mode().IsRegular() {
		return fmt.Errorf(
			"cannot read %s: it is not a %s",
			p.below(name),
			map[bool]string{true: "directory", false: "regular file"}[dir],
		)
	}
	return nil
}

// list returns the names of the files of a directory in order, without hidden ones.
func (p Place) list() (names []string, err error) {
	h, err := p.open(".", true)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	entries, err := h.ReadDir(-1)
	if err != nil {
		return nil, unreadable(p.String(), err)
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("directory %s contains no files", p)
	}
	return names, nil
}

// unreadable returns an error of the system that contains the path once.
func unreadable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if err.Error() == "path escapes from parent" { // package os exports no error value for it
		err = fmt.Errorf("a link leaves the directory: %w", ErrOutside)
	}
	return fmt.Errorf("cannot read %s: %w", path, err)
}
