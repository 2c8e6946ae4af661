package format

import "github.com/streamql/streamql/jsontext"

// The limits on a record.
const (
	maxRecord   = 16 << 20  // bytes
	maxDepth    = 128       // nested arrays and objects
	maxElements = 1_000_000 // array elements and object members
)

// parser parses one JSON record into columns. A method that returns false has set Err.
type parser struct {
	jsontext.Scanner
	scratch []byte // unescaped text
	pairs   []pair // the members of the MAPs that contain the current position
}

// newParser returns a parser with the limits of this package.
func newParser() parser {
	return parser{Scanner: jsontext.New(jsontext.Limits{Depth: maxDepth, Elements: maxElements, Digits: maxDigits})}
}

// begin starts a record and clears the error of the previous one.
func (p *parser) begin(buf []byte) {
	p.Begin(buf)
	p.pairs, p.scratch = p.pairs[:0], p.scratch[:0]
}

// number scans a number and returns its value and text.
func (p *parser) number() (number, []byte, bool) {
	from := p.Pos
	n, end := scanNumber(p.Buf, from)
	if end < 0 {
		return n, nil, p.BadNumber()
	}
	p.Pos = end
	return n, p.Buf[from:end], true
}
