//go:build unix

package main

import (
	"runtime"
	"syscall"
)

// peakMemory returns the peak resident memory of the process, in MB.
func peakMemory() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	unit := 1024.0 // bytes per unit of Maxrss
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return round(float64(u.Maxrss)*unit/1e6, 1)
}
