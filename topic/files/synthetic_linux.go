package files

import (
	"os"
	"syscall"
)

// File systems that are not on a disk: what looks like a file is what the kernel tells of processes and devices, environments included.
const (
	procfs = 0x9fa0
	sysfs  = 0x62656572
)

func synthetic(h *os.File) bool {
	var s syscall.Statfs_t
	return syscall.Fstatfs(int(h.Fd()), &s) == nil && (int64(s.Type) == procfs || int64(s.Type) == sysfs)
}
