package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

// bound sets the garbage collector's memory limit so that the process stays within --memory. It returns the
// part that queries and jobs together may use. The rest is for garbage that is not collected yet and for the
// state of jobs. The environment variable GOMEMLIMIT overrides it.
func (w *world) bound() int64 {
	if w.Memory <= 0 {
		return 0
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(w.Memory) / 8 * 7)
	}
	return int64(w.Memory) / 8 * 3
}

// roots returns the directories whose files statements of the command line may read: the working directory,
// those of --files and those of the configuration.
func (w *world) roots() ([]string, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, usage(fmt.Errorf("cannot determine the working directory: %w", plainPath(err)))
	}
	r := reading{config: w.files.config}
	return append(append([]string{here}, w.Files...), r.paths("files.roots")...), r.err
}
