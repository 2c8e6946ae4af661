package http

import (
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/result"
)

// form is a format of rows.
type form struct {
	kind  string // the media type
	lines bool   // an error can be written as a line
	make  func(*result.Page) result.Writer
}

var (
	asDocument = form{kind: "application/json", make: newDocument}
	asLines    = form{kind: "application/x-ndjson", lines: true, make: result.Lines}
	asSheet    = form{kind: "text/csv; charset=utf-8; header=present", make: result.Sheet}
	asArrow    = form{kind: peer.ArrowStream, make: newStream}
)

var forms = map[string]form{
	"application/json": asDocument, "application/x-ndjson": asLines, "application/ndjson": asLines,
	"application/jsonl": asLines,
	"text/csv":          asSheet, peer.ArrowStream: asArrow,
}

// choose returns the first supported format of an Accept header. A client that accepts any
// format gets a document, or lines if the query does not end.
func choose(accept []string, bounded bool) (form, error) {
	all := strings.Join(accept, ",")
	for _, one := range strings.Split(all, ",") {
		kind, params, _ := strings.Cut(one, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
		if strings.Contains(strings.ReplaceAll(params, " ", ""), "q=0;") || strings.HasSuffix(strings.ReplaceAll(params,
			" ", ""), "q=0") {
			continue
		}
		f, ok := forms[kind]
		if kind == "*/*" || kind == "application/*" || strings.TrimSpace(all) == "" {
			f, ok = asDocument, true
			if !bounded {
				f = asLines
			}
		}
		if !ok {
			continue
		}
		if f.kind == asDocument.kind && !bounded {
			return f, &streamql.Error{Code: "SQ3010", Stage: lang.StagePlan,
				Msg:  "application/json needs a query that ends, because the result is one document",
				Hint: "accept application/x-ndjson, or bound the query with UNTIL NOW or LIMIT"}
		}
		return f, nil
	}
	return form{}, &status{nethttp.StatusNotAcceptable, bad("no format in the Accept header is supported",
		"the formats are application/json, application/x-ndjson, text/csv and "+peer.ArrowStream)}
}

// writer returns the writer of a result.
func (f form) writer(to *reply, rows *streamql.Rows) result.Writer {
	return f.make(result.NewPage(to, rows.Columns, rows.Changes, format.ISOTimes|format.NaNNull))
}

// reply is the body of a response. The head is sent with its first byte; each write is sent
// when it returns.
type reply struct {
	w       nethttp.ResponseWriter
	control *nethttp.ResponseController
	kind    string
	begun   bool
}

func (r *reply) begin() {
	if !r.begun {
		r.begun = true
		r.w.Header().Set("Content-Type", r.kind)
		r.w.WriteHeader(nethttp.StatusOK)
	}
}

// Write sends bytes. A client that does not read them within 30 s counts as disconnected.
func (r *reply) Write(p []byte) (int, error) {
	_ = r.control.SetWriteDeadline(time.Now().Add(patience))
	r.begin()
	n, err := r.w.Write(p)
	if err == nil {
		err = r.control.Flush()
	}
	return n, err
}

// flush sends the head.
func (r *reply) flush() {
	_ = r.control.SetWriteDeadline(time.Now().Add(patience))
	r.begin()
	_ = r.control.Flush()
}

// tail writes an error as the last line.
func (r *reply) tail(err error) {
	list, _ := listed(err)
	if text, jerr := json.Marshal(map[string]any{"_error": list[0]}); jerr == nil {
		_, _ = r.Write(append(text, '\n'))
	}
}

// document writes one object: the columns, and the rows as lists in their order.
type document struct {
	*result.Page
	rows int64
	head bool
	buf  []byte
}

func newDocument(p *result.Page) result.Writer { return &document{Page: p} }

// column is the description of a column in a document.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Key  bool   `json:"key,omitempty"`
}

func (d *document) begin() error {
	if d.head {
		return nil
	}
	d.head = true
	columns := []column{}
	if d.Changes {
		columns = append(columns, column{Name: "_op", Type: "STRING"})
	}
	for i, name := range d.Names() {
		columns = append(columns, column{Name: name, Type: flow.TypeName(d.Columns[i].Type),
			Key: d.Columns[i].Role == catalog.Key})
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return fmt.Errorf("the columns: %w", err)
	}
	_, err = d.Write(append(append([]byte(`{"columns":`), text...), `,"rows":[`...))
	return err
}

// Print writes rows, which are sent when the buffer is full.
func (d *document) Print(b *flow.Batch) error {
	if err := d.begin(); err != nil {
		return err
	}
	for _, c := range d.Rows(b) {
		d.buf = append(d.buf[:0], ",\n ["...)
		if d.rows == 0 {
			d.buf = append(d.buf[:0], "\n ["...)
		}
		d.rows++
		if d.Changes {
			d.buf = append(append(append(d.buf, '"'), c.Op...), `",`...)
		}
		for i := range d.Columns {
			d.buf = append(format.AppendJSON(d.buf, b.Column(i), c.Row, d.Style), ',')
		}
		d.buf = append(d.buf[:len(d.buf)-1], ']')
		if _, err := d.Write(d.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the object.
func (d *document) Close() error {
	if err := d.begin(); err != nil {
		return err
	}
	if _, err := d.WriteString("]}\n"); err != nil {
		return err
	}
	return d.Flush()
}
