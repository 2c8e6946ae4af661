package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

// bound makes the process live in --memory, and returns what of it queries and jobs may take together. The other half is for what is garbage
// and not yet collected, and for the state of jobs; nearer to the end it is collected more often. GOMEMLIMIT says otherwise.
func (w *world) bound() int64 {
	if w.Memory <= 0 {
		return 0
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(w.Memory) / 8 * 7)
	}
	return int64(w.Memory) / 2
}

// roots are the directories whose files may be read by what is typed here: the working one, those of --files and those of the configuration.
func (w *world) roots() ([]string, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, usage(fmt.Errorf("the working directory is not known: %w", plainPath(err)))
	}
	r := reading{config: w.files.config}
	return append(append([]string{here}, w.Files...), r.paths("files.roots")...), r.err
}
