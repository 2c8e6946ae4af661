package conformance

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// edit replaces the lines of a span.
type edit struct {
	span
	lines []string
}

// update replaces the expectations of the sections output, rows and error in the test files with the actual
// results. It leaves cases unchanged that could not be run or had an unexpected error, which their Problem
// reports. An updated case passes only in the next run.
func update(results []*Result) error {
	edits := map[string][]edit{}
	var files []string
	for _, r := range results {
		if r.Problem == nil || r.got == nil {
			continue
		}
		if edits[r.Case.File] == nil {
			files = append(files, r.Case.File)
		}
		edits[r.Case.File] = append(edits[r.Case.File], r.edits()...)
	}
	for _, f := range files {
		if err := rewrite(f, edits[f]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Result) edits() []edit {
	c, got := r.Case, r.got
	if (c.Error == nil) != (got.err == nil) {
		return nil
	}
	if c.Error != nil {
		e := got.err
		mentions := c.Error.Mentions
		if p := r.Problem; strings.HasPrefix(p.Msg, "the error mentions") {
			mentions = []string{e.Message}
		}
		return []edit{{c.Error.body, []string{marshal(struct {
			Statement int      `json:"statement"`
			Stage     string   `json:"stage"`
			Mentions  []string `json:"mentions,omitempty"`
		}{e.Statement, e.Stage, mentions})}}}
	}
	var out []edit
	for _, o := range c.Outputs {
		out = append(out, edit{o.body, o.actual(c, got)})
	}
	for i, q := range c.Queries {
		if q.Rows == nil || i >= len(got.rows) {
			continue
		}
		var lines []string
		for _, each := range got.rows[i] {
			lines = append(lines, each.String())
		}
		out = append(out, edit{q.Rows.body, lines})
	}
	return out
}

// actual returns the content of a section from the results: of the topics that it names, or if it is empty,
// of all topics that the case's statements have written to.
func (o *Output) actual(c *Case, got *actual) []string {
	timed, topics := len(o.Records) == 0, map[string]bool{}
	for _, r := range o.Records {
		topics[r.Topic] = true
		timed = timed || r.Timestamp != nil
	}
	list := got.outputs
	if o.Mode == Final {
		list = lastOfKeys(list)
	}
	var lines []string
	for _, r := range list {
		if topics[r.Topic] || len(topics) == 0 && !strings.HasPrefix(r.Topic, "streamql.") {
			lines = append(lines, marshal(r.record(timed)))
		}
	}
	return lines
}

func rewrite(file string, edits []edit) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	// from the end, so that line numbers stay valid
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		if e.from < 1 || e.to-1 > len(lines) || e.to < e.from {
			return fmt.Errorf("%s: lines %d to %d cannot be rewritten: the file has %d", file, e.from, e.to, len(lines))
		}
		lines = slices.Replace(lines, e.from-1, e.to-1, e.lines...)
	}
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")), info.Mode().Perm())
}
