package lang

import (
	"math"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// Parse reads the clause after the word TRAIN.
func (t *Train) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	t.At = r.here()
	t.Mode = r.oneOf("ONCE", "EACH")
	if t.Mode == "EACH" {
		t.Mode += " " + r.oneOf("WINDOW", "EVENT")
	}
	switch t.Mode {
	case "EACH WINDOW":
		switch {
		case r.word("FRESH"):
			t.Memory = "FRESH"
		case r.word("WARM"):
			r.want("START")
			t.Memory = "WARM START"
		case r.word("DECAY"):
			t.Memory, t.Decay = "DECAY", r.number()
		}
	case "EACH EVENT":
		if !r.word("PUBLISH") {
			break
		}
		r.want("EVERY")
		if at := r.here(); isWord(r.peek2(), "ROWS") {
			t.Rows = &Count{at, r.count(math.MaxInt64)}
			r.want("ROWS")
		} else {
			t.Every = r.interval()
		}
	}
	return r.result()
}

// Parse reads the clause after the word EVALUATE.
func (e *Evaluate) Parse(lex *lexer.PeekingLexer) error {
	r := reader{lex: lex}
	e.At = r.here()
	e.Mode = r.oneOf("PREQUENTIAL", "HOLDOUT", "TEST", "NONE")
	switch e.Mode {
	case "PREQUENTIAL":
		if isWord(r.peek(), "WINDOW") {
			r.next()
			e.Window = &Count{r.here(), r.count(math.MaxInt64)}
		} else if r.word("FADING") {
			e.Fading = r.number()
		}
	case "HOLDOUT":
		e.Share = r.number()
		r.want("BY")
		r.want("TIME")
	case "TEST":
		r.want("ON")
		r.wantOp("(")
		if r.err != nil {
			break
		}
		q, err := queryGrammar().ParseFromLexer(lex, participle.AllowTrailing(true))
		if err != nil {
			return err
		}
		e.Query = q
		r.wantOp(")")
	}
	return r.result()
}
