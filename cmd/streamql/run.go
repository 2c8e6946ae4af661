package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/shell"
)

type runCmd struct {
	Path     string `arg:"" name:"file" help:"A file of SQL, a directory (its .sql files by name), or - for stdin."`
	FailFast bool   `name:"fail-fast" help:"End at the first job that fails. Without it the other jobs continue, and RESTART starts the failed one."`
}

// Help returns the text below the command's flags.
func (runCmd) Help() string {
	return `Examples:
  streamql run queries/fraud.sql
  streamql run queries/ --dir ./data
  streamql run - -o csv < report.sql > report.csv

A definition that exists already, word for word, has no effect: the same file can run after a restart, or in several processes.
The command ends after the last bounded statement; while a job or push query is active, or with --http, it runs until Ctrl-C.`
}

// Run runs the texts in order, then waits while a job or push query is active.
func (c *runCmd) Run(w *world) (err error) {
	texts, err := readTexts(c.Path)
	if err != nil {
		return err
	}
	s, done, err := w.session(streamql.WithRepeats(), streamql.WithPatience(0))
	if err != nil {
		return err
	}
	if done, err = w.listen(s.Engine, done); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s.Detach, s.FailFast = true, c.FailFast
	for _, t := range texts {
		if err := s.Script(w.ctx, t.File, t.Text); err != nil {
			return err
		}
	}
	if err := s.Wait(w.ctx); err != nil || w.HTTP == "" {
		return err
	}
	<-w.ctx.Done() // HTTP clients may send requests
	return w.ctx.Err()
}

// readTexts reads the SQL of a file, a directory or stdin.
func readTexts(path string) ([]shell.ScriptError, error) {
	if path == "-" {
		text, err := io.ReadAll(os.Stdin)
		return []shell.ScriptError{{File: "stdin", Text: string(text)}}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, usage(plainPath(err))
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = filepath.Glob(filepath.Join(escape(path), "*.sql")); err != nil || len(names) == 0 {
			return nil, usage(fmt.Errorf("directory %s contains no .sql files", path))
		}
	}
	var out []shell.ScriptError
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, usage(plainPath(err))
		}
		out = append(out, shell.ScriptError{File: name, Text: strings.TrimPrefix(string(text), "\uFEFF")})
	}
	return out, nil
}

// escape escapes the characters of a directory's name that have a meaning in a pattern.
func escape(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// plainPath returns an error of the file system without the name of the system call.
func plainPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot read %s: %w", p.Path, p.Err)
	}
	return err
}
