//go:build !faults

// Package fault marks the places at which a crash is worth testing. In a normal build a point
// costs nothing; with the build tag "faults", a test can make any of them end the process or
// call a hook.
package fault

// Point is a place where a test may crash the process.
func Point(name string) {}
