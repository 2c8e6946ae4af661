package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// Session runs statements and writes their results: rows to Out, everything else to Err.
type Session struct {
	Engine   *streamql.Engine
	Out, Err io.Writer
	Look     Look
	Quiet    bool  // no messages and no counts
	Timing   bool  // print the duration of every statement
	Limit    int64 // the maximum number of rows of a query; 0: no limit
	Progress *Progress
	// Detach runs push queries in the background, concurrently with later statements; Wait waits for them.
	// Without it, Run follows a push query until it or ctx ends.
	Detach bool
	// FailFast ends Wait at the first failed job.
	FailFast bool

	writing sync.Mutex // held while a batch is written to Out
	live    sync.WaitGroup
	ends    chan error // errors of detached queries
	once    sync.Once
}

// ScriptError is an error together with the file and the text of the statement that failed.
type ScriptError struct {
	File, Text string
	Err        error
}

// Error returns the error on one line.
func (e *ScriptError) Error() string { return e.Err.Error() }

// Unwrap returns the statement's error.
func (e *ScriptError) Unwrap() error { return e.Err }

// Script runs the statements of a text in order and stops at the first that fails. If the text does not
// parse, nothing runs. file is the name of the text in errors. Errors are of type *ScriptError, except ctx's
// own.
func (s *Session) Script(ctx context.Context, file, text string) error {
	list, err := s.Engine.Parse(text)
	if err != nil {
		return &ScriptError{file, text, err}
	}
	for _, st := range list {
		if err := s.Run(ctx, st); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &ScriptError{file, text, err}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// Run runs one statement.
func (s *Session) Run(ctx context.Context, st lang.Statement) error {
	begun := time.Now()
	stop := func() {}
	if m := st.Traits().Trains; m != nil {
		stop = s.Progress.training(m.Text)
	}
	r, err := s.Engine.Run(ctx, st)
	stop()
	if err != nil {
		return err
	}
	if r.Rows == nil {
		s.say("%s%s", r.Message, s.took(begun, st))
		return nil
	}
	if s.Detach && !r.Rows.Bounded {
		return s.detach(ctx, r.Rows)
	}
	return s.show(ctx, r.Rows, begun)
}

// took formats the duration of a statement, for trainings and if Timing is set.
func (s *Session) took(begun time.Time, st lang.Statement) string {
	if s.Timing || st.Traits().Trains != nil {
		return " · " + seconds(time.Since(begun))
	}
	return ""
}

// say writes a line to Err, unless the session is quiet.
func (s *Session) say(text string, args ...any) {
	if !s.Quiet {
		s.writing.Lock()
		defer s.writing.Unlock()
		fmt.Fprintf(s.Err, text+"\n", args...)
	}
}

// show prints a result as its rows arrive.
func (s *Session) show(ctx context.Context, rows *streamql.Rows, begun time.Time) error {
	s.writing.Lock()
	p, err := NewPrinter(s.Out, rows, s.Look)
	s.writing.Unlock()
	if err != nil {
		return err
	}
	if !rows.Bounded && s.Look.Width > 0 {
		var names []string
		for _, c := range rows.Columns {
			names = append(names, visible(c.Name))
		}
		s.say("waiting for rows of %s; Ctrl-C ends the query", strings.Join(names, ", "))
	}
	stop := s.Progress.scan(rows.Stats)
	n, err := s.print(rows, p, stop)
	stop()
	s.writing.Lock()
	err = errors.Join(err, p.Close())
	s.writing.Unlock()
	if err != nil && ctx.Err() == nil {
		return err
	}
	if lost := p.Lost(); lost > 0 {
		s.say("warning: %s NaN or infinite and written as null", map[bool]string{true: "1 value is",
			false: thousands(lost) + " values are"}[lost == 1])
	}
	if s.Look.Format == "table" || s.Timing {
		s.say("%s%s", count(n, "row"), s.counts(rows, begun))
	}
	return ctx.Err()
}

func (s *Session) counts(rows *streamql.Rows, begun time.Time) string {
	out := " · " + seconds(time.Since(begun))
	if st := rows.Stats(); st.Scanned > 0 {
		out += " · " + thousands(st.Scanned) + " scanned"
	}
	return out
}

// print passes batches to the printer. It calls shown before the first one.
func (s *Session) print(rows *streamql.Rows, p Printer, shown func()) (n int64, err error) {
	for b, err := range rows.Batches() {
		if err != nil {
			return n, err
		}
		if s.Limit > 0 && n+int64(b.Rows()) > s.Limit {
			b = b.Slice(0, int(s.Limit-n))
		}
		if b.Rows() > 0 && (!rows.Bounded || s.Look.Width > 0) {
			shown() // rows and progress share the terminal
		}
		if err := s.write(p, b); err != nil {
			return n, err
		}
		if n += int64(b.Rows()); s.Limit > 0 && n >= s.Limit {
			break
		}
	}
	return n, nil
}

func (s *Session) write(p Printer, b *flow.Batch) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return p.Print(b)
}

// detach runs a push query in the background.
func (s *Session) detach(ctx context.Context, rows *streamql.Rows) error {
	p, err := NewPrinter(s.Out, rows, s.Look)
	if err != nil {
		return err
	}
	s.once.Do(func() { s.ends = make(chan error, 16) })
	s.live.Add(1)
	go func() {
		defer s.live.Done()
		_, err := s.print(rows, p, func() {})
		s.writing.Lock()
		err = errors.Join(err, p.Close())
		s.writing.Unlock()
		if err != nil && ctx.Err() == nil {
			select {
			case s.ends <- err:
			default: // 16 errors are queued already; Wait reports one only
			}
		}
	}()
	return nil
}

// Wait returns when no detached query and no active job is left, or when ctx ends. It does not wait for
// failed jobs, and a failed job is not an error while others run, because the engine reports it. With
// FailFast the first failure ends the wait.
func (s *Session) Wait(ctx context.Context) error {
	queries := make(chan struct{})
	go func() { s.live.Wait(); close(queries) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var done <-chan struct{} = queries
	for {
		alive, err := s.Jobs(ctx)
		if err != nil && (s.FailFast || alive == 0 && done == nil) {
			return err
		}
		if alive == 0 && done == nil {
			select {
			case err := <-s.ends:
				return err
			default:
				return nil
			}
		}
		select {
		case <-ctx.Done():
			<-queries
			return ctx.Err()
		case err := <-s.ends:
			return err
		case <-done:
			done = nil
		case <-tick.C:
		}
	}
}

// Jobs returns the number of active jobs in this process, and the error of one that has failed. A job that
// waits or restarts is active.
func (s *Session) Jobs(ctx context.Context) (alive int, err error) {
	for _, j := range s.Engine.Jobs(streamql.Local(ctx, []int32{})) {
		switch j.State {
		case exec.Done, exec.Stopped, exec.Paused:
		case exec.Failed, exec.Unavailable:
			if err == nil {
				err = &streamql.Error{Code: j.Failure.Code, Stage: lang.StageRun, Msg: fmt.Sprintf("job %s has failed: %s",
					j.Name, j.Failure.Cause), Hint: j.Failure.Cure}
			}
		default: // including jobs that wait or are being restarted
			alive++
		}
	}
	return alive, err
}

// Show writes an error for a user. It quotes the source line if the error has a position.
func Show(w io.Writer, err error, color bool) {
	file, text := "", ""
	var script *ScriptError
	if errors.As(err, &script) {
		file, text = script.File, script.Text
	}
	list := lang.AsErrors(err)
	for _, e := range list {
		c := *e
		if c.Pos.Line > 0 && c.Pos.File == "" {
			c.Pos.File = file
		}
		io.WriteString(w, c.Show(text, color))
	}
	if len(list) == 0 {
		fmt.Fprintf(w, "error: %v\n", err)
	}
}
