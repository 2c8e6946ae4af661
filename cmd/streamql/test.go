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
	Match    string        `name:"run" placeholder:"RE" help:"Run only the cases with a matching id."`
	Report   string        `placeholder:"FORMAT" default:"text" help:"The report's format: text, junit or jsonl."`
	Schedule string        `placeholder:"NAME" default:"query" help:"query: each query reads all its input before the next starts; record: each record goes through all queries first."`
	Poll     int           `placeholder:"N" default:"1024" help:"The maximum number of records in a fetch of a partition."`
	Case     time.Duration `name:"case-timeout" placeholder:"TIME" default:"10s" help:"The time limit of a case."`
	Crash    int           `placeholder:"N" help:"Crash the jobs in the N-th step; -1: once before each commit."`
	Update   bool          `help:"Replace the expectations in the files with the actual results."`
	Emit     string        `placeholder:"FILE" help:"Write the actual results as JSON lines, without a verdict; - is stdout."`
}

// Help returns the text below the command's flags.
func (testCmd) Help() string {
	return `Examples:
  streamql test tests/
  streamql test tests/features.sqltest --run windows
  streamql test tests/ --report junit > report.xml
  streamql test tests/ --brokers localhost:9092

With --brokers each case is an application of its own on the cluster, and its topics are removed at its end. A case is rejected if its
topics exist already, because they may belong to another application.

The exit code is 1 if a case fails, and 2 if a test file cannot be read.`
}

// Run runs the cases.
func (c *testCmd) Run(w *world) (err error) {
	o := conformance.Options{Dialect: w.Dialect, Schedule: c.Schedule, Report: c.Report, Poll: c.Poll, Timeout: c.Case,
		Crash: c.Crash, Update: c.Update,
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

// exitStatus is an exit code, after all output has been printed.
type exitStatus int

// Error returns a text that is not printed. The interface error requires it.
func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
