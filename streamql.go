package streamql

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
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

// Version is the version of the engine.
var Version = engine.Version

// Error is an error of a statement, with a code and, if they are known, a position and a hint.
type Error = lang.Error

// Rows is the result of a query, whose Batches can be iterated once. Stats counts the rows that a query has
// read.
type (
	Rows  = engine.Rows
	Stats = engine.Stats
)

// Result is the result of a statement: Rows for queries and SHOW, otherwise a sentence for the user.
type Result = engine.Result

// JobInfo describes a job: its name, its status and its counters.
type JobInfo = inspect.Job

// Metric is one metric of a process.
type Metric = inspect.Metric

// ErrCrash is the error with which the callback of Drain crashes a job.
var ErrCrash = supervise.ErrCrash

// Engine runs statements over the topics of one broker. It is safe for concurrent use. It embeds one session,
// which small programs use directly: Parse, Run, Exec, Query, Set and Explain.
type Engine struct {
	*Session
	service *engine.Engine
}

// Session contains the settings of one client: its dialect, properties (SET) and variables (DEFINE). It is
// safe for concurrent use.
type Session struct {
	session *engine.Session
}

// Open opens an engine. With WithDir or WithKafka it continues the jobs of the directory or the application.
// The caller must call Close.
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

// Role is the role of a session, which determines the statements that it may run.
type Role = engine.Role

// The roles. A Reader runs queries. A Writer also inserts, defines and trains. An Admin also drops, replaces,
// terminates and reads files.
const (
	Reader = engine.Reader
	Writer = engine.Writer
	Admin  = engine.Admin
)

// SessionOption is an option of NewSession.
type SessionOption = engine.SessionOption

// WithRole sets the role of a session (default Admin). A statement that the role does not permit fails with
// SQ7104.
func WithRole(r Role) SessionOption { return engine.WithRole(r) }

// WithRoots sets the directories below which a session may define relations over files, instead of those of
// WithFiles; without roots it may not define any. Another file fails with SQ7105. All sessions may read the
// relations.
func WithRoots(roots ...string) SessionOption { return engine.WithRoots(roots...) }

// NewSession returns a session with the engine's settings.
func (e *Engine) NewSession(options ...SessionOption) *Session {
	return &Session{e.service.NewSession(options...)}
}

// Close stops all jobs after a last commit, and releases the directory.
func (e *Engine) Close() error { return e.service.Close() }

// Jobs returns the jobs in the order of their creation. It combines their status in this process with that of
// the other processes that respond.
func (e *Engine) Jobs(ctx context.Context) []JobInfo { return e.service.Jobs(ctx) }

// Drain processes the present backlog of all jobs, job by job in the order of creation. It is for engines
// with WithManualJobs. If after is not nil, it is called after each step, before the commit. If it returns
// ErrCrash, Drain discards uncommitted work and continues from the last commit, as after a crash of the
// process.
func (e *Engine) Drain(ctx context.Context, after func(job string) error) error {
	return e.service.Drain(ctx, after)
}

// GiveUp skips the entries of the catalog log at these offsets, which cannot be applied: see Catalog.Broken.
// It does not edit or delete them.
func (e *Engine) GiveUp(ctx context.Context, offsets ...int64) error {
	return e.service.GiveUp(ctx, offsets...)
}

// SkipDamaged restarts a job that has failed because of a damaged changelog (SQ7302). It skips the damaged
// records.
func (e *Engine) SkipDamaged(ctx context.Context, job string) error {
	return e.service.SkipDamaged(ctx, job)
}

// Metrics returns the present metrics of this process, which streamql.metrics and /metrics also show. On
// Kafka, the brokers' metrics (lag, sizes of topics) are up to 10 seconds old, and are missing while the
// brokers do not respond.
func (e *Engine) Metrics(ctx context.Context) []Metric { return e.service.Metrics(ctx) }

// Broker returns the engine's broker, for programs that read or write topics directly.
func (e *Engine) Broker() topic.Broker { return e.service.Broker() }

// Catalog returns a snapshot of the catalog.
func (e *Engine) Catalog() *catalog.Catalog { return e.service.Catalog() }

// Functions returns the registry of functions, both built-in and user-defined.
func (e *Engine) Functions() *udf.Registry { return e.service.Functions() }

// Connectors returns the connectors of the engine.
func (e *Engine) Connectors() *connect.Registry { return e.service.Connectors() }

// Formats returns the formats of the engine.
func (e *Engine) Formats() *format.Registry { return e.service.Formats() }

// Parse parses the statements of a text. The error is an *Error, or lang.Errors with up to 10 of them.
func (s *Session) Parse(text string) ([]lang.Statement, error) { return s.session.Parse(text) }

// Run runs one statement that Parse returned. args are the values of $1, $2, ..
func (s *Session) Run(ctx context.Context, st lang.Statement, args ...any) (*Result, error) {
	return s.session.Run(ctx, st, whole(args)...)
}

// whole returns arguments whose integers of any kind are INT or BIGINT. One that is too large for BIGINT stays as it is,
// and is refused.
func whole(args []any) []any {
	out := slices.Clone(args)
	for i, a := range args {
		switch v := reflect.ValueOf(a); v.Kind() {
		case reflect.Int8, reflect.Int16:
			out[i] = int32(v.Int())
		case reflect.Uint8, reflect.Uint16:
			out[i] = int32(v.Uint())
		case reflect.Uint, reflect.Uint32, reflect.Uint64:
			if v.Uint() <= math.MaxInt64 {
				out[i] = int64(v.Uint())
			}
		}
	}
	return out
}

// Exec runs the statements of a text in order, and stops at the first error. A definition returns when it is
// in effect, a bounded statement when it has ended. Exec reads the rows of queries and discards them.
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

// Query runs one statement that has rows. It returns before they are read. To stop the query, leave the loop
// over Rows.Batches or cancel ctx.
func (s *Session) Query(ctx context.Context, text string, args ...any) (*Rows, error) {
	statements, err := s.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(statements) != 1 {
		return nil, &Error{Code: "SQ1001", Stage: lang.StageParse,
			Msg: fmt.Sprintf("Query takes one statement, but the text has %d", len(statements))}
	}
	if err := lang.Planned(statements[0]); err != nil {
		return nil, err
	}
	if st := statements[0]; !st.Traits().Rows { // checked before it runs, so that an error means no effect
		return nil, &Error{Code: "SQ3015", Stage: lang.StagePlan, Stmt: 1, Pos: st.Position(), Len: 1,
			Msg: "this statement has no rows; use Exec"}
	}
	r, err := s.Run(ctx, statements[0], args...)
	if err != nil {
		return nil, err
	}
	return r.Rows, nil
}

// Set sets a property of the session, as the statement SET does.
func (s *Session) Set(name, value string) error { return s.session.Set(name, value) }

// Explain returns the plan of a statement as text.
func (s *Session) Explain(ctx context.Context, text string) (string, error) {
	statements, err := s.Parse(text)
	if err != nil {
		return "", err
	}
	if len(statements) != 1 {
		return "", &Error{Code: "SQ1001", Stage: lang.StageParse,
			Msg: fmt.Sprintf("Explain takes one statement, but the text has %d", len(statements))}
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

// Local returns a context whose queries read only the rows of these tasks in this process. It is the scope of
// queries between processes.
func Local(ctx context.Context, tasks []int32) context.Context { return engine.Local(ctx, tasks) }
