//go:build !unix

package main

// peakMemory returns 0, because the system does not report it.
func peakMemory() float64 { return 0 }
