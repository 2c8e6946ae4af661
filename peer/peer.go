// Package peer asks another process of the application for rows, over the HTTP interface that server/http answers: a pull query whose
// rows several processes own is asked of each.
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

// What both ends of the wire write.
const (
	QueryPath   = "/v1/query"
	ArrowStream = "application/vnd.apache.arrow.stream"
	Scope       = "Streamql-Scope" // header of a request: its value "local 0,3" asks for the rows of these tasks, which the process must run itself
	Local       = "local"
)

// Request is the body of a query.
type Request struct {
	SQL     string `json:"sql"`
	Args    []any  `json:"args,omitempty"`       // of $1, $2, ..: numbers, texts, true, false, null
	Limit   *int64 `json:"limit,omitempty"`      // the most rows
	Timeout int64  `json:"timeout_ms,omitempty"` // 0: none
	// Properties are set for this request alone, as SET would.
	Properties map[string]string `json:"properties,omitempty"`
}

// Client asks. The zero value asks over plain HTTP without a token. It is safe for use by several goroutines.
type Client struct {
	// HTTP is what carries requests; nil is one that gives up on an address after 5 seconds.
	HTTP *http.Client
	// TLS says https.
	TLS bool
	// Authorize adds what the other process wants to see, e.g. a bearer token; nil adds nothing.
	Authorize func(*http.Request)
}

var plain = &http.Client{
	Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Tasks reads the tasks of a Scope; ok is false when it is none.
func Tasks(scope string) (tasks []int32, ok bool) {
	list, ok := strings.CutPrefix(scope, Local)
	if !ok {
		return nil, false
	}
	if list == "" { // of no task: what the process knows of itself
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

// Query asks the process at address (host:port) for the rows of a statement; with tasks, for those that it has of them. An error of the other
// side is its *lang.Error, one of the way there another error. The answer is to be read to its end or closed.
func (c *Client) Query(ctx context.Context, address, sql string, tasks []int32, args ...any) (*Answer, error) {
	body, err := json.Marshal(Request{SQL: sql, Args: args})
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	scheme := "http"
	if c.TLS {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+address+QueryPath, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
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
		return nil, fmt.Errorf("ask %s: %w", address, err)
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

// largestRefusal bounds what is read of an error.
const largestRefusal = 1 << 20

// refusal is the error that a response tells of.
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
		return fmt.Errorf("ask %s: it answered %s", address, got.Status)
	}
	e := doc.Errors[0]
	return &lang.Error{Code: e.Code, Stage: e.Stage, Stmt: e.Statement, Pos: lang.Pos{Line: e.Line, Col: e.Column}, Len: e.Length, Msg: e.Message, Label: e.Label,
		Hint: e.Hint, Notes: []string{"answered by " + address}}
}

// Answer is the rows of another process.
type Answer struct {
	// Schema is the columns; a changing result has _op first: upsert or delete with a key, + or - without.
	Schema *arrow.Schema

	address string
	body    io.ReadCloser
	reader  *ipc.Reader
}

// Batches yields the rows as they come, once. A batch stays valid. An answer that breaks off ends with an error. Ending the loop stops
// the query over there.
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
				record.Retain() // the reader lets go of it at the next
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

// Close stops the query over there.
func (a *Answer) Close() error { return a.body.Close() }

// guard names the other side in an error; what cannot be read is an error, never a panic.
func (a *Answer) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			err = fmt.Errorf("the answer of %s: %w", a.address, err)
		}
	}()
	return f()
}
