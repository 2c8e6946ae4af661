package lang

import (
	"fmt"
	"math"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// Parse reads the scan clauses, all of which are optional.
func (s *Scan) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	s.At = r.here()
	if isWord(r.peek(), "PARTITIONS") && isOp(r.peek2(), "(") {
		r.next()
		r.partitions(s)
	}
	if r.word("SINCE") {
		s.Since = r.point()
	}
	if r.word("UNTIL") {
		s.Until = r.point()
	}
	if isWord(r.peek(), "ON") && isWord(r.peek2(), "GAP") {
		r.next()
		r.next()
		s.OnGap = string(r.oneOf("FAIL", "SKIP"))
	}
	return r.result()
}

// partitions reads (0, 3..5).
func (r *reader) partitions(s *Scan) {
	const most = 1<<31 - 1
	r.wantOp("(")
	for ok := true; ok && r.err == nil; ok = r.op(",") {
		p := PartitionRange{At: r.here()}
		t := r.peek()
		p.From = int(r.count(most))
		p.To = p.From
		if r.op("..") {
			p.To = int(r.count(most))
		}
		if p.To < p.From {
			r.fail(t, "SQ1014", fmt.Sprintf("the range of partitions %d..%d runs backwards", p.From, p.To), "", "")
		}
		s.Partitions = append(s.Partitions, p)
	}
	r.wantOp(")")
}

// point reads a position in a topic.
func (r *reader) point() *Point {
	p := &Point{At: r.here()}
	t := r.peek()
	switch {
	case isAnyWord(t, []string{"EARLIEST", "LATEST", "NOW"}):
		p.Kind = strings.ToUpper(r.next().Value)
	case r.word("OFFSET"):
		p.Kind, p.N = "OFFSET", r.count(math.MaxInt64)
	case isWord(t, "TIMESTAMP") || t.Type == text:
		r.word("TIMESTAMP")
		p.Kind = "TIMESTAMP"
		if v := r.peek(); v.Type == param {
			p.Value = &Param{r.here(), r.paramNumber()}
		} else {
			p.Value = r.literal()
		}
	case t.Type == param:
		p.Kind, p.Value = "PARAM", &Param{r.here(), r.paramNumber()}
	case t.Type == number:
		p.Kind, p.Value = "AGO", r.interval()
		r.want("AGO")
	default:
		r.unexpected("EARLIEST", "LATEST", "NOW", "OFFSET", "TIMESTAMP", "a length of time AGO")
	}
	return p
}
