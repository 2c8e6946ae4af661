package udf

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/streamql/streamql/flow"
)

// Regular expressions are those of RE2: matching takes time linear in the text, whatever a
// record contains. Java's additional syntax is an error: lookaround, back-references,
// possessive quantifiers, atomic groups.

func compile(pattern string) (*searcher, error) {
	if len(pattern) > maxExpression {
		return nil, errPattern
	}
	re, err := regexp.Compile(pattern)
	if err == nil {
		return newSearcher(re, pattern)
	}
	for _, x := range []struct{ sign, what string }{
		{"(?=", "looking ahead"}, {"(?!", "looking ahead"}, {"(?<=", "looking behind"}, {"(?<!", "looking behind"}, {"(?>", "an atomic group"},
		{"++", "a possessive quantifier"}, {"*+", "a possessive quantifier"}, {"?+", "a possessive quantifier"},
		{`\1`, "a back-reference"}, {`\2`, "a back-reference"}, {`\k<`, "a back-reference"},
	} {
		if strings.Contains(pattern, x.sign) {
			return nil, fmt.Errorf(
				"the regular expression '%s' uses %s (%s), which RE2 syntax does not have",
				pattern,
				x.what,
				x.sign,
			)
		}
	}
	return nil, fmt.Errorf("the regular expression '%s' is not valid: %w", pattern, err)
}

var _ = builtin(
	overload(
		"REGEXP_EXTRACT",
		"the first part of a text that matches a regular expression, or the part that a group of it matched: "+
			"REGEXP_EXTRACT(pattern, text[, group]); NULL if there is none",
		[]Example{
			{"REGEXP_EXTRACT('[0-9]+', 'room 12')", "12"},
			{"REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", "there"},
		},
		made2("REGEXP_EXTRACT", "", func(env Env) func(string, string) (string, error) {
			f := extracts(env)
			return func(pattern, s string) (string, error) { return f(pattern, s, 0) }
		}),
		made3("REGEXP_EXTRACT", "", extracts),
	),
)

func extracts(env Env) func(pattern, s string, group int32) (string, error) {
	find := remember(compile)
	return func(pattern, s string, group int32) (string, error) {
		re, err := find(pattern)
		if err != nil {
			return "", err
		}
		if group < 0 || int(group) > re.NumSubexp() {
			return "", errNull
		}
		at := re.find(s, 0, env)
		if at == nil || at[2*group] < 0 {
			return "", errNull
		}
		return s[at[2*group]:at[2*group+1]], nil
	}
}

var _ = builtin(
	overload(
		"REGEXP_EXTRACT_ALL",
		"all parts of a text that match a regular expression, or the parts that a group of it matched, as an "+
			"ARRAY: REGEXP_EXTRACT_ALL(pattern, text[, group]); NULL if there is no such group",
		[]Example{
			{"REGEXP_EXTRACT_ALL('[0-9]+', '1 and 23')", "[1, 23]"},
			{`REGEXP_EXTRACT_ALL('(\w+) (\w+)', 'hello there nice day', 2)`, "[there, day]"},
		},
		extractsAll(flow.String, flow.String),
		extractsAll(flow.String, flow.String, flow.Int),
	),
)

func extractsAll(args ...flow.Type) Scalar {
	return bound("REGEXP_EXTRACT_ALL", "", func(have []flow.Type) (Signature, error) {
		return Signature{
				Args:   args,
				Result: flow.Array(flow.String),
				Kernel: eachMade(flow.Array(flow.String), false, func(env Env) func([]any) (any, error) {
					find := remember(compile)
					return func(args []any) (any, error) {
						group := int32(0)
						if len(args) == 3 {
							group = args[2].(int32)
						}
						re, err := find(args[0].(string))
						if err != nil {
							return nil, err
						}
						return extractAll(re, args[1].(string), group, env)
					}
				}),
			}, Accept(
				"REGEXP_EXTRACT_ALL",
				have,
				args...)
	})
}

func extractAll(re *searcher, s string, group int32, env Env) (any, error) {
	if group < 0 || int(group) > re.NumSubexp() {
		return nil, nil
	}
	out := []any{}
	err := re.all(s, env, func(at []int) error {
		if len(out) >= MaxList {
			return errMany
		}
		if at[2*group] < 0 {
			out = append(out, nil)
			return nil
		}
		out = append(out, s[at[2*group]:at[2*group+1]])
		return nil
	})
	return out, err
}

var _ = builtin(
	made3(
		"REGEXP_REPLACE",
		"the text with every match of a regular expression replaced: REGEXP_REPLACE(text, pattern, by), where $1 "+
			"is the text of the first group",
		func(env Env) func(string, string, string) (string, error) {
			find := remember(compile)
			return func(s, pattern, by string) (string, error) {
				re, err := find(pattern)
				if err != nil {
					return "", err
				}
				return replaceAll(re, s, by, env)
			}
		},
		Example{"REGEXP_REPLACE('aabab', 'ab', 'x')", "axx"},
		Example{"REGEXP_REPLACE('john smith', '(\\w+) (\\w+)', '$2 $1')", "smith john"},
	),
)

func replaceAll(re *searcher, s, by string, env Env) (string, error) {
	var out []byte
	last := 0
	err := re.all(s, env, func(at []int) error {
		out = append(out, s[last:at[0]]...)
		var err error
		if out, err = expand(out, re.Regexp, s, at, by); err != nil {
			return err
		}
		if len(out) > MaxText {
			return errLong
		}
		last = at[1]
		return nil
	})
	if err != nil {
		return "", err
	}
	return string(append(out, s[last:]...)), nil
}

// expand appends a replacement: $n and ${name} are groups, \ quotes the next character.
func expand(out []byte, re *regexp.Regexp, s string, at []int, by string) ([]byte, error) {
	for i := 0; i < len(by); i++ {
		switch {
		case by[i] == '\\' && i+1 < len(by):
			i++
			out = append(out, by[i])
		case by[i] == '$':
			group, width := groupAt(re, by[i+1:])
			if group < 0 || group > re.NumSubexp() {
				return nil, fmt.Errorf("the replacement '%s' names a group that the pattern does not have", by)
			}
			if at[2*group] >= 0 {
				out = append(out, s[at[2*group]:at[2*group+1]]...)
			}
			i += width
		default:
			out = append(out, by[i])
		}
	}
	return out, nil
}

// groupAt reads a group's number, as many digits as still name a group, or {name}.
func groupAt(re *regexp.Regexp, s string) (group, width int) {
	if strings.HasPrefix(s, "{") {
		name, _, ok := strings.Cut(s[1:], "}")
		if !ok {
			return -1, 0
		}
		return re.SubexpIndex(name), len(name) + 2
	}
	group = -1
	for width < len(s) && s[width] >= '0' && s[width] <= '9' {
		n := max(group, 0)*10 + int(s[width]-'0')
		if width > 0 && n > re.NumSubexp() {
			break
		}
		group = n
		width++
	}
	return group, width
}

var _ = builtin(
	Scalar{
		Name: "REGEXP_SPLIT_TO_ARRAY",
		Doc: "the parts of a text between the matches of a regular expression: REGEXP_SPLIT_TO_ARRAY(text, " +
			"pattern); an empty pattern returns every character",
		Bind: func(have []flow.Type) (Signature, error) {
			args := repeat(flow.String, 2)
			return Signature{
					Args:   args,
					Result: flow.Array(flow.String),
					Kernel: eachMade(flow.Array(flow.String), false, func(env Env) func([]any) (any, error) {
						find := remember(compile)
						return func(args []any) (any, error) {
							re, err := find(args[1].(string))
							if err != nil {
								return nil, err
							}
							if args[0] == "" {
								return []any{""}, nil
							}
							return split(re, args[0].(string), env)
						}
					}),
				}, Accept(
					"REGEXP_SPLIT_TO_ARRAY",
					have,
					args...)
		},
		Examples: []Example{{"REGEXP_SPLIT_TO_ARRAY('aabcda', 'ab|cd')", "[a, , a]"}},
	},
)

// split is regexp's Split, which defines how empty matches count.
func split(re *searcher, s string, env Env) (any, error) {
	out := []any{}
	from, to := 0, 0
	err := re.all(s, env, func(at []int) error {
		if len(out) >= MaxList {
			return errMany
		}
		if to = at[0]; at[1] != 0 {
			out = append(out, s[from:to])
		}
		from = at[1]
		return nil
	})
	if to != len(s) {
		out = append(out, s[from:])
	}
	return out, err
}
