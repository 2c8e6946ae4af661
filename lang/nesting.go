package lang

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// nesting counts the depth of the newest token: brackets, CASE .. END, the prefix operators before an operand, and
// the arguments of ARRAY<..>, MAP<..> and STRUCT<..>.
type nesting struct {
	open []outer // the open brackets, outermost first
	runs int     // prefix operators since the last operand
	ops  int     // operators since the last comma, in the innermost bracket
	sum  int     // depth
}

// outer is an open bracket, or C for CASE, with the counts at its opening.
type outer struct {
	kind      byte
	runs, ops int
}

// add counts the last of tokens and returns the depth.
func (n *nesting) add(tokens []lexer.Token) int {
	last := len(tokens) - 1
	t := tokens[last]
	switch t.Type {
	case operator:
		switch v := t.Value; v {
		case "(", "[":
			n.push(v[0])
		case ")", "]":
			n.pop(v[0])
		case ";":
			*n = nesting{open: n.open[:0]}
		case ",":
			n.ops = 0
		case "*", "/", "%", "||", "->", "=>":
			n.ops++
		case "<":
			if last > 0 && startsArguments(tokens[last-1]) {
				n.push('<')
			}
		case ">":
			if n.inside('<') {
				n.pop('>')
			}
		case "+", "-":
			n.ops++
			if last > 0 && tokens[last-1].Type == operator &&
				tokens[last-1].Value != ")" && tokens[last-1].Value != "]" {
				n.runs++
				n.sum++
			}
		}
	case word:
		n.word(t.Value, last > 0 && tokens[last-1].Type == operator &&
			(tokens[last-1].Value == "." || tokens[last-1].Value == "->"))
	default:
		n.operand()
	}
	return n.sum
}

func (n *nesting) word(v string, isName bool) {
	switch {
	case isName:
		n.operand()
	case strings.EqualFold(v, "NOT"):
		n.runs++
		n.sum++
	case strings.EqualFold(v, "CASE"):
		n.push('C')
	case strings.EqualFold(v, "END"):
		if n.inside('C') {
			n.pop('E')
		}
	case strings.EqualFold(v, "OR"), strings.EqualFold(v, "AND"):
		n.ops++
	default:
		n.operand()
	}
}

func (n *nesting) operand() {
	n.sum -= n.runs
	n.runs = 0
}

// inside reports whether kind is the innermost open bracket.
func (n *nesting) inside(kind byte) bool {
	return len(n.open) > 0 && n.open[len(n.open)-1].kind == kind
}

func (n *nesting) push(kind byte) {
	n.open = append(n.open, outer{kind, n.runs, n.ops})
	n.runs, n.ops = 0, 0
	n.sum++
}

// pop closes the open brackets down to the partner of kind. A bracket thereby also closes a CASE or a < that is
// still open inside it.
func (n *nesting) pop(kind byte) {
	for len(n.open) > 0 {
		last := n.open[len(n.open)-1]
		n.open = n.open[:len(n.open)-1]
		n.operand()
		n.runs, n.ops = last.runs, last.ops
		n.sum--
		n.operand()
		if kind == ')' && last.kind == '(' || kind == ']' && last.kind == '[' || kind == '>' || kind == 'E' {
			return
		}
	}
}

// startsArguments reports whether a < after t opens type arguments.
func startsArguments(t lexer.Token) bool {
	return isAnyWord(&t, []string{"ARRAY", "MAP", "STRUCT"})
}
