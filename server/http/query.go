package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	nethttp "net/http"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/result"
)

// request decodes the body of a request.
func request(w nethttp.ResponseWriter, r *nethttp.Request) (q peer.Request, err error) {
	if r.Header.Get("Content-Encoding") != "" {
		return q, bad("a compressed body is not supported", "")
	}
	d := json.NewDecoder(nethttp.MaxBytesReader(w, r.Body, largestBody))
	d.DisallowUnknownFields()
	d.UseNumber()
	err = d.Decode(&q)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("the body continues after the object")
			if more != nil {
				err = more
			}
		}
	}
	if err == nil {
		// The body has arrived, so the response may take any time. Otherwise the rest, which is
		// read and dropped, is subject to the time limit.
		_ = nethttp.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	var large *nethttp.MaxBytesError
	var away net.Error
	switch {
	case errors.As(err, &away) && away.Timeout():
		return q, &status{nethttp.StatusRequestTimeout, bad("the body did not arrive in time", "")}
	case errors.As(err, &large):
		return q, &streamql.Error{Code: "SQ7203", Stage: lang.StageParse,
			Msg: fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	case err != nil:
		return q, bad("the body is not the expected object: "+plainJSON(err),
			`{"sql": "SELECT ..", "args": [], "limit": 100, "timeout_ms": 5000, "properties": {}}; only sql is required`)
	case q.SQL == "":
		return q, bad("the body lacks the field sql", "")
	case q.Limit != nil && *q.Limit < 0 || q.Timeout < 0 || q.Timeout > int64(1<<53):
		return q, bad("limit and timeout_ms must not be negative", "")
	}
	for i, a := range q.Args {
		if q.Args[i], err = argument(a); err != nil {
			return q, bad(fmt.Sprintf("argument %d is %v", i+1, err), "")
		}
	}
	return q, nil
}

// plainJSON returns an error of the decoder without names of Go.
func plainJSON(err error) string {
	var t *json.UnmarshalTypeError
	switch {
	case errors.As(err, &t):
		return fmt.Sprintf("got a JSON %s for %s", t.Value, map[string]string{"": "the object"}[t.Field]+t.Field)
	case errors.Is(err, io.EOF):
		return "the body is empty"
	}
	text := err.Error()
	if len(text) > 6 && text[:6] == "json: " {
		text = text[6:]
	}
	return text
}

// argument converts a JSON value to the engine's form: integers are INTEGER if they fit and
// else BIGINT, as in SQL; other numbers are DOUBLE.
func argument(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			if n == int64(int32(n)) {
				return int32(n), nil
			}
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, errors.New("no DOUBLE")
		}
		return f, nil
	case nil, bool, string:
		return v, nil
	}
	return nil, errors.New("not a number, string, true, false or null")
}

// query responds with rows.
func (h *Handler) query(w nethttp.ResponseWriter, r *nethttp.Request) {
	q, err := request(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	ctx, cancel := within(r.Context(), q.Timeout)
	defer cancel()
	if scope := r.Header.Get(peer.Scope); scope != "" {
		tasks, ok := peer.Tasks(scope)
		if !ok {
			refuse(w, bad(fmt.Sprintf("there is no scope %q", scope), "write local and the task numbers: local 0,3"))
			return
		}
		ctx = streamql.Local(ctx, tasks)
	}
	h.answer(ctx, w, r, q.Limit, func(ctx context.Context) (*streamql.Rows, error) { return h.Query(ctx, q) })
}

// jobs responds with the jobs.
func (h *Handler) jobs(w nethttp.ResponseWriter, r *nethttp.Request) {
	if r.Header.Get("Accept") == "" || r.Header.Get("Accept") == "*/*" {
		r.Header.Set("Accept", "application/json")
	}
	h.answer(r.Context(), w, r, nil, func(ctx context.Context) (*streamql.Rows, error) {
		return h.Query(ctx, peer.Request{SQL: "SHOW JOBS;"})
	})
}

// answer runs a query and writes its rows. An error before the first byte is a response of its
// own. After it the connection is aborted, so that no client takes an incomplete result for a
// complete one.
func (h *Handler) answer(ctx context.Context, w nethttp.ResponseWriter, r *nethttp.Request, limit *int64,
	run func(context.Context) (*streamql.Rows, error)) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	rows, err := run(ctx)
	if err != nil {
		refuse(w, cause(ctx, err))
		return
	}
	f, err := choose(r.Header.Values("Accept"), rows.Bounded)
	if err != nil {
		refuse(w, err)
		return
	}
	to := &reply{w: w, control: nethttp.NewResponseController(w), kind: f.kind}
	out := f.writer(to, rows)
	if !rows.Bounded {
		to.flush() // reports at once that the query is running
		if h.live != nil {
			defer context.AfterFunc(h.live, func() { stop(errStopping) })()
		}
	}
	err = h.copy(rows, limit, out)
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		return
	}
	if r.Context().Err() == nil && !to.begun {
		refuse(w, cause(ctx, err))
		return
	}
	if f.lines && r.Context().Err() == nil {
		to.tail(cause(ctx, err))
	}
	panic(nethttp.ErrAbortHandler)
}

// errStopping ends push queries when the server stops.
var errStopping = &streamql.Error{Code: "SQ7205", Stage: lang.StageRun, Msg: "the server is stopping",
	Hint: "retry, or send the request to another process"}

// copy writes rows up to limit, or until the query ends.
func (h *Handler) copy(rows *streamql.Rows, limit *int64, out result.Writer) error {
	most := h.MaxRows
	if most == 0 {
		most = mostRows
	}
	if limit != nil && *limit == 0 {
		return nil
	}
	n := int64(0)
	for b, err := range rows.Batches() {
		if err != nil {
			return err
		}
		rest := int64(math.MaxInt64)
		if limit != nil {
			rest = *limit - n
		}
		head, changes := b.Head(rest)
		b = b.Slice(0, head)
		if n += changes; rows.Bounded && n > most {
			return &streamql.Error{Code: "SQ7202", Stage: lang.StageRun, Msg: fmt.Sprintf("the query has more than %d rows",
				most), Hint: "aggregate, add LIMIT, or read the topic"}
		}
		if err := out.Print(b); err != nil {
			return err
		}
		if limit != nil && n >= *limit {
			return nil
		}
	}
	return nil
}
