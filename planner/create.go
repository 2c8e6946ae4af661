package planner

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
)

// settings returns the values and the syntax nodes of a WITH clause by lower-case name. An option
// that is not legal is an error, which suggests the most similar legal name.
func (b *binder) settings(
	list []*lang.Setting, legal map[string]bool,
) (map[string]string, map[string]*lang.Setting, error) {
	out, where := map[string]string{}, map[string]*lang.Setting{}
	for _, s := range list {
		name := strings.ToLower(s.Name.Text)
		if legal != nil && !legal[name] {
			e := fail(s, "SQ2012", "WITH has no option %q", s.Name.Text)
			e.Len = len(s.Name.Text)
			names := make([]string, 0, len(legal))
			for n := range legal {
				names = append(names, n)
			}
			sort.Strings(names)
			if near := lang.Suggest(name, names); near != "" {
				e.Label = "did you mean " + near + "?"
			}
			return nil, nil, e
		}
		if _, twice := out[name]; twice {
			return nil, nil, fail(s, "SQ2012", "option %q occurs twice", s.Name.Text)
		}
		v, err := literal(s.Value)
		if err != nil {
			return nil, nil, err
		}
		out[name], where[name] = v, s
	}
	return out, where, nil
}

func literal(e lang.Expr) (string, error) {
	switch e := e.(type) {
	case *lang.Text:
		return e.Value, nil
	case *lang.Number:
		return e.Text, nil
	case *lang.Bool:
		return strconv.FormatBool(e.Value), nil
	case *lang.NullLit:
		return "", nil
	case *lang.Unary:
		v, err := literal(e.X)
		return e.Op + v, err
	case *lang.Ident:
		return e.Name.Text, nil
	case *lang.Interval:
		return e.N + " " + e.Unit, nil
	}
	return "", fail(e, "SQ2012", "the value of an option must be a literal")
}

func names(list ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range list {
		out[n] = true
	}
	return out
}

// sourceOptions has the names of the options of CREATE STREAM and CREATE TABLE.
var sourceOptions = names(
	"kafka_topic", "topic", "partitions", "replicas", "retention_ms", "cleanup_policy", "format",
	"key_format", "value_format", "key_delimiter", "value_delimiter", "delimiter", "wrap_single_value",
	"timestamp", "timestamp_format", "window_type", "window_size", "key_schema_id", "value_schema_id",
	"key_schema_full_name", "value_schema_full_name", "value_avro_schema_full_name",
	"key_protobuf_nullable_representation", "value_protobuf_nullable_representation", "connector",
	"on_error", "deadletter_topic", "on_error_limit", "path", "header", "kind", "rows", "seed", "start",
	"step", "rate", "cars", "failing", "key", "source_connector",
)

// Declare returns the relation that a CREATE STREAM or CREATE TABLE declares over a topic.
func Declare(st *lang.CreateSource, o Options) (*catalog.Relation, error) {
	b := newBinder(o, "")
	with, where, err := b.settings(st.With, sourceOptions)
	if err != nil {
		return nil, err
	}
	r := &catalog.Relation{Name: b.fold(st.Name), Table: st.Kind == "TABLE", With: with, ReadOnly: st.ReadOnly,
		Connector: strings.ToLower(with["connector"]),
		Statement: st.Text()}
	for _, later := range []string{"deadletter_topic", "on_error_limit"} {
		if s, ok := where[later]; ok {
			return nil, unsupported(s, "option "+later)
		}
	}
	if err := b.columns(r, st); err != nil {
		return nil, err
	}
	r.Topic = first(with["kafka_topic"], with["topic"])
	if r.Topic == "" {
		if b.Dialect.Has(dialect.TopicRequired) {
			return nil, fail(st, "SQ2013", "WITH needs kafka_topic")
		}
		r.Topic = r.Name
	}
	if err := b.formats(st, r, with, where); err != nil {
		return nil, err
	}
	if len(r.Columns) == 0 && b.Infer != nil && (r.Connector != "" || st.FromTopic != nil) {
		var coded *lang.Error
		if r.Columns, err = b.Infer(r); errors.As(err, &coded) {
			return nil, err
		} else if err != nil {
			return nil, fail(st, "SQ5003", "the columns of %s could not be determined: %v", quote(r.Name), err)
		}
	}
	if len(r.Columns) == 0 {
		return nil, fail(st.Name, "SQ2013", "%s needs columns", quote(r.Name))
	}
	if err := b.timing(st, r, with, where); err != nil {
		return nil, err
	}
	return r, b.specs(st, r, with)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (b *binder) columns(r *catalog.Relation, st *lang.CreateSource) error {
	seen := map[string]bool{}
	for _, c := range st.Columns {
		name := b.fold(c.Name)
		if seen[name] {
			return fail(c.Name, "SQ2015", "column %s is declared twice", quote(name))
		}
		seen[name] = true
		if pseudo(name) && !c.Name.Quoted || pseudo(strings.ToUpper(name)) {
			return fail(c.Name, "SQ2015", "%s is a pseudo-column and cannot be declared", quote(name))
		}
		t, err := b.typeOf(c.Type)
		if err != nil {
			return err
		}
		col := catalog.Column{Name: name, Type: t}
		switch c.Role {
		case "PRIMARY KEY":
			col.Role = catalog.Key
			if !r.Table {
				return fail(c, "SQ2015", "column %s of a stream is a KEY, not a PRIMARY KEY", quote(name))
			}
		case "KEY":
			col.Role = catalog.Key
			if r.Table {
				return fail(c, "SQ2015", "column %s of a table is a PRIMARY KEY, not a KEY", quote(name))
			}
		case "HEADERS":
			col.Role = catalog.Headers
			if !flow.SameType(t, op.HeadersType) {
				return fail(c, "SQ2015", "a HEADERS column must be ARRAY<STRUCT<KEY STRING, VALUE BYTES>>, not %s",
					flow.TypeName(t))
			}
		case "HEADER":
			col.Role, col.Header = catalog.Header, c.Key.Value
			if t.ID() != arrow.BINARY && (b.Dialect.Has(dialect.HeaderBytes) || t.ID() != arrow.STRING &&
				t.ID() != arrow.INT64 && t.ID() != arrow.INT32) {
				return fail(c, "SQ2015", "a HEADER column must be BYTES, not %s", flow.TypeName(t))
			}
		}
		r.Columns = append(r.Columns, col)
	}
	sort.SliceStable(r.Columns, func(i, j int) bool {
		return r.Columns[i].Role == catalog.Key && r.Columns[j].Role != catalog.Key
	})
	if r.Table && len(r.Columns) > 0 && len(r.KeyColumns()) == 0 {
		return fail(st.Name, "SQ2016", "table %s needs a PRIMARY KEY column", quote(r.Name))
	}
	return nil
}

func pseudo(name string) bool {
	switch name {
	case flow.RowTime, flow.RowPartition, flow.RowOffset, flow.WindowStart, flow.WindowEnd:
		return true
	}
	return false
}

func (b *binder) formats(st *lang.CreateSource, r *catalog.Relation, with map[string]string,
	where map[string]*lang.Setting) error {
	key, value := with["key_format"], with["value_format"]
	if f, ok := with["format"]; ok {
		if key != "" || value != "" {
			return fail(where["format"], "SQ2013",
				"FORMAT sets both KEY_FORMAT and VALUE_FORMAT: use either FORMAT or the other two")
		}
		if key, value = f, f; r.Connector != "" {
			// The source of a connector has no separate keys, so FORMAT does not apply to them.
			key = "KAFKA"
		}
	}
	if value == "" {
		value = b.Properties["ksql.persistence.default.format.value"]
	}
	if key == "" {
		key = first(b.Properties["ksql.persistence.default.format.key"], "KAFKA")
	}
	if value == "" {
		if b.Dialect.Has(dialect.FormatRequired) && r.Connector == "" {
			return fail(st, "SQ2013", "WITH needs value_format or format")
		}
		value = "JSON"
	}
	r.Key.Name, r.Value.Name = strings.ToUpper(key), strings.ToUpper(value)
	return nil
}

func (b *binder) timing(st *lang.CreateSource, r *catalog.Relation, with map[string]string,
	where map[string]*lang.Setting) error {
	if n := with["partitions"]; n != "" {
		v, err := strconv.ParseInt(n, 10, 32)
		if err != nil || v < 1 {
			return fail(where["partitions"], "SQ2013", "partitions must be a number of at least 1, not %q", n)
		}
		r.Partitions = int32(v)
	}
	if t := with["timestamp"]; t != "" {
		c, ok := b.columnNamed(r.Columns, t)
		if !ok {
			return fail(where["timestamp"].Value, "SQ2003", "the timestamp column %q does not exist", t)
		}
		r.Timestamp, r.TimestampFormat = c.Name, with["timestamp_format"]
		switch c.Type.ID() {
		case arrow.INT64, arrow.TIMESTAMP:
			if r.TimestampFormat != "" {
				return fail(where["timestamp_format"], "SQ2013", "timestamp_format requires a STRING column; %q is %s",
					c.Name, flow.TypeName(c.Type))
			}
		case arrow.STRING:
			if r.TimestampFormat == "" && b.Dialect.Has(dialect.TimestampFormatRequired) {
				return fail(where["timestamp"].Value, "SQ2013",
					"the timestamp column %q is a STRING, so timestamp_format is required", c.Name)
			}
		default:
			return fail(where["timestamp"].Value, "SQ2013",
				"the timestamp column %q is %s; it must be BIGINT, TIMESTAMP or STRING", c.Name, flow.TypeName(c.Type))
		}
	} else if with["timestamp_format"] != "" {
		return fail(where["timestamp_format"], "SQ2013", "timestamp_format needs timestamp")
	}
	if w := strings.ToUpper(with["window_type"]); w != "" {
		r.Window = &catalog.Windowing{Kind: w, Size: -1}
		switch w {
		case "SESSION":
			if with["window_size"] != "" {
				return fail(where["window_size"], "SQ2013", "a SESSION window has no window_size")
			}
		case "TUMBLING", "HOPPING":
			ms, ok := durationText(with["window_size"])
			if !ok {
				return fail(where["window_type"], "SQ2013", "a %s window needs window_size, e.g. '30 SECONDS'", w)
			}
			r.Window.Size = ms
		default:
			return fail(where["window_type"].Value, "SQ2013",
				"window_type must be TUMBLING, HOPPING or SESSION, not %q", w)
		}
	}
	switch o := strings.ToLower(with["on_error"]); o {
	case "", "deadletter", "skip", "fail":
		r.OnError = o
	default:
		return fail(where["on_error"].Value, "SQ2013", "on_error must be 'deadletter', 'skip' or 'fail', not %q", o)
	}
	return nil
}

func (b *binder) columnNamed(cols []catalog.Column, name string) (catalog.Column, bool) {
	if b.exact() {
		if strings.HasPrefix(name, "`") {
			name = strings.Trim(name, "`")
		} else {
			name = strings.ToUpper(name)
		}
	}
	for _, c := range cols {
		if c.Name == name || !b.exact() && strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return catalog.Column{}, false
}

// specs sets the formats' specifications from the columns and checks that codecs can be created
// from them.
func (b *binder) specs(at lang.Node, r *catalog.Relation, with map[string]string) error {
	r.Key.Fields, r.Value.Fields = nil, nil
	for _, c := range r.Columns {
		switch {
		case c.Role == catalog.Key && r.Connector != "files":
			r.Key.Fields = append(r.Key.Fields, flow.Field(c.Name, c.Type))
		case c.Role == catalog.Value || c.Role == catalog.Key: // the rows of a file have no separate key
			r.Value.Fields = append(r.Value.Fields, flow.Field(c.Name, c.Type))
		}
	}
	r.Key.Options, r.Value.Options = map[string]string{}, map[string]string{}
	if d := first(with["key_delimiter"], with["delimiter"]); d != "" {
		r.Key.Options["delimiter"] = d
	}
	if d := first(with["value_delimiter"], with["delimiter"]); d != "" {
		r.Value.Options["delimiter"] = d
	}
	r.Key.Unwrapped = len(r.Key.Fields) == 1
	r.Value.Unwrapped = false
	wrap := strings.ToLower(with["wrap_single_value"])
	if wrap == "" && len(r.Value.Fields) == 1 {
		wrap = b.Properties["ksql.persistence.wrap.single.values"]
	}
	if wrap == "false" {
		if len(r.Value.Fields) != 1 {
			return fail(at, "SQ2013", "wrap_single_value=false needs exactly one value column, not %d",
				len(r.Value.Fields))
		}
		r.Value.Unwrapped = true
	}
	if r.Connector == "generator" {
		return nil
	}
	for _, side := range []struct {
		name string
		spec format.Spec
	}{{"key", r.Key}, {"value", r.Value}} {
		if side.name == "key" && len(side.spec.Fields) == 0 {
			continue
		}
		if _, err := format.New(side.spec); err != nil {
			e := fail(at, "SQ2017", "the %s of %s: %v", side.name, quote(r.Name), err)
			e.Err = err
			return e
		}
	}
	return nil
}
