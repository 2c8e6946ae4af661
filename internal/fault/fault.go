//go:build !faults

// Package fault marks the places where a crash is interesting. In a normal build a point costs nothing; with the build tag "faults"
// a test can make any of them end the process or run a hook.
package fault

// Point is a place where a test may make the process crash.
func Point(name string) {}
