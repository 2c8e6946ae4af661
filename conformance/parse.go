package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/streamql/streamql/dialect"
)

// FileError is a syntax error of a test file, with its line.
type FileError struct {
	File string
	Line int
	Msg  string
}

// Error returns file, line and message.
func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// Parse reads the text of a test file. The error is a *FileError.
func Parse(file string, text []byte) ([]*Case, error) {
	if !utf8.Valid(text) {
		return nil, &FileError{file, 1, "the file is not UTF-8"}
	}
	p := &parser{file: file}
	for line := range strings.Lines(string(text)) {
		p.line++
		if err := p.take(strings.TrimRight(line, "\r\n")); err != nil {
			return nil, &FileError{file, p.line, err.Error()}
		}
	}
	if err := p.endCase(); err != nil {
		return nil, &FileError{file, p.line, err.Error()}
	}
	return p.cases, nil
}

type parser struct {
	file  string
	line  int
	cases []*Case
	c     *Case
	ids   map[string]int

	section string
	sql     []string // the lines of the present section sql or query
	start   int      // the line of the section's header
	content int      // the last line of the section that is not blank or a comment
	seen    map[string]bool
	records *[]Record
}

// take reads one line.
func (p *parser) take(line string) error {
	if name, ok := strings.CutPrefix(line, "=== "); ok {
		return p.open(strings.TrimSpace(name))
	}
	if header, ok := strings.CutPrefix(line, "--- "); ok {
		if p.c == nil {
			return errors.New("a section outside a case; a case starts with === and its name")
		}
		if err := p.endSection(); err != nil {
			return err
		}
		return p.openSection(strings.Fields(header))
	}
	if p.section == "sql" || p.section == "query" {
		p.sql = append(p.sql, line)
		return nil
	}
	if id, ok := strings.CutPrefix(line, "# id:"); ok && p.c != nil {
		p.c.ID = strings.TrimPrefix(id, " ") // trailing blanks are part of the id
	}
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' {
		return nil
	}
	if p.section == "" {
		return fmt.Errorf("%q is outside a section", clip(text, 40))
	}
	p.content = p.line
	return p.item(text)
}

func (p *parser) open(name string) error {
	if err := p.endCase(); err != nil {
		return err
	}
	if name == "" {
		return errors.New("a case needs a name")
	}
	base := strings.TrimSuffix(filepath.Base(p.file), ".sqltest")
	p.c = &Case{ID: base + "/" + name, Name: name, File: p.file, Line: p.line}
	p.section, p.seen = "", map[string]bool{}
	return nil
}

func (p *parser) endCase() error {
	if p.c == nil {
		return nil
	}
	if err := p.endSection(); err != nil {
		return err
	}
	c := p.c
	if !p.seen["sql"] {
		return fmt.Errorf("case %q of line %d has no section sql", c.Name, c.Line)
	}
	if c.Error != nil && (len(c.Outputs) > 0 || len(c.Sources) > 0) {
		return fmt.Errorf("case %q of line %d expects an error, so it cannot have an output", c.Name, c.Line)
	}
	if p.ids == nil {
		p.ids = map[string]int{}
	}
	if other, ok := p.ids[c.ID]; ok {
		return fmt.Errorf("the cases of lines %d and %d have the same name %q", other, c.Line, c.ID)
	}
	p.ids[c.ID] = c.Line
	p.cases = append(p.cases, c)
	p.c = nil
	return nil
}

// sections contains the names of sections, and whether a case may have several of each.
var sections = map[string]bool{"needs": false, "dialect": false, "tolerance": false, "properties": false,
	"topics": false, "sql": false, "input": true,
	"output": true, "query": true, "rows": true, "error": false, "sources": false, "created": false}

func (p *parser) openSection(words []string) error {
	if len(words) == 0 {
		return errors.New("a section needs a name")
	}
	name, option := words[0], strings.Join(words[1:], " ")
	many, ok := sections[name]
	if !ok {
		return fmt.Errorf("unknown section %q", name)
	}
	if p.seen[name] && !many {
		return fmt.Errorf("a second section %s in one case", name)
	}
	p.section, p.seen[name], p.start, p.content, p.sql = name, true, p.line, p.line, nil
	modes := map[string][]string{"input": {"", "after-query"}, "output": {"", string(Unordered), string(Final)},
		"rows": {"", string(Unordered)}}[name]
	legal := option == ""
	for _, m := range modes {
		legal = legal || m == option
	}
	if !legal {
		return fmt.Errorf("section %s has no option %q", name, option)
	}
	switch name {
	case "input":
		p.records = &p.c.Input
		if option != "" {
			p.records = &p.c.After
		}
	case "output":
		p.c.Outputs = append(p.c.Outputs, Output{Mode: Mode(option)})
	case "rows":
		n := len(p.c.Queries)
		if n == 0 || p.c.Queries[n-1].Rows != nil {
			return errors.New("section rows must follow a section query")
		}
		p.c.Queries[n-1].Rows = &Rows{Mode: Mode(option)}
	}
	return nil
}

func (p *parser) endSection() error {
	c, body := p.c, span{p.start + 1, p.content + 1}
	switch p.section {
	case "sql", "query":
		text := Text{SQL: strings.Join(p.sql, "\n"), Line: p.start + 1}
		if strings.TrimSpace(text.SQL) == "" {
			return fmt.Errorf("the section %s of line %d is empty", p.section, p.start)
		}
		if p.section == "sql" {
			c.SQL = text
		} else {
			c.Queries = append(c.Queries, Query{Text: text})
		}
	case "output":
		c.Outputs[len(c.Outputs)-1].body = body
	case "rows":
		c.Queries[len(c.Queries)-1].Rows.body = body
	case "error":
		if c.Error == nil {
			return fmt.Errorf("the section error of line %d is empty", p.start)
		}
		c.Error.body = body
	}
	p.section = ""
	return nil
}

// item reads one line of a section's content.
func (p *parser) item(text string) error {
	c := p.c
	switch p.section {
	case "needs":
		c.Needs = append(c.Needs, text)
	case "dialect":
		if _, ok := dialect.Named(text); !ok || c.Dialect != "" {
			return fmt.Errorf("the dialect must be one of %s, not %q", strings.Join(dialect.Names(), ", "), text)
		}
		c.Dialect = text
	case "tolerance":
		t, err := strconv.ParseFloat(text, 64)
		if err != nil || !(t >= 0 && t < 1) {
			return fmt.Errorf("the tolerance must be a number from 0 to 1, not %q", text)
		}
		c.Tolerance = t
	case "properties":
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("a property must have the form name=value, not %q", text)
		}
		c.Properties = append(c.Properties, Property{strings.TrimSpace(name), strings.TrimSpace(value), p.line})
	case "input":
		return p.record(text, p.records)
	case "output":
		return p.record(text, &c.Outputs[len(c.Outputs)-1].Records)
	case "rows":
		return p.row(text, c.Queries[len(c.Queries)-1].Rows)
	default:
		return p.object(text)
	}
	return nil
}

// object reads a line that is a JSON object.
func (p *parser) object(text string) error {
	c := p.c
	switch p.section {
	case "topics":
		t := Topic{Line: p.line}
		if err := strict([]byte(text), &t); err != nil {
			return err
		}
		if t.Name == "" || t.Partitions < 0 {
			return errors.New("a topic needs a name and at least one partition")
		}
		c.Topics = append(c.Topics, t)
	case "error":
		if c.Error != nil {
			return errors.New("a case cannot have a second error")
		}
		c.Error = &Failure{}
		return strict([]byte(text), c.Error)
	case "sources":
		s := Source{Line: p.line}
		if err := strict([]byte(text), &s); err != nil {
			return err
		}
		c.Sources = append(c.Sources, s)
	case "created":
		t := Created{Line: p.line}
		if err := strict([]byte(text), &t); err != nil {
			return err
		}
		c.Created = append(c.Created, t)
	}
	return nil
}

func (p *parser) record(text string, to *[]Record) error {
	r := Record{Line: p.line}
	if err := strict([]byte(text), &r); err != nil {
		return err
	}
	if r.Topic == "" {
		return errors.New("a record needs a topic")
	}
	if w := r.Window; w != nil {
		if w.Type = strings.ToUpper(w.Type); w.Type != "TIME" && w.Type != "SESSION" {
			return fmt.Errorf("the type of a window must be TIME or SESSION, not %q", w.Type)
		}
	}
	if r.KeyBytes != nil && r.Key != nil || r.ValueBytes != nil && r.Value != nil {
		return errors.New("a record cannot have both key and key_base64, or both value and value_base64")
	}
	*to = append(*to, r)
	return nil
}

func (p *parser) row(text string, to *Rows) error {
	r := Row{Line: p.line}
	if rest, ok := strings.CutPrefix(text, "!"); ok {
		r.Deleted, text = true, strings.TrimSpace(rest)
	}
	if !strings.HasPrefix(text, "[") {
		return errors.New("a row must be an array of columns, with ! before it for a deletion")
	}
	if err := strict([]byte(text), &r.Columns); err != nil {
		return err
	}
	to.Rows = append(to.Rows, r)
	return nil
}

// strict decodes a text that is exactly one JSON value without unknown members.
func strict(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("the JSON does not match the section: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value on a line")
	}
	return nil
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + ".."
}
