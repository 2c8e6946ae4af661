//go:build !mutants

// Package mutant marks places where a known bug can be planted, so that tests can show that they would notice it. In a normal build no
// bug is on, and the marks cost nothing; with the build tag "mutants" a test turns on one at a time.
package mutant

// Planted reports whether this build can have bugs turned on.
const Planted = false

// On reports whether the bug of that name is planted. It is false in a normal build.
func On(string) bool { return false }

// Pause is a place in the middle of a planted bug. It does nothing in a normal build.
func Pause() {}

// AtPause sets what Pause calls.
func AtPause(func()) {}
