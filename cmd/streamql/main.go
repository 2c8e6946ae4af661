// Command streamql is the command line of StreamQL. Each command is a thin layer over the library.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/shell"
)

// cli is the command tree.
type cli struct {
	global

	Shell   shellCmd   `cmd:"" default:"withargs" help:"Type statements at a prompt; without a terminal, run the SQL on stdin."`
	Demo    demoCmd    `cmd:"" help:"Demonstrate history, training and live predictions in half a minute."`
	Run     runCmd     `cmd:"" help:"Run the statements of a file, of a directory's files by name, or of stdin (-)."`
	Explain explainCmd `cmd:"" help:"Show the plan of statements without running them."`
	Gen     genCmd     `cmd:"" help:"Generate rows: JSON lines on stdout, or records in a topic."`
	Test    testCmd    `cmd:"" help:"Run SQL test files (*.sqltest)."`
	Repair  repairCmd  `cmd:"" help:"List damaged entries of a catalog and damaged changelogs, and skip them on request."`
	Version versionCmd `cmd:"" help:"Show the version."`

	Help         helpCmd         `cmd:"" help:"Show the help of the program or of a command."`
	ExplainError explainErrorCmd `cmd:"" help:"Explain an error code: its meaning, an example and the cure."`
	Completion   completionCmd   `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Man          manCmd          `cmd:"" help:"Print the manual page."`

	ShowVersion bool `name:"version" env:"-" help:"Show the version."`
}

const examples = `A streaming SQL engine that trains models and predicts directly on topics.

Examples:
  streamql demo                                 history, training and live predictions in half a minute
  streamql                                      a shell over topics in memory
  streamql --dir ./data                         a shell with topics, models and jobs in a directory
  streamql run queries/ --dir ./data            run a directory of .sql files; its jobs live until Ctrl-C
  streamql -c "SELECT 1 + 1 AS two"             one statement
  echo "SHOW FUNCTIONS;" | streamql -o csv      statements from stdin, rows as CSV
  streamql gen cars --rows 3                    three readings as JSON lines
`

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1 // an error at run time
	exitUsage       = 2 // wrong usage, configuration or SQL
	exitUnreachable = 3 // a store, file or broker is not reachable
)

func main() { os.Exit(start(os.Args[1:])) }

// start parses the command line and runs the command. It returns the exit code.
func start(args []string) (code int) {
	var c cli
	parser, err := newParser(&c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return exitUsage
	}
	at, err := parser.Parse(args)
	if err != nil {
		return report(os.Stderr, usage(mistyped(parser, args, err)), false)
	}
	if c.files.err != nil {
		return report(os.Stderr, c.files.err, false)
	}
	c.Define = c.files.definitions(c.Define)
	w := newWorld(&c.global)
	defer w.close()
	defer func() {
		if p := recover(); p != nil {
			code = w.crashed(p)
		}
	}()
	if err := c.check(); err != nil {
		return w.report(err)
	}
	at.BindTo(w.ctx, (*context.Context)(nil))
	if c.ShowVersion {
		return w.report(versionCmd{}.Run())
	}
	err = at.Run(w)
	if sig := w.interrupted(); sig != 0 && (err == nil || w.ctx.Err() != nil) {
		w.resume(args)
		return 128 + sig
	}
	if errors.Is(err, context.DeadlineExceeded) && w.ctx.Err() != nil {
		err = &streamql.Error{Code: "SQ7201", Stage: "run", Msg: fmt.Sprintf("the command exceeded its --timeout of %v",
			c.Timeout)}
	}
	return w.report(err)
}

func newParser(c *cli) (*kong.Kong, error) {
	return kong.New(c, kong.Name("streamql"), kong.Description(examples), kong.DefaultEnvars("STREAMQL"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}), kong.Writers(os.Stdout, os.Stderr),
		kong.Resolvers(&c.files))
}

// report prints an error and returns the exit code.
func report(to io.Writer, err error, color bool) int {
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	}
	shell.Show(to, err, color)
	return exitCode(err)
}

// report prints an error to stderr, as a JSON line if the rows are JSON, and returns the exit code.
func (w *world) report(err error) int {
	list := lang.AsErrors(err)
	if err != nil && w.warnings.showed(err) {
		return exitCode(err)
	}
	if w.Output != "json" || len(list) == 0 {
		return report(os.Stderr, err, w.color)
	}
	var script *shell.ScriptError
	for _, e := range list {
		c := *e
		if errors.As(err, &script) && c.Pos.Line > 0 && c.Pos.File == "" {
			c.Pos.File = script.File
		}
		if text, jerr := json.Marshal(&c); jerr == nil {
			fmt.Fprintf(os.Stderr, "%s\n", text)
		}
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var e *streamql.Error
	switch {
	case !errors.As(err, &e):
		return exitFailed
	case e.Code == "SQ7001" || e.Code == "SQ7002" || e.Code == "SQ5003":
		return exitUnreachable
	case strings.HasPrefix(e.Code, "SQ1") || e.Stage == "parse" || e.Stage == "plan":
		return exitUsage
	}
	return exitFailed
}

// usage returns an error of the command line.
func usage(err error) error {
	return &streamql.Error{Code: "SQ1101", Stage: "parse", Msg: err.Error(), Hint: "streamql --help"}
}

// mistyped adds a suggestion to the error about an unknown command.
func mistyped(parser *kong.Kong, args []string, err error) error {
	word, ok := strings.CutPrefix(err.Error(), "unexpected argument ")
	if !ok || len(args) > 0 && args[0] != word {
		return err
	}
	var verbs []string
	for _, n := range parser.Model.Children {
		verbs = append(verbs, n.Name)
	}
	if near := lang.Suggest(word, verbs); near != "" {
		return fmt.Errorf("unknown command %q: did you mean %s?", word, near)
	}
	return fmt.Errorf("unknown command %q; the commands are %s", word, strings.Join(verbs, ", "))
}

func (w *world) crashed(p any) int {
	fmt.Fprintf(os.Stderr, "error[SQ9001]: this is a fault in StreamQL, not in your input: %v\n", p)
	if w.Debug {
		os.Stderr.Write(debug.Stack())
	} else {
		fmt.Fprintln(os.Stderr, "  help: run the command again with --debug and report its output")
	}
	return exitFailed
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
