package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/lang/codes"
)

// command is a command of the shell, as opposed to an SQL statement.
type command struct {
	name, args, doc string
	run             func(p *Prompt, ctx context.Context, args []string) error
}

// errLeave is the result of \q. It ends the loop.
var errLeave = errors.New("leave")

var commands []command

func init() { // init, because \? lists commands and commands contains \?
	commands = []command{
		{"?", "", "this list", (*Prompt).listCommands},
		{"h", "[STATEMENT]", "SQL: the statements, or one of them with an example; or an error code", (*Prompt).help},
		{"d", "[NAME]", "streams and tables, or the columns of one", show("SHOW STREAMS; SHOW TABLES;", "DESCRIBE %s;")},
		{"df", "[NAME]", "functions, or one of them with examples", show("SHOW FUNCTIONS;", "DESCRIBE FUNCTION %s;")},
		{"dm", "[NAME]", "models, or one of them with its versions", show("SHOW MODELS;", "DESCRIBE MODEL %s;")},
		{"models", "", "models", show("SHOW MODELS;", "")},
		{"jobs", "", "jobs", show("SHOW JOBS;", "")},
		{"topics", "", "topics", show("SHOW TOPICS;", "")},
		{"errors", "[SOURCE]", "dead letters and failed expressions, of all or of one source", (*Prompt).errors},
		{"peek", "TOPIC [N]", "the newest N records of a topic (10)", (*Prompt).peek},
		{"plan", "", "the plan of the last statement", (*Prompt).plan},
		{"watch", "SECONDS", "run the last statement repeatedly until Ctrl-C", (*Prompt).watch},
		{"x", "", "switch one column per line on or off", (*Prompt).expanded},
		{"f", "[FORMAT]", "set the output format: table, jsonl, json or csv", (*Prompt).format},
		{"dialects", "", "list the differences of --dialect ksql", (*Prompt).dialects},
		{"timing", "", "switch the timing of statements on or off", (*Prompt).timing},
		{"set", "[NAME VALUE]", "set the value of ${NAME}, or list all values", (*Prompt).set},
		{"i", "FILE", "run a file", (*Prompt).include},
		{"o", "[FILE]", "write rows to a file, or back to the terminal", func(p *Prompt, _ context.Context,
			args []string) error {
			return p.redirect(strings.Join(args, " "))
		}},
		{"q", "", "leave", func(*Prompt, context.Context, []string) error { return errLeave }},
	}
}

// metaOf recognizes a command of the shell: a line that begins with a backslash, or exit, quit, help and RUN
// SCRIPT as in ksqlDB's shell.
func metaOf(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, `\`); ok {
		return rest, true
	}
	switch strings.ToLower(strings.TrimSuffix(text, ";")) {
	case "exit", "quit":
		return "q", true
	case "help":
		return "?", true
	}
	if words := strings.Fields(text); len(words) >= 3 && strings.EqualFold(words[0], "run") &&
		strings.EqualFold(words[1], "script") {
		return "i " + strings.Trim(strings.TrimSuffix(strings.Join(words[2:], " "), ";"), "'"), true
	}
	return "", false
}

func metaWords(prefix string) (out []Candidate) {
	for _, c := range commands {
		if strings.HasPrefix(c.name, prefix) {
			out = append(out, Candidate{c.name, "command"})
		}
	}
	return out
}

func (p *Prompt) meta(ctx context.Context, line string) (leave bool, err error) {
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), ";"))
	if len(words) == 0 {
		words = []string{"?"}
	}
	var names []string
	for _, c := range commands {
		if c.name == words[0] {
			err := c.run(p, ctx, words[1:])
			if errors.Is(err, errLeave) {
				return true, nil
			}
			return false, err
		}
		names = append(names, c.name)
	}
	e := &lang.Error{Code: "SQ1104", Stage: lang.StageParse, Msg: fmt.Sprintf(`there is no command \%s`,
		visible(words[0])), Hint: `\? lists them`}
	if near := lang.Suggest(words[0], names); near != "" {
		e.Label = `did you mean \` + near + "?"
	}
	return false, e
}

func wrong(name, want string) error {
	return &lang.Error{Code: "SQ1104", Stage: lang.StageParse, Msg: fmt.Sprintf(`\%s requires %s`, name, want),
		Hint: `\? lists the commands`}
}

// show returns a command that runs a statement: all without an argument, one with an argument.
func show(all, one string) func(*Prompt, context.Context, []string) error {
	return func(p *Prompt, ctx context.Context, args []string) error {
		if len(args) == 0 || one == "" {
			return p.Script(ctx, "", all)
		}
		return p.Script(ctx, "", fmt.Sprintf(one, args[0]))
	}
}

func (p *Prompt) listCommands(context.Context, []string) error {
	for _, c := range commands {
		fmt.Fprintf(p.Out, `  \%-22s %s`+"\n", strings.TrimSpace(c.name+" "+c.args), c.doc)
	}
	_, err := fmt.Fprintln(p.Out, "  exit, help, RUN SCRIPT 'f';  as in ksqlDB's shell")
	return err
}

func (p *Prompt) dialects(context.Context, []string) error {
	for _, r := range dialect.Table {
		if _, err := fmt.Fprintf(p.Out, "%s\n  streamql: %s\n  ksql:     %s\n", r.Name, r.StreamQL, r.KSQL); err != nil {
			return err
		}
	}
	return nil
}

func (p *Prompt) help(_ context.Context, args []string) error {
	if len(args) == 0 {
		for _, h := range Help {
			fmt.Fprintf(p.Out, "  %-16s %s\n", h.Name, h.Doc)
		}
		return nil
	}
	name := strings.ToUpper(strings.Join(args, " "))
	page, found := codes.Page(name)
	if found {
		fmt.Fprint(p.Out, page)
	}
	for _, h := range Help {
		if strings.HasPrefix(h.Name, name) {
			found = true
			fmt.Fprintf(p.Out, "%s: %s\n%s\nExample:\n  %s\n\n", h.Name, h.Doc, indent(h.Syntax), strings.ReplaceAll(h.Example,
				"\n", "\n  "))
		}
	}
	if !found {
		return wrong("h", "one of the statements it lists, or an error code such as SQ2003")
	}
	return nil
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

func (p *Prompt) errors(ctx context.Context, args []string) error {
	where := ""
	if len(args) > 0 {
		where = " WHERE source = '" + strings.ReplaceAll(strings.Trim(args[0], "'"), "'", "''") + "'"
	}
	return p.Script(ctx, "", "SELECT code, source, topic, partition, offset, count, message, job FROM streamql.errors"+
		where+";")
}

func (p *Prompt) peek(ctx context.Context, args []string) error {
	n := int64(10)
	if len(args) == 2 {
		v, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil || v < 1 {
			return wrong("peek", "a topic and a number of records")
		}
		n = v
	} else if len(args) != 1 {
		return wrong("peek", "a topic and a number of records")
	}
	batch, err := newest(ctx, p.Engine, strings.Trim(args[0], "'`\""), n)
	if err != nil {
		return err
	}
	return p.printBatch(batch)
}

// printBatch prints rows that the shell itself produced.
func (s *Session) printBatch(b *flow.Batch) error {
	rows := &streamql.Rows{Bounded: true}
	for _, f := range b.Schema.Fields() {
		rows.Columns = append(rows.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	to, err := NewPrinter(s.Out, rows, s.Look)
	if err != nil {
		return err
	}
	return errors.Join(to.Print(b), to.Close())
}

func (p *Prompt) plan(ctx context.Context, _ []string) error {
	if p.last == "" {
		return wrong("plan", "a statement before it")
	}
	list, err := p.Engine.Parse(p.last)
	if err != nil {
		return &ScriptError{"", p.last, err}
	}
	for _, st := range list {
		if err := p.Run(ctx, &lang.Explain{Statement: st}); err != nil {
			return &ScriptError{"", p.last, err}
		}
	}
	return nil
}

func (p *Prompt) watch(ctx context.Context, args []string) error {
	s := 0.0
	if len(args) == 1 {
		s, _ = strconv.ParseFloat(args[0], 64)
	}
	if !(s >= 0.1 && s <= 86400) {
		return wrong("watch", "a number of seconds, at least 0.1")
	}
	if p.last == "" {
		return wrong("watch", "a statement before it")
	}
	for {
		if err := p.Script(ctx, "", p.last); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(s * float64(time.Second))):
		}
	}
}

func (p *Prompt) expanded(context.Context, []string) error {
	p.Look.Expanded = !p.Look.Expanded
	p.say("one column per line is %s", onOff(p.Look.Expanded))
	return nil
}

func (p *Prompt) timing(context.Context, []string) error {
	p.Timing = !p.Timing
	p.say("timing is %s", onOff(p.Timing))
	return nil
}

func onOff(b bool) string { return map[bool]string{true: "on", false: "off"}[b] }

func (p *Prompt) format(_ context.Context, args []string) error {
	if len(args) > 0 {
		if !slices.Contains(Formats, args[0]) {
			return wrong("f", strings.Join(Formats, ", "))
		}
		p.Look.Format = args[0]
	}
	p.say("rows are written as %s", p.Look.Format)
	return nil
}

func (p *Prompt) set(ctx context.Context, args []string) error {
	switch len(args) {
	case 0:
		return p.Script(ctx, "", "SHOW VARIABLES;")
	case 1:
		return wrong("set", "a name and a value")
	}
	value := strings.ReplaceAll(strings.Trim(strings.Join(args[1:], " "), "'"), "'", "''")
	return p.Script(ctx, "", "DEFINE "+args[0]+" = '"+value+"';")
}

func (p *Prompt) include(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return wrong("i", "a file")
	}
	file := strings.Trim(strings.Join(args, " "), "'")
	text, err := os.ReadFile(file)
	if err != nil {
		return &lang.Error{Code: "SQ1104", Stage: lang.StageParse, Msg: fmt.Sprintf("cannot read %s: %v", file,
			errors.Unwrap(err)), Err: err}
	}
	return p.Script(ctx, file, string(bytes.TrimPrefix(text, []byte("\uFEFF"))))
}

// redirect sends rows to a file, or to the terminal if file is empty.
func (p *Prompt) redirect(file string) error {
	var to io.Writer = os.Stdout
	var opened *os.File
	if file != "" {
		f, err := os.Create(strings.Trim(file, "'"))
		if err != nil {
			return &lang.Error{Code: "SQ1104", Stage: lang.StageParse, Msg: fmt.Sprintf("cannot write to %s: %v", file,
				errors.Unwrap(err)), Err: err}
		}
		to, opened = f, f
	}
	if p.out == nil && opened == nil {
		return nil
	}
	old := p.out
	if old == nil {
		p.screen = p.Look
	}
	p.Out, p.out = to, opened
	format, expanded := p.Look.Format, p.Look.Expanded
	p.Look = p.screen
	p.Look.Format, p.Look.Expanded = format, expanded
	if opened != nil {
		p.Look.Width, p.Look.Color = 0, false
	}
	if old != nil {
		return old.Close()
	}
	return nil
}
