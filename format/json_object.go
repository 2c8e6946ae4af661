package format

import (
	"strings"

	"github.com/streamql/streamql/jsontext"
)

// object maps the members of a JSON object to columns. A key with exactly the column's name has precedence over a key
// that differs in case. Among keys of equal precedence, the last one wins.
//
// The records of a topic nearly always have the same layout. Therefore the parser compares the bytes between two values
// with the bytes at the same position of the previous record: the comma, the blanks, the key and the colon are one
// comparison. These bytes are a run. Each run has an entry, which points to the entry that followed it last. If a run
// differs from the expected one, the parser parses it, looks up its entry and continues from there.
type object struct {
	names   []string
	folded  map[string][]int // fields by upper-case name
	active  []*column        // by field; nil: Decode does not return the field
	checks  []*column        // by field: the column that checks values if active has none
	exact   []bool           // by field: the key of its value in this object was the exact name
	entries map[string]*entry
	first   *entry // the first run of the previous object
	spare   entry  // for a run that is not stored in entries
}

// entry is a run and the fields to which the value after it belongs.
type entry struct {
	run   string
	feeds []feed
	next  *entry // the run after the next value, in the last object with this run
}

// feed is one field that receives the value of a key. A key has two feeds if the names of two fields differ only in
// case.
type feed struct {
	field int
	exact bool
}

// The limits on the memory of an object's entries, for topics whose keys never repeat.
const (
	maxEntries = 4096
	maxRun     = 512 // bytes
)

func newObject(cols []*column) *object {
	o := &object{folded: map[string][]int{}, exact: make([]bool, len(cols)), entries: map[string]*entry{}, checks: cols}
	for i, c := range cols {
		o.names = append(o.names, c.name)
		upper := strings.ToUpper(c.name)
		o.folded[upper] = append(o.folded[upper], i)
	}
	return o
}

// object parses an object and appends one value to each active column of o. row is the number of values that the
// columns have before the call.
func (p *parser) object(o *object, row int) bool {
	if !p.Enter() {
		return false
	}
	buf := p.Buf
	e := o.first
	for prev := (*entry)(nil); ; prev, e = e, e.next {
		i := p.Pos
		if e != nil && len(buf)-i >= len(e.run) && string(buf[i:i+len(e.run)]) == e.run {
			if p.Pos = i + len(e.run); p.Pos < len(buf) && buf[p.Pos] <= ' ' {
				p.Blanks() // the stored run had no blanks after its colon
			}
		} else {
			var more bool
			if e, more = p.member(o, prev); !more {
				break
			}
		}
		if !p.Count() {
			return false
		}
		at := p.Pos
		if len(e.feeds) == 0 && !p.Skip() {
			return false
		}
		for k := range e.feeds {
			p.Pos = at
			if !p.feed(o, e.feeds[k], row) {
				return false
			}
		}
	}
	if p.Err != nil {
		return false
	}
	p.Depth--
	for _, c := range o.active {
		if c != nil && c.n == row {
			c.addNull()
		}
	}
	return true
}

// feed parses a value for one field. If the field has a value from an earlier key, the key with precedence wins.
func (p *parser) feed(o *object, f feed, row int) bool {
	c := o.active[f.field]
	if c == nil {
		return p.check(o.checks[f.field])
	}
	if c.n != row { // an earlier key of this object had the field's name
		if o.exact[f.field] && !f.exact {
			return p.Skip()
		}
		c.cut(row)
	}
	o.exact[f.field] = f.exact
	return p.value(c)
}

// member parses the run before the next value of an object and returns its entry. It returns false at the end of the
// object, and after an error, which is in p.Err.
func (p *parser) member(o *object, prev *entry) (*entry, bool) {
	from := p.Pos
	p.Blanks()
	switch {
	case p.Peek() == '}' && prev != nil:
		p.Pos++
		return nil, false
	case prev == nil: // the caller has checked the opening brace
		p.Pos++
		p.Blanks()
		if p.Peek() == '}' {
			p.Pos++
			return nil, false
		}
	case p.Pos >= len(p.Buf):
		p.Err = jsontext.ErrEnd
		return nil, false
	case p.Peek() != ',':
		return nil, p.Fail("byte %d: neither a comma nor the object's end follows the value", p.Pos)
	default:
		p.Pos++
		p.Blanks()
	}
	raw, escaped, ok := p.Text()
	if !ok {
		return nil, false
	}
	if !p.Colon() {
		return nil, false
	}
	e := o.entry(p, p.Buf[from:p.Pos], raw, escaped)
	switch {
	case e == &o.spare:
	case prev == nil:
		o.first = e
	case prev != &o.spare:
		prev.next = e
	}
	return e, true
}

// entry returns the entry of a run with a key, and stores it unless a limit is reached.
func (o *object) entry(p *parser, run, key []byte, escaped bool) *entry {
	if e := o.entries[string(run)]; e != nil {
		return e
	}
	if escaped {
		p.scratch = jsontext.AppendUnescaped(p.scratch[:0], key)
		key = p.scratch
	}
	var feeds []feed
	for _, f := range o.folded[strings.ToUpper(string(key))] {
		feeds = append(feeds, feed{f, o.names[f] == string(key)})
	}
	if len(run) > maxRun || len(o.entries) >= maxEntries {
		o.spare = entry{feeds: feeds}
		return &o.spare
	}
	e := &entry{run: string(run), feeds: feeds}
	o.entries[e.run] = e
	return e
}
