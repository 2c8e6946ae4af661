package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestManual(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"help"}, 0, "explain-error"},
		{[]string{"help", "run"}, 0, "--fail-fast"},
		{[]string{"help", "nothing"}, 2, "nothing"},
		{[]string{"--version"}, 0, "streamql "},
		{[]string{"explain-error", "sq2003"}, 0, "there is no such column or field"},
		{[]string{"explain-error", "SQ2O03"}, 2, "did you mean SQ2003?"},
		{[]string{"man"}, 0, `.B explain\-error`},
		{[]string{"completion", "bash"}, 0, "complete -o default -F _streamql streamql"},
		{[]string{"completion", "zsh"}, 0, "bashcompinit"},
		{[]string{"completion", "fish"}, 0, "complete -c streamql -n __fish_use_subcommand -a demo"},
		{[]string{"completion", "tcsh"}, 2, "must be one of"},
	} {
		got := invoke(t, "", c.args...)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.want) {
			t.Errorf("%v: exit %d\n%s%s\nwithout %q", c.args, got.code, got.out, got.err, c.want)
		}
	}
}

// TestBashCompletion completes words in bash itself.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	script := invoke(t, "", "completion", "bash").out
	for line, want := range map[string]string{"streamql expl": "explain\nexplain-error", "streamql run --fail": "--fail-fast",
		"streamql --dir x completion z": "zsh", "streamql demo --see": "--seed"} {
		words := strings.Fields(line)
		ask := script + "\nCOMP_WORDS=(" + line + ")\nCOMP_CWORD=" + string(rune('0'+len(words)-1)) +
			"\n_streamql\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
		out, err := exec.Command(bash, "-c", ask).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}
