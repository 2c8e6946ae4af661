// Package peer requests rows from another process of the application, over the HTTP interface
// of server/http. A pull query whose rows are in several processes is sent to each of them.
package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/streamql/streamql/lang"
)

// The headers that both ends of the connection use.
const (
	QueryPath   = "/v1/query"
	ArrowStream = "application/vnd.apache.arrow.stream"
	// request header: its value "local 0,3" requests the rows of these tasks, which the process
	// must run itself
	Scope = "Streamql-Scope"
	Local = "local"
)

// Request is the body of a query.
type Request struct {
	SQL     string `json:"sql"`
	Args    []any  `json:"args,omitempty"`       // of $1, $2, ..: numbers, strings, true, false, null
	Limit   *int64 `json:"limit,omitempty"`      // maximum number of rows
	Timeout int64  `json:"timeout_ms,omitempty"` // 0: none
	// Properties apply to this request only, as if set by SET.
	Properties map[string]string `json:"properties,omitempty"`
}

// Client sends queries. The zero value uses plain HTTP without a token. It is safe for
// concurrent use.
type Client struct {
	// HTTP sends the requests; nil: a client with a connection timeout of 5 seconds.
	HTTP *http.Client
	// TLS selects https.
	TLS bool
	// Authorize adds credentials to a request, for example a bearer token; nil: none.
	Authorize func(*http.Request)
}

var plain = &http.Client{
	Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Tasks parses the tasks of a Scope header; ok is false if the value is invalid.
func Tasks(scope string) (tasks []int32, ok bool) {
	list, ok := strings.CutPrefix(scope, Local)
	if !ok {
		return nil, false
	}
	if list == "" { // of no task: information about the process itself
		return []int32{}, true
	}
	if list, ok = strings.CutPrefix(list, " "); !ok {
		return nil, false
	}
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 0 {
			return nil, false
		}
		tasks = append(tasks, int32(n))
	}
	return tasks, true
}

func scopeOf(tasks []int32) string {
	var list []string
	for _, t := range tasks {
		list = append(list, strconv.Itoa(int(t)))
	}
	return strings.TrimSpace(Local + " " + strings.Join(list, ","))
}

// Query requests the rows of a statement from the process at address (host:port); with tasks,
// only the rows of those tasks. An error that the process returns is a *lang.Error, and an
// error of the connection is another type. The caller must read the answer to its end or close
// it.
func (c *Client) Query(ctx context.Context, address, sql string, tasks []int32, args ...any) (*Answer, error) {
	body, err := json.Marshal(Request{SQL: sql, Args: args})
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", address, err)
	}
	scheme := "http"
	if c.TLS {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+address+QueryPath, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", address, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", ArrowStream)
	if tasks != nil {
		r.Header.Set(Scope, scopeOf(tasks))
	}
	if c.Authorize != nil {
		c.Authorize(r)
	}
	carrier := c.HTTP
	if carrier == nil {
		carrier = plain
	}
	got, err := carrier.Do(r)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", address, err)
	}
	if got.StatusCode != http.StatusOK {
		defer got.Body.Close()
		return nil, refusal(address, got)
	}
	a := &Answer{address: address, body: got.Body}
	if err := a.guard(func() (err error) { a.reader, err = ipc.NewReader(got.Body); return err }); err != nil {
		got.Body.Close()
		return nil, err
	}
	a.Schema = a.reader.Schema()
	return a, nil
}

// largestRefusal limits the size of an error response, in bytes.
const largestRefusal = 1 << 20

// refusal returns the error in a response.
func refusal(address string, got *http.Response) error {
	var doc struct {
		Errors []struct {
			Code, Message, Label, Hint string
			Stage                      lang.Stage
			Statement                  int
			Line, Column, Length       int
		}
	}
	raw, err := io.ReadAll(io.LimitReader(got.Body, largestRefusal))
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err != nil || len(doc.Errors) == 0 {
		return fmt.Errorf("query %s: it responded with %s", address, got.Status)
	}
	e := doc.Errors[0]
	return &lang.Error{
		Code:  e.Code,
		Stage: e.Stage,
		Stmt:  e.Statement,
		Pos:   lang.Pos{Line: e.Line, Col: e.Column},
		Len:   e.Length,
		Msg:   e.Message,
		Label: e.Label,
		Hint:  e.Hint,
		Notes: []string{"reported by " + address},
	}
}

// Answer is the result of a query in another process.
type Answer struct {
	// Schema describes the columns. A changing result has the column _op first: upsert or
	// delete if rows have a key, else + or -.
	Schema *arrow.Schema

	address string
	body    io.ReadCloser
	reader  *ipc.Reader
}

// Batches yields the rows as they arrive; it can be used once. A batch remains valid. A
// truncated response ends with an error. Leaving the loop stops the query in the other process.
func (a *Answer) Batches() iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		defer a.Close()
		for {
			var record arrow.Record
			err := a.guard(func() error {
				if !a.reader.Next() {
					return a.reader.Err()
				}
				record = a.reader.Record()
				record.Retain() // the reader releases it at its next step
				return nil
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if record == nil || !yield(record, nil) {
				return
			}
		}
	}
}

// Close stops the query in the other process.
func (a *Answer) Close() error { return a.body.Close() }

// guard adds the address to an error. Unreadable data is an error, never a panic.
func (a *Answer) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			err = fmt.Errorf("the response of %s: %w", a.address, err)
		}
	}()
	return f()
}
