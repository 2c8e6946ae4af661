//go:build faults

// Package fault marks the places at which a crash is worth testing. In a normal build a point
// costs nothing; with the build tag "faults", a test can make any of them end the process or
// call a hook.
package fault

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Env is the environment variable that arms one point of a process: "name:count" ends the
// process with ExitCode when the point is passed for the count-th time (from 1, default 1).
const Env = "STREAMQL_FAULT"

// ExitCode is the exit code of a process that was ended by a point.
const ExitCode = 86

var armed struct {
	sync.Mutex
	once sync.Once
	hook func(name string)
}

// Point is a place where a test may crash the process.
func Point(name string) {
	armed.once.Do(func() {
		if spec := os.Getenv(Env); spec != "" {
			hook, err := parse(spec, func(string) { os.Exit(ExitCode) })
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(2)
			}
			Hook(hook)
		}
	})
	armed.Lock()
	hook := armed.hook
	armed.Unlock()
	if hook != nil {
		hook(name)
	}
}

// Hook sets the function that every point calls (nil: none) and returns the previous one. The
// hook may panic.
func Hook(hook func(name string)) (before func(name string)) {
	armed.Lock()
	defer armed.Unlock()
	before, armed.hook = armed.hook, hook
	return before
}

// parse returns a hook for "name:count" that calls fire once, at the count-th pass of the
// point.
func parse(spec string, fire func(string)) (func(string), error) {
	name, text, counted := strings.Cut(spec, ":")
	count := 1
	if counted {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s=%q: the form is name:count, with a count from 1", Env, spec)
		}
		count = n
	}
	var mu sync.Mutex
	return func(at string) {
		if at != name {
			return
		}
		mu.Lock()
		count--
		now := count == 0
		mu.Unlock()
		if now {
			fire(at)
		}
	}, nil
}
