package files

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNoRegularFile refuses pipes, devices, sockets and what the kernel makes up, and waits for none of them.
func TestNoRegularFile(t *testing.T) {
	dir := write(t)
	pipe := filepath.Join(dir, "pipe.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{Everywhere, "/dev", "/proc", dir} {
		for path, why := range map[string]string{pipe: "no regular file", dir: "no regular file", "/dev/null": "no regular file", "/dev/zero": "no regular file",
			"/proc/self/environ": "no file on a disk"} {
			p, err := Admit([]string{root}, path)
			if err != nil {
				continue // it is not under this root
			}
			_, err = Open(context.Background(), Config{Formats: layouts, Root: p.Root, Path: p.Path, Format: "csv", Header: true})
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s under %s: %v", path, root, err)
			}
		}
	}
}
