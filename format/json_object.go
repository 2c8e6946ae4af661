package format

import (
	"strings"

	"github.com/streamql/streamql/jsontext"
)

// object is how the members of a JSON object find their columns: by exact name first, else without case; the last of equals wins.
//
// Records of a topic are nearly always laid out alike, so what stands between two values is compared as a whole with what stood
// there last time: the comma, the blanks, the key and the colon are one comparison of bytes. Each such run is an entry that remembers
// the one that followed it. Where the guess is wrong the run is parsed and looked up, and guessing goes on from there.
type object struct {
	names   []string
	folded  map[string][]int // fields by name in capitals
	active  []*column        // by field; nil: not wanted
	checks  []*column        // by field: the column that checks the values of a field that is not wanted
	exact   []bool           // by field: its value in this object came by its exact name
	entries map[string]*entry
	first   *entry
	spare   entry // for a run that is not kept
}

type entry struct {
	run   string
	feeds []feed
	next  *entry
}

// feed is one field that takes the value of a key. Two fields whose names differ in case only may both take it.
type feed struct {
	field int
	exact bool
}

// Bounds on what is remembered of a topic whose keys never repeat.
const (
	maxEntries = 4096
	maxRun     = 512
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

// object reads an object at the parser's place into the active columns of o, one value each. row is how many they have.
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
				p.Blanks() // the run before had none behind its colon
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

func (p *parser) feed(o *object, f feed, row int) bool {
	c := o.active[f.field]
	if c == nil {
		return p.check(o.checks[f.field])
	}
	if c.n != row { // the key came before
		if o.exact[f.field] && !f.exact {
			return p.Skip()
		}
		c.cut(row)
	}
	o.exact[f.field] = f.exact
	return p.value(c)
}

// member reads what leads to the next value of an object: its entry, and false at the object's end or (with p.Err) at
// a fault.
func (p *parser) member(o *object, prev *entry) (*entry, bool) {
	from := p.Pos
	p.Blanks()
	switch {
	case p.Peek() == '}' && prev != nil:
		p.Pos++
		return nil, false
	case prev == nil: // the opening brace, seen by the caller
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
