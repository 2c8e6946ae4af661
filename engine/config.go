package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/files"
	"github.com/streamql/streamql/topic/kafka"
	"github.com/streamql/streamql/topic/local"
)

// Config is the configuration of an engine. The options of the root package set its fields.
type Config struct {
	Dir     string // the directory of the broker or of the local state; empty: in memory
	Dialect string // the dialect of new sessions, one of dialect.Names
	Repeats bool   // the initial decide.Session.Repeats of new sessions
	Version string // the version of the program, for the manifests of models

	Policy   supervise.Policy
	Poll     int           // the maximum number of records in a fetch
	Interval time.Duration // the time between commits; 0 with Paced unset: the default of the broker
	Paced    bool          // whether Interval was set
	Memory   int64         // the cache of a task's state on Kafka, bytes
	// QueryMemory and JobMemory are the quotas of one query and one job, bytes; 0: no limit.
	QueryMemory, JobMemory int64
	// TotalMemory is the quota of all queries and jobs together, bytes; 0: no limit.
	TotalMemory int64
	// Patience is how long Open and definitions retry while brokers are unreachable; 0: without limit.
	Patience time.Duration

	// Files are the directories under which a session may read files, unless WithRoots sets others.
	Files []string

	Now      func() time.Time    // the clock of functions, records and catalog entries
	Progress func(exec.Progress) // called with the progress of jobs and queries, by several goroutines
	Warn     func(*lang.Error)   // called for failures that end no call, by several goroutines
	Log      *slog.Logger        // the process log
	// Functions, Connectors and Formats are added to the built-in ones.
	Functions  []any
	Connectors []connect.Connector
	Formats    []format.Format
	// Schemas is the schema registry of the formats; nil: none.
	Schemas format.Schemas
	// Assigned, if not nil, is called with each new assignment of a job's tasks to this process.
	Assigned func(job string, a topic.Assignment)

	Local     []local.Option // options of the embedded broker
	Kafka     *kafka.Config  // nil: the embedded broker
	Address   string         // the address at which other processes query this one; empty: it serves no queries
	Peers     *peer.Client   // queries the other processes; nil: the zero peer.Client
	Standbys  int            // the number of standbys of each task
	Snapshots state.Objects  // the object store of snapshots; nil: no snapshots
	SaveEvery time.Duration  // the time between two snapshots of a task
	Disk      state.FS       // the file system of the local state
	Flush     time.Duration  // the time between two flushes of the local state
	TrimEvery time.Duration  // the time between two trims of an exchange
}

// Defaults returns the configuration without options. With it a process runs within 2 GiB: allocated memory may reach
// twice the quotas until the next garbage collection.
func Defaults() Config {
	return Config{Now: time.Now, Poll: 4096, Memory: 256 << 20, QueryMemory: 256 << 20, JobMemory: 512 << 20,
		TotalMemory: 768 << 20, Flush: 30 * time.Second, TrimEvery: time.Minute, Patience: 5 * time.Second, Version: Version,
		Files: []string{files.Everywhere}, Log: slog.New(slog.DiscardHandler), Warn: func(*lang.Error) {},
		Progress: func(exec.Progress) {}}
}

// Version is the version of the program. A release sets it from its tag at link time.
var Version = "0.1.0"

// The suffixes of the engine's own topics. Their names begin with the prefix.
const (
	errorsTopic   = "errors"
	trainingTopic = "training"
	catalogTopic  = "catalog"
)

// retry calls f until it succeeds, fails with a permanent error, ctx ends or Config.Patience has passed. It logs and
// warns once per sayEvery. what names the operation in the process log.
func (e *Engine) retry(ctx context.Context, what string, f func() error) error {
	pause, began := 100*time.Millisecond, time.Now()
	warned := time.Time{}
	for {
		err := f()
		if err == nil || !supervise.Passing(err) || distrusted(err) || ctx.Err() != nil {
			return err
		}
		if p := e.c.Patience; p > 0 && time.Since(began) > p {
			return err
		}
		if time.Since(warned) >= sayEvery {
			warned = time.Now()
			e.c.Log.Warn("waiting for the brokers", "to", what, "cause", err)
			e.warn(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// distrusted reports whether the certificate of a broker was refused. A retry does not help: an unreachable broker may
// return, but this process will not start to trust an unknown authority.
func distrusted(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// sayEvery is the minimum time between two warnings about the same failure.
const sayEvery = 10 * time.Second
