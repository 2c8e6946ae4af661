package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Problem is the first difference between a case's results and its expectations.
type Problem struct {
	Line          int // of the test file
	Msg           string
	Expected, Got string // JSON, if the problem is about values
	Stack         string // of a panic
}

// judge compares the results of a case with its expectations; nil if they match.
func judge(c *Case, got *actual) *Problem {
	if c.Error != nil {
		return judgeError(c, got)
	}
	if e := got.err; e != nil {
		return &Problem{Line: e.line, Msg: fmt.Sprintf("statement %d failed (%s): %s", e.Statement, e.Stage, e.Message)}
	}
	cmp := comparer{tolerance: c.Tolerance}
	for i := range c.Outputs {
		if p := cmp.output(&c.Outputs[i], got); p != nil {
			return p
		}
	}
	for i := range c.Queries {
		if c.Queries[i].Rows == nil {
			continue
		}
		if p := cmp.rows(i, &c.Queries[i], got.rows[i]); p != nil {
			return p
		}
	}
	for _, s := range c.Sources {
		if p := judgeSource(s, got.sources); p != nil {
			return p
		}
	}
	for _, t := range c.Created {
		if p := judgeCreated(t, got); p != nil {
			return p
		}
	}
	return nil
}

func judgeError(c *Case, got *actual) *Problem {
	want, e := c.Error, got.err
	line := want.body.from
	if e == nil {
		return &Problem{Line: line, Msg: "an error was expected, but all statements succeeded"}
	}
	told := fmt.Sprintf("statement %d, %s: %s", e.Statement, e.Stage, e.Message)
	n := want.Statement
	if n == 0 {
		n = max(got.last, 1) + len(c.Queries)
	}
	if e.Statement != n && !(want.Statement == 0 && e.Statement >= got.last) {
		return &Problem{Line: e.line, Msg: fmt.Sprintf("statement %d failed instead of statement %d", e.Statement, n),
			Got: told}
	}
	if want.Stage != "" && want.Stage != e.Stage {
		return &Problem{Line: line, Msg: fmt.Sprintf("the error has stage %s, not %s", e.Stage, want.Stage), Got: told}
	}
	for _, m := range want.Mentions {
		if strings.Contains(strings.ToUpper(e.Message), strings.ToUpper(m)) {
			return nil
		}
	}
	if len(want.Mentions) == 0 {
		return nil
	}
	return &Problem{Line: line, Msg: "the error mentions none of " + strings.Join(want.Mentions, ", "), Got: told}
}

func (c comparer) rows(n int, q *Query, got []row) *Problem {
	want := q.Rows
	sameRow := func(w Row, g row) bool {
		v, _ := value(w.Columns)
		cols, _ := v.([]any)
		if len(cols) != len(g.columns) || w.Deleted != g.deleted {
			return false
		}
		for i := range cols {
			if !c.same(g.columns[i], cols[i], g.types[i]) {
				return false
			}
		}
		return true
	}
	query := ""
	if n > 0 {
		query = fmt.Sprintf("query %d: ", n+1)
	}
	rest := append([]row(nil), got...)
	for i, w := range want.Rows {
		at := -1
		if want.Mode == Unordered {
			for k := range rest {
				if sameRow(w, rest[k]) {
					at = k
					break
				}
			}
		} else if len(rest) > 0 && sameRow(w, rest[0]) {
			at = 0
		}
		if at < 0 {
			p := &Problem{Line: w.Line, Msg: fmt.Sprintf("%srow %d is missing%s", query, i+1,
				counts(len(got), len(want.Rows))), Expected: showRow(w.Deleted, string(w.Columns))}
			if len(rest) > 0 {
				p.Got = rest[0].String()
			}
			return p
		}
		rest = append(rest[:at:at], rest[at+1:]...)
	}
	if len(rest) > 0 {
		return &Problem{Line: q.Line, Msg: fmt.Sprintf("%s%d rows, not %d", query, len(got), len(want.Rows)),
			Got: rest[0].String()}
	}
	return nil
}

// String returns the row as a line of a test file.
func (r row) String() string { return showRow(r.deleted, marshal(r.text)) }

func showRow(deleted bool, columns string) string {
	if deleted {
		return "! " + columns
	}
	return columns
}

func judgeSource(want Source, have []Source) *Problem {
	for _, s := range have {
		if s.Name != want.Name {
			continue
		}
		for _, each := range [][3]string{{"type", want.Type, s.Type},
			{"schema", schemaText(want.Schema), schemaText(s.Schema)},
			{"keyFormat", want.KeyFormat, s.KeyFormat}, {"valueFormat", want.ValueFormat, s.ValueFormat}} {
			if each[1] != "" && !strings.EqualFold(each[1], each[2]) {
				return &Problem{Line: want.Line, Msg: fmt.Sprintf("%s: the %s differs", want.Name, each[0]), Expected: each[1],
					Got: each[2]}
			}
		}
		return nil
	}
	return &Problem{Line: want.Line, Msg: fmt.Sprintf("source %q does not exist", want.Name)}
}

var blanks = regexp.MustCompile(`\s+`)

// schemaText normalizes the spelling of a schema.
func schemaText(s string) string {
	s = blanks.ReplaceAllString(strings.ToUpper(strings.ReplaceAll(s, "`", "")), " ")
	return strings.TrimSpace(strings.NewReplacer("VARCHAR", "STRING", "INTEGER", "INT", " PRIMARY KEY", " KEY", ", ",
		",").Replace(s))
}

func judgeCreated(want Created, got *actual) *Problem {
	n, ok := got.topics[want.Name]
	if !ok {
		return &Problem{Line: want.Line, Msg: fmt.Sprintf("topic %q does not exist", want.Name)}
	}
	if want.Partitions > 0 && int(want.Partitions) != n {
		return &Problem{Line: want.Line, Msg: fmt.Sprintf("topic %q has %d partitions, not %d", want.Name, n,
			want.Partitions)}
	}
	return nil
}

func (r output) record(timed bool) Record {
	out := Record{Topic: r.Topic, Key: json.RawMessage(marshal(r.Key)), Value: json.RawMessage(marshal(r.Value)),
		Window: r.Window, Headers: r.Headers}
	if timed {
		out.Timestamp = &r.Timestamp
	}
	return out
}
