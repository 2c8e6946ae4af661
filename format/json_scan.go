package format

import "github.com/streamql/streamql/jsontext"

// The limits on a record.
const (
	maxRecord   = 16 << 20
	maxDepth    = 128
	maxElements = 1_000_000
)

// parser reads one JSON record into columns. Methods that return a bool leave the cause in Err when it is false.
type parser struct {
	jsontext.Scanner
	scratch []byte // unescaped text
	pairs   []pair // of the maps being read
}

func newParser() parser {
	return parser{Scanner: jsontext.New(jsontext.Limits{Depth: maxDepth, Elements: maxElements, Digits: maxDigits})}
}

func (p *parser) begin(buf []byte) {
	p.Begin(buf)
	p.pairs, p.scratch = p.pairs[:0], p.scratch[:0]
}

// number scans a number and gives its text.
func (p *parser) number() (number, []byte, bool) {
	from := p.Pos
	n, end := scanNumber(p.Buf, from)
	if end < 0 {
		return n, nil, p.BadNumber()
	}
	p.Pos = end
	return n, p.Buf[from:end], true
}
