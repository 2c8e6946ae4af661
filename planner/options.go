package planner

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// General are the options of CREATE STREAM and TABLE that do not depend on the connector or the formats.
var General = []option.Option{
	{Name: "connector", Doc: "the connector that reads the records; without it they are in a topic of the broker"},
	{Name: "topic", Also: "kafka_topic", Doc: "the name of the topic; without it that of the stream or table"},
	{Name: "timestamp", Doc: "the column that holds the event time; without it the record's time"},
	{Name: "timestamp_format", Doc: "the pattern of a timestamp column of type STRING"},
	{Name: "on_error", Type: option.Word, Words: []string{"deadletter", "skip", "fail"},
		Doc: "what happens to a record that cannot be read"},
}

// Windowed are the options of relations that are declared over windowed keys.
var Windowed = []option.Option{
	{Name: "window_type", Type: option.Word, Words: []string{"tumbling", "hopping", "session"},
		Doc: "the kind of the windows of the keys"},
	{Name: "window_size", Type: option.Duration, Min: 1, Doc: "the length of the windows of the keys"},
}

// Formatted are the options of relations whose records are in formats.
var Formatted = []option.Option{
	{Name: "format", Doc: "the format of the value, and of the key where there is one"},
	{Name: "value_format", Doc: "the format of the value"},
	{Name: "wrap_single_value", Type: option.Bool,
		Doc: "whether a single value column is a member of an object; false: it is the whole value"},
}

// Keyed are the options of relations whose records have keys.
var Keyed = []option.Option{{Name: "key_format", Doc: "the format of the key"}}

// later are options that users know from elsewhere and that are refused as not supported yet.
var later = []string{"deadletter_topic", "on_error_limit", "key_schema_id", "value_schema_id", "key_schema_full_name",
	"value_schema_full_name",
	"value_avro_schema_full_name", "key_protobuf_nullable_representation",
	"value_protobuf_nullable_representation", "source_connector"}

// OptionNames are the names of all options that CREATE STREAM and TABLE may have.
func OptionNames(connectors *connect.Registry, formats *format.Registry) []string {
	all := slices.Concat(General, Windowed, Formatted, Keyed)
	for _, c := range connectors.All() {
		all = append(all, c.All(nil)...)
	}
	b := &binder{Options: Options{Formats: formats}}
	return option.Names(slices.Concat(all, b.formatOptions("key", ""), b.formatOptions("value", "")))
}

// with is a WITH clause that is being read.
type with struct {
	connector *connect.Connector
	text      map[string]string // by lower-case name; NULLs are left out
	at        map[string]*lang.Setting
	order     []string
}

// literals reads a WITH clause before it is known which options are legal.
func (b *binder) literals(list []*lang.Setting) (*with, error) {
	w := &with{text: map[string]string{}, at: map[string]*lang.Setting{}}
	for _, s := range list {
		name := strings.ToLower(s.Name.Text)
		if _, twice := w.at[name]; twice {
			return nil, fail(s, "SQ2012", "option %q is given twice", s.Name.Text)
		}
		v, err := literal(s.Value)
		if err != nil {
			return nil, err
		}
		w.at[name], w.order = s, append(w.order, name)
		if _, null := s.Value.(*lang.NullLit); !null {
			w.text[name] = v
		}
	}
	return w, nil
}

// connectorOf is the connector of a relation.
func (b *binder) connectorOf(at lang.Node, r *catalog.Relation) (*connect.Connector, error) {
	c, err := b.Connectors.Find(r.Connector)
	if err != nil {
		return nil, optionFailed(at, "SQ5001", err)
	}
	return c, nil
}

// choose finds the connector that a WITH clause names.
func (b *binder) choose(w *with) (err error) {
	if w.connector, err = b.Connectors.Find(w.text["connector"]); err != nil {
		return optionFailed(w.at["connector"].Value, "SQ5001", err)
	}
	return nil
}

// check refuses the options that do not belong to a relation of this connector and these formats, and values that
// they do not take. key and value are the names of the formats; "": not known yet, so that the options of all formats
// are legal.
func (b *binder) check(st lang.Node, w *with, key, value string, declared []option.Option) error {
	if b.Accepted {
		return nil
	}
	c := w.connector
	declared = append(slices.Clone(declared), General...)
	if c.Shape != connect.Columns {
		declared = append(append(declared, Formatted...), b.formatOptions("value", value)...)
	}
	if c.Shape == connect.KeyedRecords {
		declared = append(append(declared, Keyed...), b.formatOptions("key", key)...)
	}
	own := c.All(w.text)
	for _, name := range w.order {
		o, ok := option.Find(own, name)
		code := "SQ2013"
		if ok && !c.Broker {
			code = "SQ5002"
		}
		if !ok {
			o, ok = option.Find(declared, name)
		}
		if s := w.at[name]; !ok {
			return b.unknown(s, w, append(own, declared...))
		} else if text, given := w.text[name]; given {
			if _, err := o.Parse(text); err != nil {
				return optionFailed(s.Value, code, err)
			}
		}
	}
	return b.whole(st, w, own)
}

// unknown refuses an option that nothing reads, and says why if something else would.
func (b *binder) unknown(s *lang.Setting, w *with, declared []option.Option) error {
	name := strings.ToLower(s.Name.Text)
	if slices.Contains(later, name) {
		return unsupported(s, "option "+name)
	}
	e := fail(s, "SQ2012", "WITH has no option %q", s.Name.Text)
	e.Len = len(s.Name.Text)
	names := option.Names(declared)
	if w.connector.Broker {
		e.Hint = "the options here are " + strings.Join(names, ", ")
	} else {
		e.Hint = fmt.Sprintf("the options of connector '%s' are %s", w.connector.Name, strings.Join(names, ", "))
	}
	if near := lang.Suggest(name, names); near != "" {
		e.Label = "did you mean " + near + "?"
	}
	return e
}

// whole checks the options of the connector together.
func (b *binder) whole(st lang.Node, w *with, own []option.Option) error {
	values, err := option.Read(own, w.text)
	if err == nil && w.connector.Check != nil {
		err = w.connector.Check(values, b.Limits)
	}
	if err == nil {
		_, err = option.Read(General, w.text)
	}
	var wrong *option.Error
	if !errors.As(err, &wrong) {
		return err
	}
	code := "SQ5002"
	if w.connector.Broker {
		code = "SQ2013"
	}
	if s, ok := w.at[wrong.Option]; ok && wrong.Value {
		return optionFailed(s.Value, code, err)
	} else if ok {
		return optionFailed(s, code, err)
	}
	e := optionFailed(st, code, err)
	e.Msg = fmt.Sprintf("connector '%s': %s", w.connector.Name, e.Msg)
	return e
}

// optionFailed is the error of an option at its place.
func optionFailed(at lang.Node, code string, err error) *lang.Error {
	e := fail(at, code, "%v", err)
	e.Err = err
	var wrong *option.Error
	if errors.As(err, &wrong) {
		if near := lang.Suggest(wrong.Wrong(), wrong.Names); near != "" {
			e.Label = "did you mean '" + near + "'?"
		}
	}
	return e
}

// formatOptions are the options of a format as a WITH clause names them: for one side of the record
// (value_delimiter), or for both.
func (b *binder) formatOptions(side, name string) (out []option.Option) {
	formats := b.Formats.All()
	if name != "" {
		f, ok := b.Formats.Format(name)
		if !ok { // refused where the columns are known
			return nil
		}
		formats = []*format.Format{f}
	}
	for _, f := range formats {
		for _, o := range f.Options {
			both := o
			o.Name = side + "_" + o.Name
			out = append(out, o, both)
		}
	}
	return out
}

// codecOptions are the values that a WITH clause has for the options of a format on one side of the record.
func (b *binder) codecOptions(text map[string]string, side, name string) map[string]string {
	out := map[string]string{}
	formats := b.Formats.All()
	if f, ok := b.Formats.Format(name); ok {
		formats = []*format.Format{f}
	} else if name != "" {
		return out
	}
	for _, f := range formats {
		for _, o := range f.Options {
			if v := cmp.Or(text[side+"_"+o.Name], text[o.Name]); v != "" {
				out[o.Name] = v
			}
		}
	}
	return out
}
