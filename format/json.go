package format

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/topic"
)

var _ = builtin(Format{
	Name: "JSON",
	Doc: "One JSON object with a member for each column. Member names may differ in case from the column, but an " +
		"exact name has precedence. A single column may also be the whole value.",
	File: &File{Endings: []string{".json", ".jsonl", ".ndjson"}},
	Open: alone(openJSON),
	Examples: []Example{{
		SQL: `CREATE STREAM trips (car STRING KEY, km DOUBLE, stops ARRAY<STRING>) WITH (topic='trips', format='json');
INSERT INTO trips (car, km, stops) VALUES ('a', 1.5, ARRAY['x', 'y']);
SELECT car, km, stops FROM trips;`,
		Want: `a,1.5,"[""x"",""y""]"`,
	}},
})

// jsonCodec reads and writes a record as a JSON object with a member for each field. If the Spec is Unwrapped, the
// record is the value of the only field.
//
// The schema directs the parser: it appends each value from the record's bytes to the column, without an intermediate
// form. A record is bad if the value of any declared column is bad, whether or not Decode returns the column. Members
// that are not declared must be valid JSON.
type jsonCodec struct {
	spec   Spec
	cols   []*column // all fields; a column that Decode does not return checks the values
	root   *object
	active []*column // by field: the column, or nil if Decode does not return it
	parser parser
	writer writer
}

// openJSON returns a codec. A MAP whose keys are not STRING is ErrUnsupported.
func openJSON(s Request) (Codec, error) {
	c := &jsonCodec{spec: s.Spec, parser: newParser(),
		cols: make([]*column, len(s.Fields)), active: make([]*column, len(s.Fields))}
	for i, f := range s.Fields {
		col, err := newColumn(f, "")
		if err != nil {
			return nil, err
		}
		if err := prepareJSON(col, 2); err != nil {
			return nil, err
		}
		c.cols[i] = col
	}
	c.root = newObject(c.cols)
	c.writer = newWriter(s.Spec)
	return c, nil
}

// prepareJSON sets the object of every STRUCT. It returns an error for types that the format does not support.
func prepareJSON(c *column, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("column %s nests deeper than %d", c.path, maxDepth)
	}
	if m, ok := c.typ.(*arrow.MapType); ok && m.KeyType().ID() != arrow.STRING {
		return fmt.Errorf("column %s is a MAP whose keys are not STRING, which is %w", c.path, ErrUnsupported)
	}
	for _, kid := range c.kids {
		if err := prepareJSON(kid, depth+1); err != nil {
			return err
		}
	}
	if c.kind == arrow.STRUCT {
		c.object = newObject(c.kids)
		c.object.active = c.kids
	}
	return nil
}

// Decode reads records as JSON: see Codec.
func (c *jsonCodec) Decode(in *topic.Bytes, want []int) ([]arrow.Array, []Bad, error) {
	rows := in.Len()
	clear(c.active)
	for _, f := range want {
		c.active[f] = c.cols[f]
		c.cols[f].start(rows)
	}
	c.root.active = c.active
	var bad []Bad
	p := &c.parser
	for row := range rows {
		record, ok := recordAt(in, row)
		if !ok {
			c.end(want, row)
			continue
		}
		if !c.record(p, record, row) {
			for _, f := range want {
				c.cols[f].cut(row)
			}
			c.end(want, row)
			bad = append(bad, Bad{row, p.Err})
		}
	}
	p.Buf = nil
	return finish(c.cols, want, bad)
}

// end appends NULL to the columns of want that have no value for row.
func (c *jsonCodec) end(want []int, row int) {
	for _, f := range want {
		if c.cols[f].n == row {
			c.cols[f].addNull()
		}
	}
}

// finish returns the arrays of the columns with the indexes in want, and bad.
func finish(all []*column, want []int, bad []Bad) ([]arrow.Array, []Bad, error) {
	cols := make([]arrow.Array, len(want))
	for i, f := range want {
		var err error
		if cols[i], err = all[f].finish(); err != nil {
			return nil, nil, err
		}
	}
	return cols, bad, nil
}

// record reads one record into the active columns. If it returns false, p.Err is the reason.
func (c *jsonCodec) record(p *parser, record []byte, row int) bool {
	p.begin(record) // begin comes first, because it clears the error of the previous record
	if len(record) > maxRecord {
		return p.Fail("the record has %d bytes, the limit is 16 MiB", len(record))
	}
	if len(record) > 5 && record[0] == 0 { // a schema registry's frame: a zero byte and a schema id of 4 bytes
		p.Pos = 5
	}
	p.Blanks()
	switch {
	case p.Pos == len(record):
		return p.Fail("the record is empty")
	case c.spec.Unwrapped:
		if col := c.active[0]; col != nil {
			if !p.value(col) {
				return false
			}
		} else if !p.check(c.cols[0]) {
			return false
		}
	case p.Peek() == 'n':
		if !p.Word("null") {
			return false
		}
		for _, col := range c.active {
			if col != nil {
				col.addNull()
			}
		}
	case p.Peek() != '{':
		return p.Fail("the record is %s, not an object", p.Kind())
	default:
		if !p.object(c.root, row) {
			return false
		}
	}
	p.Blanks()
	if p.Pos != len(record) {
		return p.Fail("byte %d: something follows the value", p.Pos)
	}
	return true
}
