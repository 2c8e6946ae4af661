package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/shell"
)

// global contains the flags of every command. The environment variable STREAMQL_<FLAG> is the default of a
// flag, and a key of the configuration files the default of both.
type global struct {
	Output  string            `short:"o" placeholder:"FORMAT" default:"auto" help:"The output format: table, jsonl, json or csv. The default is table on a terminal, otherwise jsonl."`
	Define  map[string]string `short:"d" mapsep:"none" placeholder:"NAME=VALUE" help:"The value of $${NAME} in statements."`
	Dir     string            `placeholder:"DIR" help:"Keep topics, models, state and jobs in a directory. Without it everything is in memory."`
	Dialect string            `placeholder:"NAME" default:"streamql" help:"streamql, or ksql for compatibility with ksqlDB; docs/dialects.md lists the differences."`
	Timeout time.Duration     `placeholder:"TIME" help:"Stop after this time, e.g. 30s."`
	Limit   int64             `placeholder:"N" help:"The maximum number of rows of each query."`
	Color   string            `placeholder:"WHEN" default:"auto" help:"When to use colours: auto, always or never."`
	Quiet   bool              `short:"q" help:"Print rows and errors only: no messages, no progress."`
	NoInput bool              `name:"no-input" help:"Show no prompt and request no input."`
	Log     string            `placeholder:"LEVEL[,FORMAT]" help:"Log status changes of jobs, models and brokers on stderr: debug, info, warn or error, as text or json, e.g. info,json."`
	Debug   bool              `help:"Print the stack trace of a fault in the program."`

	Config string `placeholder:"FILE" help:"Read this file instead of ./streamql.toml."`
	Env    string `short:"e" placeholder:"NAME" help:"Let [env.NAME] of the configuration override its top level."`

	Brokers        string        `placeholder:"HOSTS" help:"The brokers of the Kafka cluster, as HOST:PORT,HOST:PORT; the configuration's [kafka] has TLS and passwords."`
	Name           string        `placeholder:"NAME" default:"streamql" help:"The application's name on the cluster: processes of one name share its jobs, and its topics have the name as a prefix."`
	CommitInterval time.Duration `placeholder:"TIME" help:"The time between two commits of a job, e.g. 100ms."`
	HTTP           string        `name:"http" placeholder:"ADDR" help:"Serve HTTP at this address while the command runs, e.g. 127.0.0.1:8088."`
	Work           bool          `help:"With --brokers, the shell also runs the application's jobs; run and demo always do."`
	Standbys       int           `placeholder:"N" help:"With --brokers, the number of standbys: copies of each task's state on other processes."`
	StateMemory    size          `placeholder:"SIZE" help:"With --brokers, the memory for jobs' state, e.g. 512MiB."`
	QueryMemory    size          `placeholder:"SIZE" help:"The memory quota of a query (default 256MiB)."`
	JobMemory      size          `placeholder:"SIZE" help:"The memory quota of a job, without its state (default 512MiB)."`
	Memory         size          `placeholder:"SIZE" default:"2GiB" help:"The memory limit of the process. Queries and jobs together may use three eighths of it."`
	Files          []string      `sep:"none" placeholder:"DIR" help:"A directory whose files statements may read, in addition to the working directory and those of [files] in the configuration; repeatable."`
	Snapshots      string        `placeholder:"DIR" help:"With --brokers, a directory for snapshots of jobs' state, which all processes can access."`

	Connect string `hidden:"" placeholder:"URL"`

	files files // the configuration
}

// check rejects values that no command accepts.
func (g *global) check() error {
	if g.Connect != "" {
		return usage(fmt.Errorf("--connect requires the command serve, which this build does not have yet"))
	}
	for _, f := range []struct {
		name, value string
		legal       []string
	}{{"output", g.Output, append([]string{"auto"}, shell.Formats...)}, {"dialect", g.Dialect, dialect.Names()},
		{"color", g.Color, []string{"auto", "always", "never"}}} {
		if !slices.Contains(f.legal, f.value) {
			return usage(fmt.Errorf("--%s must be %s, not %q", f.name, strings.Join(f.legal, ", "), f.value))
		}
	}
	if _, err := newLog(io.Discard, g.Log); err != nil {
		return usage(err)
	}
	if g.Limit < 0 || g.Timeout < 0 || g.CommitInterval < 0 || g.Standbys < 0 {
		return usage(fmt.Errorf("--limit, --timeout, --commit-interval and --standbys must not be negative"))
	}
	return nil
}

// world is the environment of a command: the flags, the signals and the output streams.
type world struct {
	*global
	ctx    context.Context
	stop   context.CancelFunc
	signal atomic.Int32
	color  bool // of stderr
	kept   bool // a directory or a cluster is in use

	prompting atomic.Bool // the prompt handles Ctrl-C
	warnings  *warnings
}

func newWorld(g *global) *world {
	w := &world{global: g, color: paints(g.Color, os.Stderr)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	if g.Timeout > 0 {
		w.ctx, w.stop = context.WithTimeout(w.ctx, g.Timeout)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			if s == os.Interrupt && w.prompting.Load() {
				continue
			}
			n := int32(s.(syscall.Signal))
			if !w.signal.CompareAndSwap(0, n) {
				os.Exit(128 + int(n)) // the second signal ends the process; committed data is safe
			}
			w.stop()
		}
	}()
	return w
}

func (w *world) close() { w.stop() }

// interrupted returns the number of the signal that has arrived, or 0.
func (w *world) interrupted() int { return int(w.signal.Load()) }

// resume prints the command that continues an interrupted run.
func (w *world) resume(args []string) {
	if w.kept && !w.Quiet {
		fmt.Fprintf(os.Stderr, "stopped; everything is committed. To continue, run: streamql %s\n", strings.Join(args, " "))
	}
}

func paints(when string, f *os.File) bool {
	return when == "always" || when == "auto" && os.Getenv("NO_COLOR") == "" && isTerminal(f)
}

// look returns the display options for rows on stdout.
func (w *world) look() shell.Look {
	rules, _ := dialect.Named(w.Dialect) // check has validated the name
	l := shell.Look{Format: w.Output, Color: paints(w.Color, os.Stdout), Dialect: rules}
	on := isTerminal(os.Stdout)
	if l.Format == "auto" {
		l.Format = "jsonl"
		if on {
			l.Format = "table"
		}
	}
	if on {
		l.Width = 80
		if n, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && n > 0 {
			l.Width = n
		}
	}
	return l
}

// session opens an engine according to the flags, and a session over it. done closes both.
func (w *world) session(more ...streamql.Option) (s *shell.Session, done func() error, err error) {
	progress := shell.NewProgress(os.Stderr, isTerminal(os.Stderr), w.Quiet)
	cluster, err := w.cluster()
	if err != nil {
		return nil, nil, err
	}
	if w.Dir == "" && w.Brokers == "" && !w.Quiet {
		fmt.Fprintln(os.Stderr, "everything is in memory and lost at the end; use --dir DIR to store it")
	}
	warn := &warnings{to: os.Stderr, color: w.color}
	warn.quiet.Store(w.Quiet)
	w.warnings = warn
	opts := append(append(more, cluster...), streamql.WithDialect(w.Dialect), streamql.WithProgress(progress.Report),
		streamql.WithWarnings(warn.take))
	if w.Dir != "" {
		opts = append(opts, streamql.WithDir(w.Dir))
	}
	roots, err := w.roots()
	if err != nil {
		return nil, nil, err
	}
	opts = append(opts, streamql.WithFiles(roots...), streamql.WithTotalMemory(w.bound()))
	if w.Log != "" {
		log, err := newLog(os.Stderr, w.Log)
		if err != nil {
			return nil, nil, usage(err)
		}
		opts = append(opts, streamql.WithLog(log))
	}
	if w.QueryMemory > 0 {
		opts = append(opts, streamql.WithQueryMemory(int64(w.QueryMemory)))
	}
	if w.JobMemory > 0 {
		opts = append(opts, streamql.WithJobMemory(int64(w.JobMemory)))
	}
	if w.CommitInterval > 0 {
		opts = append(opts, streamql.WithCommitInterval(w.CommitInterval))
	}
	e, err := streamql.Open(w.ctx, opts...)
	if err != nil {
		return nil, nil, w.unusable(err)
	}
	w.kept = w.Dir != "" || w.Brokers != ""
	s = &shell.Session{Engine: e, Out: os.Stdout, Err: os.Stderr, Look: w.look(), Quiet: w.Quiet, Limit: w.Limit,
		Progress: progress}
	done = func() error { warn.end(); return e.Close() }
	for _, name := range sorted(w.Define) {
		text := fmt.Sprintf("DEFINE %s = '%s';", name, strings.ReplaceAll(w.Define[name], "'", "''"))
		if err := e.Exec(w.ctx, text); err != nil {
			_ = done()
			return nil, nil, &shell.ScriptError{File: "-d", Text: text, Err: err}
		}
	}
	return s, done, nil
}

// unusable adds a code to an error of the operating system about the directory.
func (w *world) unusable(err error) error {
	var p *os.PathError
	if w.Dir == "" || !errors.As(err, &p) {
		return err
	}
	return &streamql.Error{Code: "SQ5003", Stage: lang.StageRun, Msg: fmt.Sprintf("cannot use directory %s: %v", w.Dir,
		p.Err), Err: err}
}

func sorted(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// warnings prints the first failures of rows and counts the others, so that a topic full of bad records does
// not flood the terminal.
type warnings struct {
	to    io.Writer
	color bool
	quiet atomic.Bool
	n     atomic.Int64

	mu    sync.Mutex
	shown map[string]bool // the errors that have been printed
}

// silence stops the printing of failures and returns their counter. The caller reports them.
func (w *warnings) silence() func() int64 {
	w.quiet.Store(true)
	return w.n.Load
}

const warningsShown = 3

func (w *warnings) take(e *streamql.Error) {
	if n := w.n.Add(1); n > warningsShown || w.quiet.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown == nil {
		w.shown = map[string]bool{}
	}
	w.shown[e.Code+e.Msg] = true
	shell.Show(w.to, e, w.color)
}

// showed reports whether an error was printed when it occurred. It is not printed again at the end.
func (w *warnings) showed(err error) bool {
	list := lang.AsErrors(err)
	if w == nil || len(list) != 1 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown[list[0].Code+list[0].Msg]
}

func (w *warnings) end() {
	if n := w.n.Load(); n > warningsShown && !w.quiet.Load() {
		fmt.Fprintf(w.to, "warning: %d rows failed in total; streamql.errors contains those of jobs\n", n)
	}
}
