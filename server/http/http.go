// Package http is the HTTP interface of an engine: queries with results as JSON, JSON Lines,
// CSV or Arrow, statements, and endpoints for operators. docs/http.md is its manual.
package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	nethttp "net/http"
	"slices"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
)

// Handler serves requests. It calls an engine through its function fields, which Over sets.
type Handler struct {
	// Query runs one statement with rows. A context of streamql.Local requests only the rows of
	// this process.
	Query func(ctx context.Context, q peer.Request) (*streamql.Rows, error)
	// Exec runs statements in order and returns a sentence for each.
	Exec func(ctx context.Context, q peer.Request) ([]string, error)
	// Ready returns the reason for which the process is not ready; nil: it is.
	Ready func(ctx context.Context) error
	// Metrics returns the metrics of /metrics; nil: there are none.
	Metrics func(ctx context.Context) []streamql.Metric
	// MaxRows limits the rows of a query that ends; 0 is a million. A query with more rows
	// fails with SQ7202.
	MaxRows int64

	guard *guard          // nil before Listen
	live  context.Context // ends with the server; nil: never
}

// The limits of a request.
const (
	largestBody = 1 << 20 // bytes
	mostRows    = 1_000_000
	patience    = 30 * time.Second // for a client that does not read its response
)

// roleKey is the key of a request's role in its context.
type roleKey struct{}

// Over returns the handler of an engine in this process. Each request has its own session, with
// the role of its token, and may read files below roots; without roots, no files.
func Over(e *streamql.Engine, roots ...string) *Handler {
	h := &Handler{}
	h.Query = func(ctx context.Context, q peer.Request) (*streamql.Rows, error) {
		session, err := begin(ctx, e, q, roots)
		if err != nil {
			return nil, err
		}
		list, err := session.Parse(q.SQL)
		if err != nil {
			return nil, err
		}
		for _, st := range list {
			if err := lang.Planned(st); err != nil {
				return nil, err
			}
			if !st.Traits().Rows { // checked before it has any effect
				return nil, &streamql.Error{Code: "SQ3015", Stage: lang.StagePlan, Stmt: st.Number(), Pos: st.Position(), Len: 1,
					Msg: "this statement has no rows", Hint: "POST it to /v1/exec"}
			}
		}
		return session.Query(ctx, q.SQL, q.Args...)
	}
	h.Exec = func(ctx context.Context, q peer.Request) ([]string, error) {
		session, err := begin(ctx, e, q, roots)
		if err != nil {
			return nil, err
		}
		list, err := session.Parse(q.SQL)
		if err != nil {
			return nil, err
		}
		said := []string{}
		for _, st := range list {
			r, err := session.Run(ctx, st, q.Args...)
			if err != nil {
				return said, err
			}
			if r.Rows != nil {
				if r.Message, err = count(r.Rows, st.Traits().Bounded); err != nil {
					return said, err
				}
			}
			said = append(said, r.Message)
		}
		return said, nil
	}
	h.Ready = func(ctx context.Context) error { return failedJob(ctx, e) }
	h.Metrics = e.Metrics
	return h
}

// begin starts a session for one request, so that settings of a request do not affect others.
func begin(ctx context.Context, e *streamql.Engine, q peer.Request, roots []string) (*streamql.Session, error) {
	role, _ := ctx.Value(roleKey{}).(streamql.Role) // without a role nothing is allowed
	s := e.NewSession(streamql.WithRole(role), streamql.WithRoots(roots...))
	for _, name := range slices.Sorted(maps.Keys(q.Properties)) {
		if err := s.Set(name, q.Properties[name]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// count reads and drops rows. They must end: by themselves, or because the text of the statement bounds
// them.
func count(rows *streamql.Rows, bounded bool) (string, error) {
	if !rows.Bounded && !bounded {
		return "", &streamql.Error{
			Code: "SQ3010", Stage: lang.StagePlan, Msg: "the query does not end, and /v1/exec discards rows",
			Hint: "POST it to /v1/query, or add LIMIT",
		}
	}
	n := 0
	for b, err := range rows.Batches() {
		if err != nil {
			return "", err
		}
		n += b.Rows()
	}
	return fmt.Sprintf("%d rows", n), nil
}

// failedJob returns the error of failed jobs.
func failedJob(ctx context.Context, e *streamql.Engine) error {
	var names []string
	for _, j := range e.Jobs(streamql.Local(ctx, []int32{})) {
		// only of this process, whose readiness is reported
		if j.State == exec.Failed || j.State == exec.Unavailable {
			names = append(names, fmt.Sprintf("job %s is %s: %s", j.Name, j.State, j.Failure.Code))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return errors.New(strings.Join(names, "; "))
}

// ServeHTTP serves a request.
func (h *Handler) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	defer func() {
		switch p := recover(); {
		case p == nethttp.ErrAbortHandler:
			panic(p)
		case p != nil:
			refuse(w, &streamql.Error{Code: "SQ9001", Stage: lang.StageRun,
				Msg: "this is a fault in StreamQL, not in the request"})
		}
	}()
	verb, answer := h.route(r.URL.Path)
	if answer == nil {
		refuseAs(w, nethttp.StatusNotFound, bad("there is nothing at this path",
			"the paths are /v1/query, /v1/exec, /v1/jobs, /metrics, /healthz, /readyz and /debug/pprof/"))
		return
	}
	if r.Method != verb && !(verb == nethttp.MethodGet && r.Method == nethttp.MethodHead) {
		w.Header().Set("Allow", verb)
		refuseAs(w, nethttp.StatusMethodNotAllowed, bad("this path requires "+verb, ""))
		return
	}
	if open := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"; !open {
		role, err := h.guard.admit(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), roleKey{}, role))
	}
	answer(w, r)
}

func (h *Handler) route(path string) (verb string, answer nethttp.HandlerFunc) {
	switch path {
	case peer.QueryPath:
		return nethttp.MethodPost, h.query
	case "/v1/exec":
		return nethttp.MethodPost, h.exec
	case "/v1/jobs":
		return nethttp.MethodGet, h.jobs
	case "/healthz":
		return nethttp.MethodGet, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			say(w, nethttp.StatusOK, map[string]any{"alive": true})
		}
	case "/readyz":
		return nethttp.MethodGet, h.ready
	case "/metrics":
		return nethttp.MethodGet, h.metrics
	}
	if strings.HasPrefix(path, profilePath) {
		return nethttp.MethodGet, h.profile
	}
	return "", nil
}

// exec runs statements.
func (h *Handler) exec(w nethttp.ResponseWriter, r *nethttp.Request) {
	q, err := request(w, r)
	if err == nil && q.Limit != nil {
		err = bad("limit does not apply to statements", "add LIMIT to the query, or POST it to /v1/query")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	ctx, cancel := within(r.Context(), q.Timeout)
	defer cancel()
	said, err := h.Exec(ctx, q)
	if err != nil {
		refuse(w, cause(ctx, err))
		return
	}
	say(w, nethttp.StatusOK, map[string]any{"messages": said})
}

// ready reports whether the process is ready.
func (h *Handler) ready(w nethttp.ResponseWriter, r *nethttp.Request) {
	if h.Ready != nil {
		if err := h.Ready(r.Context()); err != nil {
			say(w, nethttp.StatusServiceUnavailable, map[string]any{"ready": false, "why": err.Error()})
			return
		}
	}
	say(w, nethttp.StatusOK, map[string]any{"ready": true})
}

// say responds with a small document.
func say(w nethttp.ResponseWriter, status int, doc any) {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // our own documents can always be encoded
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// within limits the duration of a request.
func within(ctx context.Context, ms int64) (context.Context, context.CancelFunc) {
	if ms == 0 {
		return context.WithCancel(ctx)
	}
	err := &streamql.Error{Code: "SQ7201", Stage: lang.StageRun,
		Msg: fmt.Sprintf("the request exceeded its timeout_ms of %d", ms)}
	return context.WithTimeoutCause(ctx, time.Duration(ms)*time.Millisecond, err)
}

// cause returns the reason of a cancelled context, else err.
func cause(ctx context.Context, err error) error {
	var e *streamql.Error
	if ctx.Err() != nil && errors.As(context.Cause(ctx), &e) {
		return e
	}
	return err
}
