package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdmit finds files below roots, and no others.
func TestAdmit(t *testing.T) {
	root, other := write(t, "a.csv", "x\n1\n", "b.csv", "x\n2\n"), write(t, "b.csv", "x\n3\n", "c.csv", "x\n4\n")
	t.Chdir(root)
	for _, c := range []struct {
		path  string
		roots []string
		want  string // the path in messages; "": outside
	}{
		{"a.csv", []string{root}, filepath.Join(root, "a.csv")},
		{"./x/../a.csv", []string{root}, filepath.Join(root, "a.csv")},
		{filepath.Join(root, "a.csv"), []string{root}, filepath.Join(root, "a.csv")},
		{"b.csv", []string{root, other}, filepath.Join(root, "b.csv")},
		{"b.csv", []string{other, root}, filepath.Join(other, "b.csv")},
		{"c.csv", []string{root, other}, filepath.Join(other, "c.csv")},
		{"none.csv", []string{root, other}, filepath.Join(root, "none.csv")},
		{filepath.Join(other, "c.csv"), []string{Everywhere}, filepath.Join(other, "c.csv")},
		{"../c.csv", []string{Everywhere}, filepath.Join(filepath.Dir(root), "c.csv")},
		{root, []string{root}, root},
		{"a.csv", nil, ""},
		{"../a.csv", []string{root, other}, ""},
		{root + "/../" + filepath.Base(other) + "/b.csv", []string{root}, ""},
		{filepath.Join(other, "c.csv"), []string{root}, ""},
		{root + "x/a.csv", []string{root}, ""},
		{"/etc/passwd", []string{root, other}, ""},
	} {
		p, err := Admit(c.roots, c.path)
		if c.want == "" && !errors.Is(err, ErrOutside) || c.want != "" && (err != nil || p.String() != c.want) {
			t.Errorf("%s: %v, %v, want %q", c.path, p, err, c.want)
		}
	}
}

// TestLinks: links within the root are followed and links that leave it are not, even if they
// are created after the files were checked.
func TestLinks(t *testing.T) {
	root, outside := write(t, "a.csv", "x\n1\n"), write(t, "secret.csv", "x\ncanary\n")
	link := func(to, name string) {
		t.Helper()
		os.Remove(filepath.Join(root, name))
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("a.csv", "in.csv")
	link(filepath.Join(outside, "secret.csv"), "out.csv")
	link("../"+filepath.Base(outside), "up")
	for path, ok := range map[string]bool{"in.csv": true, "out.csv": false, "up": false, "up/secret.csv": false, ".": false} {
		s, err := Open(context.Background(), Config{Formats: layouts, Root: root, Path: path, Format: "csv", Header: true})
		if ok != (err == nil) || !ok && !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", path, err)
		}
		if ok && len(read(t, s, 0, 0, 1)) != 1 {
			t.Errorf("%s has no row", path)
		}
	}
	s := open(t, Config{Formats: layouts, Root: root, Path: "in.csv", Header: true})
	link(filepath.Join(outside, "secret.csv"), "in.csv")
	if _, err := s.Describe(context.Background(), "t"); !errors.Is(err, ErrOutside) ||
		strings.Contains(err.Error(), "canary") {
		t.Errorf("a link that was exchanged: %v", err)
	}
}
