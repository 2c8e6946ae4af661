package files

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNoRegularFile: pipes, devices, sockets and kernel file systems are rejected without
// blocking.
func TestNoRegularFile(t *testing.T) {
	dir := write(t)
	pipe := filepath.Join(dir, "pipe.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{Everywhere, "/dev", "/proc", dir} {
		for path, why := range map[string]string{pipe: "not a regular file", dir: "not a regular file", "/dev/null": "not a regular file", "/dev/zero": "not a regular file",
			"/proc/self/environ": "not a file on a disk"} {
			p, err := Admit([]string{root}, path)
			if err != nil {
				continue // it is not below this root
			}
			_, err = Open(context.Background(), Config{Formats: layouts, Root: p.Root, Path: p.Path, Format: "csv", Header: true})
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s under %s: %v", path, root, err)
			}
		}
	}
}
