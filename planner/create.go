package planner

import (
	"sort"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

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

// Declare makes the relation of a CREATE STREAM or TABLE over a topic that names its columns.
func Declare(st *lang.CreateSource, o Options) (*catalog.Relation, error) {
	d, err := NewDraft(st, o)
	if err != nil {
		return nil, err
	}
	return d.Declare(nil)
}

// Draft is a CREATE STREAM or TABLE over a topic whose columns may not be known yet.
type Draft struct {
	// Relation has all properties that the columns do not determine.
	Relation *catalog.Relation
	// Infers reports that the statement names no columns, and that the connector or the format can determine them.
	Infers bool

	b  *binder
	st *lang.CreateSource
	w  *with
}

// NewDraft binds a CREATE STREAM or TABLE except for what depends on its columns.
func NewDraft(st *lang.CreateSource, o Options) (*Draft, error) {
	b := newBinder(o, "")
	w, err := b.literals(st.With)
	if err == nil {
		err = b.choose(w)
	}
	if err != nil {
		return nil, err
	}
	r := &catalog.Relation{Name: b.fold(st.Name), Table: st.Kind == "TABLE", With: w.text, ReadOnly: st.ReadOnly,
		Statement: st.Text()}
	if !w.connector.Broker {
		r.Connector = w.connector.Name
	}
	if err := b.columns(r, st); err != nil {
		return nil, err
	}
	if err := b.formats(st, r, w); err != nil {
		return nil, err
	}
	r.Topic = first(w.text["kafka_topic"], w.text["topic"])
	if r.Topic == "" {
		if b.Dialect.Has(dialect.TopicRequired) {
			return nil, fail(st, "SQ2013", "WITH needs kafka_topic")
		}
		r.Topic = r.Name
	}
	f, known := b.Formats.Format(r.Value.Name)
	can := w.connector.Infers || st.FromTopic != nil || known && f.Columns != nil
	return &Draft{Relation: r, Infers: can && len(r.Columns) == 0, b: b, st: st, w: w}, nil
}

// Declare returns the relation. inferred are its columns if Infers is set.
func (d *Draft) Declare(inferred []catalog.Column) (*catalog.Relation, error) {
	r := d.Relation
	if d.Infers {
		r.Columns = inferred
	}
	if len(r.Columns) == 0 {
		return nil, fail(d.st.Name, "SQ2013", "%s needs columns", quote(r.Name))
	}
	if err := d.b.timing(d.st, r, d.w.text, d.w.at); err != nil {
		return nil, err
	}
	return r, d.b.specs(d.st, r, d.w)
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

// formats finds the formats of the key and the value, checks the options and reads those of the formats.
func (b *binder) formats(st *lang.CreateSource, r *catalog.Relation, w *with) error {
	key, value := w.text["key_format"], w.text["value_format"]
	keyed := w.connector.Shape == connect.KeyedRecords
	if f := w.text["format"]; f != "" {
		if key != "" || value != "" {
			return fail(w.at["format"], "SQ2013", "FORMAT sets both KEY_FORMAT and VALUE_FORMAT: use either FORMAT or the other two")
		}
		if key, value = f, f; !keyed {
			key = ""
		}
	}
	asked := value
	value = first(value, b.Properties["ksql.persistence.default.format.value"])
	key = first(key, b.Properties["ksql.persistence.default.format.key"], "KAFKA")
	if value == "" {
		if b.Dialect.Has(dialect.FormatRequired) && keyed {
			return fail(st, "SQ2013", "WITH needs value_format or format")
		}
		value = "JSON"
	}
	if asked == "" && !w.connector.Formats { // else the records themselves show it
		asked = value
	}
	r.Key.Name, r.Value.Name = strings.ToUpper(key), strings.ToUpper(value)
	if err := b.check(st, w, key, asked, Windowed); err != nil {
		return err
	}
	r.Key.Options, r.Value.Options = map[string]string{}, b.codecOptions(w.text, "value", asked)
	if keyed {
		r.Key.Options = b.codecOptions(w.text, "key", key)
	}
	return nil
}

func (b *binder) timing(st *lang.CreateSource, r *catalog.Relation, with map[string]string, where map[string]*lang.Setting) error {
	if n, err := strconv.ParseInt(with["partitions"], 10, 32); err == nil {
		r.Partitions = int32(n)
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
	w := strings.ToUpper(with["window_type"])
	if w == "" && with["window_size"] != "" {
		return fail(where["window_size"], "SQ2013", "window_size needs window_type")
	}
	if w != "" {
		r.Window = &catalog.Windowing{Kind: w, Size: -1}
		switch w {
		case "SESSION":
			if with["window_size"] != "" {
				return fail(where["window_size"], "SQ2013", "a SESSION window has no window_size")
			}
		case "TUMBLING", "HOPPING":
			ms, ok := option.Millis(with["window_size"])
			if !ok {
				return fail(where["window_type"], "SQ2013", "a %s window needs window_size, e.g. '30 SECONDS'", w)
			}
			r.Window.Size = ms
		}
	}
	r.OnError = strings.ToLower(with["on_error"])
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

// specs fills the codecs' specifications from the columns and checks that they can be made.
func (b *binder) specs(at lang.Node, r *catalog.Relation, w *with) error {
	r.Key.Fields, r.Value.Fields = nil, nil
	for _, c := range r.Columns {
		switch {
		case c.Role == catalog.Key && w.connector.Shape != connect.PlainRecords:
			r.Key.Fields = append(r.Key.Fields, flow.Field(c.Name, c.Type))
		case c.Role == catalog.Value || c.Role == catalog.Key:
			r.Value.Fields = append(r.Value.Fields, flow.Field(c.Name, c.Type))
		}
	}
	r.Key.Unwrapped = len(r.Key.Fields) == 1
	r.Value.Unwrapped = false
	wrap := w.text["wrap_single_value"]
	if yes, err := strconv.ParseBool(wrap); err == nil {
		wrap = strconv.FormatBool(yes)
	}
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
	if w.connector.Shape == connect.Columns {
		return nil
	}
	for _, side := range []struct {
		name string
		spec format.Spec
	}{{"key", r.Key}, {"value", r.Value}} {
		if side.name == "key" && len(side.spec.Fields) == 0 {
			continue
		}
		if _, err := b.Formats.New(b.Context, side.spec, r.Topic+"-"+side.name); err != nil {
			e := fail(at, "SQ2017", "the %s of %s: %v", side.name, quote(r.Name), err)
			e.Err = err
			return e
		}
	}
	return nil
}

// Millis is an interval's length.
func Millis(i *lang.Interval) (int64, error) {
	n, err := strconv.ParseInt(i.N, 10, 64)
	ms, ok := option.Units[i.Unit]
	if err != nil || !ok || n < 0 || n > 1<<62/max(ms, 1) {
		return 0, fail(i, "SQ2010", "%s %s is not a length of time", i.N, i.Unit)
	}
	return n * ms, nil
}
