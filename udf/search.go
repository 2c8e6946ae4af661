package udf

import (
	"io"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// Go's regular expressions take time in proportion to text times program and cannot be
// interrupted. Finding all matches may even take the square of the text, because each search
// may run to its end. Matches are therefore found one at a time, and a search that may be long
// reads its text through a reader that ends the text when the account refuses to continue.

const (
	maxExpression = 64 << 10
	longSearch    = 8 << 20 // instructions times bytes: some ten milliseconds
)

var errPattern = limit("the regular expression is longer than %d bytes", maxExpression)

// searcher finds matches of a pattern from any place in a text.
type searcher struct {
	*regexp.Regexp
	// inner finds matches that do not begin at the first character. Its text begins with the
	// character before, so that ^ and \b see it. nil: the pattern does not look back.
	inner *regexp.Regexp
	size  int // of the program, in instructions
}

func newSearcher(re *regexp.Regexp, pattern string) (*searcher, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	s := &searcher{Regexp: re, size: len(program.Inst)}
	for _, in := range program.Inst {
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyEndLine|syntax.EmptyEndText) != 0 {
			s.inner, err = regexp.Compile(`\A(?s:.)(?s:.)*?(` + pattern + `)`)
			break
		}
	}
	return s, err
}

// find returns the bounds of the first match from pos on, and of its groups; nil: there is
// none.
func (s *searcher) find(text string, pos int, env Env) []int {
	if !env.Account.Work(int64(len(text)-pos) * int64(s.size)) { // the maximum cost
		return nil
	}
	if pos == 0 || s.inner == nil {
		return moved(s.search(s.Regexp, text[pos:], env), pos)
	}
	_, before := utf8.DecodeLastRuneInString(text[:pos])
	at := moved(s.search(s.inner, text[pos-before:], env), pos-before)
	if at == nil {
		return nil
	}
	return at[2:] // without the whole, which begins too early
}

func moved(at []int, by int) []int {
	for i := range at {
		if at[i] >= 0 {
			at[i] += by
		}
	}
	return at
}

func (s *searcher) search(re *regexp.Regexp, text string, env Env) []int {
	if len(text) <= longSearch/s.size {
		return re.FindStringSubmatchIndex(text)
	}
	return re.FindReaderSubmatchIndex(&watched{text: text, env: env, cost: int64(s.size)})
}

// watched reads a text until the account ends the work.
type watched struct {
	text string
	env  Env
	cost int64
}

// ReadRune implements io.RuneReader.
func (w *watched) ReadRune() (rune, int, error) {
	if w.text == "" || !w.env.Account.Work(w.cost) {
		return 0, 0, io.EOF
	}
	r, n := utf8.DecodeRuneInString(w.text)
	w.text = w.text[n:]
	return r, n, nil
}

// all calls f for each match, as regexp's FindAll finds them: an empty match directly after
// another does not count.
func (s *searcher) all(text string, env Env, f func(at []int) error) error {
	for pos, last := 0, -1; pos <= len(text); {
		at := s.find(text, pos, env)
		if at == nil {
			break
		}
		counts := true
		if at[1] == pos {
			counts = at[0] != last
			_, n := utf8.DecodeRuneInString(text[pos:])
			pos += max(n, 1)
		} else {
			pos = at[1]
		}
		last = at[1]
		if !counts {
			continue
		}
		if err := f(at); err != nil {
			return err
		}
	}
	return env.Account.Err()
}
