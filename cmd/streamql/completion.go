package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help returns the text below the command's flags.
func (completionCmd) Help() string {
	return `Examples:
  source <(streamql completion bash)             in ~/.bashrc
  source <(streamql completion zsh)              in ~/.zshrc, after compinit
  streamql completion fish > ~/.config/fish/completions/streamql.fish`
}

// Run prints a script that completes commands, flags and files.
func (c *completionCmd) Run(parser *kong.Kong) error {
	script := map[string]func(*kong.Application) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	_, err := os.Stdout.WriteString(script(parser.Model))
	return err
}

// words returns the names of commands and, for each command, its flags. The global flags are those of "".
func words(app *kong.Application) (commands []string, flags map[string][]string) {
	flags = map[string][]string{}
	add := func(of string, list []*kong.Flag) {
		for _, f := range list {
			if !f.Hidden {
				flags[of] = append(flags[of], "--"+f.Name)
			}
		}
	}
	add("", app.Flags)
	for _, n := range app.Children {
		commands = append(commands, n.Name)
		add(n.Name, n.Flags)
	}
	return commands, flags
}

func bashScript(app *kong.Application) string {
	commands, flags := words(app)
	var cases strings.Builder
	for _, c := range commands {
		if len(flags[c]) > 0 {
			fmt.Fprintf(&cases, "      %s) words=\"$words %s\" ;;\n", c, strings.Join(flags[c], " "))
		}
	}
	return fmt.Sprintf(`_streamql() {
  local cur=${COMP_WORDS[COMP_CWORD]} verb= words= w
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " %[1]s " in *" $w "*) verb=$w; break ;; esac
  done
  if [[ $cur == -* ]]; then
    words="%[2]s"
    case $verb in
%[3]s    esac
  elif [[ -z $verb ]]; then
    words="%[1]s"
  elif [[ $verb == help ]]; then
    words="%[1]s"
  elif [[ $verb == completion ]]; then
    words="bash zsh fish"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _streamql streamql
`, strings.Join(commands, " "), strings.Join(flags[""], " "), cases.String())
}

// zshScript returns the script of bash, which zsh runs with its own emulation.
func zshScript(app *kong.Application) string {
	return "autoload -U +X bashcompinit && bashcompinit\n" + bashScript(app)
}

func fishScript(app *kong.Application) string {
	var b strings.Builder
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", " ").Replace(s) + "'"
	}
	flag := func(condition string, f *kong.Flag) {
		if f.Hidden {
			return
		}
		fmt.Fprintf(&b, "complete -c streamql%s -l %s", condition, f.Name)
		if f.Short != 0 {
			fmt.Fprintf(&b, " -s %c", f.Short)
		}
		if !f.IsBool() {
			b.WriteString(" -r")
		}
		fmt.Fprintf(&b, " -d %s\n", quote(f.Help))
	}
	for _, f := range app.Flags {
		flag("", f)
	}
	for _, n := range app.Children {
		fmt.Fprintf(&b, "complete -c streamql -n __fish_use_subcommand -a %s -d %s\n", n.Name, quote(n.Help))
		for _, f := range n.Flags {
			flag(" -n '__fish_seen_subcommand_from "+n.Name+"'", f)
		}
	}
	b.WriteString("complete -c streamql -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
	return b.String()
}
