package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/jsontext"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// separator is the option of DELIMITED and CSV.
var separator = []option.Option{{Name: "delimiter", Type: option.Char, Default: ",",
	Doc: "the character between two fields"}}

var _ = builtin(Format{
	Name: "DELIMITED",
	Doc: "One line with the fields in the order of the columns, as ksqlDB writes it. Quotes follow the default of " +
		"Commons CSV. An empty field is NULL, with or without quotes.",
	Options: separator,
	File:    &File{Table: true},
	Open:    alone(openDelimited),
	Examples: []Example{{
		SQL: `CREATE STREAM visits (page STRING, n INT) WITH (topic='visits', value_format='delimited', value_delimiter='|');
INSERT INTO visits (page, n) VALUES ('a|b', 3);
SELECT page, n FROM visits;`,
		Want: `a|b,3`,
	}},
})

var _ = builtin(Format{
	Name: "CSV",
	Doc: "One line with the fields in the order of the columns, quoted by RFC 4180. An empty field is NULL, an empty " +
		"field in quotes is the empty text. Times may be ISO 8601.",
	Options: separator,
	File:    &File{Endings: []string{".csv", ".tsv"}, Table: true},
	Open:    alone(openDelimited),
	Examples: []Example{{
		SQL: `CREATE STREAM visits (page STRING, n INT) WITH (topic='visits', value_format='csv', value_delimiter='TAB');
INSERT INTO visits (page, n) VALUES ('', 3);
SELECT LEN(page) AS l, n FROM visits;`,
		Want: `0,3`,
	}},
})

// delimitedCodec reads and writes records of the formats DELIMITED and CSV.
type delimitedCodec struct {
	spec    Spec
	csv     bool
	delim   byte
	cols    []*column
	active  []*column // by field: the column, or nil if Decode does not return it
	scratch []byte    // the text of a quoted field
}

// openDelimited returns a codec. ARRAY, MAP and STRUCT columns are ErrUnsupported.
func openDelimited(s Request) (Codec, error) {
	c := &delimitedCodec{spec: s.Spec, csv: strings.EqualFold(strings.TrimSpace(s.Name), "CSV")}
	c.delim = s.Values.Char("delimiter")
	for _, f := range s.Fields {
		switch f.Type.ID() {
		case arrow.LIST, arrow.MAP, arrow.STRUCT:
			return nil, fmt.Errorf("column %s has type %s, which is %w; use JSON",
				f.Name, flow.TypeName(f.Type), ErrUnsupported)
		}
		col, err := newColumn(f, "")
		if err != nil {
			return nil, err
		}
		c.cols = append(c.cols, col)
	}
	c.active = make([]*column, len(c.cols))
	return c, nil
}

// Decode reads lines as fields: see Codec.
func (c *delimitedCodec) Decode(in *topic.Bytes, want []int) ([]arrow.Array, []Bad, error) {
	clear(c.active)
	for _, f := range want {
		c.active[f] = c.cols[f]
		c.cols[f].start(in.Len())
	}
	var bad []Bad
	for row := range in.Len() {
		if record, ok := recordAt(in, row); ok {
			err := c.record(record)
			if err == nil {
				continue
			}
			bad = append(bad, Bad{row, err})
		}
		for _, f := range want {
			c.cols[f].cut(row)
			c.cols[f].addNull()
		}
	}
	return finish(c.cols, want, bad)
}

// record appends the fields of one line to the active columns and checks the others.
func (c *delimitedCodec) record(record []byte) error {
	if len(record) > maxRecord {
		return fmt.Errorf("the record has %d bytes, the limit is 16 MiB", len(record))
	}
	record = bytes.TrimSuffix(bytes.TrimSuffix(record, []byte{'\n'}), []byte{'\r'})
	if len(c.cols) == 0 && len(record) == 0 {
		return nil
	}
	for i, at := 0, 0; ; i++ {
		text, quoted, next, err := c.field(record, at)
		if err != nil {
			return err
		}
		last := next < 0
		if i >= len(c.cols) || last && i < len(c.cols)-1 {
			return c.wrongCount(record)
		}
		if col := c.active[i]; col != nil {
			if len(text) == 0 && !(c.csv && quoted && col.kind == arrow.STRING) {
				col.addNull()
			} else if err := c.value(col, text); err != nil {
				return err
			}
		} else if len(text) > 0 {
			if err := c.check(c.cols[i], text); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		at = next
	}
}

// check returns an error if the text is not a value of col. It is called for columns that Decode does not return.
func (c *delimitedCodec) check(col *column, text []byte) error {
	if col.kind == arrow.STRING {
		if !utf8.Valid(text) {
			return fmt.Errorf("column %s: %w", col.path, errUTF8)
		}
		return nil
	}
	if !col.checked {
		col.start(0)
		col.checked = true
	}
	err := c.value(col, text)
	col.cut(0)
	return err
}

// wrongCount returns the error for a record with too few or too many fields, or a fault in the rest of the record.
func (c *delimitedCodec) wrongCount(record []byte) error {
	n := 0
	for at := 0; at >= 0; n++ {
		var err error
		if _, _, at, err = c.field(record, at); err != nil {
			return err
		}
	}
	return fmt.Errorf("the record has %d fields, %d are declared", n, len(c.cols))
}

var (
	errQuoteOpen  = errors.New("a quoted field is not closed")
	errAfterQuote = errors.New("the delimiter does not follow the closing quote")
	errLineBreak  = errors.New("a line break is outside quotes")
	errUTF8       = errors.New("the text is not UTF-8")
)

// field returns the field at an index, whether it has quotes, and the index of the next field or -1.
func (c *delimitedCodec) field(record []byte, at int) (text []byte, quoted bool, next int, err error) {
	if at < len(record) && record[at] == '"' {
		return c.quoted(record, at+1)
	}
	end := bytes.IndexByte(record[at:], c.delim)
	next = at + end + 1
	if end < 0 {
		end, next = len(record)-at, -1
	}
	text = record[at : at+end]
	for _, b := range text {
		if b == '\n' || b == '\r' {
			return nil, false, 0, errLineBreak
		}
	}
	return text, false, next, nil
}

// quoted reads the rest of a field whose opening quote is before at. The text is valid until the next call.
func (c *delimitedCodec) quoted(record []byte, at int) (text []byte, quoted bool, next int, err error) {
	c.scratch = c.scratch[:0]
	for {
		end := bytes.IndexByte(record[at:], '"')
		if end < 0 {
			return nil, true, 0, errQuoteOpen
		}
		c.scratch = append(c.scratch, record[at:at+end]...)
		if at += end + 1; at == len(record) || record[at] != '"' {
			break
		}
		c.scratch = append(c.scratch, '"')
		at++
	}
	for at < len(record) && record[at] != c.delim {
		if !jsontext.IsBlank(record[at]) {
			return nil, true, 0, errAfterQuote
		}
		at++
	}
	if at == len(record) {
		return c.scratch, true, -1, nil
	}
	return c.scratch, true, at + 1, nil
}

// value converts a field's text and appends it to col. Only the text of a STRING may be empty.
func (c *delimitedCodec) value(col *column, text []byte) error {
	var err error
	switch col.kind {
	case arrow.STRING:
		if !utf8.Valid(text) {
			return fmt.Errorf("column %s: %w", col.path, errUTF8)
		}
		col.addText(text)
	case arrow.BINARY:
		var ok bool
		if col.data, ok = appendBase64(col.data, text); !ok {
			return refusal(col, text, errBase64)
		}
		col.addedText()
	case arrow.BOOL:
		switch body := trimBlanks(text); {
		case strings.EqualFold(view(body), "true"):
			col.addBool(true)
		case strings.EqualFold(view(body), "false"):
			col.addBool(false)
		default:
			return refusal(col, text, errNotBoolean)
		}
	case arrow.DECIMAL128:
		t := col.typ.(*arrow.Decimal128Type)
		v, err := parseDecimal(trimBlanks(text), t.Precision, t.Scale)
		if err != nil {
			return refusal(col, text, err)
		}
		col.addDecimal(v)
	case arrow.FLOAT32, arrow.FLOAT64:
		v, err := parseDouble(javaSpelling(text))
		if err == nil && col.kind == arrow.FLOAT32 && overflows32(v) {
			err = errOutOfRange
		}
		if err != nil {
			return refusal(col, text, err)
		}
		col.addDouble(v)
	default:
		var v int64
		if v, err = parseInteger(text); err == errNotNumber && c.csv {
			v, err = parseISO(col.kind, string(trimBlanks(text)))
		}
		if err == nil && !col.inRange(v) {
			err = errOutOfRange
		}
		if err != nil {
			return refusal(col, text, err)
		}
		col.addInt(v)
	}
	return nil
}

var (
	errNotBoolean = errors.New("is neither true nor false")
	errNotTime    = errors.New("is neither a number nor ISO 8601")
)

// isoLayouts are the spellings of times that CSV accepts in addition to numbers. A time without a zone is UTC.
var isoLayouts = map[arrow.Type][]string{
	arrow.DATE32: {"2006-01-02"},
	arrow.TIME32: {"15:04:05", "15:04"},
	arrow.TIMESTAMP: {time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00",
		"2006-01-02"},
}

// parseISO parses an ISO 8601 date or time into the units of a column type: days or ms.
func parseISO(kind arrow.Type, text string) (int64, error) {
	layouts, ok := isoLayouts[kind]
	if !ok {
		return 0, errNotNumber
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		switch kind {
		case arrow.DATE32:
			return t.Unix() / (24 * 60 * 60), nil
		case arrow.TIME32:
			return t.Sub(t.Truncate(24 * time.Hour)).Milliseconds(), nil
		}
		return t.UnixMilli(), nil
	}
	return 0, errNotTime
}

// Encode appends the fields of a row. A NULL is an empty field. An unwrapped NULL is a null record: the result is nil.
func (c *delimitedCodec) Encode(dst []byte, cols []arrow.Array, row int) ([]byte, error) {
	if c.spec.Unwrapped && cols[0].IsNull(row) {
		return nil, nil
	}
	if dst == nil {
		dst = []byte{} // a line with a single NULL is empty, but not a null record
	}
	for i, col := range cols {
		if i > 0 {
			dst = append(dst, c.delim)
		}
		if col.IsNull(row) {
			continue
		}
		at := len(dst)
		dst = appendPlain(dst, col, row)
		if c.mustQuote(dst[at:], i == 0) {
			dst = quote(dst, at)
		}
	}
	return dst, nil
}

// appendPlain appends the text of a scalar that is not NULL, without quotes.
func appendPlain(dst []byte, a arrow.Array, row int) []byte {
	switch a := a.(type) {
	case *array.String:
		return append(dst, a.Value(row)...)
	case *array.Binary:
		return base64.StdEncoding.AppendEncode(dst, a.Value(row))
	case *array.Float64:
		return flow.AppendDouble(dst, a.Value(row))
	case *array.Float32:
		return flow.AppendFloat(dst, a.Value(row))
	case *array.Boolean:
		return strconv.AppendBool(dst, a.Value(row))
	}
	return AppendJSON(dst, a, row, 0)
}

// mustQuote reports whether a field needs quotes, as in Commons CSV: the first field if it is empty or does not begin
// with an ASCII letter or digit; any field that begins with a character up to '#', ends in a blank, or contains the
// delimiter, a quote or a line break. In format CSV, empty text needs quotes, too.
func (c *delimitedCodec) mustQuote(text []byte, first bool) bool {
	if len(text) == 0 {
		return first || c.csv
	}
	b, last := text[0], text[len(text)-1]
	if b <= '#' || last <= ' ' {
		return true
	}
	if first && !(b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z') {
		return true
	}
	for _, b := range text {
		if b == c.delim || b == '"' || b == '\n' || b == '\r' {
			return true
		}
	}
	return false
}

// quote encloses dst[at:] in quotes and doubles the quotes inside.
func quote(dst []byte, at int) []byte {
	inside := bytes.Count(dst[at:], []byte{'"'})
	from := len(dst) - 1
	for range inside + 2 {
		dst = append(dst, '"')
	}
	to := len(dst) - 2
	for ; from >= at; from-- {
		dst[to] = dst[from]
		to--
		if dst[from] == '"' {
			dst[to] = '"'
			to--
		}
	}
	dst[at] = '"'
	return dst
}
