package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Like is x [NOT] LIKE pattern [ESCAPE c]: % matches any text, _ one character.
type Like struct {
	X, Pattern Expr
	Escape     rune // 0: none
	Not        bool
}

// NewLike binds LIKE.
func NewLike(x, pattern Expr, escape string, not bool) (Expr, error) {
	for _, e := range []Expr{x, pattern} {
		if e.Type().ID() != arrow.STRING && e.Type().ID() != arrow.NULL {
			return nil, fmt.Errorf("LIKE needs STRING operands, not %s", flow.TypeName(e.Type()))
		}
	}
	runes := []rune(escape)
	if len(runes) > 1 {
		return nil, errors.New("ESCAPE takes one character")
	}
	l := &Like{X: Convert(x, flow.String), Pattern: Convert(pattern, flow.String), Not: not}
	if len(runes) == 1 {
		l.Escape = runes[0]
	}
	return l, nil
}

// Type implements Expr.
func (l *Like) Type() flow.Type { return flow.Boolean }

// Inputs implements Expr.
func (l *Like) Inputs() []Expr { return []Expr{l.X, l.Pattern} }

// With implements Expr.
func (l *Like) With(in []Expr) Expr { return &Like{in[0], in[1], l.Escape, l.Not} }

// String implements Expr.
func (l *Like) String() string {
	not, escape := "", ""
	if l.Not {
		not = "NOT "
	}
	if l.Escape != 0 {
		escape = " ESCAPE '" + string(l.Escape) + "'"
	}
	return fmt.Sprintf("(%s %sLIKE %s%s)", l.X, not, l.Pattern, escape)
}

// Eval implements Expr.
func (l *Like) Eval(in *flow.Batch, env udf.Env) arrow.Array {
	x, p := eval(l.X, in, env), eval(l.Pattern, in, env)
	xc, pc := x.col.(*array.String), p.col.(*array.String)
	n := in.Rows()
	v := bothNulls(n, x, p)
	bits := make([]byte, (n+7)/8)
	var match func(string) bool
	last := ""
	for i := range n {
		if v.IsNull(i) {
			continue
		}
		if pattern := pc.Value(i & p.mask); match == nil || pattern != last {
			match, last = matcher(pattern, l.Escape), pattern
		}
		setBit(bits, i, match(xc.Value(i&x.mask)) != l.Not)
	}
	return flow.Bools(n, bits, v)
}

type likePart struct {
	any bool   // %: any text before the literal
	pat []rune // -1 stands for _
}

const oneRune = rune(-1)

// matcher compiles a pattern to runs of fixed characters between %. Each run is matched at its
// first possible position, which is sufficient because a later position never allows a match
// that an earlier one does not.
func matcher(pattern string, escape rune) func(string) bool {
	parts := []likePart{{}}
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		last := &parts[len(parts)-1]
		switch r := runes[i]; {
		case escape != 0 && r == escape && i+1 < len(runes):
			i++
			last.pat = append(last.pat, runes[i])
		case r == '%':
			parts = append(parts, likePart{any: true})
		case r == '_':
			last.pat = append(last.pat, oneRune)
		default:
			last.pat = append(last.pat, r)
		}
	}
	if text, ok := plain(parts); ok {
		switch {
		case len(parts) == 1:
			return func(s string) bool { return s == text[0] }
		case len(parts) == 2:
			return func(s string) bool {
				return len(s) >= len(text[0])+len(text[1]) && strings.HasPrefix(s, text[0]) &&
					strings.HasSuffix(s, text[1])
			}
		}
	}
	return func(s string) bool { return matchParts([]rune(s), parts) }
}

func plain(parts []likePart) ([]string, bool) {
	var out []string
	for _, p := range parts {
		for _, r := range p.pat {
			if r == oneRune {
				return nil, false
			}
		}
		out = append(out, string(p.pat))
	}
	return out, true
}

func matchParts(s []rune, parts []likePart) bool {
	if !prefix(s, parts[0].pat) {
		return false
	}
	s = s[len(parts[0].pat):]
	if len(parts) == 1 {
		return len(s) == 0
	}
	for _, p := range parts[1 : len(parts)-1] {
		at := find(s, p.pat)
		if at < 0 {
			return false
		}
		s = s[at+len(p.pat):]
	}
	tail := parts[len(parts)-1].pat
	return len(s) >= len(tail) && prefix(s[len(s)-len(tail):], tail)
}

func prefix(s, pat []rune) bool {
	if len(s) < len(pat) {
		return false
	}
	for i, r := range pat {
		if r != oneRune && s[i] != r {
			return false
		}
	}
	return true
}

func find(s, pat []rune) int {
	for i := 0; i+len(pat) <= len(s); i++ {
		if prefix(s[i:], pat) {
			return i
		}
	}
	return -1
}
