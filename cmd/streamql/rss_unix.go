//go:build unix

package main

import (
	"runtime"
	"syscall"
)

// peakMemory is the most memory the process has held, in MB.
func peakMemory() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	unit := 1024.0 // bytes that one of Maxrss is
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return round(float64(u.Maxrss)*unit/1e6, 1)
}
