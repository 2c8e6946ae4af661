package main

import (
	"errors"
	"os"

	"golang.org/x/term"

	"github.com/streamql/streamql/shell"
)

type shellCmd struct {
	Command string `short:"c" placeholder:"SQL" help:"Run these statements and end."`
	File    string `short:"f" placeholder:"FILE" help:"Run this file and end; - is stdin."`
}

// Help returns the text below the command's flags.
func (shellCmd) Help() string {
	return `Examples:
  streamql shell --dir ./data
  streamql shell -c "SHOW STREAMS;" --dir ./data

Statements end with ;  \? lists the shell's own commands, \h those of SQL.`
}

// Run runs the SQL of the flags or of stdin, or reads statements at a prompt.
func (c *shellCmd) Run(w *world) (err error) {
	texts := []shell.ScriptError{{File: "-c", Text: c.Command}}
	prompt := false
	switch {
	case c.Command != "" && c.File != "":
		return usage(errors.New("-c and -f cannot be used together"))
	case c.File != "":
		if texts, err = readTexts(c.File); err != nil {
			return err
		}
	case c.Command == "" && isTerminal(os.Stdin) && !w.NoInput:
		prompt = true
	case c.Command == "":
		if texts, err = readTexts("-"); err != nil {
			return err
		}
	}
	if prompt { // log lines would mix with the user's input
		w.Log = ""
	}
	s, done, err := w.session(w.visitor()...)
	if err != nil {
		return err
	}
	if done, err = w.listen(s.Engine, done); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if prompt {
		return c.prompt(w, s)
	}
	for _, t := range texts {
		if err := s.Script(w.ctx, t.File, t.Text); err != nil {
			return err
		}
	}
	return nil
}

// prompt reads statements from the terminal. Meanwhile Ctrl-C cancels a statement instead of ending the
// process.
func (c *shellCmd) prompt(w *world, s *shell.Session) error {
	w.prompting.Store(true)
	p := &shell.Prompt{Session: s, Failed: w.warnings.silence()}
	p.History, _ = shell.HistoryFile()
	if isTerminal(os.Stdout) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" {
		p.Edit()
	}
	before, err := term.GetState(int(os.Stdin.Fd()))
	if err != nil {
		return p.Loop(w.ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Loop(w.ctx) }()
	select {
	case err := <-ended:
		return err
	case <-w.ctx.Done(): // the line editor waits for a key and cannot be stopped; the process ends without it
		return errors.Join(w.ctx.Err(), term.Restore(int(os.Stdin.Fd()), before))
	}
}
