package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// SampleRows is the number of records from which the types of columns are inferred.
const SampleRows = 20_000

// inferTable infers the columns of records with fields. names are those of the header; nil: the
// columns are c1, c2, .. A column without a value in the sample is a STRING.
func inferTable(names []string, records [][]string) []arrow.Field {
	width := len(names)
	if names == nil {
		for _, r := range records {
			width = max(width, len(r))
		}
	}
	out := make([]arrow.Field, width)
	for i := range out {
		name := "c" + strconv.Itoa(i+1)
		if names != nil {
			name = names[i]
		}
		kinds := slices.Clone(textKinds)
		some := false
		for _, r := range records {
			if len(r) != width || r[i] == "" { // a record of another width is a dead letter, an empty field NULL
				continue
			}
			some = true
			if kinds = slices.DeleteFunc(kinds, func(k textKind) bool { return !k.accepts(r[i]) }); len(kinds) == 0 {
				break
			}
		}
		out[i] = flow.Field(name, flow.String)
		if some && len(kinds) > 0 {
			out[i] = flow.Field(name, kinds[0].t)
		}
	}
	return out
}

// textKind is a type that the text of a field may have.
type textKind struct {
	t       flow.Type
	accepts func(string) bool
}

// textKinds are in the order of preference. Each accepts no more than the codec of the format.
var textKinds = []textKind{
	{flow.Boolean, func(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }},
	{flow.Bigint, isBigint},
	{flow.Double, isDouble},
	{flow.Date, func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil }},
	{flow.Timestamp, isTimestamp},
}

// isBigint reports whether a text is a whole number. A number with leading zeros is an identifier, which
// has to stay as it is.
func isBigint(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil && s[0] != '+' && !padded(s)
}

func isDouble(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && !strings.ContainsAny(s, "_xXpPiIaA+ ") && !padded(s) || s == "NaN"
}

// padded reports whether a number has leading zeros.
func padded(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
}

func isTimestamp(s string) bool {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05",
		"2006-01-02 15:04:05Z07:00"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

// inferJSON infers the columns of JSON objects, in the order in which their names first appear. It ignores other
// records, because they are dead letters.
func inferJSON(records [][]string) ([]arrow.Field, error) {
	all := &shape{}
	for _, r := range records {
		d := json.NewDecoder(strings.NewReader(r[0]))
		d.UseNumber()
		one := &shape{}
		if err := one.read(d); err == nil && one.kind == object {
			all.merge(one)
		}
	}
	if len(all.names) == 0 {
		return nil, errors.New("the sample has no JSON object with a field; declare the columns")
	}
	return all.fields()
}

// shape describes the values at one place of the records.
type shape struct {
	kind   kind
	names  []string // of an object, in order
	parts  map[string]*shape
	values *shape // of an array
}

type kind int

// The kinds, so that the greater one of two numbers represents both.
const (
	unknown kind = iota // null only
	boolean
	whole
	fraction
	text
	object
	array
	mixed
)

func (s *shape) read(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case bool:
		s.kind = boolean
	case json.Number:
		s.kind = fraction
		if _, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			s.kind = whole
		}
	case string:
		s.kind = text
	case json.Delim:
		return s.inside(d, t)
	}
	return nil
}

func (s *shape) inside(d *json.Decoder, open json.Delim) error {
	s.kind, s.values = array, &shape{}
	if open == '{' {
		s.kind, s.values = object, nil
	}
	for d.More() {
		one := &shape{}
		name := ""
		if s.kind == object {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ = t.(string)
		}
		if err := one.read(d); err != nil {
			return err
		}
		if s.kind == array {
			s.values.merge(one)
			continue
		}
		s.part(name).merge(one)
	}
	_, err := d.Token()
	return err
}

func (s *shape) part(name string) *shape {
	p, ok := s.parts[name]
	if !ok {
		if s.parts == nil {
			s.parts = map[string]*shape{}
		}
		p = &shape{}
		s.names, s.parts[name] = append(s.names, name), p
	}
	return p
}

func (s *shape) merge(o *shape) {
	numbers := func(k kind) bool { return k == whole || k == fraction }
	switch {
	case o.kind == unknown:
		return
	case s.kind == unknown, s.kind == o.kind:
		s.kind = o.kind
	case numbers(s.kind) && numbers(o.kind):
		s.kind = fraction
	default:
		s.kind = mixed
	}
	for _, name := range o.names {
		s.part(name).merge(o.parts[name])
	}
	if o.values != nil {
		if s.values == nil {
			s.values = &shape{}
		}
		s.values.merge(o.values)
	}
}

func (s *shape) fields() (out []arrow.Field, err error) {
	for _, name := range s.names {
		t, err := s.parts[name].typ()
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		out = append(out, flow.Field(name, t))
	}
	return out, nil
}

func (s *shape) typ() (flow.Type, error) {
	switch s.kind {
	case boolean:
		return flow.Boolean, nil
	case whole:
		return flow.Bigint, nil
	case fraction:
		return flow.Double, nil
	case object:
		fields, err := s.fields()
		if err == nil && len(fields) == 0 {
			return flow.String, nil
		}
		return flow.Struct(fields...), err
	case array:
		t, err := s.values.typ()
		if err != nil {
			return nil, err
		}
		return flow.Array(t), nil
	case mixed:
		return nil, errors.New("the sample has values of different types; declare the columns")
	}
	return flow.String, nil
}
