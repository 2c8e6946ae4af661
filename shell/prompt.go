package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/reeflective/readline"
)

// Prompt reads statements from a person and runs them, one input at a time.
type Prompt struct {
	*Session
	// History is the file of what was typed before; empty: none is kept.
	History string
	// Failed is the number of rows that have failed so far; may be nil.
	Failed func() int64

	read   func(first bool) (string, error)
	last   string   // the last statement, for \watch and \plan
	out    *os.File // where \o sends rows; nil: the terminal
	screen Look     // of the terminal, while rows go to a file
	failed int64
}

// errInterrupt is returned by a reader when the person gives up a line.
var errInterrupt = errors.New("interrupted")

// Edit reads with the line editor. Without it, Loop reads plain lines of in.
func (p *Prompt) Edit() {
	rl := readline.NewShell()
	rl.Prompt.Primary(func() string { return p.paint("streamql> ") })
	rl.Prompt.Secondary(func() string { return p.paint("      ... ") })
	rl.AcceptMultiline = func(line []rune) bool { return accepts(string(line)) }
	rl.Completer = p.completer
	if p.History != "" {
		if h, err := openHistory(p.History); err != nil {
			p.say("%v; what you type is not kept", err)
		} else {
			rl.History.Delete()
			rl.History.Add("history", h)
		}
	}
	p.read = func(bool) (string, error) {
		line, err := rl.Readline()
		if errors.Is(err, readline.ErrInterrupt) {
			return "", errInterrupt
		}
		return line, err
	}
}

func (p *Prompt) paint(s string) string {
	if !p.Look.Color {
		return s
	}
	return "\x1b[1;34m" + s + "\x1b[0m"
}

func (p *Prompt) completer(line []rune, cursor int) readline.Completions {
	var list []readline.Completion
	for _, c := range Candidates(p.Engine, string(line[:cursor])) {
		list = append(list, readline.Completion{Value: c.Word, Display: c.Word, Tag: c.Kind + "s"})
	}
	return readline.CompleteRaw(list).NoSort()
}

// Plain reads lines as they are, for terminals that cannot be edited on.
func (p *Prompt) Plain(in io.Reader) {
	lines := bufio.NewReader(in)
	p.read = func(bool) (string, error) {
		var text strings.Builder
		for prompt := "streamql> "; ; prompt = "      ... " {
			fmt.Fprint(p.Err, prompt)
			line, err := lines.ReadString('\n')
			text.WriteString(line)
			if err != nil && (err != io.EOF || strings.TrimSpace(text.String()) == "") {
				return "", err
			}
			if err == io.EOF || accepts(text.String()) {
				return text.String(), nil
			}
		}
	}
}

// accepts reports whether what has been typed is to be run: whole statements, or a command of the shell's own.
func accepts(text string) bool {
	_, isMeta := metaOf(text)
	return isMeta || Complete(text)
}

// Loop runs what is typed until the person leaves or ctx ends. A statement that fails is shown and does not end the shell.
func (p *Prompt) Loop(ctx context.Context) error {
	if p.read == nil {
		p.Plain(os.Stdin)
	}
	defer p.redirect("")
	if !p.Quiet {
		p.say("Statements end with ;   \\? lists commands, \\h SQL, \\q quits")
	}
	for ctx.Err() == nil {
		p.notices()
		text, err := p.read(true)
		switch {
		case errors.Is(err, errInterrupt):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		leave, err := p.one(ctx, text)
		if err != nil {
			return err
		}
		if leave {
			return nil
		}
	}
	return ctx.Err()
}

// notices tells of rows that have failed while something ran.
func (p *Prompt) notices() {
	if p.Failed == nil {
		return
	}
	if n := p.Failed(); n > p.failed {
		p.say("%s failed: \\errors shows them", count(n-p.failed, "row"))
		p.failed = n
	}
}

// one runs one input. Ctrl-C ends what it started, a second one the process.
func (p *Prompt) one(ctx context.Context, text string) (leave bool, err error) {
	if strings.TrimSpace(text) == "" {
		return false, nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt)
	done := make(chan struct{})
	defer func() { signal.Stop(signals); close(done) }()
	go func() {
		for n := 0; ; n++ {
			select {
			case <-signals:
				if n > 0 {
					os.Exit(130)
				}
				stop()
			case <-done:
				return
			}
		}
	}()
	if m, isMeta := metaOf(text); isMeta {
		leave, err = p.meta(ctx, m)
	} else {
		p.last = text
		err = p.Script(ctx, "", text)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		p.say("stopped")
	default:
		p.writing.Lock()
		Show(p.Err, err, p.Look.Color)
		p.writing.Unlock()
	}
	return leave, nil
}
