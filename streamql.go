package streamql

import (
	"context"
	"fmt"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/engine"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Version is the program's version.
var Version = engine.Version

// Error is what went wrong, with a code, a place and a cure where they are known.
type Error = lang.Error

// Rows is the result of a query; iterate over Batches once. Stats is what a query has read.
type (
	Rows  = engine.Rows
	Stats = engine.Stats
)

// Result is what a statement has done: Rows for queries and SHOW, else a sentence for the user.
type Result = engine.Result

// JobInfo is what is known of a job.
type JobInfo = inspect.Job

// Metric is one figure of a process.
type Metric = inspect.Metric

// ErrCrash is what a hook of Drain returns to crash a job.
var ErrCrash = supervise.ErrCrash

// Engine runs statements over the topics of one broker. It is safe for use by several goroutines. Its own Parse, Run, Exec, Query and
// Explain are those of one session, which small programs share.
type Engine struct {
	*Session
	service *engine.Engine
}

// Session is one client's view of an engine: its dialect, its properties (SET) and its variables (DEFINE). It is safe for use by several
// goroutines.
type Session struct {
	session *engine.Session
}

// Open opens an engine. With a directory it goes on where it left off: its jobs run again.
func Open(ctx context.Context, options ...Option) (*Engine, error) {
	c := engine.Defaults()
	for _, o := range options {
		o(&c)
	}
	service, err := engine.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Engine{Session: &Session{service.NewSession()}, service: service}, nil
}

// Role is what a session may do.
type Role = engine.Role

// The roles: a Reader asks, a Writer also inserts, defines and trains, an Admin also drops, replaces, terminates and reads files.
const (
	Reader = engine.Reader
	Writer = engine.Writer
	Admin  = engine.Admin
)

// SessionOption changes how a session is begun.
type SessionOption = engine.SessionOption

// WithRole gives a session a role; without it a session is an Admin's. What is beyond the role fails with SQ7104.
func WithRole(r Role) SessionOption { return engine.WithRole(r) }

// WithRoots sets the directories under which a session may define relations over files, in place of those of WithFiles; none: nowhere.
// Any other file fails with SQ7105. What has been defined may be read by every session.
func WithRoots(roots ...string) SessionOption { return engine.WithRoots(roots...) }

// NewSession begins a session with the engine's settings.
func (e *Engine) NewSession(options ...SessionOption) *Session {
	return &Session{e.service.NewSession(options...)}
}

// Close stops all jobs, after a last commit of each, and releases the directory.
func (e *Engine) Close() error { return e.service.Close() }

// Jobs lists the jobs, by creation: what they do in this process and, where their owners answer, in the others.
func (e *Engine) Jobs(ctx context.Context) []JobInfo { return e.service.Jobs(ctx) }

// Drain works off what the inputs of all jobs hold now, job by job in the order of creation; for engines with manual jobs. after, if
// not nil, is called after each step, before its commit; returning ErrCrash from it drops what is uncommitted and goes on from what is
// durable, as a killed process would.
func (e *Engine) Drain(ctx context.Context, after func(job string) error) error {
	return e.service.Drain(ctx, after)
}

// GiveUp gives up entries of the catalog that cannot be applied, by their offsets: see Catalog.Broken. Nothing is edited or deleted.
func (e *Engine) GiveUp(ctx context.Context, offsets ...int64) error {
	return e.service.GiveUp(ctx, offsets...)
}

// SkipDamaged restarts a job that has failed because of a damaged changelog (SQ7302), and leaves out the records that are no state.
func (e *Engine) SkipDamaged(ctx context.Context, job string) error {
	return e.service.SkipDamaged(ctx, job)
}

// Metrics are the figures of this process now, as streamql.metrics and /metrics show them. On Kafka those of the brokers (lag, sizes of topics)
// are up to 10 seconds old, and left out while the brokers do not answer.
func (e *Engine) Metrics(ctx context.Context) []Metric { return e.service.Metrics(ctx) }

// Broker is the engine's broker, for programs that write topics themselves.
func (e *Engine) Broker() topic.Broker { return e.service.Broker() }

// Catalog is what names mean now.
func (e *Engine) Catalog() *catalog.Catalog { return e.service.Catalog() }

// Functions are the functions the engine knows.
func (e *Engine) Functions() *udf.Registry { return e.service.Functions() }

// Connectors are the connectors the engine knows.
func (e *Engine) Connectors() *connect.Registry { return e.service.Connectors() }

// Formats are the formats the engine knows.
func (e *Engine) Formats() *format.Registry { return e.service.Formats() }

// Parse reads a text. The error is an *Error, or lang.Errors with up to 10 of them.
func (s *Session) Parse(text string) ([]lang.Statement, error) { return s.session.Parse(text) }

// Run runs one statement of Parse. args are $1, $2, ..
func (s *Session) Run(ctx context.Context, st lang.Statement, args ...any) (*Result, error) {
	return s.session.Run(ctx, st, args...)
}

// Exec runs the statements of a text in order. It returns when each has done what it does: a definition when it is in force, a bounded
// statement when it has ended. Rows of queries are read and dropped.
func (s *Session) Exec(ctx context.Context, text string, args ...any) error {
	statements, err := s.Parse(text)
	if err != nil {
		return err
	}
	for _, st := range statements {
		r, err := s.Run(ctx, st, args...)
		if err != nil {
			return err
		}
		if r.Rows == nil {
			continue
		}
		for _, err := range r.Rows.Batches() {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Query runs one statement that has rows. They come as they are read; leaving the loop over Rows.Batches or ending ctx stops the query.
func (s *Session) Query(ctx context.Context, text string, args ...any) (*Rows, error) {
	statements, err := s.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(statements) != 1 {
		return nil, &Error{Code: "SQ1001", Stage: lang.StageParse, Msg: fmt.Sprintf("Query takes one statement, this text has %d", len(statements))}
	}
	if err := lang.Planned(statements[0]); err != nil {
		return nil, err
	}
	if st := statements[0]; !st.Traits().Rows { // nothing is done that the caller would then take for refused
		return nil, &Error{Code: "SQ3015", Stage: lang.StagePlan, Stmt: 1, Pos: st.Position(), Len: 1, Msg: "this statement has no rows: use Exec"}
	}
	r, err := s.Run(ctx, statements[0], args...)
	if err != nil {
		return nil, err
	}
	return r.Rows, nil
}

// Set sets a property, as the statement SET does.
func (s *Session) Set(name, value string) error { return s.session.Set(name, value) }

// Explain returns the plan of a statement as text.
func (s *Session) Explain(ctx context.Context, text string) (string, error) {
	statements, err := s.Parse(text)
	if err != nil {
		return "", err
	}
	if len(statements) != 1 {
		return "", &Error{Code: "SQ1001", Stage: lang.StageParse, Msg: fmt.Sprintf("Explain takes one statement, this text has %d", len(statements))}
	}
	r, err := s.Run(ctx, &lang.Explain{Statement: statements[0]})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for batch, err := range r.Rows.Batches() {
		if err != nil {
			return "", err
		}
		for i := range batch.Rows() {
			fmt.Fprintln(&b, flow.Value(batch.Column(1), i))
		}
	}
	return b.String(), nil
}

// Local makes queries of a context read the rows of certain tasks in this process only: what another process asks for.
func Local(ctx context.Context, tasks []int32) context.Context { return engine.Local(ctx, tasks) }
