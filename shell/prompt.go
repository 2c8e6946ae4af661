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

// Prompt reads statements that a user types and runs them, one input at a time.
type Prompt struct {
	*Session
	// History is the path of the history file; empty: no history is stored.
	History string
	// Failed returns the number of rows that have failed so far; may be nil.
	Failed func() int64

	read   func(first bool) (string, error)
	last   string   // the last statement, for \watch and \plan
	out    *os.File // the file that \o redirects rows to; nil: the terminal
	screen Look     // the terminal's Look, while rows are redirected
	failed int64
}

// errInterrupt is returned by a reader when the user cancels a line with Ctrl-C.
var errInterrupt = errors.New("interrupted")

// Edit reads with the line editor. Without it, Loop reads plain lines from in.
func (p *Prompt) Edit() {
	rl := readline.NewShell()
	// The editor drops keys that arrive together with the response to its request for the cursor's position. Over a
	// connection with latency that happens all the time, so the editor must not request it.
	_ = rl.Config.Set("cursor-position-probe", false)
	_ = rl.Config.Set("enable-bracketed-paste", true)
	_ = rl.Config.Set("menu-complete-display-prefix", true) // Tab shows the list before it inserts a word
	rl.Prompt.Primary(func() string { return p.paint("streamql> ") })
	rl.Prompt.Secondary(func() string { return p.paint("      ... ") })
	rl.AcceptMultiline = func(line []rune) bool { return accepts(string(line)) }
	rl.Completer = p.completer
	if p.History != "" {
		if h, err := openHistory(p.History); err != nil {
			p.say("%v; statements are not stored in the history", err)
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

// Plain reads lines without editing, for terminals without the necessary capabilities.
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

// accepts reports whether the input can be run: its last part is a command, or consists of complete statements.
func accepts(text string) bool {
	list := parts(text)
	_, isMeta := metaOf(list[len(list)-1])
	return isMeta || Complete(list[len(list)-1])
}

// parts splits an input at the commands of the shell, which are lines. A pasted text can have several of them between
// its statements.
func parts(text string) (out []string) {
	var open strings.Builder
	for line := range strings.Lines(text) {
		command := strings.HasPrefix(strings.TrimSpace(line), `\`) && Complete(open.String())
		if command && strings.TrimSpace(open.String()) != "" {
			out = append(out, open.String())
		}
		if command {
			open.Reset()
			out = append(out, line)
			continue
		}
		open.WriteString(line)
	}
	if strings.TrimSpace(open.String()) != "" || len(out) == 0 {
		out = append(out, open.String())
	}
	return out
}

// Loop runs inputs until the user quits or ctx ends. A failed statement is reported and does not end the
// loop.
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
		for _, part := range parts(text) {
			leave, err := p.one(ctx, part)
			if err != nil || leave {
				return err
			}
		}
	}
	return ctx.Err()
}

// notices reports rows that have failed since the last call.
func (p *Prompt) notices() {
	if p.Failed == nil {
		return
	}
	if n := p.Failed(); n > p.failed {
		p.say("%s failed; \\errors lists them", count(n-p.failed, "row"))
		p.failed = n
	}
}

// one runs one input. Ctrl-C cancels it; a second Ctrl-C ends the process.
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
