package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/topic/kafka"
)

// Options configures Run. The zero value is `streamql test` without flags.
type Options struct {
	Dialect string         // of cases that name none; "": streamql
	Run     *regexp.Regexp // cases whose id matches; nil: all
	Poll    int            // maximum number of records in a fetch of a partition; 0: 1024
	// "query" (or ""): each query reads all its input before the next starts; "record": each record passes
	// through all queries first
	Schedule string
	Report   string        // "text" (or ""), "junit" or "jsonl"
	Out      io.Writer     // receives the report; nil: no report
	Verbose  bool          // with stacks of panics, and a line for each case
	Emit     io.Writer     // receives the results, a JSON line per case; cases are then not judged
	Update   bool          // replaces the expectations in the files with the results
	Timeout  time.Duration // of a case; 0: 10 s; six times as long on a cluster
	Parallel int           // number of concurrent cases; 0: one per processor
	// cases run on this cluster, one after the other, each as an application of its own; nil: in memory
	Kafka *kafka.Config
	// n > 0: a job crashes in the n-th step; -n: once before each commit, at most n times, so that a case of
	// many steps ends
	Crash int
}

func (o *Options) poll() int {
	if o.Poll <= 0 {
		return 1024
	}
	return o.Poll
}

// Result is the result of a case. The case passed if Problem is nil and Skipped is empty.
type Result struct {
	Case    *Case
	Problem *Problem
	Skipped string
	Steps   int // of all jobs, and the number of crashes among them
	Crashes int
	Took    time.Duration

	got *actual
}

// Passed reports whether the case ran and met its expectations.
func (r *Result) Passed() bool { return r.Problem == nil && r.Skipped == "" }

// Summary is the result of a run. Results are in the order of files and cases.
type Summary struct {
	Results                 []*Result
	Passed, Failed, Skipped int
}

// String returns the last line of a report.
func (s *Summary) String() string {
	return fmt.Sprintf("%d cases: %d passed, %d failed, %d skipped", len(s.Results), s.Passed, s.Failed, s.Skipped)
}

// Run runs the cases of files, and of the *.sqltest files in and below directories. An error is about the
// arguments or a test file (a *FileError), and is returned before any case runs. A failed case is not an
// error.
func Run(ctx context.Context, paths []string, o Options) (*Summary, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	cases, err := Find(paths)
	if err != nil {
		return nil, err
	}
	if o.Run != nil {
		cases = slices.DeleteFunc(cases, func(c *Case) bool { return !o.Run.MatchString(c.ID) })
	}
	s := &Summary{Results: make([]*Result, len(cases))}
	runAll(ctx, cases, s.Results, &o)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, r := range s.Results {
		switch {
		case r.Skipped != "":
			s.Skipped++
		case r.Problem != nil:
			s.Failed++
		default:
			s.Passed++
		}
	}
	if o.Update {
		if err := update(s.Results); err != nil {
			return nil, err
		}
	}
	if o.Emit != nil {
		return s, emit(o.Emit, s.Results)
	}
	if o.Out != nil {
		return s, report(o.Out, s, &o)
	}
	return s, nil
}

func (o *Options) check() error {
	for _, f := range [][]string{append([]string{"dialect", o.Dialect}, dialect.Names()...),
		{"schedule", o.Schedule, "query", "record"}, {"report", o.Report, "text", "junit", "jsonl"}} {
		if f[1] != "" && !slices.Contains(f[2:], f[1]) {
			return fmt.Errorf("%s must be %s, not %q", f[0], strings.Join(f[2:], " or "), f[1])
		}
	}
	if o.Update && o.Emit != nil {
		return errors.New("update and emit exclude one another")
	}
	return nil
}

// Find reads the cases of files, and of the *.sqltest files in directories, in the order of their names.
func Find(paths []string) ([]*Case, error) {
	var out []*Case
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		files := []string{path}
		if info.IsDir() {
			files = nil
			err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() && strings.HasSuffix(name, ".sqltest") {
					files = append(files, name)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			cases, err := Parse(f, text)
			if err != nil {
				return nil, err
			}
			out = append(out, cases...)
		}
	}
	return out, nil
}

func runAll(ctx context.Context, cases []*Case, results []*Result, o *Options) {
	workers := o.Parallel
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if o.Kafka != nil { // cases use the same topic names
		workers = 1
	}
	next := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range next {
				results[i] = runCase(ctx, cases[i], o)
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	group.Wait()
}

// runCase runs a case within its time limit, on a goroutine that is abandoned if it hangs.
func runCase(ctx context.Context, c *Case, o *Options) *Result {
	r := &Result{Case: c}
	for _, need := range c.Needs {
		path := need
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.File), path)
		}
		if _, err := os.Stat(path); err != nil {
			r.Skipped = "it needs " + need + ", which is not there"
			return r
		}
	}
	limit := o.Timeout
	if limit == 0 {
		limit = 10 * time.Second
	}
	if o.Kafka != nil {
		limit *= 6 // creating a topic takes a tenth of a second, joining a group another
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	done := make(chan *Result, 1)
	go func() {
		out := &Result{Case: c}
		defer func() {
			if v := recover(); v != nil {
				out.Problem = &Problem{Line: c.Line, Msg: fmt.Sprintf("panic: %v", v), Stack: string(debug.Stack())}
			}
			done <- out
		}()
		var err error
		if out.got, err = execute(ctx, c, o); out.got != nil {
			out.Steps, out.Crashes = out.got.steps, out.got.crashes
		}
		switch {
		case ctx.Err() != nil:
			out.Problem, out.got = late(c, limit), nil
		case err != nil:
			out.Problem, out.got = &Problem{Line: c.Line, Msg: err.Error()}, nil
		case o.Emit == nil:
			out.Problem = judge(c, out.got)
		}
	}()
	select {
	case r = <-done:
	case <-time.After(limit + 2*time.Second): // the case does not observe its context
		r.Problem = late(c, limit)
	}
	r.Took = time.Since(start)
	return r
}

func late(c *Case, limit time.Duration) *Problem {
	return &Problem{Line: c.Line, Msg: fmt.Sprintf("the case did not end within %v", limit)}
}
