package streamql

import (
	"log/slog"
	"time"

	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/engine"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
)

// Option is an option of Open.
type Option func(*engine.Config)

// WithDir stores topics, state and the catalog in a directory. A later Open of the same directory continues
// its jobs. Only one process at a time may use a directory. Without WithDir and WithKafka everything is in
// memory and lost at Close.
func WithDir(dir string) Option { return func(c *engine.Config) { c.Dir = dir } }

// WithKafka stores topics in a Kafka cluster. Processes with the same c.Name are one application: they share
// a catalog and all jobs. The name is also the prefix of the engine's own topics, groups and transactional
// ids. With WithDir, the directory holds the state of tasks, so that a restart need not replay it. The engine
// sets c.Instance, c.Durable and c.PollRecords.
func WithKafka(c kafka.Config) Option { return func(o *engine.Config) { o.Kafka = &c } }

// WithAddress sets the address at which this process serves /v1/query. Other processes query it there for
// rows of tables whose tasks it owns (Kafka only).
func WithAddress(hostPort string) Option { return func(c *engine.Config) { c.Address = hostPort } }

// WithPeers sets the client for queries to other processes (Kafka only), e.g. with TLS and a token. The
// default is plain HTTP.
func WithPeers(c *peer.Client) Option { return func(o *engine.Config) { o.Peers = c } }

// WithStandbys sets the number of standbys of each task: copies of its state on other processes, which take
// over without a replay (Kafka only). With standbys the default session timeout is 10 s instead of 30 s;
// c.SessionTimeout of WithKafka overrides it.
func WithStandbys(n int) Option { return func(c *engine.Config) { c.Standbys = n } }

// WithStateMemory sets the memory for the state of one task, in bytes (default 256 MiB). Rows that do not fit
// are on disk.
func WithStateMemory(bytes int64) Option { return func(c *engine.Config) { c.Memory = bytes } }

// WithSnapshots copies the tasks' state to an object store at an interval. All processes must reach the
// store. A process without its disk restores a snapshot instead of replaying whole changelogs (Kafka only).
func WithSnapshots(o state.Objects, every time.Duration) Option {
	return func(c *engine.Config) { c.Snapshots, c.SaveEvery = o, every }
}

// WithStateOn stores the state of tasks on another file system than the operating system's, and syncs
// committed state to its disk at the interval flush (default 30 s). It requires Kafka and a directory. It is
// for tests that crash the disk.
func WithStateOn(fs state.FS, flush time.Duration) Option {
	return func(c *engine.Config) { c.Disk, c.Flush = fs, flush }
}

// WithoutJobs leaves jobs to other processes of the same name (Kafka only). This process only accepts
// definitions and runs queries.
func WithoutJobs() Option { return func(c *engine.Config) { c.Policy = supervise.Idle } }

// WithRepeats makes a repeated definition a success without effect if its text is the same, word for word. A
// file can then be run again, and by several processes. INSERT VALUES inserts again.
func WithRepeats() Option { return func(c *engine.Config) { c.Repeats = true } }

// WithFiles sets the directories below which sessions may define relations over files. The default is
// everywhere, because the program is trusted; without roots it is nowhere. Links that lead out of a directory
// are not followed.
func WithFiles(roots ...string) Option { return func(c *engine.Config) { c.Files = roots } }

// WithFunction adds a user-defined function: a udf.Scalar, udf.Aggregate or udf.Table.
func WithFunction(f any) Option {
	return func(c *engine.Config) { c.Functions = append(c.Functions, f) }
}

// WithConnector adds a connector: code that opens the records of a stream or table elsewhere than at the broker.
func WithConnector(x connect.Connector) Option {
	return func(c *engine.Config) { c.Connectors = append(c.Connectors, x) }
}

// WithFormat adds a format of keys and values.
func WithFormat(f format.Format) Option {
	return func(c *engine.Config) { c.Formats = append(c.Formats, f) }
}

// WithSchemas sets the client of a schema registry, for the formats that use one.
func WithSchemas(s format.Schemas) Option { return func(c *engine.Config) { c.Schemas = s } }

// WithDialect sets the dialect: "streamql" (the default), or "ksql" for compatibility with ksqlDB.
// docs/dialects.md lists the differences. Open rejects other names.
func WithDialect(name string) Option { return func(c *engine.Config) { c.Dialect = name } }

// WithClock sets the clock that stamps rows of INSERT VALUES and resolves NOW and AGO (default: the
// system's). The commit interval uses real time.
func WithClock(now func() time.Time) Option { return func(c *engine.Config) { c.Now = now } }

// WithCommitInterval sets the time between two commits of a job. The default is 20 ms with a directory; in
// memory each step commits.
func WithCommitInterval(d time.Duration) Option {
	return func(c *engine.Config) { c.Interval, c.Paced = d, true }
}

// WithPollRecords sets the maximum number of records in a fetch of a partition (default 4,096). Results do
// not depend on it.
func WithPollRecords(n int) Option { return func(c *engine.Config) { c.Poll = n } }

// WithProgress sets a callback for the progress of scans and training. It runs on the goroutine that does the
// work.
func WithProgress(f func(exec.Progress)) Option { return func(c *engine.Config) { c.Progress = f } }

// WithWarnings sets a callback for the errors of single rows: each dead letter and each failed expression.
func WithWarnings(f func(*Error)) Option { return func(c *engine.Config) { c.Warn = f } }

// WithAssignments sets a callback for changes of the tasks of a job that this process owns (Kafka only).
func WithAssignments(f func(job string, a topic.Assignment)) Option {
	return func(c *engine.Config) { c.Assigned = f }
}

// WithManualJobs makes jobs advance only in Engine.Drain. Tests use it to control the order of all steps.
func WithManualJobs() Option { return func(c *engine.Config) { c.Policy = supervise.Hand } }

// WithLog sets the log, which receives a line for each status change of a job, the brokers or a model.
func WithLog(l *slog.Logger) Option { return func(c *engine.Config) { c.Log = l } }

// WithPatience sets how long Open and definitions wait for brokers that are not reachable (default 5 s). 0
// means no limit.
func WithPatience(d time.Duration) Option { return func(c *engine.Config) { c.Patience = d } }

// WithQuota sets the memory quotas of each query and of each job, in bytes (defaults 256 and 512 MiB; 0: no
// limit). A query or job that exceeds its quota fails with SQ7004, and the process continues. The state of a
// job has a separate limit, WithStateMemory.
func WithQuota(query, job int64) Option {
	return func(c *engine.Config) { c.QueryMemory, c.JobMemory = query, job }
}

// WithTotalMemory sets the memory that all queries and jobs together may use, in bytes (default 768 MiB; 0:
// no limit). The query or job whose allocation exceeds it fails with SQ7004; a job is restarted. The process
// needs more than twice as much, because of garbage that is not collected yet.
func WithTotalMemory(bytes int64) Option { return func(c *engine.Config) { c.TotalMemory = bytes } }

// WithQueryMemory sets the quota of WithQuota for queries only.
func WithQueryMemory(bytes int64) Option { return func(c *engine.Config) { c.QueryMemory = bytes } }

// WithJobMemory sets the quota of WithQuota for jobs only.
func WithJobMemory(bytes int64) Option { return func(c *engine.Config) { c.JobMemory = bytes } }
