package conformance

import (
	"encoding/json"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// actual contains the results of a case.
type actual struct {
	outputs []output
	rows    [][]row // per query
	sources []Source
	topics  map[string]int // all topics and their numbers of partitions
	names   []string       // of topics that were used, without the engine's own
	err     *failure
	last    int // the number of statements
	steps   int // of all jobs, and the number of crashes among them
	crashes int
}

// output is a decoded record of a sink's topic.
type output struct {
	Topic     string   `json:"topic"`
	Key       any      `json:"key"`
	Value     any      `json:"value"`
	Timestamp int64    `json:"timestamp"`
	Headers   []Header `json:"headers"`
	Window    *Window  `json:"window"`

	keyType, valueType arrow.DataType
}

// row is a row of a query's result. A deleted row has the columns of its key; the others are null.
type row struct {
	deleted bool
	columns []any
	text    []json.RawMessage
	types   []arrow.DataType
}

// read reads a query to its end. A retraction that is directly followed by an insertion of the same key is an
// update and becomes the new row.
func (m *machine) read(rows *streamql.Rows) ([]row, error) {
	var out []row
	gone := -1 // the index in out of the last retracted row, while no row has followed it
	for b, err := range rows.Batches() {
		if err != nil {
			return nil, err
		}
		for i := range b.Rows() {
			r, err := readRow(rows, b, i)
			if err != nil {
				return nil, err
			}
			if gone >= 0 && !r.deleted && sameKey(rows, out[gone], r) {
				out[gone], gone = r, -1
				continue
			}
			out = append(out, r)
			gone = -1
			if r.deleted {
				gone = len(out) - 1
			}
		}
	}
	identified := slices.ContainsFunc(rows.Columns, isKey)
	for i := range out {
		for k := range out[i].columns {
			if identified && out[i].deleted && rows.Columns[k].Role != catalog.Key {
				out[i].columns[k], out[i].text[k] = nil, json.RawMessage("null")
			}
		}
	}
	return out, nil
}

func readRow(rows *streamql.Rows, b *flow.Batch, i int) (row, error) {
	r := row{deleted: b.Op(i).Gone()}
	for k := range min(len(rows.Columns), int(b.NumCols())) {
		text := format.AppendJSON(nil, b.Column(k), i, 0)
		v, err := value(text)
		if err != nil {
			return r, err
		}
		r.columns, r.text, r.types = append(r.columns, v), append(r.text, text), append(r.types, b.Column(k).DataType())
	}
	return r, nil
}

func isKey(c catalog.Column) bool { return c.Role == catalog.Key }

// sameKey reports whether two rows have the same key. Rows without a key have none in common.
func sameKey(rows *streamql.Rows, a, b row) bool {
	if !slices.ContainsFunc(rows.Columns, isKey) {
		return false
	}
	for k := range a.columns {
		if rows.Columns[k].Role == catalog.Key && string(a.text[k]) != string(b.text[k]) {
			return false
		}
	}
	return true
}

func (c *Case) expects(topic string) bool {
	for _, o := range c.Outputs {
		for _, r := range o.Records {
			if r.Topic == topic {
				return true
			}
		}
	}
	return false
}
