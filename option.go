package streamql

import (
	"time"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/topic/local"
)

// Option changes how an engine is opened.
type Option func(*config)

type config struct {
	dir      string
	ksql     bool
	manual   bool
	poll     int
	interval time.Duration
	given    bool // interval was given
	now      func() time.Time
	progress func(exec.Progress)
	warn     func(*Error)
	funcs    []any
	local    []local.Option // tests inject file systems
}

// WithDir keeps topics, state and the catalog in a directory: a second start goes on where the first left off. One process at a time
// may use it. Without it everything is in memory and gone at Close.
func WithDir(dir string) Option { return func(c *config) { c.dir = dir } }

// WithFunction adds a function: a udf.Scalar, udf.Aggregate or udf.Table.
func WithFunction(f any) Option { return func(c *config) { c.funcs = append(c.funcs, f) } }

// WithDialect sets the dialect: "streamql" (the default), or "ksql" for ksqlDB's folding of names to capitals and its refusals.
func WithDialect(name string) Option { return func(c *config) { c.ksql = name == "ksql" } }

// WithClock sets the clock that stamps INSERT VALUES and resolves NOW and AGO (default: the system's). Commits are paced by real time.
func WithClock(now func() time.Time) Option { return func(c *config) { c.now = now } }

// WithCommitInterval sets the time between two commits of a job (default: 20 ms with a directory, in memory each step).
func WithCommitInterval(d time.Duration) Option {
	return func(c *config) { c.interval, c.given = d, true }
}

// WithPollRecords bounds the records that one fetch brings of a partition (default 4,096). Answers do not depend on it.
func WithPollRecords(n int) Option { return func(c *config) { c.poll = n } }

// WithProgress receives the progress of scans and training, on the goroutine that does the work.
func WithProgress(f func(exec.Progress)) Option { return func(c *config) { c.progress = f } }

// WithWarnings receives what went wrong with single rows: each dead letter and failed expression.
func WithWarnings(f func(*Error)) Option { return func(c *config) { c.warn = f } }

// WithManualJobs makes jobs stand still: Engine.Drain works them off. Tests use it to decide the order of everything.
func WithManualJobs() Option { return func(c *config) { c.manual = true } }
