package reference

import (
	"encoding/binary"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// bounds returns a predicate for the records of a partition that the clauses PARTITIONS, SINCE and UNTIL
// select.
func bounds(l planner.Leaf, id int32) (func(*Record) bool, error) {
	from, to := topic.Offset(0), topic.End
	for i, p := range []*lang.Point{l.Scan.Since, l.Scan.Until} {
		switch {
		case p == nil || i == 0 && p.Kind == "EARLIEST":
		case p.Kind == "OFFSET" && i == 0:
			from = topic.Offset(p.N)
		case p.Kind == "OFFSET":
			to = topic.Offset(p.N)
		default:
			return nil, uncovered("a scan clause with %s", p.Kind)
		}
	}
	chosen := len(l.Scan.Partitions) == 0
	for _, r := range l.Scan.Partitions {
		chosen = chosen || int(id) >= r.From && int(id) <= r.To
	}
	return func(r *Record) bool { return chosen && r.Offset >= from && (to == topic.End || r.Offset < to) }, nil
}

// scanner converts the records of a partition to rows.
type scanner struct {
	*op.Scan
	id          int32
	keys, value *side
}

// side is the key or the value of records: the fields that the scan reads, and the columns that receive them.
type side struct {
	codec    format.Codec
	want, at []int
}

func newScanner(n *op.Scan, id int32) (*scanner, error) {
	if n.OnError == "fail" {
		return nil, uncovered("on_error='fail'")
	}
	if n.Time != nil {
		if err := check(n.Time); err != nil {
			return nil, err
		}
	}
	s := &scanner{Scan: n, id: id, keys: &side{}, value: &side{}}
	for i, c := range n.Columns {
		switch c.From {
		case op.FromKey:
			s.keys.want, s.keys.at = append(s.keys.want, c.Index), append(s.keys.at, i)
		case op.FromValue:
			s.value.want, s.value.at = append(s.value.want, c.Index), append(s.value.at, i)
		}
	}
	var err error
	if len(n.Key.Fields) > 0 {
		if s.keys.codec, err = format.New(n.Key); err != nil {
			return nil, err
		}
	}
	s.value.codec, err = format.New(n.Value)
	return s, err
}

// read decodes the fields of one record into a row; false if they cannot be decoded.
func (s *side) read(record []byte, into []any) (bool, error) {
	if s.codec == nil {
		return true, nil
	}
	var in topic.Bytes
	in.Append(record)
	cols, bad, err := s.codec.Decode(&in, s.want)
	if err != nil || len(bad) > 0 {
		return false, err
	}
	for i, at := range s.at {
		into[at] = flow.Value(cols[i], 0)
	}
	return true, nil
}

// rows returns the row of a record, or none.
func (s *scanner) rows(rec *Record) ([]row, error) {
	r := row{make([]any, len(s.Columns)), flow.Insert}
	key := rec.Key
	var start, end any
	if s.Windowed {
		key, start, end = cutWindow(rec.Key, s.WindowSize)
	}
	for _, part := range []struct {
		*side
		bytes []byte
	}{{s.keys, key}, {s.value, rec.Value}} {
		if ok, err := part.read(part.bytes, r.vals); err != nil || !ok {
			return nil, err
		}
	}
	if rec.Value == nil {
		if r.op = flow.Retract; !s.Table && s.Nulls == op.NullsAreDropped {
			return nil, nil
		}
	}
	if s.Table && rec.Key == nil {
		return nil, nil
	}
	for i, c := range s.Columns {
		switch c.From {
		case op.FromTime, op.FromClock:
			r.vals[i] = rec.Time
		case op.FromPartition:
			r.vals[i] = s.id
		case op.FromOffset:
			r.vals[i] = int64(rec.Offset)
		case op.FromHeaders, op.FromRawHeaders:
			if list := headers(rec.Headers); len(list) > 0 || c.From == op.FromHeaders {
				r.vals[i] = list
			}
		case op.FromHeader:
			r.vals[i] = header(rec.Headers, c.Header, s.Out.Field(i).Type)
		case op.FromWindowStart:
			r.vals[i] = start
		case op.FromWindowEnd:
			r.vals[i] = end
		}
	}
	if s.Time != nil {
		at, ok := eval(s.EventTime(), r.vals).(int64)
		switch {
		case ok && (at >= 0 || !s.From1970):
			r.vals[s.Out.Time] = at
		case r.op != flow.Retract:
			return nil, nil
		}
	}
	return []row{r}, nil
}

// cutWindow removes the window from the end of a key: its start, and for a session its end.
func cutWindow(key []byte, size int64) (rest []byte, start, end any) {
	tail := 8
	if size < 0 {
		tail = 16
	}
	if len(key) < tail {
		return key, nil, nil
	}
	n := len(key)
	from := int64(binary.BigEndian.Uint64(key[n-8:]))
	to := from + size
	if size < 0 {
		to = int64(binary.BigEndian.Uint64(key[n-16:]))
	}
	return key[: n-tail : n-tail], from, to
}

func headers(list []topic.Header) []any {
	out := []any{}
	for _, h := range list {
		var v any
		if h.Value != nil {
			v = h.Value
		}
		out = append(out, []any{h.Key, v})
	}
	return out
}

// header returns the value of the last header with a name; a header without a value does not count.
func header(list []topic.Header, name string, t flow.Type) any {
	for i := len(list) - 1; i >= 0; i-- {
		if h := list[i]; h.Key == name && h.Value != nil {
			if t.ID() == arrow.BINARY {
				return h.Value
			}
			return cast(string(h.Value), flow.String, t)
		}
	}
	return nil
}
