//go:build mutants

// Package mutant marks places where a known bug can be planted, so that tests can show that they would notice it. In a normal build no
// bug is on, and the marks cost nothing; with the build tag "mutants" a test turns on one at a time.
package mutant

// Planted reports whether this build can have bugs turned on.
const Planted = true

var (
	on    string
	pause func()
)

// On reports whether the bug of that name is planted.
func On(name string) bool { return name == on }

// Set plants one bug in place of the one before; "" plants none. It must not be called while code that may ask is running.
func Set(name string) { on = name }

// Pause is a place in the middle of a planted bug, at which a test may end the process.
func Pause() {
	if pause != nil {
		pause()
	}
}

// AtPause sets what Pause calls.
func AtPause(f func()) { pause = f }
