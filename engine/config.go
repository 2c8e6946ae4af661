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

// Config says how an engine is opened. The root package's options fill it.
type Config struct {
	Dir     string
	Dialect string // of sessions, one of dialect.Names
	Repeats bool   // of sessions
	Version string // of the program

	Policy   supervise.Policy
	Poll     int           // records of a fetch
	Interval time.Duration // between commits; 0 with Paced unset: the broker's default
	Paced    bool          // Interval was given
	Memory   int64         // of the tables of one task, bytes
	// QueryMemory and JobMemory are what a query and a job may take, bytes; 0: no limit.
	QueryMemory, JobMemory int64
	// TotalMemory is what all queries and jobs may take together, bytes; 0: no limit.
	TotalMemory int64
	// Patience is how long opening and defining wait for brokers that are away; 0: for ever.
	Patience time.Duration

	// Files are the directories under which sessions may read files, unless they are begun with others.
	Files []string

	Now       func() time.Time
	Progress  func(exec.Progress)
	Warn      func(*lang.Error)
	Log       *slog.Logger
	Functions []any
	// Connectors and Formats are added to the built-in ones; Schemas is what formats see of a schema registry.
	Connectors []connect.Connector
	Formats    []format.Format
	Schemas    format.Schemas
	Assigned   func(job string, a topic.Assignment)

	Local     []local.Option
	Kafka     *kafka.Config
	Address   string // where this process answers queries
	Peers     *peer.Client
	Standbys  int
	Snapshots state.Objects
	SaveEvery time.Duration
	Disk      state.FS
	Flush     time.Duration
	TrimEvery time.Duration // between two trims of an exchange
}

// Defaults are the values of what no option sets. A process lives in 2 GiB with them: what is taken may be twice as much for a moment, until
// the garbage is collected.
func Defaults() Config {
	return Config{Now: time.Now, Poll: 4096, Memory: 256 << 20, QueryMemory: 256 << 20, JobMemory: 512 << 20, TotalMemory: 768 << 20, Flush: 30 * time.Second, TrimEvery: time.Minute, Patience: 5 * time.Second, Version: Version,
		Files: []string{files.Everywhere}, Log: slog.New(slog.DiscardHandler), Warn: func(*lang.Error) {}, Progress: func(exec.Progress) {}}
}

// Version is the program's version. A release sets it from its tag when it is linked.
var Version = "0.1.0"

// The engine's own topics, after the prefix.
const (
	errorsTopic   = "errors"
	trainingTopic = "training"
	catalogTopic  = "catalog"
)

// retry calls f until it does not fail with an error that passes, or ctx or the engine's patience ends. It says once per interval what it
// waits for.
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

// distrusted reports whether a broker's certificate was refused. Brokers that are away come back, an authority that is not known here does not.
func distrusted(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// sayEvery is the time between two warnings about the same trouble.
const sayEvery = 10 * time.Second
