package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/lang/codes"
)

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"A command."`
}

// Run prints the help of the program or of a command.
func (c *helpCmd) Run(parser *kong.Kong) error {
	if _, err := parser.Parse(append(c.Command, "--help")); err != nil {
		return usage(mistyped(parser, c.Command, err))
	}
	return nil
}

type explainErrorCmd struct {
	Code string `arg:"" help:"The code of an error, e.g. SQ2003."`
}

// Run prints the page of an error code.
func (c *explainErrorCmd) Run() error {
	page, ok := codes.Page(c.Code)
	if !ok {
		hint := "a code is written in brackets at the start of each error, such as SQ2003"
		if near := lang.Suggest(strings.ToUpper(c.Code), codes.Codes()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Msg: fmt.Sprintf("there is no error code %q", c.Code),
			Hint: hint}
	}
	_, err := fmt.Print(page)
	return err
}

type manCmd struct{}

// Help returns the text below the command's flags.
func (manCmd) Help() string {
	return `Examples:
  streamql man | man -l -
  streamql man > /usr/local/share/man/man1/streamql.1`
}

// Run prints the manual page in the language of man.
func (manCmd) Run(parser *kong.Kong) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH STREAMQL 1 "" "streamql %s"`, streamql.Version)
	line(".SH NAME\nstreamql \\- a streaming SQL engine that trains models and predicts on topics")
	line(".SH SYNOPSIS\n.B streamql\n[\\fIflags\\fR] [\\fIcommand\\fR]\n.SH COMMANDS")
	for _, n := range parser.Model.Children {
		line(".TP\n.B %s\n%s", roff(strings.TrimSpace(n.Name+" "+arguments(n))), roff(n.Help))
		for _, f := range n.Flags {
			line(".RS\n.TP\n.B %s\n%s\n.RE", roff(flagText(f)), roff(f.Help))
		}
	}
	line(".SH FLAGS")
	for _, f := range parser.Model.Flags {
		if !f.Hidden {
			line(".TP\n.B %s\n%s", roff(flagText(f)), roff(f.Help))
		}
	}
	line(".SH EXIT STATUS")
	for _, e := range []struct {
		code int
		text string
	}{{exitDone, "success"}, {exitFailed, "an error at run time"}, {exitUsage, "wrong usage, configuration or SQL"},
		{exitUnreachable, "a store, file or broker is not reachable"}} {
		line(".TP\n.B %d\n%s", e.code, e.text)
	}
	line(".SH FILES\n.TP\n.B %s\nThe configuration: each flag is a key of it, with _ for \\-.", projectFile)
	line(".SH ENVIRONMENT\nSTREAMQL_\\fIFLAG\\fR is the default of a flag. NO_COLOR turns colours off.")
	_, err := os.Stdout.WriteString(b.String())
	return err
}

func flagText(f *kong.Flag) string {
	text := "--" + f.Name
	if f.Short != 0 {
		text = "-" + string(f.Short) + ", " + text
	}
	if !f.IsBool() {
		text += "=" + f.FormatPlaceHolder()
	}
	return text
}

func arguments(n *kong.Node) string {
	var out []string
	for _, p := range n.Positional {
		out = append(out, p.Summary())
	}
	return strings.Join(out, " ")
}

// roff escapes a text for man.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
