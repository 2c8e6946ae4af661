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

// Option changes how an engine is opened.
type Option func(*engine.Config)

// WithDir keeps topics, state and the catalog in a directory: a second start goes on where the first left off. One process at a time
// may use it. Without it everything is in memory and gone at Close.
func WithDir(dir string) Option { return func(c *engine.Config) { c.Dir = dir } }

// WithKafka keeps topics in a Kafka cluster. Processes with the same c.Name share one catalog and all jobs; the name also begins the names
// of the engine's own topics, groups and transactional ids. A directory (WithDir) then holds the state of tasks, so that a restart need
// not replay it; c.Instance, c.Durable and c.PollRecords are set by the engine.
func WithKafka(c kafka.Config) Option { return func(o *engine.Config) { o.Kafka = &c } }

// WithAddress says where this process answers /v1/query, so that others can ask it for rows of tables whose tasks it runs (Kafka only).
func WithAddress(hostPort string) Option { return func(c *engine.Config) { c.Address = hostPort } }

// WithPeers sets how other processes are asked (Kafka only): over TLS, with a token. The default is plain HTTP.
func WithPeers(c *peer.Client) Option { return func(o *engine.Config) { o.Peers = c } }

// WithStandbys keeps n copies of each task's state at other processes, which take over without replaying it (Kafka only). A process that
// has died is then given up after 10 s instead of 30, unless c.SessionTimeout of WithKafka says otherwise.
func WithStandbys(n int) Option { return func(c *engine.Config) { c.Standbys = n } }

// WithStateMemory bounds what the tables of one task hold in memory, in bytes (default 256 MiB); beyond it they read from disk.
func WithStateMemory(bytes int64) Option { return func(c *engine.Config) { c.Memory = bytes } }

// WithSnapshots keeps copies of the tasks' state, made every so often, at a place that all processes reach, so that one that has lost its
// disk need not replay whole changelogs (Kafka only).
func WithSnapshots(o state.Objects, every time.Duration) Option {
	return func(c *engine.Config) { c.Snapshots, c.SaveEvery = o, every }
}

// WithStateOn keeps the state of tasks on a file system other than the operating system's, and brings what is committed to its disk every
// so often (Kafka only, with a directory; default: every 30 s). It is for tests that crash the disk.
func WithStateOn(fs state.FS, flush time.Duration) Option {
	return func(c *engine.Config) { c.Disk, c.Flush = fs, flush }
}

// WithoutJobs leaves the running of jobs to other processes of the same name (Kafka only): definitions are made, queries run.
func WithoutJobs() Option { return func(c *engine.Config) { c.Policy = supervise.Idle } }

// WithRepeats makes a definition that is there already, word for word, no error and nothing to be done: so a file can be run again, and by
// several processes. INSERT VALUES inserts again.
func WithRepeats() Option { return func(c *engine.Config) { c.Repeats = true } }

// WithFiles are the directories under which sessions may define relations over files (default: everywhere, as the program is trusted);
// none: nowhere. Links that lead out of a directory are not followed.
func WithFiles(roots ...string) Option { return func(c *engine.Config) { c.Files = roots } }

// WithFunction adds a function: a udf.Scalar, udf.Aggregate or udf.Table.
func WithFunction(f any) Option {
	return func(c *engine.Config) { c.Functions = append(c.Functions, f) }
}

// WithConnector adds a connector: a kind of place where the records of streams and tables are.
func WithConnector(x connect.Connector) Option {
	return func(c *engine.Config) { c.Connectors = append(c.Connectors, x) }
}

// WithFormat adds a format of keys and values.
func WithFormat(f format.Format) Option {
	return func(c *engine.Config) { c.Formats = append(c.Formats, f) }
}

// WithSchemas hands formats the client of a schema registry.
func WithSchemas(s format.Schemas) Option { return func(c *engine.Config) { c.Schemas = s } }

// WithDialect sets the dialect: "streamql" (the default), or "ksql" to do as ksqlDB. docs/dialects.md lists the
// differences; Open refuses other names.
func WithDialect(name string) Option { return func(c *engine.Config) { c.Dialect = name } }

// WithClock sets the clock that stamps INSERT VALUES and resolves NOW and AGO (default: the system's). Commits are paced by real time.
func WithClock(now func() time.Time) Option { return func(c *engine.Config) { c.Now = now } }

// WithCommitInterval sets the time between two commits of a job (default: 20 ms with a directory, in memory each step).
func WithCommitInterval(d time.Duration) Option {
	return func(c *engine.Config) { c.Interval, c.Paced = d, true }
}

// WithPollRecords bounds the records that one fetch brings of a partition (default 4,096). Answers do not depend on it.
func WithPollRecords(n int) Option { return func(c *engine.Config) { c.Poll = n } }

// WithProgress receives the progress of scans and training, on the goroutine that does the work.
func WithProgress(f func(exec.Progress)) Option { return func(c *engine.Config) { c.Progress = f } }

// WithWarnings receives what went wrong with single rows: each dead letter and failed expression.
func WithWarnings(f func(*Error)) Option { return func(c *engine.Config) { c.Warn = f } }

// WithAssignments receives which tasks of a job are this process's, whenever that changes (Kafka only).
func WithAssignments(f func(job string, a topic.Assignment)) Option {
	return func(c *engine.Config) { c.Assigned = f }
}

// WithManualJobs makes jobs stand still: Engine.Drain works them off. Tests use it to decide the order of everything.
func WithManualJobs() Option { return func(c *engine.Config) { c.Policy = supervise.Hand } }

// WithLog receives a line for each change of state of a job, the brokers or a model.
func WithLog(l *slog.Logger) Option { return func(c *engine.Config) { c.Log = l } }

// WithPatience is how long opening and defining wait for brokers that are away (default 5 s); 0 waits for ever.
func WithPatience(d time.Duration) Option { return func(c *engine.Config) { c.Patience = d } }

// WithQuota bounds the memory that each query and each job may take, in bytes (default 256 and 512 MiB; 0: no limit). Beyond it the query
// or job fails with SQ7004, and the process lives. The tables of a job's state have a bound of their own, WithStateMemory.
func WithQuota(query, job int64) Option {
	return func(c *engine.Config) { c.QueryMemory, c.JobMemory = query, job }
}

// WithTotalMemory bounds the memory that all queries and jobs may take together, in bytes (default 768 MiB; 0: no limit). The one that asks for
// more fails with SQ7004; a job tries again. A process needs more than twice as much, for what is garbage and not yet collected.
func WithTotalMemory(bytes int64) Option { return func(c *engine.Config) { c.TotalMemory = bytes } }

// WithQueryMemory is WithQuota for queries alone.
func WithQueryMemory(bytes int64) Option { return func(c *engine.Config) { c.QueryMemory = bytes } }

// WithJobMemory is WithQuota for jobs alone.
func WithJobMemory(bytes int64) Option { return func(c *engine.Config) { c.JobMemory = bytes } }
