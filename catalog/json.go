package catalog

import (
	"encoding/json"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// typeJSON is a type in the log: its SQL name and its components.
type typeJSON struct {
	Name      string      `json:"name"` // BIGINT, ARRAY, MAP, STRUCT, DECIMAL, ..
	Of        []typeJSON  `json:"of,omitempty"`
	Fields    []fieldJSON `json:"fields,omitempty"`
	Precision int32       `json:"precision,omitempty"`
	Scale     int32       `json:"scale,omitempty"`
}

type fieldJSON struct {
	Name string   `json:"name"`
	Type typeJSON `json:"type"`
}

var scalars = func() map[string]flow.Type {
	out := map[string]flow.Type{}
	for _, t := range []flow.Type{flow.Boolean, flow.Int, flow.Bigint, flow.Float, flow.Double, flow.String, flow.Bytes, flow.Date, flow.TimeOfDay,
		flow.Timestamp, flow.Null} {
		out[flow.TypeName(t)] = t
	}
	return out
}()

func typeOut(t flow.Type) typeJSON {
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return typeJSON{Name: "DECIMAL", Precision: t.Precision, Scale: t.Scale}
	case *arrow.MapType:
		return typeJSON{Name: "MAP", Of: []typeJSON{typeOut(t.KeyType()), typeOut(t.ItemType())}}
	case *arrow.ListType:
		return typeJSON{Name: "ARRAY", Of: []typeJSON{typeOut(t.Elem())}}
	case *arrow.StructType:
		return typeJSON{Name: "STRUCT", Fields: fieldsOut(t.Fields())}
	}
	return typeJSON{Name: flow.TypeName(t)}
}

func fieldsOut(fields []arrow.Field) []fieldJSON {
	var out []fieldJSON
	for _, f := range fields {
		out = append(out, fieldJSON{f.Name, typeOut(f.Type)})
	}
	return out
}

// in returns the type, or an error if this version does not know it.
func (t typeJSON) in() (flow.Type, error) {
	if s, ok := scalars[t.Name]; ok {
		return s, nil
	}
	var of []flow.Type
	for _, e := range t.Of {
		et, err := e.in()
		if err != nil {
			return nil, err
		}
		of = append(of, et)
	}
	switch {
	case t.Name == "DECIMAL" && t.Precision > 0 && t.Precision <= 38 && t.Scale >= 0 && t.Scale <= t.Precision:
		return flow.Decimal(t.Precision, t.Scale), nil
	case t.Name == "MAP" && len(of) == 2:
		return flow.Map(of[0], of[1]), nil
	case t.Name == "ARRAY" && len(of) == 1:
		return flow.Array(of[0]), nil
	case t.Name == "STRUCT":
		fields, err := fieldsIn(t.Fields)
		return flow.Struct(fields...), err
	}
	return nil, fmt.Errorf("this version does not know the type %q", t.Name)
}

func fieldsIn(list []fieldJSON) ([]arrow.Field, error) {
	var out []arrow.Field
	for _, f := range list {
		t, err := f.Type.in()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = append(out, flow.Field(f.Name, t))
	}
	return out, nil
}

type namedTypeJSON struct {
	Name string   `json:"name"`
	Type typeJSON `json:"type"`
}

// MarshalJSON implements json.Marshaler.
func (t NamedType) MarshalJSON() ([]byte, error) {
	return json.Marshal(namedTypeJSON{t.Name, typeOut(t.Type)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *NamedType) UnmarshalJSON(b []byte) error {
	var j namedTypeJSON
	err := strict(b, &j)
	if err == nil {
		t.Name = j.Name
		t.Type, err = j.Type.in()
	}
	return err
}

type specJSON struct {
	Name      string            `json:"name,omitempty"`
	Fields    []fieldJSON       `json:"fields,omitempty"`
	Unwrapped bool              `json:"unwrapped,omitempty"`
	Options   map[string]string `json:"options,omitempty"`
}

func specOut(s format.Spec) specJSON {
	return specJSON{s.Name, fieldsOut(s.Fields), s.Unwrapped, s.Options}
}

func (s specJSON) in() (format.Spec, error) {
	fields, err := fieldsIn(s.Fields)
	options := s.Options
	if options == nil {
		options = map[string]string{}
	}
	return format.Spec{Name: s.Name, Fields: fields, Unwrapped: s.Unwrapped, Options: options}, err
}

type columnJSON struct {
	Name   string   `json:"name"`
	Type   typeJSON `json:"type"`
	Role   Role     `json:"role,omitempty"`
	Header string   `json:"header,omitempty"`
}

type relationJSON struct {
	Name            string            `json:"name"`
	Table           bool              `json:"table,omitempty"`
	Columns         []columnJSON      `json:"columns"`
	Topic           string            `json:"topic"`
	Partitions      int32             `json:"partitions"`
	Key             specJSON          `json:"key"`
	Value           specJSON          `json:"value"`
	Timestamp       string            `json:"timestamp,omitempty"`
	TimestampFormat string            `json:"timestamp_format,omitempty"`
	Window          *Windowing        `json:"window,omitempty"`
	With            map[string]string `json:"with,omitempty"`
	Connector       string            `json:"connector,omitempty"`
	ReadOnly        bool              `json:"read_only,omitempty"`
	Statement       string            `json:"statement,omitempty"`
	Job             string            `json:"job,omitempty"`
	OnError         string            `json:"on_error,omitempty"`
	Make            *Topic            `json:"make,omitempty"`
	Variables       map[string]string `json:"variables,omitempty"`
	Root            string            `json:"root,omitempty"`
	Path            string            `json:"path,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r *Relation) MarshalJSON() ([]byte, error) {
	j := relationJSON{
		r.Name,
		r.Table,
		nil,
		r.Topic,
		r.Partitions,
		specOut(r.Key),
		specOut(r.Value),
		r.Timestamp,
		r.TimestampFormat,
		r.Window,
		r.With,
		r.Connector,
		r.ReadOnly,
		r.Statement,
		r.Job,
		r.OnError,
		r.Make,
		r.Variables,
		r.Root,
		r.Path,
	}
	for _, c := range r.Columns {
		j.Columns = append(j.Columns, columnJSON{c.Name, typeOut(c.Type), c.Role, c.Header})
	}
	return json.Marshal(j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Relation) UnmarshalJSON(b []byte) (err error) {
	var j relationJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	*r = Relation{
		Name:            j.Name,
		Table:           j.Table,
		Topic:           j.Topic,
		Partitions:      j.Partitions,
		Timestamp:       j.Timestamp,
		TimestampFormat: j.TimestampFormat,
		Window:          j.Window,
		With:            j.With,
		Connector:       j.Connector,
		ReadOnly:        j.ReadOnly,
		Statement:       j.Statement,
		Job:             j.Job,
		OnError:         j.OnError,
		Make:            j.Make,
		Variables:       j.Variables,
		Root:            j.Root,
		Path:            j.Path,
	}
	if r.With == nil {
		r.With = map[string]string{}
	}
	if r.Key, err = j.Key.in(); err != nil {
		return fmt.Errorf("the key of %s: %w", r.Name, err)
	}
	if r.Value, err = j.Value.in(); err != nil {
		return fmt.Errorf("the value of %s: %w", r.Name, err)
	}
	for _, c := range j.Columns {
		t, err := c.Type.in()
		if err != nil {
			return fmt.Errorf("column %s of %s: %w", c.Name, r.Name, err)
		}
		r.Columns = append(r.Columns, Column{c.Name, t, c.Role, c.Header})
	}
	if r.Name == "" || len(r.Columns) == 0 || r.Topic == "" {
		return fmt.Errorf("relation %q has no name, topic or columns", r.Name)
	}
	return nil
}
