package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/lang/codes"
	"github.com/streamql/streamql/shell"
)

type explainCmd struct {
	Path    string `arg:"" optional:"" name:"file" help:"A file of SQL, - for stdin, or an error code."`
	Command string `short:"c" placeholder:"SQL" help:"The SQL itself."`
}

var isCode = regexp.MustCompile(`^SQ[0-9]{4}$`)

// Help returns the text below the command's flags.
func (explainCmd) Help() string {
	return `Examples:
  streamql explain -c "CREATE STREAM c WITH (connector='generator', kind='cars'); SELECT car, speed FROM c LIMIT 3;"
  streamql explain queries/fraud.sql
  streamql explain SQ5006

Prints the stages, operators and offsets of each statement that has a plan. Nothing runs: definitions exist in memory only, for the
statements after them. With --dir the plan uses the directory's catalog, and the text's definitions are not executed.`
}

// Run plans the statements of the text.
func (c *explainCmd) Run(w *world) (err error) {
	t := shell.ScriptError{File: "-c", Text: c.Command}
	if (c.Path == "") == (c.Command == "") {
		return usage(errors.New("explain requires either a file or -c SQL"))
	}
	if code := strings.ToUpper(c.Path); isCode.MatchString(code) {
		page, ok := codes.Page(code)
		if !ok {
			return usage(fmt.Errorf("there is no error code %s", code))
		}
		fmt.Print(page)
		return nil
	}
	if c.Path != "" {
		texts, err := readTexts(c.Path)
		if err != nil {
			return err
		}
		t = texts[0]
	}
	w.Quiet = true
	s, done, err := w.session(streamql.WithManualJobs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	list, err := s.Engine.Parse(t.Text)
	if err == nil {
		err = c.each(w, s, list)
	}
	if err != nil {
		t.Err = err
		return &t
	}
	return nil
}

// each prints the plans of the statements in order. Definitions take effect for the statements after them.
func (c *explainCmd) each(w *world, s *shell.Session, list []lang.Statement) error {
	shown := false
	for _, st := range list {
		if err := lang.Planned(st); err != nil {
			return err
		}
		t := st.Traits()
		if t.Plan {
			if shown && w.Output == "auto" {
				fmt.Println()
			}
			shown = true
			if err := c.plan(w, s, st); err != nil {
				return err
			}
		}
		if t.Plan && t.Rows || w.Dir != "" && t.Effect != lang.Sets {
			continue
		}
		if _, err := s.Engine.Run(w.ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// plan prints one plan: as text, or as rows if --output names a format.
func (c *explainCmd) plan(w *world, s *shell.Session, st lang.Statement) error {
	ex := &lang.Explain{Statement: st}
	if w.Output != "auto" {
		return s.Run(w.ctx, ex)
	}
	r, err := s.Engine.Run(w.ctx, ex)
	if err != nil {
		return err
	}
	for b, err := range r.Rows.Batches() {
		if err != nil {
			return err
		}
		for i := range b.Rows() {
			if _, err := fmt.Println(flow.Value(b.Column(1), i)); err != nil {
				return err
			}
		}
	}
	return nil
}
