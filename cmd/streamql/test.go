package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/streamql/streamql/conformance"
)

type testCmd struct {
	Paths    []string      `arg:"" name:"path" help:"*.sqltest files, or directories with such files."`
	Match    string        `name:"run" placeholder:"RE" help:"Only the cases whose id matches."`
	Report   string        `placeholder:"FORMAT" default:"text" help:"text, junit or jsonl."`
	Schedule string        `placeholder:"NAME" default:"query" help:"query: each query reads all its input before the next starts; record: each record goes through all queries first."`
	Poll     int           `placeholder:"N" default:"1024" help:"A fetch brings at most N records of a partition."`
	Case     time.Duration `name:"case-timeout" placeholder:"TIME" default:"10s" help:"How long a case may take."`
	Crash    int           `placeholder:"N" help:"The jobs crash in the N-th step; -1: before each commit once."`
	Update   bool          `help:"Write what happened into the files as what is expected."`
	Emit     string        `placeholder:"FILE" help:"Write what happened as JSON lines and judge nothing; - is stdout."`
}

// Help is shown under the command's flags.
func (testCmd) Help() string {
	return `Examples:
  streamql test tests/
  streamql test tests/features.sqltest --run windows
  streamql test tests/ --report junit > report.xml
  streamql test tests/ --brokers localhost:9092

With --brokers each case is an application of its own on the cluster; the topics it makes are removed at its end. A case whose topics
are there already is refused: they may be somebody's.

A case failing ends with code 1, a test file that cannot be read with code 2.`
}

// Run runs the cases.
func (c *testCmd) Run(w *world) (err error) {
	o := conformance.Options{Dialect: w.Dialect, Schedule: c.Schedule, Report: c.Report, Poll: c.Poll, Timeout: c.Case, Crash: c.Crash, Update: c.Update,
		Out: os.Stdout, Verbose: w.Debug}
	if w.Brokers != "" {
		cluster, err := w.kafka()
		if err != nil {
			return err
		}
		o.Kafka = &cluster
	}
	if c.Match != "" {
		if o.Run, err = regexp.Compile(c.Match); err != nil {
			return usage(fmt.Errorf("--run is not a regular expression: %w", err))
		}
	}
	if c.Emit != "" {
		var to io.Writer = os.Stdout
		if c.Emit != "-" {
			f, err := os.Create(c.Emit)
			if err != nil {
				return usage(err)
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			to = f
		}
		o.Emit, o.Out = to, os.Stderr
	}
	summary, err := conformance.Run(w.ctx, c.Paths, o)
	if err != nil {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		return usage(plainPath(err))
	}
	if c.Emit == "" && summary.Failed > 0 {
		return exitStatus(exitFailed)
	}
	return nil
}

// exitStatus ends the process with a code; everything has been said.
type exitStatus int

// Error is for the interface only.
func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
