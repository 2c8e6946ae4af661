package main

import (
	"fmt"
	"runtime"

	"github.com/streamql/streamql"
)

type versionCmd struct{}

// Run prints the version, the platform and the compiler.
func (versionCmd) Run() error {
	_, err := fmt.Printf("streamql %s %s/%s %s\n", streamql.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}
