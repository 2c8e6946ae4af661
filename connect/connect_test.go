package connect

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
)

func sources() *Sources {
	return &Sources{Connectors: Builtins(), World: World{Formats: format.Builtins()}}
}

// TestFilesWithoutARoot refuses a files relation whose definition has no root directory. Older versions wrote such
// definitions.
func TestFilesWithoutARoot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.csv")
	if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &catalog.Relation{Name: "f", Connector: "files", With: map[string]string{"path": path}, Columns: []catalog.Column{{Name: "a", Type: flow.Int}}}
	s := sources()
	defer s.Close()
	var e *lang.Error
	if _, err := s.Open(context.Background(), r); !errors.As(err, &e) || e.Code != "SQ7105" {
		t.Errorf("files without a root are opened: %v", err)
	}
	if err := s.Complete(context.Background(), r, nil); !errors.As(err, &e) || e.Code != "SQ7105" {
		t.Errorf("files are admitted without directories: %v", err)
	}
	r.Value.Options = map[string]string{}
	if err := s.Complete(context.Background(), r, []string{dir}); err != nil || r.Root != dir || r.Path != "f.csv" || r.Partitions != 1 {
		t.Errorf("%v, %q %q", err, r.Root, r.Path)
	}
}

// TestEndedContext opens no files when the statement's context has ended.
func TestEndedContext(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f.csv"), []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := &catalog.Relation{Name: "f", Connector: "files", With: map[string]string{"path": dir}}
	if _, err := sources().Columns(ctx, r, []string{dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
